/* Compositions: order of the latent, memory, what does not fit, impossible options; and that inverses hold to 1e-4 in
 * single precision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flows/bench.h"
#include "flows/composite.h"
#include "flows/registry.h"
#include "flows/subject.h"

/* What leaves first comes first; what leaves before a fold is folded like a squeeze. */
static void early_outputs_are_in_their_order(void **state) {
    (void)state;
    bench *b = calloc(1, sizeof *b);
    flow *levels[] = {bench_part(b, "permute", "{\"order\": \"identity\"}", 4, ""),
                      bench_part(b, "permute", NULL, 3, ""), bench_part(b, "squeeze", NULL, 2, "")};
    assert_int_equal(multiscale_new(levels, (const size_t[]){1, 1, 0}, 3, &b->flow, &b->error), VOCODE_OK);
    bench_ready(b, (flow_shape){1, 2, 4});
    flow_shape z;
    assert_int_equal(flow_latent_shape(b->flow, b->run.shape, &z, &b->error), VOCODE_OK);
    assert_true(z.frames == 1 && z.channels == 8);
    /* e_0 = (0, 10); level 1 reverses 1 2 3, so e_1 = (3, 13); the rest is 2 1, 12 11 */
    bench_expect(b, (const real[]){0, 1, 2, 3, 10, 11, 12, 13}, (const real[]){0, 10, 3, 13, 2, 1, 12, 11}, 0);
    bench_free(b);
}

static void parts_that_do_not_fit_are_named(void **state) {
    (void)state;
    bench *b = calloc(1, sizeof *b);
    flow *parts[] = {bench_part(b, "squeeze", NULL, 1, "first"), bench_part(b, "permute", NULL, 3, "second")},
         *out = NULL;
    assert_int_equal(sequence_new(parts, 2, &out, &b->error), VOCODE_SHAPE);
    assert_string_equal(b->error.message,
                        "sequence: part 1 (permute second) expects 3 channels, what is before it gives 2");
    flow *levels[] = {bench_part(b, "permute", NULL, 3, "third"), bench_part(b, "permute", NULL, 1, "fourth")};
    assert_int_equal(multiscale_new(levels, (const size_t[]){3, 0}, 2, &out, &b->error), VOCODE_SHAPE);
    assert_non_null(strstr(b->error.message, "1 to 2 early channels after level 0 (permute third), found 3"));
    flow *holes[] = {bench_part(b, "permute", NULL, 3, ""), NULL};
    assert_int_equal(sequence_new(holes, 2, &out, &b->error), VOCODE_ARGUMENT);
    assert_int_equal(sequence_new(NULL, 0, &out, &b->error), VOCODE_ARGUMENT);
    assert_int_equal(multiscale_new(NULL, NULL, 0, &out, &b->error), VOCODE_ARGUMENT);
    assert_null(out);
    param_set_free(&b->set);
    free(b);
}

