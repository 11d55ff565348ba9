/* Mels and latents from .npy files in the layouts that are found in the wild. */
#ifndef CLI_ARRAYS_H
#define CLI_ARRAYS_H

#include <stddef.h>

#include "cli/options.h"

typedef struct mel_frames_file {
    size_t frames, bands;
    float *values; /* [frames, bands], time-major, owned: free() */
} mel_frames_file;

/* How mels are read. */
typedef struct mel_reading {
    size_t bands;
    const char *whose;          /* what messages call the origin of that number, such as a model's name */
    const option_value *layout; /* where both axes equal bands it decides, mels first by default */
} mel_reading;

/* Which axis of a shape is time: [bands, T], [T, bands], or either with leading ones before it. VOCODE_SHAPE where
 * neither fits, with the presets that it could be; where there is no frame; and for a batch. */
vocode_status mel_axes(int rank, const size_t *shape, const char *name, const mel_reading *reading, size_t *frames,
                       bool *frames_first, vocode_error *error);

/* Reads a whole .npy of such a shape. */
vocode_status mel_read(const char *path, const mel_reading *reading, mel_frames_file *out, vocode_error *error);

typedef struct latent_file {
    size_t columns;
    float *values; /* [channels, columns], owned: free() */
} latent_file;

/* Transposes source [rows, columns] to target [columns, rows]. */
void transpose(const float *source, size_t rows, size_t columns, float *target);

/* Writes values [rows, columns] to path; "-" is standard output. A signal that comes meanwhile waits. */
vocode_status array_write(const char *path, const float *values, size_t rows, size_t columns, vocode_error *error);

/* The same of any shape. */
vocode_status array_put(const char *path, const float *values, int rank, const size_t *shape, vocode_error *error);

/* Reads [channels, columns], or leading ones before that. */
vocode_status latent_read(const char *path, size_t channels, latent_file *out, vocode_error *error);

#endif
