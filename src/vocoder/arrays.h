/* Between the public layouts and the blocks' layouts. */
#ifndef VOCODER_ARRAYS_H
#define VOCODER_ARRAYS_H

#include "vocoder/blocks.h"

/* latent [channels, columns] float <-> z [columns, channels] */
void latent_to_rows(const float *latent, size_t channels, size_t columns, real *z);
void latent_from_rows(const real *z, size_t channels, size_t columns, float *latent);

/* mel [frames, n_mels] -> out [wanted, n_mels]: cut, or the last frame repeated. */
void mel_to_frames(const float *mel, size_t frames, size_t n_mels, size_t wanted, real *out);

/* VOCODE_VALUE naming channel and column where a number of latent [channels, columns] is not finite. */
vocode_status check_latent(const float *latent, size_t channels, size_t columns, vocode_error *error);

/* VOCODE_VALUE naming band and frame where a value is not finite; VOCODE_SHAPE for zero frames. */
vocode_status check_mel(const float *mel, size_t frames, size_t n_mels, vocode_error *error);

#endif
