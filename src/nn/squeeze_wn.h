/* The parts of a SqueezeWave network, for the files that run it: squeeze_wn.c (whole arrays) and squeeze_wn_stream.c
 * (as rows come). */
#ifndef NN_SQUEEZE_WN_H
#define NN_SQUEEZE_WN_H

#include "nn/batch_norm.h"
#include "nn/conv1d.h"
#include "nn/depthwise.h"
#include "nn/network.h"

typedef struct separable_layer {
    batch_norm norm;
    depthwise depth;
    conv1d point, res;
} separable_layer;

typedef struct squeeze_wn {
    network base;
    size_t layers, channels;
    bool normed; /* has batch norm */
    conv1d start, end, cond;
    separable_layer layer[];
} squeeze_wn;

extern const struct network_stages squeeze_wn_stages; /* squeeze_wn_stream.c */

#endif
