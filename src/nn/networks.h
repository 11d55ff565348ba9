/* The networks: one builder each. All register their parameters under prefix with the names of the published
 * checkpoints, in the order of PyTorch's state dict, and give a network (nn/network.h) that network_free destroys.
 * conditioning may be 0: then cond is not read. Sizes that cannot be are VOCODE_VALUE, even kernels VOCODE_UNSUPPORTED,
 * too large ones VOCODE_MEMORY; *out is then NULL. */
#ifndef NN_NETWORKS_H
#define NN_NETWORKS_H

#include "nn/network.h"

/* WaveGlow's WN (Prenger, Valle, Catanzaro 2018, section 2.1): start 1x1, layers of gated convolutions with dilation
 * 2^i and conditioning from one 1x1 (cond_layer), residual and skip, end 1x1 (starts at zero). */
typedef struct wn_options {
    size_t inputs, outputs, conditioning;
    size_t layers, channels, kernel;
    bool weight_norm;
} wn_options;
vocode_status wn_build(const wn_options *options, param_set *set, const char *prefix, network **out,
                       vocode_error *error);

/* SqueezeWave's WN (Zhai et al. 2020, section 3): batch norm, depthwise and pointwise convolution, gate, residual 1x1,
 * no skip. Folding batch norm into the zero-padded convolution would be wrong at the edges. */
typedef struct squeeze_wn_options {
    size_t inputs, outputs, conditioning;
    size_t layers, channels, kernel;
    bool weight_norm, batch_norm;
} squeeze_wn_options;
vocode_status squeeze_wn_build(const squeeze_wn_options *options, param_set *set, const char *prefix, network **out,
                               vocode_error *error);

/* A stack of ConvNeXt blocks (Liu et al. 2022; 1-d as in Vocos, Siuzdak 2023): enter convolution of 3 taps over
 * [x, cond], blocks (depthwise, layer norm, 1x1 up, GELU, 1x1 down, scaled residual), exit 1x1 (starts at zero). With
 * features it knows a time, which scales and shifts what the layer norms give. */
typedef struct convnext_options {
    size_t inputs, outputs, conditioning;
    size_t blocks, dim, expansion, kernel;
    size_t features;  /* of the time's embedding, even; 0: no time */
    bool transposing; /* backward for x and cond runs even where the parameters are fixed */
} convnext_options;
vocode_status convnext_build(const convnext_options *options, param_set *set, const char *prefix, network **out,
                             vocode_error *error);

/* A multi-layer perceptron over rows that do not see each other (nn/mlp.h): hidden layers of silu units, exit (starts
 * at zero). With an order it is masked (Germain et al. 2015): what belongs to input i is a function of the inputs of
 * lower degrees and of the conditioning. */
typedef struct mlp_options {
    size_t inputs, outputs, conditioning;
    size_t layers, channels; /* hidden */
    const size_t *order;     /* [inputs] degrees 1 to inputs, each once; NULL: no masks. Not kept. */
} mlp_options;
vocode_status mlp_build(const mlp_options *options, param_set *set, const char *prefix, network **out,
                        vocode_error *error);

/* A residual convolution network over images, one a row (nn/convnet.h); the exit starts at zero. */
typedef struct convnet_options {
    size_t inputs, outputs, conditioning;
    size_t height, width;
    size_t enter_planes, exit_planes; /* channels of a pixel: of the image that x lies in, of the one y is taken from */
    const size_t *from, *to;          /* [inputs], [outputs]: where in them. Not kept. */
    size_t blocks, channels;
} convnet_options;
vocode_status convnet_build(const convnet_options *options, param_set *set, const char *prefix, network **out,
                            vocode_error *error);

void network_free(network *net); /* NULL is fine */

#endif
