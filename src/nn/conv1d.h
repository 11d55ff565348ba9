/* Dilated convolution of the same length over time-major rows: y[t] = b + sum_j W_j x[t + (j - taps / 2) dilation],
 * zeros outside (PyTorch's Conv1d with padding = dilation * (taps - 1) / 2, odd taps). With one tap it is a linear map.
 * Shapes: x [batch, frames, inputs], y [batch, frames, outputs]. */
#ifndef NN_CONV1D_H
#define NN_CONV1D_H

#include "nn/weight.h"

typedef struct conv1d {
    weight w;
    param *bias;       /* [outputs], or NULL */
    real *scaled_bias; /* scale bias, owned; NULL without a layer scale or without a bias */
    size_t dilation;
} conv1d;

typedef struct conv1d_options {
    size_t inputs, outputs;
    size_t taps;     /* odd; 0 means 1 */
    size_t dilation; /* 0 means 1 */
    size_t group;    /* outputs that calls take together, where they do not take all; 0: all */
    weight_style style;
    bool pairs;  /* 3 taps: winograd.h may be used */
    bool linear; /* the stored weight has rank 2 (PyTorch's Linear) */
    bool no_bias;
    bool transposing; /* backward for x runs even where the parameters are fixed */
    param *scale;     /* [outputs], registered before: y is multiplied by it. NULL: not. Plain weights only. */
} conv1d_options;

/* Registers in the order of PyTorch's state dict: weight, bias, or bias, weight_g, weight_v. On failure call
 * conv1d_free.
 */
vocode_status conv1d_build(conv1d *layer, param_set *set, const char *prefix, const conv1d_options *options,
                           vocode_error *error);
void conv1d_init(conv1d *layer, uint64_t seed);
void conv1d_zero(conv1d *layer); /* weight and bias */
void conv1d_prepare(conv1d *layer);
void conv1d_free(conv1d *layer);

/* What part of the layer a call computes, and how its rows lie in memory. */
typedef struct conv1d_call {
    size_t batch, frames;
    size_t first, outputs; /* the layer's outputs first to first + outputs, a group; outputs 0: all of them */
    size_t ldx, ldy, lddx; /* elements from row to row of x, of y and dy, of dx; 0: no gaps */
    bool add;              /* y, or dx, gains instead of being overwritten */
} conv1d_call;

void conv1d_run(const conv1d *layer, const compute *run, const conv1d_call *call, const real *x, real *y);

/* dx may be NULL; parameter gradients accumulate unless grads is NULL. Takes scratch. */
void conv1d_run_backward(const conv1d *layer, compute *run, const conv1d_call *call, const real *x, const real *dy,
                         real *dx, real *grads);

/* The whole layer. y is overwritten; ldy is the distance of its rows in elements (0: outputs). */
void conv1d_forward(const conv1d *layer, compute *run, size_t batch, size_t frames, const real *x, real *y, size_t ldy);

/* dx accumulates unless NULL; parameter gradients accumulate unless grads is NULL. lddy: distance of dy's rows (0:
 * outputs) */
void conv1d_backward(const conv1d *layer, compute *run, size_t batch, size_t frames, const real *x, const real *dy,
                     size_t lddy, real *dx, real *grads);

/* Rows of a stream: y[r] (+)= bias + sum_j W_j x[r + shift_j] for r < rows, where x points at the row of output 0 and
 * all rows that the taps look at lie in memory. Outputs first to first + outputs only (a group; 0: all). add: y gains.
 * A row's bits do not depend on which others come with it. */
void conv1d_window(const conv1d *layer, const compute *run, size_t rows, const real *x, size_t ldx, size_t first,
                   size_t outputs, bool add, real *y, size_t ldy);

/* Frames that y[t] sees on either side of t. */
size_t conv1d_reach(const conv1d *layer);

#endif
