/* A linear map over rows, y = x W + b, whose weight may be masked. Masks are given by degrees (Germain, Gregor, Murray,
 * Larochelle, "MADE", ICML 2015, section 4): output o sees input i if and only if the degree of i is at most that of o.
 *
 * The weight is stored [inputs, outputs], the way that rows are multiplied by it. Elements that a mask hides are
 * stored, and have no effect and no gradient. */
#ifndef NN_DENSE_H
#define NN_DENSE_H

#include "kernels/compute.h"
#include "nn/param.h"

typedef struct dense_options {
    size_t inputs, outputs;
    const size_t *from, *to; /* degrees of the inputs and of the outputs; NULL (both): no mask. Not kept. */
} dense_options;

typedef struct dense {
    size_t inputs, outputs;
    param *weight, *bias;
    bool fixed;    /* no backward pass will run */
    real *mask;    /* [inputs, outputs], ones and zeros; NULL: no mask */
    real *visible; /* [inputs, outputs]: the weight under the mask; the parameter's own values where there is none */
    real *panels;  /* of it */
    real *back;    /* panels of its transpose */
    size_t *bands; /* where panels have numbers, then where those of back have (gemm_banded); NULL: no mask */
} dense;

/* Registers "weight" and "bias" under prefix. On failure call dense_free. */
vocode_status dense_build(dense *layer, param_set *set, const char *prefix, const dense_options *options,
                          vocode_error *error);
/* Weights uniform of sqrt(6 / inputs), which keeps the size of what passes through units that are half off (He et al.
 * 2015, eq. 10), biases of 1, so that the units bend at different places. */
void dense_init(dense *layer, uint64_t seed);
void dense_zero(dense *layer);
void dense_prepare(dense *layer); /* after the parameters changed */
void dense_free(dense *layer);

/* y [rows, outputs] = x [rows, inputs] W + b */
void dense_forward(const dense *layer, const compute *run, size_t rows, const real *x, real *y);

/* The same of silu(x), y = silu(x) W + b. room [rows, inputs], which may be x, is overwritten or left as it is. */
void dense_forward_silu(const dense *layer, const compute *run, size_t rows, const real *x, real *room, real *y);

/* dx [rows, inputs] is overwritten, unless NULL; parameter gradients accumulate unless grads is NULL. Takes scratch. */
void dense_backward(const dense *layer, compute *run, size_t rows, const real *x, const real *dy, real *dx,
                    real *grads);

/* The same without the bias, for what moves along a direction: y = x W, and backward. */
void dense_product(const dense *layer, const compute *run, size_t rows, const real *x, real *y);
void dense_product_backward(const dense *layer, compute *run, size_t rows, const real *x, const real *dy, real *dx,
                            real *grads);

/* W [inputs, outputs] as it takes effect; as of the last dense_prepare. */
const real *dense_weight(const dense *layer);

#endif
