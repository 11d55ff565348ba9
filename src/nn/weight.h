/* The weight [outputs, inputs, taps] of a convolution or linear map, plain or weight-normalised, and its packed form.
 *
 * Weight normalisation (Salimans, Kingma 2016, eq. 2): w = g v / |v|, one norm an output. It is live: g and v are the
 * parameters; weight_prepare folds them. A layer scale s [outputs] (Touvron et al. 2021) folds in the same way:
 * w = s v. Packed order is [taps, inputs, outputs], so that tap j of a convolution over time-major rows is the product
 * x [frames, inputs] W_j [inputs, outputs]. */
#ifndef NN_WEIGHT_H
#define NN_WEIGHT_H

#include "kernels/compute.h"
#include "nn/param.h"

typedef enum weight_style {
    WEIGHT_PLAIN, /* parameter "weight" */
    WEIGHT_NORMED /* parameters "weight_g" [outputs, 1, 1] and "weight_v" */
} weight_style;

typedef struct weight {
    size_t outputs, inputs, taps;
    param *plain;            /* or */
    param *gain, *direction; /* g and v */
    param *scale;            /* [outputs] or NULL; registered by the caller, with a plain weight only */
    real *packed;            /* [taps, inputs, outputs], owned */
} weight;

/* Registers the parameters under prefix (such as "WN.0.start."); rank 3, or 2 ([outputs, inputs]) where linear. */
vocode_status weight_build(weight *w, param_set *set, const char *prefix, weight_style style, size_t outputs,
                           size_t inputs, size_t taps, bool linear, vocode_error *error);

/* PyTorch's default for convolutions: uniform of 1 / sqrt(inputs taps); with norms, g = |v|. */
void weight_init(weight *w, uint64_t seed);

/* All zero, such as a coupling network's last layer: the flow starts as the identity. */
void weight_zero(weight *w);

/* Folds and packs; call after the parameters changed. */
void weight_prepare(weight *w);

/* dpacked [taps, inputs, count] is the gradient of the packed form's outputs first to first + count; accumulates into
 * the parameters' gradients. */
void weight_backward(const weight *w, const compute *run, size_t first, size_t count, const real *dpacked, real *grads);

void weight_free(weight *w);

#endif
