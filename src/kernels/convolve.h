/* Dilated convolutions over time-major rows as products with shifted rows: no im2col, all taps of a tile of rows while
 * it is in cache, one parallel region over the tiles of the whole batch.
 *
 *     y[t] = bias + sum_j x[t + (j - taps / 2) dilation] W_j          zeros outside an element's frames
 *
 * x [batch, frames, inputs] and y [batch, frames, outputs] have rows ldx and ldy apart, so that either may be some
 * columns of a wider array; W_j [inputs, outputs] may be some columns of a wider matrix. */
#ifndef KERNELS_CONVOLVE_H
#define KERNELS_CONVOLVE_H

#include "kernels/compute.h"

typedef struct convolution {
    size_t batch, frames;
    size_t inputs, outputs;
    size_t taps, dilation; /* taps odd */
    size_t ldx, ldy;       /* elements from row to row */
    const real *w;         /* tap j's matrix starts at w + j * tap_step, its rows are ldw apart */
    size_t tap_step, ldw;
} convolution;

/* y = ..., or y += ... with add. bias [outputs] may be NULL. */
void run_convolution(const compute *run, const convolution *layer, const real *x, const real *bias, bool add, real *y);

/* dx [batch, frames, inputs] from dy (rows ldy apart): dx = ..., or dx += ... with add; its rows are lddx apart. */
void run_convolution_data(const compute *run, const convolution *layer, const real *dy, bool add, real *dx,
                          size_t lddx);

/* dw [taps, inputs, outputs], dense, overwritten: the gradient of every W_j. */
void run_convolution_weights(const compute *run, const convolution *layer, const real *x, const real *dy, real *dw);

#endif
