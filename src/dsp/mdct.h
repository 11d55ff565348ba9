/* Orthonormal MDCT of a finite signal, edges included: as many coefficients as samples, inverse = transpose,
 * log-determinant 0. Princen, Johnson, Bradley, "Subband/transform coding using filter bank designs based on time
 * domain aliasing cancellation", ICASSP 1987.
 *
 * Block t owns the samples [n t, n t + n) and looks at 2n of them, half a block further on both sides:
 *     X[t, k] = sqrt(2/n) sum_j w[j] x[n t - n/2 + j] cos(pi/n (j + 1/2 + n/2)(k + 1/2)),  j < 2n, k < n
 * with the sine window w[j] = sin(pi (j + 1/2) / 2n). The outer edges of the first and last block fold with radius
 * zero: their outer quarter is 0 and the next one 1, so nothing outside the signal is looked at. */
#ifndef DSP_MDCT_H
#define DSP_MDCT_H

#include <stddef.h>

#include "core/arena.h"
#include "core/real.h"
#include "dsp/fft.h"

typedef struct mdct mdct;

/* n: coefficients a block, even, >= 2. VOCODE_VALUE otherwise, VOCODE_MEMORY. Immutable, for any number of threads. */
vocode_status mdct_new(size_t n, mdct **result, vocode_error *error);
void mdct_free(mdct *transform);

/* What a run takes from the caller's arena, in bytes. */
size_t mdct_scratch(const mdct *transform);

/* x [blocks * n] -> coefficients [blocks, n], time-major; blocks >= 1. The two must not overlap. Inside it computes in
 * double. Nothing is allocated where n / 2 has no prime factor above 13 (beyond that FFTW takes memory of its own).
 * memory must have room for mdct_scratch bytes and is given back. */
void mdct_forward(const mdct *transform, const real *x, real *coefficients, size_t blocks, arena *memory);

/* coefficients [blocks, n] -> x [blocks * n] */
void mdct_inverse(const mdct *transform, const real *coefficients, real *x, size_t blocks, arena *memory);

/* Block by block, for streams; first and last tell whether the block starts and ends the signal. The functions above
 * are loops over these. span [2n] holds the samples from n t - n/2 on, zeros where there are none. */
void mdct_block_forward(const mdct *transform, const double *span, int first, int last, real *coefficients,
                        arena *memory);

/* out [n]: the samples [n t - n/2, n t + n/2), of which the first half is zero in the first block. carry [n] brings
 * what the block before left there (anything in the first block) and takes what this one leaves; after the last block
 * its first half is the last n/2 samples. */
void mdct_block_inverse(const mdct *transform, const real *coefficients, int first, int last, double *carry,
                        double *out, arena *memory);

#endif
