/* The options of the flows with networks: one table each. */
#include "flows/flows.h"
#include "flows/ode_solve.h"

static const char *const network_names[] = {
    [COUPLING_WN] = "wn", [COUPLING_SQUEEZE_WN] = "squeeze_wn", [COUPLING_CONVNEXT] = "convnext", NULL};
static const char *const scale_names[] = {[COUPLING_EXP] = "exp", [COUPLING_BOUNDED] = "bounded", NULL};
static const char *const solver_names[] = {[FIELD_EULER] = "euler", [FIELD_MIDPOINT] = "midpoint", NULL};
static const char *const order_names[] = {
    [COUPLING_SHIFT_FIRST] = "shift_first", [COUPLING_SCALE_FIRST] = "scale_first", NULL};

#define CHOICE(owner, member, names, text) \
    { .name = #member, .type = CONFIG_CHOICE, .offset = offsetof(owner, member), .choices = (names), .doc = (text) }
#define SIZE(owner, member, fallback, from, to, text)                                                        \
    {                                                                                                        \
        .name = #member, .type = CONFIG_INT, .offset = offsetof(owner, member), .default_value = (fallback), \
        .least = (from), .most = (to), .doc = (text)                                                         \
    }
#define SWITCH(member, fallback, text)                                                      \
    {                                                                                       \
        .name = #member, .type = CONFIG_BOOL, .offset = offsetof(coupling_options, member), \
        .default_value = (fallback), .doc = (text)                                          \
    }

const config_key coupling_keys[] = {
    CHOICE(coupling_options, network, network_names,
           "what finds shift and log-scale: WaveGlow's, SqueezeWave's, ConvNeXt blocks"),
    CHOICE(coupling_options, scale, scale_names, "the log-scale is the network's output, or that within -2 and 2"),
    CHOICE(coupling_options, order, order_names, "which half of the network's output is which"),
    SIZE(coupling_options, layers, 4, 1, 1024, "gated layers (wn, squeeze_wn)"),
    SIZE(coupling_options, blocks, 2, 0, 1024, "blocks (convnext)"),
    SIZE(coupling_options, expansion, 3, 1, 64, "hidden channels of a block over its channels (convnext)"),
    SIZE(coupling_options, channels, 64, 1, 16384, "channels of a layer"),
    SIZE(coupling_options, kernel, 3, 1, 255, "taps of a convolution, odd"),
    SWITCH(weight_norm, 0, "weights are stored with weight norm (wn, squeeze_wn)"),
    SWITCH(batch_norm, 1, "batch norm before each depthwise convolution (squeeze_wn)"),
    {.name = NULL},
};

const config_key scale_keys[] = {
    SIZE(scale_options, blocks, 2, 0, 1024, "ConvNeXt blocks of the network"),
    SIZE(scale_options, channels, 64, 1, 16384, "channels of a block"),
    SIZE(scale_options, expansion, 3, 1, 64, "hidden channels of a block over its channels"),
    SIZE(scale_options, kernel, 7, 1, 255, "taps of a depthwise convolution, odd"),
    {.name = "offset",
     .type = CONFIG_REAL,
     .offset = offsetof(scale_options, offset),
     .default_value = -4,
     .least = -1e3,
     .most = 1e3,
     .doc = "added to the network's output: the log-scale that a fresh model starts from"},
    {.name = NULL},
};

const config_key field_keys[] = {
    SIZE(field_options, blocks, 3, 1, 1024, "ConvNeXt blocks of the network"),
    SIZE(field_options, channels, 64, 1, 16384, "channels of a block"),
    SIZE(field_options, expansion, 3, 1, 64, "hidden channels of a block over its channels"),
    SIZE(field_options, kernel, 7, 1, 255, "taps of a depthwise convolution, odd"),
    SIZE(field_options, features, 32, 2, 4096, "sines and cosines of the time, even"),
    SIZE(field_options, steps, 4, 1, 1000, "of the solver"),
    CHOICE(field_options, solver, solver_names, "one evaluation of the network a step, or two"),
    SIZE(field_options, terms, 10, 0, 1000, "of the log-determinant's estimate; 0: exact, for small data"),
    SIZE(field_options, seed, 1, 0, 1e9, "of the signs that the estimate is made with"),
    {.name = NULL},
};

static const char *const mask_names[] = {[MASK_FIRST] = "first",
                                         [MASK_SECOND] = "second",
                                         [MASK_EVEN] = "even",
                                         [MASK_ODD] = "odd",
                                         [MASK_CHECKERBOARD] = "checkerboard",
                                         [MASK_CHECKERBOARD_TURNED] = "checkerboard_turned",
                                         [MASK_CHANNELWISE] = "channelwise",
                                         [MASK_CHANNELWISE_TURNED] = "channelwise_turned",
                                         NULL};
static const char *const masked_networks[] = {[MASKED_PERCEPTRON] = "perceptron", [MASKED_CONV] = "conv", NULL};
static const char *const masked_scale_names[] = {
    [MASKED_EXP] = "exp", [MASKED_BOUNDED] = "bounded", [MASKED_NONE] = "none", NULL};
static const char *const direction_names[] = {[MADE_DENSITY] = "density", [MADE_SAMPLING] = "sampling", NULL};
#define NAME_OF(name) #name,
static const char *const permutation_names[] = {PERMUTATION_LIST(NAME_OF) NULL};
#undef NAME_OF

const config_key masked_keys[] = {
    CHOICE(masked_options, mask, mask_names,
           "the channels that pass: a half, every other one, the pixels of a chessboard, or half of each pixel's"),
    SIZE(masked_options, width, 8, 1, 65536, "pixels of a row of the image that the channels hold"),
    SIZE(masked_options, planes, 1, 1, 65536, "channels of a pixel"),
    CHOICE(masked_options, network, masked_networks, "of all that passes, or convolutions over the image"),
    CHOICE(masked_options, scale, masked_scale_names, "the log-scale: as it is, within -2 and 2, or zero (additive)"),
    SIZE(masked_options, layers, 2, 1, 64, "hidden layers of the perceptron, residual blocks of the convolutions"),
    SIZE(masked_options, channels, 64, 1, 16384, "units or channels of a layer"),
    {.name = NULL},
};

const config_key made_keys[] = {
    CHOICE(made_options, fast, direction_names, "what takes one run of the network: the density, or samples"),
    CHOICE(made_options, order, permutation_names, "the order in which channels follow each other"),
    SIZE(made_options, seed, 0, 0, 1e9, "that order \"shuffle\" is drawn from"),
    CHOICE(made_options, scale, scale_names, "the log-scale: as it is, or within -2 and 2"),
    SIZE(made_options, layers, 1, 1, 64, "hidden layers of the masked perceptron"),
    SIZE(made_options, channels, 64, 1, 16384, "units of a layer"),
    {.name = NULL},
};

const config_key recursive_keys[] = {
    CHOICE(recursive_options, scale, scale_names, "the log-scale: as it is, or within -2 and 2"),
    SIZE(recursive_options, layers, 2, 1, 64, "hidden layers of each perceptron"),
    SIZE(recursive_options, channels, 64, 1, 16384, "units of a layer"),
    {.name = NULL},
};

#define UNIT_NAME(name, meaning) #name,
static const char *const unit_names[] = {VELOCITY_UNITS(UNIT_NAME) NULL};
#undef UNIT_NAME
static const char *const ode_solver_names[] = {[ODE_DOPRI5] = "dopri5", [ODE_RK4] = "rk4", NULL};
static const char *const trace_names[] = {[ODE_EXACT] = "exact", [ODE_HUTCHINSON] = "hutchinson", NULL};

#define TOLERANCE(member, fallback, text)                                                                           \
    {                                                                                                               \
        .name = #member, .type = CONFIG_REAL, .offset = offsetof(ode_options, member), .default_value = (fallback), \
        .least = 1e-14, .most = 1, .doc = (text)                                                                    \
    }

const config_key ode_keys[] = {
    SIZE(ode_options, layers, 3, 1, 64, "hidden layers of the network"),
    SIZE(ode_options, channels, 64, 1, 16384, "units of a layer"),
    CHOICE(ode_options, unit, unit_names, "what the units are"),
    SIZE(ode_options, waves, 2, 0, 64, "sines and cosines of the time that the network sees besides it, pairs"),
    CHOICE(ode_options, solver, ode_solver_names, "steps as long as the tolerances allow, or of one length"),
    SIZE(ode_options, steps, 16, 1, 100000, "of rk4"),
    TOLERANCE(rtol, 1e-5, "of dopri5, of a number's size"),
    TOLERANCE(atol, 1e-5, "of dopri5, besides"),
    SIZE(ode_options, most, 200, 1, 100000, "steps of dopri5 after which a row is given up"),
    CHOICE(ode_options, trace, trace_names, "the divergence, in d directions, or estimated along one"),
    SIZE(ode_options, seed, 1, 0, 1e9, "of the signs of the estimate"),
    {.name = NULL},
};

static const char *const noise_names[] = {
    [DEQUANTIZE_UNIFORM] = "uniform", [DEQUANTIZE_VARIATIONAL] = "variational", NULL};

const config_key dequantize_keys[] = {
    CHOICE(dequantize_options, noise, noise_names, "the noise: as it is, or of a flow that is fitted with the others"),
    SIZE(dequantize_options, couplings, 4, 1, 64, "of that flow"),
    SIZE(dequantize_options, layers, 2, 1, 64, "hidden layers of their perceptrons"),
    SIZE(dequantize_options, channels, 64, 1, 16384, "units of a layer"),
    SIZE(dequantize_options, seed, 1, 0, 1e9, "of the noise"),
    {.name = NULL},
};
