/* Batch normalisation with its running statistics (Ioffe, Szegedy 2015, algorithm 2: inference), an affine map a
 * channel: y = (x - mean) / sqrt(variance + epsilon) g + b. Shapes: x and y [rows, channels]. */
#ifndef NN_BATCH_NORM_H
#define NN_BATCH_NORM_H

#include "kernels/compute.h"
#include "nn/param.h"

typedef struct batch_norm {
    size_t channels;
    param *weight, *bias;   /* g and b, trained */
    param *mean, *variance; /* running_mean and running_var, buffers */
    real *scale, *shift;    /* folded: y = scale x + shift; one array [2, channels], owned through scale */
} batch_norm;

/* Registers weight, bias, running_mean and running_var under prefix. On failure call batch_norm_free. */
vocode_status batch_norm_build(batch_norm *layer, param_set *set, const char *prefix, size_t channels,
                               vocode_error *error);
void batch_norm_init(batch_norm *layer); /* the identity, but for epsilon */
void batch_norm_prepare(batch_norm *layer);
void batch_norm_free(batch_norm *layer);

/* y is overwritten. */
void batch_norm_forward(const batch_norm *layer, const compute *run, size_t rows, const real *x, real *y);

/* The statistics are constants. dy is not kept: it becomes dx in place; parameter gradients accumulate unless grads is
 * NULL. Takes scratch. */
void batch_norm_backward(const batch_norm *layer, compute *run, size_t rows, const real *x, real *dy, real *grads);

#endif
