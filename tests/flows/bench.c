#include "flows/bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "flows/registry.h"

enum { ROOM = 1 << 20 };

void bench_ready(bench *b, flow_shape shape) {
    assert_int_equal(param_allocate(&b->set, &b->error), VOCODE_OK);
    flow_init(b->flow, 11);
    assert_int_equal(flow_prepare(b->flow, &b->error), VOCODE_OK);
    b->memory = aligned_new(ROOM, 1);
    b->work = (compute){.scratch = arena_over(b->memory, ROOM), .threads = 1};
    b->run = (flow_run){.work = &b->work, .shape = shape, .error = &b->error};
}

bench *bench_new(const char *kind, const char *options, flow_shape shape, size_t cond_channels) {
    bench *b = calloc(1, sizeof *b);
    flow_dims dims = {shape.channels, cond_channels};
    if (flow_build(kind, options, dims, &b->set, "here.", &b->flow, &b->error) != VOCODE_OK)
        fail_msg("%s", b->error.message);
    bench_ready(b, shape);
    return b;
}

void bench_free(bench *b) {
    flow_free(b->flow);
    param_set_free(&b->set);
    aligned_free(b->memory);
    free(b);
}

void bench_expect(bench *b, const real *x, const real *z, double logdet) {
    real out[32];
    double found = 0;
    size_t count = flow_shape_count(b->run.shape);
    assert_int_equal(flow_forward(b->flow, &b->run, x, out, &found, NULL), VOCODE_OK);
    for (size_t i = 0; i < count; i++) assert_true(fabs((double)(out[i] - z[i])) < 1e-6);
    assert_true(fabs(found - logdet) < 1e-6);
}

flow *bench_part(bench *b, const char *kind, const char *options, size_t channels, const char *prefix) {
    flow *out = NULL;
    if (flow_build(kind, options, (flow_dims){channels, 0}, &b->set, prefix, &out, &b->error) != VOCODE_OK)
        fail_msg("%s", b->error.message);
    return out;
}
