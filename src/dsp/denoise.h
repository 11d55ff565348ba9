/* Removal of a model's constant tones (NVIDIA's WaveGlow denoiser): what the model says with a silent mel and sigma 0
 * is its bias; its spectrum is subtracted from the magnitude of every frame and the phase is kept. */
#ifndef DSP_DENOISE_H
#define DSP_DENOISE_H

#include <stddef.h>

#include <vocode/status.h>

#include "core/real.h"
#include "dsp/stft.h"

#define DENOISE_N_FFT 1024 /* WaveGlow's */
#define DENOISE_HOP 256

/* The magnitudes of the first centred frame of bias_audio [n], n >= 1 -> bias [n_fft / 2 + 1]. */
vocode_status denoise_bias(const real *bias_audio, size_t n, size_t n_fft, size_t hop, double *bias,
                           vocode_error *error);

/* audio [n] in place: magnitude = max(0, |S| - strength * bias), bias [n_fft / 2 + 1]. strength 0 changes nothing but
 * rounding. VOCODE_VALUE for sizes that make no STFT, VOCODE_MEMORY; then the audio is untouched. */
vocode_status denoise(real *audio, size_t n, size_t n_fft, size_t hop, const double *bias, double strength,
                      vocode_error *error);

/* One frame, for streams: span [n_fft] -> the frame [n_fft] in work, windowed, to be added up. */
const double *denoise_frame(const stft *transform, const double *bias, double strength, const double *span,
                            const stft_work *work);

#endif
