/* The flows that have no parts: options and builders. registry.h builds them by name from JSON; composite.h joins them.
 *
 * A builder registers the flow's parameters under prefix (values come later: param_allocate or binding) and gives a
 * flow that flow_free destroys. dims.channels is of the data. After values changed, flow_prepare. Errors: VOCODE_VALUE
 * for an impossible option or number of channels, VOCODE_MEMORY. */
#ifndef FLOWS_FLOWS_H
#define FLOWS_FLOWS_H

#include "flows/flow.h"
#include "flows/permutation.h"
#include "io/config.h"

/* X(name, number of options, summary, paper) */
#define FLOW_KIND_LIST(X)                                                                                         \
    X(squeeze, 1, "folds factor frames into one, side by side in the channels",                                   \
      "Dinh, Sohl-Dickstein, Bengio 2017, section 3.6; Prenger, Valle, Catanzaro 2018, section 2")                \
    X(squeeze2d, 2, "four pixels of an image become one of four times the channels",                              \
      "Dinh, Sohl-Dickstein, Bengio 2017, section 3.6, figure 3")                                                 \
    X(factor, 1, "the first half of every pixel's channels go before all others, as what leaves early does",      \
      "Dinh, Sohl-Dickstein, Bengio 2017, section 3.6, eq. 13 to 16")                                             \
    X(permute, 2, "changes the order of the channels",                                                            \
      "Dinh, Krueger, Bengio 2015, section 3.3; Kingma, Dhariwal 2018")                                           \
    X(inv1x1, 2, "one invertible matrix over the channels of every frame",                                        \
      "Kingma, Dhariwal 2018, section 3.2, eq. 9")                                                                \
    X(actnorm, 0, "one scale and shift a channel, set by the first batch", "Kingma, Dhariwal 2018, section 3.1")  \
    X(coupling, 10, "one half scales and shifts the other through a network",                                     \
      "Dinh, Sohl-Dickstein, Bengio 2017, eq. 4 to 8; Prenger, Valle, Catanzaro 2018, eq. 4 to 9")                \
    X(mdct, 1, "the orthonormal lapped transform: samples to columns of coefficients",                            \
      "Princen, Johnson, Bradley 1987, eq. 1 to 3")                                                               \
    X(scale, 5, "divides by a standard deviation that a network finds from the conditioning",                     \
      "Dinh, Krueger, Bengio 2015, section 3.3, with the scale made a function as in Prenger et al. 2018, eq. 4") \
    X(field, 9, "rows carried along the velocities that a network finds, in a few steps",                         \
      "Lipman et al. 2023, eq. 1 and 9; Behrmann et al. 2019, eq. 8, algorithms 1 and 2")                         \
    X(affine, 2, "scales and shifts every channel", "Dinh, Krueger, Bengio 2015, section 3.3")                    \
    X(exp, 0, "positive data are the exponential of the latent",                                                  \
      "the change of variables, Rezende, Mohamed 2015, eq. 5")                                                    \
    X(linear, 1, "a whole matrix over the channels as P L U, its log-determinant from the diagonal",              \
      "Kingma, Dhariwal 2018, section 3.2, eq. 10 and 11")                                                        \
    X(planar, 0, "pushes along one direction, as far as a position along another one says",                       \
      "Rezende, Mohamed 2015, eq. 10 to 12 and appendix A.1")                                                     \
    X(masked, 7, "the channels under a mask scale and shift the others through a network",                        \
      "Dinh, Sohl-Dickstein, Bengio 2017, eq. 9; Dinh, Krueger, Bengio 2015, section 3.2")                        \
    X(made, 6, "every channel is scaled and shifted by the channels before it, through a masked perceptron",      \
      "Germain et al. 2015; Papamakarios, Pavlakou, Murray 2017, eq. 2 to 5; Kingma et al. 2016, eq. 8 to 10")    \
    X(recursive, 3, "couplings of the whole, of its halves, of their halves and so on",                           \
      "Kruse et al. 2021, section 3.2, algorithm 1")                                                              \
    X(ode, 11, "every frame moves along the velocity that a perceptron finds, as a solver follows it",            \
      "Chen et al. 2018, theorem 1; Grathwohl et al. 2019, eq. 3, 4 and 8")                                       \
    X(batchnorm, 0, "normalises every channel, in training by the batch's own statistics",                        \
      "Dinh, Sohl-Dickstein, Bengio 2017, eq. 17; Papamakarios, Pavlakou, Murray 2017, appendix B")               \
    X(dequantize, 5, "whole numbers become real ones by noise, uniform or from a conditional flow",               \
      "Theis et al. 2016, section 3.1; Ho et al. 2019, section 3.1")

typedef struct squeeze_options {
    size_t factor;
} squeeze_options;

typedef struct squeeze2d_options {
    size_t width, planes; /* of the image before: pixels of a row, channels of a pixel */
} squeeze2d_options;

typedef struct factor_options {
    size_t planes; /* channels of a pixel */
} factor_options;

typedef struct permute_options {
    int order;   /* permutation_kind */
    size_t seed; /* of PERMUTATION_shuffle */
} permute_options;

typedef enum inv1x1_init { INV1X1_ORTHOGONAL, INV1X1_IDENTITY, INV1X1_EVEN_ODD, INV1X1_SWAP_HALVES } inv1x1_init;

