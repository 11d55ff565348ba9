/* One flow in enough memory, for tests of known values. */
#ifndef TESTS_FLOWS_BENCH_H
#define TESTS_FLOWS_BENCH_H

#include "flows/flow.h"

typedef struct bench {
    param_set set;
    flow *flow;
    vocode_error error;
    compute work;
    flow_run run;
    void *memory;
} bench;

/* A flow of the registry with its fresh parameters; fails the test where it cannot be built. */
bench *bench_new(const char *kind, const char *options, flow_shape shape, size_t cond_channels);
/* The same in steps: parts of b->set, then b->flow made of them, then memory and fresh parameters. */
flow *bench_part(bench *b, const char *kind, const char *options, size_t channels, const char *prefix);
void bench_ready(bench *b, flow_shape shape);
void bench_free(bench *b);

/* forward(x) is z, at most 32 numbers, and adds logdet. */
void bench_expect(bench *b, const real *x, const real *z, double logdet);

#endif
