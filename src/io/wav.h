/* The header of a WAV file with one channel. */
#ifndef IO_WAV_H
#define IO_WAV_H

#include <stddef.h>

#include "io/audio.h"

#define WAV_HEADER_ROOM 64
#define WAV_UNKNOWN ((size_t)0xffffffff) /* data bytes: a stream whose end is not known, read until it comes */

/* Writes the header for data_bytes of samples (at most wav_most_bytes, or WAV_UNKNOWN) and returns its size, which
 * depends on the format alone. */
size_t wav_header(unsigned char header[WAV_HEADER_ROOM], unsigned sample_rate, audio_format format, size_t data_bytes);

/* A whole WAV file of mono [frames] (finite) in memory, 16 bits, as audio_write makes it: *size bytes, which the caller
 * frees. NULL when out of memory. */
unsigned char *wav_pcm16(const float *mono, size_t frames, unsigned sample_rate, size_t *size);

/* The most bytes of samples that the 32-bit sizes of a WAV file can announce. */
size_t wav_most_bytes(audio_format format);

/* Bytes of one sample. */
size_t audio_sample_size(audio_format format);

#endif
