/* Flows for vectors: closed forms, masks and orders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "flows/bench.h"
#include "flows/registry.h"

static void four_times_a_uniform(void **state) {
    (void)state;
    bench *b = bench_new("affine", "{\"scale\": 4}", (flow_shape){1, 1, 1}, 0);
    bench_expect(b, (const real[]){3}, (const real[]){0.75}, -log(4.0)); /* density 1/4 on (0, 4) */
    bench_free(b);
    b = bench_new("affine", "{\"scale\": 4, \"shift\": false}", (flow_shape){1, 2, 1}, 0);
    assert_int_equal(b->set.count, 1);
    bench_expect(b, (const real[]){1, 2}, (const real[]){0.25, 0.5}, -2 * log(4.0));
    bench_free(b);
}

/* X = exp Z of a uniform Z has the density 1 / x on (1, e), which integrates to 1. */
static void exponential_of_a_uniform(void **state) {
    (void)state;
    bench *b = bench_new("exp", NULL, (flow_shape){1, 1, 1}, 0);
    const int steps = 1000;
    double integral = 0, width = (exp(1.0) - 1) / steps;
    for (int i = 0; i < steps; i++) {
        real x = (real)(1 + (i + 0.5) * width), z;
        double logdet = 0;
        assert_int_equal(flow_forward(b->flow, &b->run, &x, &z, &logdet, NULL), VOCODE_OK);
        assert_true(fabs((double)z - log((double)x)) < 1e-6 && fabs(logdet + log((double)x)) < 1e-6);
        integral += exp(logdet) * width;
    }
    assert_true(fabs(integral - 1) < 1e-5);
    real x = -2, z;
    double logdet = 0;
    assert_int_equal(flow_forward(b->flow, &b->run, &x, &z, &logdet, NULL), VOCODE_VALUE);
    assert_non_null(strstr(b->error.message, "positive data, found -2"));
    bench_free(b);
}

static void linear_is_its_factors(void **state) {
    (void)state;
    bench *b = bench_new("linear", NULL, (flow_shape){1, 1, 2}, 0);
    real out[2];
    double logdet = 0;
    assert_int_equal(flow_forward(b->flow, &b->run, (const real[]){5, 7}, out, &logdet, NULL), VOCODE_OK);
    bool swapped = out[0] == 7; /* a fresh one is an order of the channels */
    assert_true((out[0] == 5 && out[1] == 7) || (out[0] == 7 && out[1] == 5));
    param_find(&b->set, "here.lower")->value[2] = 3;
    param_find(&b->set, "here.upper")->value[1] = 2;
    param_find(&b->set, "here.log_diagonal")->value[1] = (real)log(5.0);
    assert_int_equal(flow_prepare(b->flow, &b->error), VOCODE_OK);
    /* L U = [[1, 2], [3, 11]] */
    const real plain[] = {1, 3, 2, 11}, other[] = {3, 1, 11, 2};
    for (size_t i = 0; i < 2; i++)
        bench_expect(b, (const real[]){i == 0, i == 1}, (swapped ? other : plain) + 2 * i, log(5.0));
    bench_free(b);
}

static void planar_stays_invertible(void **state) {
    (void)state;
    bench *b = bench_new("planar", NULL, (flow_shape){1, 1, 2}, 0);
    const real x[] = {0.3F, -0.8F};
    bench_expect(b, x, x, 0); /* a fresh one is the identity */
    real *u = param_find(&b->set, "here.along")->value, *w = param_find(&b->set, "here.across")->value;
    w[0] = 2, w[1] = 0;
    u[0] = -50, u[1] = 1; /* w'u = -100 would fold space without the reparameterisation */
    assert_int_equal(flow_prepare(b->flow, &b->error), VOCODE_OK);
    real z[2], before = -INFINITY, back[2];
    for (int i = -40; i <= 40; i++) {
        const real at[] = {(real)i / 20, 0.5F};
        double logdet = 0;
        assert_int_equal(flow_forward(b->flow, &b->run, at, z, &logdet, NULL), VOCODE_OK);
        assert_true(z[0] >= before && isfinite(z[1]) && !isnan(logdet));
        before = z[0];
    }
    u[0] = 3; /* w'u = 6: steep */
    assert_int_equal(flow_prepare(b->flow, &b->error), VOCODE_OK);
    double logdet = 0;
    assert_int_equal(flow_forward(b->flow, &b->run, x, z, &logdet, NULL), VOCODE_OK);
    assert_int_equal(flow_inverse(b->flow, &b->run, z, back), VOCODE_OK);
    assert_true(fabs((double)(back[0] - x[0])) < 1e-5 && fabs((double)(back[1] - x[1])) < 1e-5);
    bench_free(b);
}

