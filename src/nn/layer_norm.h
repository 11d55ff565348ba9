/* Layer normalisation over channels (Ba, Kiros, Hinton 2016): y = (x - mean) / sqrt(variance + epsilon) g + b, mean and
 * variance of each row. Shapes: x and y [rows, channels]. */
#ifndef NN_LAYER_NORM_H
#define NN_LAYER_NORM_H

#include "kernels/compute.h"
#include "nn/param.h"

typedef struct layer_norm {
    size_t channels;
    param *weight, *bias; /* g and b */
} layer_norm;

/* Registers weight and bias under prefix. */
vocode_status layer_norm_build(layer_norm *layer, param_set *set, const char *prefix, size_t channels,
                               vocode_error *error);
void layer_norm_init(layer_norm *layer);

/* y is overwritten. */
void layer_norm_forward(const layer_norm *layer, const compute *run, size_t rows, const real *x, real *y);

/* dx is overwritten; parameter gradients accumulate unless grads is NULL. Takes scratch. */
void layer_norm_backward(const layer_norm *layer, compute *run, size_t rows, const real *x, const real *dy, real *dx,
                         real *grads);

#endif
