/* Phase refinement: magnitudes that have exactly the wanted mel, by multiplicative updates that start at the audio's
 * own, then fast Griffin-Lim from its phases (Perraudin, Balazs, Sondergaard, "A fast Griffin-Lim algorithm", WASPAA
 * 2013). The audio and its mel are as in dsp/mel_match.h, but mag_eps, which is negligible here, does not count.
 * Centred, the last hop samples are kept as they are, so a single frame is not changed. Everything inside is double. */
#ifndef DSP_MEL_REFINE_H
#define DSP_MEL_REFINE_H

#include "dsp/mel_match.h"
#include "dsp/stft_line.h"

/* The wanted mel [n_mels] of a frame; called from several threads. A frame is asked for once, when the samples that it
 * covers are there. */
typedef const real *wanted_mel_fn(void *context, size_t frame);

/* Refinement of a signal as it arrives: each iteration follows the one before by some frames, and what one frame has
 * left to go through is kept with it, so memory depends on the iterations and not on the length. */
typedef struct mel_refiner mel_refiner;

/* iterations >= 1. The matcher is borrowed; the sink gets the refined samples. */
vocode_status mel_refiner_new(const mel_matcher *matcher, size_t iterations, int threads, wanted_mel_fn *wanted,
                              stft_sink_fn *sink, void *context, mel_refiner **out, vocode_error *error);
void mel_refiner_free(mel_refiner *refiner); /* NULL is fine */

/* Any number of samples; last: the signal, whole frames of hop samples, ends after them. */
vocode_status mel_refiner_push(mel_refiner *refiner, const double *samples, size_t n, bool last, vocode_error *error);

/* Samples after a sample that what comes out depends on. */
size_t mel_refiner_look_ahead(const mel_refiner *refiner);

/* A whole signal in place, mel [frames, n_mels]. VOCODE_MEMORY: audio is untouched. */
vocode_status mel_refine(const mel_matcher *matcher, real *audio, const real *mel, size_t frames, size_t iterations,
                         vocode_error *error);

#endif
