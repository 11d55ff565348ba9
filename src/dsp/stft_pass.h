/* An STFT, something done to every frame, and the inverse STFT, as samples arrive. It gives the bits that the same
 * frames give on the whole signal, however the samples are cut; the last samples come when the signal has ended, the
 * others as soon as every frame over them is done: n_fft - pad + hop samples later at most. Memory does not depend on
 * the length. */
#ifndef DSP_STFT_PASS_H
#define DSP_STFT_PASS_H

#include <stdbool.h>

#include "dsp/stft.h"

/* Frame t: span [n_fft] of the padded signal -> work->frame [n_fft], windowed, to be added up. false: the frame counts
 * as zero (it is past what is known about the signal). */
typedef bool stft_frame_fn(void *context, size_t t, const double *span, const stft_work *work);

typedef struct stft_pass stft_pass;

/* most: samples of a push. transform is borrowed. */
vocode_status stft_pass_new(const stft *transform, size_t most, stft_frame_fn *frame, void *context, stft_pass **out,
                            vocode_error *error);
void stft_pass_free(stft_pass *pass); /* NULL is fine */

/* n <= most samples; last: the signal ends after them. Gives *count samples that are done, valid until the next push.
 */
const double *stft_pass_push(stft_pass *pass, const double *samples, size_t n, bool last, size_t *count);

#endif
