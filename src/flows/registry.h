/* All flows, one table: the conformance test, documentation and specs loop over it. */
#ifndef FLOWS_REGISTRY_H
#define FLOWS_REGISTRY_H

#include "flows/flow.h"
#include "io/config.h"

typedef struct flow_kind {
    const char *name;    /* "coupling" */
    const char *summary; /* one line for people */
    const char *paper;   /* author, year, equation */
    const config_key *keys;
    size_t key_count, options_size;
    /* options: a struct of options_size bytes filled through keys. prefix: of the parameter names. */
    vocode_status (*build)(const void *options, flow_dims dims, param_set *set, const char *prefix, flow **out,
                           vocode_error *error);
} flow_kind;

const flow_kind *flow_kinds(size_t *count);
const flow_kind *flow_kind_find(const char *name);

/* Builds a flow by name with the defaults of its keys, overridden by the JSON text options (such as {"factor": 8};
 * NULL: none). */
vocode_status flow_build(const char *name, const char *options, flow_dims dims, param_set *set, const char *prefix,
                         flow **out, vocode_error *error);

#endif
