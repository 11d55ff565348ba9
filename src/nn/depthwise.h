/* Depthwise convolution of the same length: each channel by its own taps (PyTorch's Conv1d with groups = channels and
 * padding taps / 2, odd taps). Shapes: x and y [batch, frames, channels]. */
#ifndef NN_DEPTHWISE_H
#define NN_DEPTHWISE_H

#include "kernels/compute.h"
#include "nn/param.h"

typedef struct depthwise {
    size_t channels, taps;
    param *weight, *bias; /* [channels, 1, taps], [channels] */
    real *packed;         /* [taps, channels], owned */
} depthwise;

/* Registers "weight" and "bias" under prefix. On failure call depthwise_free. */
vocode_status depthwise_build(depthwise *layer, param_set *set, const char *prefix, size_t channels, size_t taps,
                              vocode_error *error);
void depthwise_init(depthwise *layer, uint64_t seed); /* PyTorch's default: uniform of 1 / sqrt(taps) */
void depthwise_prepare(depthwise *layer);
void depthwise_free(depthwise *layer);

/* y is overwritten. */
void depthwise_forward(const depthwise *layer, const compute *run, size_t batch, size_t frames, const real *x, real *y);

/* Rows of a stream: x points at the row of output 0, and the rows that the taps look at lie in memory around it. */
void depthwise_window(const depthwise *layer, const compute *run, size_t rows, const real *x, real *y);

/* dx accumulates unless NULL; parameter gradients accumulate unless grads is NULL. Takes scratch. */
void depthwise_backward(const depthwise *layer, compute *run, size_t batch, size_t frames, const real *x,
                        const real *dy, real *dx, real *grads);

#endif
