/* Audio files: reading through libsndfile; writing WAV, FLAC and headerless samples, whole or block by block. */
#ifndef IO_AUDIO_H
#define IO_AUDIO_H

#include <stddef.h>

#include "core/fail.h"

/* How a file holds its samples. */
typedef struct audio_source {
    unsigned channels, sample_rate;
    unsigned bits; /* of a sample of integer PCM; 0: float or compressed with losses */
} audio_source;

typedef struct audio {
    size_t frames;
    unsigned channels, sample_rate; /* sample_rate in Hz */
    float *samples;                 /* [frames, channels], owned; integer PCM maps to [-1, 1) */
    audio_source source;
} audio;

/* Reads any format that libsndfile knows; "-" is standard input. Free with audio_free. */
vocode_status audio_read(const char *path, audio *out, vocode_error *error);

/* The same as one channel at sample_rate (0: the file's own): channels are averaged, rates converted, and a sentence to
 * warnings (may be NULL) says so. Zero frames, NaN and infinity are VOCODE_VALUE; the sentence says where. */
vocode_status audio_read_mono(const char *path, unsigned sample_rate, audio *out, const warning_sink *warnings,
                              vocode_error *error);

/* mono [frames]: the channels' mean of frames first..first+frames-1 of a file at its own rate, without reading what is
 * before. VOCODE_UNSUPPORTED where the file cannot be read so (a pipe, a format without exact places); VOCODE_FORMAT
 * where it ends earlier. Other than that, what audio_read_mono gives. */
vocode_status audio_read_part(const char *path, size_t first, size_t frames, float *mono, vocode_error *error);

void audio_free(audio *sound); /* empties it; an empty one is fine */

typedef enum audio_format { AUDIO_PCM16, AUDIO_PCM24, AUDIO_FLOAT } audio_format;
typedef enum audio_container { AUDIO_WAV, AUDIO_FLAC, AUDIO_RAW /* little-endian, no header */ } audio_container;

/* The container that path's ending asks for: .wav or .flac in any case, WAV for "-" and for pipes and devices without
 * an ending. Anything else, and FLAC with float samples, is VOCODE_ARGUMENT. */
vocode_status audio_container_of(const char *path, audio_format format, audio_container *out, vocode_error *error);

/* Writes mono [frames] at sample_rate Hz into the container of path's ending. Integers are round(x * 32767), for 24
 * bits round(x * 8388607), clipped to their range; *clipped (may be NULL) counts the samples that were outside.
 * NaN and infinity are VOCODE_VALUE. The file appears whole or not at all. */
vocode_status audio_write(const char *path, const float *mono, size_t frames, unsigned sample_rate, audio_format format,
                          size_t *clipped, vocode_error *error);

/* The same without a header: AUDIO_PCM16 is s16le, AUDIO_PCM24 s24le, AUDIO_FLOAT f32le. */
vocode_status audio_write_raw(const char *path, const float *mono, size_t frames, audio_format format, size_t *clipped,
                              vocode_error *error);

/* Writing block by block. To a pipe a WAV header says that the length is unknown (sizes of 0xFFFFFFFF), which readers
 * take as "until the end"; in a regular file the sizes are filled in at the end. */
typedef struct audio_writer audio_writer;

/* sample_rate is not used by AUDIO_RAW. */
vocode_status audio_writer_open(const char *path, unsigned sample_rate, audio_format format, audio_container container,
                                audio_writer **out, vocode_error *error);

/* Appends mono [frames]; may be called with any block sizes, which do not change the bytes written. */
vocode_status audio_writer_write(audio_writer *writer, const float *mono, size_t frames, vocode_error *error);

/* Hands what was written so far to the operating system, for a listener at the other end of a pipe. */
vocode_status audio_writer_flush(audio_writer *writer, vocode_error *error);

/* Finishes the file, puts it in place and frees the writer, also on failure (then nothing appears at path). */
vocode_status audio_writer_close(audio_writer *writer, size_t *clipped, vocode_error *error);

void audio_writer_abort(audio_writer *writer); /* leaves nothing at path and frees; NULL is fine */

#endif
