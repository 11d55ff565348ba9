/* The weight [outputs, inputs, taps] of a convolution or linear map, plain or weight-normalised, and its packed form.
 *
 * Weight normalisation (Salimans, Kingma 2016, eq. 2): w = g v / |v|, one norm an output. It is live: g and v are the
 * parameters; weight_prepare folds them. A layer scale s [outputs] (Touvron et al. 2021) folds in the same way:
 * w = s v. Tap j of a convolution over time-major rows is the product x [frames, inputs] W_j [inputs, outputs]. Forward
 * passes have the W_j in panels (kernels.def, pack), which start anew with every group of outputs; backward ones have
 * panels of their transposes, a group's outputs deep, only where the parameters are not fixed (param_set.fixed). */
#ifndef NN_WEIGHT_H
#define NN_WEIGHT_H

#include "kernels/compute.h"
#include "nn/param.h"

typedef enum weight_style {
    WEIGHT_PLAIN, /* parameter "weight" */
    WEIGHT_NORMED /* parameters "weight_g" [outputs, 1, 1] and "weight_v" */
} weight_style;

typedef struct weight_options {
    weight_style style;
    size_t outputs, inputs, taps;
    size_t group;     /* outputs that calls take together, where they do not take all; 0: all */
    bool pairs;       /* 3 taps: pack what winograd.h takes, too */
    bool linear;      /* the stored weight has rank 2, [outputs, inputs] */
    bool transposing; /* back exists even where the parameters are fixed */
    param *scale;     /* [outputs] or NULL; registered by the caller, with a plain weight only */
} weight_options;

typedef struct weight {
    size_t outputs, inputs, taps, group;
    bool pairs;
    bool transposing;
    param_set *set;
    param *plain;            /* or */
    param *gain, *direction; /* g and v */
    param *scale;            /* or NULL */
    real *panels;            /* [taps][groups] panels of [inputs, group], in set->packed; with pairs two more after the
                                taps: (W_0 + W_1 + W_2) / 2 and (W_0 - W_1 + W_2) / 2 */
    real *back;              /* [taps][groups] panels of [group, inputs], the transposes, in set->packed, or NULL */
} weight;

/* Registers the parameters under prefix (such as "WN.0.start."). set must outlive w. */
vocode_status weight_build(weight *w, param_set *set, const char *prefix, const weight_options *options,
                           vocode_error *error);

/* PyTorch's default for convolutions: uniform of 1 / sqrt(inputs taps); with norms, g = |v|. */
void weight_init(weight *w, uint64_t seed);

/* All zero, such as a coupling network's last layer: the flow starts as the identity. */
void weight_zero(weight *w);

/* Folds and packs; call after the parameters changed. The first call allocates, and sets set->failed where it cannot.
 */
void weight_prepare(weight *w);

/* The panels of tap 0 for the outputs from `first` on, where a group starts, or a panel inside one. */
const real *weight_panels(const weight *w, size_t first);

/* From a tap's panels to the next one's. */
size_t weight_panel_step(const weight *w);

/* The panels of tap 0 of the transposes for the group that starts at output `first`, and from a tap's to the next
 * one's.
 */
const real *weight_back(const weight *w, size_t first);
size_t weight_back_step(const weight *w);

/* dpacked [taps, inputs, count] is the gradient of the packed form's outputs first to first + count; accumulates into
 * the parameters' gradients. */
void weight_backward(const weight *w, const compute *run, size_t first, size_t count, const real *dpacked, real *grads);

#endif