static void impossible_options_are_refused(void **state) {
    (void)state;
    char long_name[2 * PARAM_NAME_SIZE];
    memset(long_name, 'n', sizeof long_name);
    long_name[sizeof long_name - 1] = 0;
    const struct {
        const char *kind, *options;
        size_t channels;
        const char *prefix, *says;
        vocode_status status;
    } cases[] = {
        {"spline", NULL, 2, "p", "there is no flow \"spline\"", VOCODE_UNSUPPORTED},
        {"squeeze", "{\"factor\": 0}", 2, "p", "factor", VOCODE_VALUE},
        {"squeeze", "{\"facter\": 2}", 2, "p", "factor", VOCODE_VALUE},
        {"squeeze", "[2", 2, "p", "squeeze", VOCODE_FORMAT},
        {"squeeze", NULL, 0, "p", "at least one channel", VOCODE_VALUE},
        {"squeeze", NULL, SIZE_MAX / 2 + 1, "p", "factor", VOCODE_VALUE},
        {"permute", "{\"order\": \"sorted\"}", 2, "p", "even_odd", VOCODE_VALUE},
        {"permute", NULL, SIZE_MAX / 4, "p", "out of memory", VOCODE_MEMORY},
        {"permute", NULL, 2, long_name, "at most 127 bytes", VOCODE_VALUE},
        {"inv1x1", NULL, SIZE_MAX / 4, "p", "matrix p", VOCODE_MEMORY},
        {"coupling", NULL, 1, "p", "at least two channels, found 1", VOCODE_VALUE},
        {"coupling", "{\"network\": \"mlp\"}", 2, "p", "convnext", VOCODE_VALUE},
        {"coupling", "{\"kernel\": 4}", 2, "p", "odd", VOCODE_OK},
        {"mdct", NULL, 2, "p", "one channel of samples, found 2", VOCODE_VALUE},
        {"mdct", "{\"bins\": 7}", 1, "p", "even", VOCODE_VALUE},
        {"scale", NULL, 2, "p", "expected conditioning, found none", VOCODE_VALUE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        param_set set = {0};
        flow *out = (flow *)&set;
        vocode_error error = {0};
        vocode_status status = flow_build(cases[i].kind, cases[i].options, (flow_dims){cases[i].channels, 0}, &set,
                                          cases[i].prefix, &out, &error);
        assert_true(status != VOCODE_OK && (cases[i].status == VOCODE_OK || status == cases[i].status));
        if (!strstr(error.message, cases[i].says)) fail_msg("case %zu: %s", i, error.message);
        assert_null(out);
        param_set_free(&set);
    }
}

static void names_are_taken_once(void **state) {
    (void)state;
    bench *b = calloc(1, sizeof *b);
    flow *first = bench_part(b, "actnorm", NULL, 2, "same."), *second = NULL;
    assert_int_not_equal(flow_build("actnorm", NULL, (flow_dims){2, 0}, &b->set, "same.", &second, &b->error),
                         VOCODE_OK);
    assert_null(second);
    flow_free(first);
    param_set_free(&b->set);
    free(b);
}

/* scratch and tape of a chain of that many couplings */
static void measure_depth(size_t depth, flow_use use, size_t *scratch, size_t *tape) {
    bench *b = calloc(1, sizeof *b);
    flow **parts = calloc(depth, sizeof *parts);
    for (size_t k = 0; k < depth; k++) {
        char prefix[32];
        snprintf(prefix, sizeof prefix, "%zu.", k);
        parts[k] = bench_part(b, "coupling", "{\"layers\": 2, \"channels\": 4}", 4, prefix);
    }
    assert_int_equal(sequence_new(parts, depth, &b->flow, &b->error), VOCODE_OK);
    compute work = {.scratch = arena_over(NULL, 0), .threads = 1};
    const flow_run run = {.work = &work, .shape = {2, 50, 4}, .error = &b->error};
    assert_int_equal(flow_measure(b->flow, &run, use, scratch, tape), VOCODE_OK);
    free(parts);
    flow_free(b->flow);
    param_set_free(&b->set);
    free(b);
}

static void memory_does_not_grow_with_depth(void **state) {
    (void)state;
    size_t scratch[2], tape[2];
    for (int use = FLOW_FORWARD; use <= FLOW_REBUILD; use++) {
        for (int deep = 0; deep < 2; deep++) measure_depth(deep ? 24 : 2, (flow_use)use, &scratch[deep], &tape[deep]);
        assert_int_equal(scratch[0], scratch[1]);
        if (use == FLOW_TRAIN)
            assert_true(tape[1] > 10 * tape[0]); /* what a tape costs */
        else
            assert_int_equal(tape[0], tape[1]);
    }
}

static void single_precision_inverts(void **state) {
    (void)state;
    for (const flow_case *what = flow_cases; what->name; what++)
        for (uint64_t seed = 1; seed < 4; seed++) {
            subject *s = subject_new(what, 40, 2, seed, 2);
            real *z = aligned_new(s->count, sizeof *z), *x = aligned_new(s->count, sizeof *x);
            double logdet[2];
            subject_forward(s, s->x, s->cond, z, logdet);
            subject_inverse(s, z, s->cond, x);
            double error = largest_difference(x, s->x, s->count);
            if (!(error <= 1e-4 * largest(s->x, s->count))) fail_msg("%s: inverse is off by %g", what->name, error);
            aligned_free(z);
            aligned_free(x);
            subject_free(s);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(early_outputs_are_in_their_order), cmocka_unit_test(parts_that_do_not_fit_are_named),
        cmocka_unit_test(impossible_options_are_refused),   cmocka_unit_test(names_are_taken_once),
        cmocka_unit_test(memory_does_not_grow_with_depth),  cmocka_unit_test(single_precision_inverts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
