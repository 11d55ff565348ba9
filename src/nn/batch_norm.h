/* Batch normalisation (Ioffe, Szegedy, "Batch normalization: accelerating deep network training by reducing internal
 * covariate shift", ICML 2015), a channel each. x and y are [rows, channels], rows over batch and time:
 *
 *     y = (x - mean) / sqrt(variance + epsilon) g + b                                                  algorithm 1
 *
 * with the running statistics (algorithm 2: inference), or in training with those of the batch:
 *
 *     mean = sum x / n,  variance = sum x^2 / n - mean^2
 *     dx = g / sqrt(variance + epsilon) (dy - sum dy / n - h sum(dy h) / n),  h = (x - mean) / sqrt(variance + epsilon)
 *     dg = sum dy h,  db = sum dy
 *     running <- (1 - momentum) running + momentum (mean, variance n / (n - 1))             as PyTorch's BatchNorm1d
 *
 * Sums are kept in double. Where processes hold parts of a batch, the sums are taken over all of them, so that n is the
 * number of rows of all. */
#ifndef NN_BATCH_NORM_H
#define NN_BATCH_NORM_H

#include "kernels/compute.h"
#include "nn/param.h"

#define BATCH_NORM_MOMENTUM 0.1 /* PyTorch's default, which SqueezeWave was trained with */

typedef struct batch_norm {
    size_t channels;
    param *weight, *bias;   /* g and b, trained */
    param *mean, *variance; /* running_mean and running_var, buffers */
    real *scale, *shift;    /* folded: y = scale x + shift; one array [2, channels], owned through scale */
} batch_norm;

/* A batch of training whose own statistics count. */
typedef struct norm_batch {
    size_t parts; /* processes that hold a part of the batch each, all of as many rows; at least 1 */
    /* values [count] <- their sums over the parts, the same in each; every part makes the same calls. Not called where
     * there is one part. */
    void (*sum)(void *context, double *values, size_t count);
    void *context;
    /* Flat by param.offset, or NULL: at the running statistics' places, recent <- (1 - momentum) recent + momentum new.
     * After k batches that began with zeros, the running statistics are (1 - momentum)^k of the old ones and recent. */
    real *recent;
} norm_batch;

/* Registers weight, bias, running_mean and running_var under prefix. On failure call batch_norm_free. */
vocode_status batch_norm_build(batch_norm *layer, param_set *set, const char *prefix, size_t channels,
                               vocode_error *error);
void batch_norm_init(batch_norm *layer); /* the identity, but for epsilon */
void batch_norm_prepare(batch_norm *layer);
void batch_norm_free(batch_norm *layer);

/* With the running statistics; y is overwritten. */
void batch_norm_forward(const batch_norm *layer, const compute *run, size_t rows, const real *x, real *y);

/* What a pass made of a batch, and backward needs: scale, shift, mean and 1 / deviation, an array
 * [BATCH_NORM_FOLD, channels]. batch NULL: of the running statistics. Takes scratch. */
enum { BATCH_NORM_FOLD = 4 };
void batch_norm_fold(const batch_norm *layer, compute *run, const norm_batch *batch, size_t rows, const real *x,
                     real *fold);

/* y = scale x + shift */
void batch_norm_apply(const batch_norm *layer, const compute *run, size_t rows, const real *fold, const real *x,
                      real *y);

/* With batch and fold as in forward; without a batch the statistics are constants. dy is not kept: it becomes dx in
 * place; parameter gradients, of this part of the batch alone, accumulate unless grads is NULL. Takes scratch. */
void batch_norm_backward(const batch_norm *layer, compute *run, const norm_batch *batch, size_t rows, const real *fold,
                         const real *x, real *dy, real *grads);

#endif
