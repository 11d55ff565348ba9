/* The bias of a model: what it makes of silence with a zero latent. */
#ifndef VOCODER_BIAS_H
#define VOCODER_BIAS_H

#include "vocoder/model.h"

/* The STFT that bias removal works on. */
void bias_sizes(const vocode_model *model, size_t *n_fft, size_t *hop);

/* bias [n_fft / 2 + 1]: magnitudes. WaveGlow's denoiser takes an all-zero mel; a frame-rate model's silence is its
 * convention's floor. */
vocode_status bias_spectrum(const vocode_model *model, int threads, double *bias, vocode_error *error);

#endif
