/* The parts of a ConvNeXt stack, for the files that run it: convnext.c (whole arrays) and convnext_stream.c (as rows
 * come). */
#ifndef NN_CONVNEXT_H
#define NN_CONVNEXT_H

#include "nn/conv1d.h"
#include "nn/depthwise.h"
#include "nn/layer_norm.h"
#include "nn/modulation.h"
#include "nn/network.h"

typedef struct convnext_block {
    param *scale;
    depthwise depth;
    layer_norm norm;
    conv1d up, down;
} convnext_block;

typedef struct convnext {
    network base;
    size_t blocks, dim, wide; /* wide = expansion dim */
    conv1d enter, exit;
    bool timed;
    modulation time; /* where timed */
    convnext_block block[];
} convnext;

extern const struct network_stages convnext_stages; /* convnext_stream.c */

#endif