/* Which outputs change when input c does: bit i for output i. */
static unsigned touched(bench *b, const real *x, size_t c) {
    size_t count = flow_shape_count(b->run.shape);
    real z[8], moved[8], y[8];
    double logdet = 0;
    unsigned bits = 0;
    memcpy(y, x, count * sizeof *y);
    y[c] += (real)0.5;
    assert_int_equal(flow_forward(b->flow, &b->run, x, z, &logdet, NULL), VOCODE_OK);
    assert_int_equal(flow_forward(b->flow, &b->run, y, moved, &logdet, NULL), VOCODE_OK);
    for (size_t i = 0; i < count; i++) bits |= (unsigned)(z[i] != moved[i]) << i;
    return bits;
}

/* A bench whose network says something. */
static bench *stirred(const char *kind, const char *options, size_t channels) {
    bench *b = bench_new(kind, options, (flow_shape){1, 1, channels}, 0);
    for (size_t i = 0; i < b->set.total; i++) b->set.storage[i] += (real)(0.5 * rng_normal(5, 0, i));
    assert_int_equal(flow_prepare(b->flow, &b->error), VOCODE_OK);
    return b;
}

static void masks_follow_the_order(void **state) {
    (void)state;
    const real x[] = {0.3F, -1, 0.8F, 0.1F};
    static const struct {
        const char *options;
        unsigned bits[4];
    } cases[] = {{"{\"channels\": 24}", {0xf, 0xe, 0xc, 0x8}},
                 {"{\"channels\": 24, \"layers\": 3}", {0xf, 0xe, 0xc, 0x8}},
                 {"{\"channels\": 24, \"order\": \"reverse\"}", {0x1, 0x3, 0x7, 0xf}},
                 {"{\"channels\": 24, \"order\": \"even_odd\"}", {0xf, 0xa, 0xe, 0x8}}}; /* 0, 2, 1, 3 */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bench *b = stirred("made", cases[i].options, 4);
        for (size_t c = 0; c < 4; c++) assert_int_equal(touched(b, x, c), cases[i].bits[c]);
        bench_free(b);
    }
}

static void masks_are_the_named_ones(void **state) {
    (void)state;
    const real x[] = {0.3F, -1, 0.8F, 0.1F, 0.5F, 0.7F};
    static const struct {
        const char *mask;
        unsigned passing;
    } cases[] = {{"first", 0x07}, {"second", 0x38},       {"even", 0x15},
                 {"odd", 0x2a},   {"checkerboard", 0x15}, {"checkerboard_turned", 0x2a}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char options[128];
        snprintf(options, sizeof options, "{\"mask\": \"%s\", \"width\": 3, \"channels\": 8, \"scale\": \"bounded\"}",
                 cases[i].mask); /* two rows of three */
        bench *b = stirred("masked", options, 6);
        for (size_t c = 0; c < 6; c++) {
            bool passes = (cases[i].passing >> c) & 1;
            assert_int_equal(touched(b, x, c), passes ? (0x3f & ~cases[i].passing) | 1U << c : 1U << c);
        }
        bench_free(b);
    }
}

/* Convolutions move the pixels around what passes, planes apart. */
static void convolutions_look_around(void **state) {
    (void)state;
    const real x[8] = {0.3F, -1, 0.8F, 0.1F, 0.5F, 0.7F, -0.2F, 0.4F};
    static const struct {
        const char *options;
        size_t channels;
        unsigned bits[8];
    } cases[] = {
        /* a row of eight pixels: two convolutions of three taps see two on either side */
        {"\"mask\": \"checkerboard\", \"width\": 8", 8, {0x03, 0x02, 0x0e, 0x08, 0x38, 0x20, 0xe0, 0x80}},
        /* one pixel of eight planes, half of which move the others */
        {"\"mask\": \"channelwise\", \"width\": 1, \"planes\": 8", 8, {0xf1, 0xf2, 0xf4, 0xf8, 0x10, 0x20, 0x40, 0x80}},
        /* four pixels of two planes, the second of which moves the first, two on either side */
        {"\"mask\": \"channelwise_turned\", \"width\": 4, \"planes\": 2",
         8,
         {0x01, 0x17, 0x04, 0x5d, 0x10, 0x75, 0x40, 0xd4}}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char options[160];
        snprintf(options, sizeof options, "{%s, \"network\": \"conv\", \"layers\": 1, \"channels\": 8}",
                 cases[i].options);
        bench *b = stirred("masked", options, cases[i].channels);
        param *wide = param_find(&b->set, "here.blocks.0.wide.weight");
        param_fill(wide, 0); /* of the three convolutions two are left */
        assert_int_equal(flow_prepare(b->flow, &b->error), VOCODE_OK);
        for (size_t c = 0; c < cases[i].channels; c++) {
            unsigned found = touched(b, x, c);
            if (found != cases[i].bits[c]) fail_msg("case %zu, number %zu moves %x", i, c, found);
        }
        bench_free(b);
    }
}

