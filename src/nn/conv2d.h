/* Convolution over images of the same size: y[i, j] = b + sum W[a, c] x[i + a - kernel / 2, j + c - kernel / 2] over a
 * square kernel of odd size, zeros outside. Shapes: x [images, height, width, inputs], y [images, height, width,
 * outputs].
 *
 * It is a product of rows (nn/dense.h): what the kernel sees of every pixel side by side, [pixels, kernel^2 inputs] in
 * the order (row, column, input), times the weight [kernel^2 inputs, outputs], a few images at a time, so that the
 * product finds its rows in cache. */
#ifndef NN_CONV2D_H
#define NN_CONV2D_H

#include "nn/dense.h"

typedef struct conv2d {
    size_t height, width, kernel, inputs, outputs;
    dense taps;
} conv2d;

typedef struct conv2d_options {
    size_t height, width, kernel, inputs, outputs;
} conv2d_options;

/* Registers "weight" and "bias" under prefix. On failure call conv2d_free. */
vocode_status conv2d_build(conv2d *layer, param_set *set, const char *prefix, const conv2d_options *options,
                           vocode_error *error);
void conv2d_init(conv2d *layer, uint64_t seed);
void conv2d_zero(conv2d *layer);
void conv2d_prepare(conv2d *layer); /* after the parameters changed */
void conv2d_free(conv2d *layer);

/* Both take scratch. dx is overwritten, unless NULL; parameter gradients accumulate unless grads is NULL. */
void conv2d_forward(const conv2d *layer, compute *run, size_t images, const real *x, real *y);
void conv2d_backward(const conv2d *layer, compute *run, size_t images, const real *x, const real *dy, real *dx,
                     real *grads);

#endif
