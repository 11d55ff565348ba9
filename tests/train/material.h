/* Recordings, models and warnings for tests of the training data. */
#ifndef TRAIN_MATERIAL_H
#define TRAIN_MATERIAL_H

#include <stddef.h>
#include <stdint.h>

#include "core/fail.h"
#include "vocoder/model.h"

#define MATERIAL_RATE 22050u

/* cmocka set-up and tear-down of a folder of the test's own; material_path is a name in it (a few at a time). */
int material_open(void **state);
int material_close(void **state);
const char *material_path(const char *name);

void material_folder(const char *name);
void material_text(const char *name, const char *text);
void material_bytes(const char *name, const void *bytes, size_t size);
void material_cut(const char *name, size_t size); /* truncates a file */

/* Noise of that RMS: a function of seed and position, of whole 16-bit steps. */
float *material_noise(size_t count, uint64_t seed, double rms);

/* Writes interleaved samples [frames, channels] in a libsndfile format (SF_FORMAT_WAV | SF_FORMAT_PCM_16, say). */
void material_write(const char *name, const float *samples, size_t frames, unsigned channels, unsigned rate,
                    int format);
/* Seconds of noise as 16-bit mono WAV. */
void material_clip(const char *name, double seconds, uint64_t seed);

/* A small model: kind "frameflow" or "waveglow"; mel: a preset's name, or JSON of a convention. Hop 64, 16 bands. */
vocode_model *material_model(const char *kind, const char *mel_changes);

/* Warnings, one a line. */
typedef struct material_warnings {
    char text[8192];
    size_t count;
} material_warnings;
warning_sink material_sink(material_warnings *to);
size_t material_count(const material_warnings *from, const char *text); /* lines that hold text */

#endif
