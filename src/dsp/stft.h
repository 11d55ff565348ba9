/* Short-time Fourier transform, forward and inverse, as torch.stft and torch.istft define them: periodic Hann window,
 * padding of both ends, window-square normalised overlap-add. Everything is double and works frame by frame on buffers
 * of the caller; the transform itself is immutable and may be shared by threads.
 *
 * Positions are in the padded signal: sample s of the signal is at pad + s, frame t covers [t * hop, t * hop + n_fft).
 */
#ifndef DSP_STFT_H
#define DSP_STFT_H

#include <complex.h>
#include <stddef.h>

#include "core/arena.h"
#include "dsp/fft.h"

/* REFLECT mirrors without repeating the end sample, again and again where the signal is shorter than the padding (as
 * numpy.pad); a single sample repeats. */
typedef enum stft_padding { STFT_REFLECT, STFT_ZERO } stft_padding;

typedef struct stft {
    size_t n_fft, hop, bins; /* bins = n_fft / 2 + 1 */
    size_t pad;              /* samples at each end */
    stft_padding padding;
    double *window;   /* [n_fft], aligned */
    double *envelope; /* [hop]: sum of the squares of the windows that cover a sample, away from the ends */
    const fft_plan *forward, *inverse;
} stft;

/* One frame's buffers, aligned for the FFT. */
typedef struct stft_work {
    double *frame;            /* [n_fft] */
    double complex *spectrum; /* [bins] */
} stft_work;

/* win samples of periodic Hann, centred in n_fft. VOCODE_VALUE for sizes that make no transform, VOCODE_MEMORY. */
vocode_status stft_init(stft *transform, size_t n_fft, size_t hop, size_t win, size_t pad, stft_padding padding,
                        vocode_error *error);
void stft_free(stft *transform); /* what it holds, not itself */

stft_work stft_work_take(const stft *transform, arena *memory);

/* Frames that fit in n samples and their padding. */
size_t stft_frames(const stft *transform, size_t n);

/* span[i] = padded signal at position first + i for i < count, from samples [n], n >= 1. */
void stft_span(const stft *transform, const float *samples, size_t n, size_t first, size_t count, double *span);

/* Fills both ends of padded [pad + n + pad] from the n >= 1 samples that lie in its middle. */
void stft_fill_ends(const stft *transform, double *padded, size_t n);

/* span [n_fft], where the frame starts in the padded signal -> work->spectrum. */
void stft_analyse(const stft *transform, const double *span, const stft_work *work);

/* work->spectrum, destroyed -> work->frame [n_fft], windowed: ready to be added up. */
void stft_synthesise(const stft *transform, const stft_work *work);

/* target[i] += frame[i] for i < n_fft: target is where the frame starts in a padded signal. */
void stft_add(const stft *transform, const double *frame, double *target);

/* The overlap-added samples at positions first.. [count] over the sum of the squared windows of frames 0..frames-1
 * there; as they are where next to nothing covers them. In place is fine. */
void stft_uncover(const stft *transform, const double *sums, size_t first, size_t frames, size_t count, double *out);

#endif