static void squares_become_planes(void **state) {
    (void)state;
    bench *b = bench_new("squeeze2d", "{\"width\": 4}", (flow_shape){1, 1, 8}, 0);
    const real x[] = {0, 1, 2, 3, 10, 11, 12, 13}; /* two rows of four pixels */
    bench_expect(b, x, (const real[]){0, 11, 1, 10, 2, 13, 3, 12}, 0);
    bench_free(b);
    b = bench_new("squeeze2d", "{\"width\": 2, \"planes\": 2}", (flow_shape){1, 1, 16}, 0);
    const real of_two[] = {0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23, 30, 31, 32, 33}; /* four rows of two */
    bench_expect(b, of_two, (const real[]){0, 1, 12, 13, 2, 3, 10, 11, 20, 21, 32, 33, 22, 23, 30, 31}, 0);
    bench_free(b);
    b = bench_new("factor", "{\"planes\": 4}", (flow_shape){1, 1, 8}, 0);
    bench_expect(b, x, (const real[]){0, 1, 10, 11, 2, 3, 12, 13}, 0);
    bench_free(b);
}

/* With a passing half that is all zeros and no hidden unit at work, the shift is the last layer's bias. */
static void additive_coupling_adds(void **state) {
    (void)state;
    bench *b = bench_new("masked", "{\"scale\": \"none\", \"layers\": 1}", (flow_shape){1, 1, 2}, 0);
    const real x[] = {1, 2};
    bench_expect(b, x, x, 0); /* fresh: the identity */
    param_find(&b->set, "here.layers.1.bias")->value[0] = 3;
    assert_int_equal(flow_prepare(b->flow, &b->error), VOCODE_OK);
    bench_expect(b, x, (const real[]){1, 5}, 0);
    bench_free(b);
}

static void impossible_ones_are_refused(void **state) {
    (void)state;
    static const struct {
        const char *kind, *options, *says;
        size_t channels;
    } cases[] = {{"masked", NULL, "at least two channels", 1},
                 {"masked", "{\"network\": \"conv\", \"width\": 3}", "rows of 3 pixels", 8},
                 {"masked", "{\"network\": \"conv\", \"width\": 2, \"channels\": 4, \"layers\": 65}", "layers", 8},
                 {"masked", "{\"mask\": \"channelwise\"}", "channels that pass", 8},
                 {"squeeze2d", "{\"width\": 3}", "an even number", 12},
                 {"squeeze2d", "{\"width\": 2}", "an even number of rows", 6},
                 {"factor", "{\"planes\": 3}", "an even number of channels", 6},
                 {"factor", "{\"planes\": 4}", "found 4 in 6", 6},
                 {"masked", "{\"layers\": 0}", "layers", 2},
                 {"made", "{\"order\": \"upward\"}", "order", 2},
                 {"affine", "{\"scale\": 0}", "scale", 2}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        param_set set = {0};
        flow *made = NULL;
        vocode_error error = {0};
        assert_int_equal(
            flow_build(cases[i].kind, cases[i].options, (flow_dims){cases[i].channels, 0}, &set, "a.", &made, &error),
            VOCODE_VALUE);
        assert_null(made);
        assert_non_null(strstr(error.message, cases[i].says));
        param_set_free(&set);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(four_times_a_uniform),     cmocka_unit_test(exponential_of_a_uniform),
        cmocka_unit_test(linear_is_its_factors),    cmocka_unit_test(planar_stays_invertible),
        cmocka_unit_test(masks_follow_the_order),   cmocka_unit_test(masks_are_the_named_ones),
        cmocka_unit_test(convolutions_look_around), cmocka_unit_test(squares_become_planes),
        cmocka_unit_test(additive_coupling_adds),   cmocka_unit_test(impossible_ones_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
