/* What the streams of flows see of them: a flow's own file gives it, its stream's file uses it. */
#ifndef FLOWS_STREAMED_H
#define FLOWS_STREAMED_H

#include "dsp/mdct.h"
#include "flows/parts.h"
#include "flows/stream.h"
#include "nn/network.h"

/* A flow whose rows wait for a network's: coupling and scale. */
typedef struct affine_view {
    const network *net;
    /* x [rows, channels] from latent rows z and the network's rows net, which are overwritten. */
    void (*invert)(const flow *of, const compute *run, size_t rows, real *net, const real *z, real *x);
} affine_view;
affine_view coupling_view(const flow *of);
affine_view scale_view(const flow *of);

const network *field_network(const flow *of);

const flow_parts *sequence_parts(const flow *of);
const flow_parts *multiscale_levels(const flow *of);
const size_t *multiscale_early(const flow *of); /* channels that leave after each level */
const mdct *mdct_flow_transform(const flow *of);

/* flow_class.stream of each. */
typedef vocode_status flow_stream_builder(const flow *of, const stream_setting *setting, flow_stream **out,
                                          vocode_error *error);
flow_stream_builder sequence_stream_new, multiscale_stream_new, mdct_stream_new, coupling_stream_new, scale_stream_new,
    field_stream_new;

#endif
