/* What composites share: owning parts and answering for them. */
#ifndef FLOWS_PARTS_H
#define FLOWS_PARTS_H

#include "flows/flow.h"

typedef struct flow_parts {
    flow **items; /* [count], owned */
    size_t count;
    size_t *fold; /* [count + 1], owned: fold[k] data frames of the whole are one frame before part k */
} flow_parts;

/* Takes the parts over, also on failure, and describes the whole in base: traits, channels, fold, cond_channels.
 * dropped [count] channels leave after each part (NULL: none). */
vocode_status parts_take(flow_parts *parts, flow *base, flow **items, const size_t *dropped, size_t count,
                         vocode_error *error);
void parts_free(flow_parts *parts);

/* run for part k of a whole that runs on run->shape. */
flow_run parts_run(const flow_parts *parts, size_t k, const flow_run *run);

/* Over all parts, first to last. */
void parts_init(const flow_parts *parts, uint64_t seed);
vocode_status parts_prepare(const flow_parts *parts, vocode_error *error);
flow_halo parts_halo(const flow_parts *parts);

#endif