/* The parameter is named prefix itself, nothing appended. */
typedef struct inv1x1_options {
    int init; /* inv1x1_init */
    int conv; /* 1: the stored shape is [c, c, 1], as of a Conv1d; 0: [c, c] */
} inv1x1_options;

typedef struct actnorm_options {
    char none; /* it has no options, and C no empty struct */
} actnorm_options;

typedef enum coupling_network { COUPLING_WN, COUPLING_SQUEEZE_WN, COUPLING_CONVNEXT } coupling_network;
typedef enum coupling_scale { COUPLING_EXP, COUPLING_BOUNDED } coupling_scale;
typedef enum coupling_order { COUPLING_SHIFT_FIRST, COUPLING_SCALE_FIRST } coupling_order;

typedef struct coupling_options {
    int network, scale, order; /* the enumerations above */
    size_t layers;             /* wn, squeeze_wn */
    size_t blocks, expansion;  /* convnext */
    size_t channels, kernel;   /* all: hidden channels, taps (odd) */
    int weight_norm;           /* wn, squeeze_wn */
    int batch_norm;            /* squeeze_wn */
} coupling_options;

typedef struct mdct_options {
    size_t bins;
} mdct_options;

typedef struct scale_options {
    size_t blocks, channels, expansion, kernel; /* of the ConvNeXt network */
    double offset;                              /* added to the network's output: the log-scale that it starts from */
} scale_options;

typedef enum field_solver { FIELD_EULER, FIELD_MIDPOINT } field_solver;

typedef struct field_options {
    size_t blocks, channels, expansion, kernel; /* of the ConvNeXt network */
    size_t features;                            /* of the time's embedding, even */
    size_t steps;                               /* of the solver */
    int solver;                                 /* field_solver */
    size_t terms; /* of the series that estimates the log-determinant; 0: it is found exactly, for small data */
    size_t seed;  /* of the signs that it is estimated with */
} field_options;

typedef struct affine_options {
    double scale; /* data over latent, of a fresh flow */
    int shift;    /* 0: no shift, as the last layer of NICE */
} affine_options;

typedef struct exp_options {
    char none;
} exp_options;

typedef struct linear_options {
    size_t seed; /* of the order P */
} linear_options;

typedef struct planar_options {
    char none;
} planar_options;

typedef enum masked_mask {
    MASK_FIRST,
    MASK_SECOND,
    MASK_EVEN,
    MASK_ODD,
    MASK_CHECKERBOARD,
    MASK_CHECKERBOARD_TURNED,
    MASK_CHANNELWISE,
    MASK_CHANNELWISE_TURNED
} masked_mask;
typedef enum masked_network { MASKED_PERCEPTRON, MASKED_CONV } masked_network;
typedef enum masked_scale { MASKED_EXP, MASKED_BOUNDED, MASKED_NONE } masked_scale;

typedef struct masked_options {
    int mask;                /* masked_mask: what passes */
    size_t width, planes;    /* of the image that the channels hold row by row: pixels of a row, channels of a pixel */
    int network;             /* masked_network */
    int scale;               /* masked_scale */
    size_t layers, channels; /* hidden, of the perceptron; blocks and channels of the convolution network */
} masked_options;

typedef enum made_direction { MADE_DENSITY, MADE_SAMPLING } made_direction;

typedef struct made_options {
    int fast;                /* made_direction: the one that takes a single run of the network */
    int order;               /* permutation_kind */
    size_t seed;             /* of PERMUTATION_shuffle */
    int scale;               /* coupling_scale */
    size_t layers, channels; /* hidden */
} made_options;

typedef struct recursive_options {
    int scale;               /* coupling_scale */
    size_t layers, channels; /* hidden, of each perceptron */
} recursive_options;

typedef enum ode_trace { ODE_EXACT, ODE_HUTCHINSON } ode_trace;

typedef struct ode_options {
    size_t layers, channels; /* hidden */
    int unit;                /* velocity_unit */
    size_t waves;            /* of the time, that the network is told */
    int solver;              /* ode_solver */
    size_t steps;            /* rk4 */
    double rtol, atol;       /* dopri5 */
    size_t most;             /* dopri5: steps that a row may take */
    int trace;               /* ode_trace */
    size_t seed;             /* of the estimate's signs */
} ode_options;

typedef struct batchnorm_options {
    char none;
} batchnorm_options;

typedef enum dequantize_noise { DEQUANTIZE_UNIFORM, DEQUANTIZE_VARIATIONAL } dequantize_noise;

typedef struct dequantize_options {
    int noise;               /* dequantize_noise */
    size_t couplings;        /* of its flow */
    size_t layers, channels; /* hidden, of their perceptrons */
    size_t seed;
} dequantize_options;

/* The tables of keys end in a row without a name. */
#define FLOW_BUILDER(name, options, summary, paper)                                                              \
    vocode_status name##_build(const name##_options *values, flow_dims dims, param_set *set, const char *prefix, \
                               flow **out, vocode_error *error);                                                 \
    extern const config_key name##_keys[(options) + 1];
FLOW_KIND_LIST(FLOW_BUILDER)
#undef FLOW_BUILDER

#endif
