/* The parts of a WN network, for the files that run it: wn.c (whole arrays) and wn_stream.c (as rows come). */
#ifndef NN_WN_H
#define NN_WN_H

#include "nn/conv1d.h"
#include "nn/network.h"

typedef struct wn_layer {
    conv1d in, res_skip;
} wn_layer;

typedef struct wn {
    network base;
    size_t layers, channels;
    conv1d start, end, cond;
    wn_layer layer[];
} wn;

extern const struct network_stages wn_stages; /* wn_stream.c */

/* Layer stage - 1 by pairs of rows (winograd.h), where its convolution has 3 taps: wn_pairs.c. Takes scratch. */
struct stage_call;
void wn_run_pairs(const wn *self, compute *run, const struct stage_call *call);

#endif
