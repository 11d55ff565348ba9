/* Dilated convolutions over time-major rows as products with shifted rows: no im2col, all taps of a tile of rows while
 * it is in cache, one parallel region over the tiles of the whole batch.
 *
 *     y[t] = bias + sum_j x[t + (j - taps / 2) dilation] W_j          zeros outside an element's frames
 *
 * x [batch, frames, inputs] and y [batch, frames, outputs] have rows ldx and ldy apart, so that either may be some
 * columns of a wider array; W_j [inputs, outputs] may be some columns of a wider matrix. Forward takes the W_j in
 * panels (kernels.def, pack), the gradient of x takes panels of their transposes. */
#ifndef KERNELS_CONVOLVE_H
#define KERNELS_CONVOLVE_H

#include "kernels/compute.h"

typedef struct convolution {
    size_t batch, frames;
    size_t inputs, outputs;
    size_t taps, dilation; /* taps odd */
    size_t ldx, ldy;       /* elements from row to row */
    const real *panels;    /* tap j's panels start at panels + j * panel_step */
    size_t panel_step;
    const real *back; /* for run_convolution_data: tap j's panels of the transpose of W_j, at back + j * back_step */
    size_t back_step;
    bool silu;                        /* run_convolution without rounding to bfloat16: silu(x) takes the place of x */
    const size_t *bands, *back_bands; /* where the panels are not zero (gemm_banded), of one tap; NULL: everywhere */
} convolution;

/* y = ..., or y += ... with add. bias [outputs] may be NULL. */
void run_convolution(const compute *run, const convolution *layer, const real *x, const real *bias, bool add, real *y);

/* The same where every row that is read is there: y [rows, outputs] from x, which points at the row of output 0; rows
 * reach = taps / 2 * dilation before it and after the last are read. batch and frames are not looked at. A row's bits
 * depend on what it reads alone, at any number of threads. */
void run_convolution_window(const compute *run, const convolution *layer, size_t rows, const real *x, const real *bias,
                            bool add, real *y);

/* dx [batch, frames, inputs] from dy (rows ldy apart): dx = ..., or dx += ... with add; its rows are lddx apart. */
void run_convolution_data(const compute *run, const convolution *layer, const real *dy, bool add, real *dx,
                          size_t lddx);

/* dw [taps, inputs, outputs], dense: the gradient of every W_j. dw = ..., or dw += ... with add. */
void run_convolution_weights(const compute *run, const convolution *layer, const real *x, const real *dy, bool add,
                             real *dw);

#endif
