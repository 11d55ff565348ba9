/* Audio out as --format, --raw and the file's ending ask. */
#ifndef CLI_SOUND_H
#define CLI_SOUND_H

#include "cli/options.h"

typedef struct audio_writer audio_writer; /* io/audio.h */

/* EXIT_SUCCESS, or EXIT_USAGE after saying why path cannot be written so: another ending than .wav and .flac, FLAC with
 * float samples, --raw together with --format. */
int sound_check(const arguments *given, const command *about, const char *path, console *out);

/* Writes mono [frames] at sample_rate Hz to path ("-" is standard output) and notes how many samples were clipped. */
vocode_status sound_write(const arguments *given, const char *path, const float *mono, size_t frames,
                          unsigned sample_rate, console *out, vocode_error *error);

/* The same piece by piece: a writer for audio_writer_write, and its end, which notes what was clipped. Signals are the
 * caller's to hold. */
vocode_status sound_open(const arguments *given, const char *path, unsigned sample_rate, audio_writer **out,
                         vocode_error *error);
vocode_status sound_close(audio_writer *writer, const char *path, console *out, vocode_error *error);

#endif
