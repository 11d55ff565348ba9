/* A small residual convolution network over images (the struct; builder in networks.h): what couplings of images are
 * driven by, as in Dinh, Sohl-Dickstein, Bengio, "Real NVP", ICLR 2017, section 4.1, without its norms:
 *
 *     h_0 = conv(image) + place + U cond       3 x 3; place [pixels, channels], cond the same at every pixel
 *     p_k = conv_k(silu(h_k))                  3 x 3
 *     h_(k+1) = h_k + W_k silu(p_k) + b_k      k < blocks
 *     y = conv(silu(h_blocks))                 3 x 3, starts at zero
 *
 * A row of x is one image, or those of its numbers that are known: x[i] lies at from[i] of the image, the rest of
 * which is zero, and y[o] is number to[o] of what the last convolution gives. place is what differs from a network that
 * is the same everywhere: small images have their thing in the middle. */
#ifndef NN_CONVNET_H
#define NN_CONVNET_H

#include "nn/conv2d.h"
#include "nn/network.h"

typedef struct convnet_block {
    conv2d wide;
    dense narrow; /* 1 x 1 */
} convnet_block;

typedef struct convnet {
    network base;
    size_t height, width;
    size_t enter_planes, exit_planes; /* channels of a pixel of the image, and of what comes out */
    size_t channels, blocks;
    size_t *from, *to; /* [inputs], [outputs] */
    param *place;      /* [height width, channels] */
    dense given;       /* of the conditioning; nothing where there is none */
    conv2d enter, exit;
    convnet_block block[]; /* [blocks] */
} convnet;

#endif
