/* An STFT, something done to every frame, and the inverse STFT, as samples arrive. It gives the bits that the same
 * frames give on the whole signal, however the samples are cut; the last samples come when the signal has ended, the
 * others as soon as every frame over them is done: n_fft - pad + hop samples later at most. Memory does not depend on
 * the length, nor the bits on the threads. */
#ifndef DSP_STFT_PASS_H
#define DSP_STFT_PASS_H

#include <stdbool.h>

#include "dsp/stft.h"

enum { STFT_SLOTS = 16 };   /* frames that are under way at once, at most */
enum { STFT_PIECE = 4096 }; /* samples that a line of passes hands on at once, at most */

/* Frame t: span [n_fft] of the padded signal -> its frame [n_fft], windowed, to be added up; or NULL, which counts as
 * zero (a frame past what is known about the signal). Frames that arrive together may run in several threads, each in a
 * slot < STFT_SLOTS of its own; what is returned stays valid until the next frame in that slot. */
typedef const double *stft_frame_fn(void *context, size_t t, size_t slot, const double *span);

/* Work for every slot, in one piece of memory: *memory is the caller's to aligned_free. VOCODE_MEMORY. */
vocode_status stft_works_new(const stft *transform, stft_work work[STFT_SLOTS], void **memory, vocode_error *error);

typedef struct stft_pass stft_pass;

/* most: samples of a push. transform is borrowed. */
vocode_status stft_pass_new(const stft *transform, size_t most, int threads, stft_frame_fn *frame, void *context,
                            stft_pass **out, vocode_error *error);
void stft_pass_free(stft_pass *pass); /* NULL is fine */

/* n <= most samples; last: the signal ends after them. Gives *count samples that are done, valid until the next push.
 */
const double *stft_pass_push(stft_pass *pass, const double *samples, size_t n, bool last, size_t *count);

#endif
