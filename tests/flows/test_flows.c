/* Known values of every flow: orders, equations, starts, and what observers see. */
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
#include "flows/permutation.h"
#include "nn/networks.h"

static void squeeze_puts_frames_side_by_side(void **state) {
    (void)state;
    bench *b = bench_new("squeeze", "{\"factor\": 2}", (flow_shape){1, 4, 3}, 0);
    flow_shape z;
    assert_int_equal(flow_latent_shape(b->flow, b->run.shape, &z, &b->error), VOCODE_OK);
    assert_int_equal(z.frames, 2);
    assert_int_equal(z.channels, 6);
    /* z[t, j 3 + c] = x[2 t + j, c]: frame 1 of z begins with frame 2 of x */
    real x[12];
    for (int i = 0; i < 12; i++) x[i] = (real)i;
    bench_expect(b, x, x, 0);
    bench_free(b);
}

static void permutations_are_the_named_ones(void **state) {
    (void)state;
    const real x[] = {0, 1, 2, 3, 4};
    const struct {
        const char *options;
        real z[5];
    } cases[] = {{"{\"order\": \"identity\"}", {0, 1, 2, 3, 4}},
                 {"{\"order\": \"reverse\"}", {4, 3, 2, 1, 0}},
                 {"{\"order\": \"swap_halves\"}", {3, 4, 0, 1, 2}},
                 {"{\"order\": \"even_odd\"}", {0, 2, 4, 1, 3}}};
    for (size_t i = 0; i < 4; i++) {
        bench *b = bench_new("permute", cases[i].options, (flow_shape){1, 1, 5}, 0);
        bench_expect(b, x, cases[i].z, 0);
        bench_free(b);
    }
}

static void shuffles_are_fair(void **state) {
    (void)state;
    size_t order[3], seen[27] = {0}, kinds = 0;
    for (uint64_t seed = 0; seed < 6000; seed++) {
        permutation_fill(PERMUTATION_shuffle, seed, 3, order);
        assert_int_equal((1 << order[0]) | (1 << order[1]) | (1 << order[2]), 7);
        seen[order[0] * 9 + order[1] * 3 + order[2]]++;
    }
    for (size_t i = 0; i < 27; i++) {
        kinds += seen[i] > 0;
        assert_true(seen[i] == 0 || (seen[i] > 850 && seen[i] < 1150)); /* 1000 with a deviation of 29 */
    }
    assert_int_equal(kinds, 6);
}

typedef struct seen {
    char what[8][16], where[8][PARAM_NAME_SIZE];
    double first[8];
    flow_shape shape[8];
    size_t calls;
} seen;

static void see(void *context, const char *what, const char *where, const real *values, size_t count,
                flow_shape shape) {
    seen *s = context;
    assert_true(s->calls < 8);
    assert_int_equal(count, flow_shape_count(shape));
    snprintf(s->what[s->calls], sizeof *s->what, "%s", what);
    snprintf(s->where[s->calls], sizeof *s->where, "%s", where);
    s->first[s->calls] = (double)values[0];
    s->shape[s->calls++] = shape;
}

static void matrix_times_every_frame(void **state) {
    (void)state;
    bench *b = bench_new("inv1x1", NULL, (flow_shape){1, 3, 2}, 0);
    assert_string_equal(b->set.items[0]->name, "here.");
    assert_int_equal(b->set.items[0]->rank, 2);
    real *w = b->set.items[0]->value;
    w[0] = 1, w[1] = 2, w[2] = 3, w[3] = 4; /* determinant -2 */
    assert_int_equal(flow_prepare(b->flow, &b->error), VOCODE_OK);
    seen s = {.calls = 0};
    b->run.observer = &(flow_observer){see, &s};
    bench_expect(b, (const real[]){1, 0, 0, 1, 1, 1}, (const real[]){1, 3, 2, 4, 3, 7}, 3 * log(2.0));
    assert_int_equal(s.calls, 1);
    assert_string_equal(s.what[0], "log_det");
    assert_string_equal(s.where[0], "here.");
    assert_true(fabs(s.first[0] - 3 * log(2.0)) < 1e-6);
    bench_free(b);
}

static double determinant3(const real *w) {
    const double a = (double)w[0], b = (double)w[1], c = (double)w[2];
    return a * (double)(w[4] * w[8] - w[5] * w[7]) - b * (double)(w[3] * w[8] - w[5] * w[6]) +
           c * (double)(w[3] * w[7] - w[4] * w[6]);
}

static void fresh_matrices_are_rotations_or_orders(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 8; seed++) {
        bench *b = bench_new("inv1x1", "{\"conv\": true}", (flow_shape){1, 1, 3}, 0);
        assert_int_equal(b->set.items[0]->rank, 3);
        flow_init(b->flow, seed);
        const real *w = b->set.items[0]->value;
        for (size_t i = 0; i < 3; i++)
            for (size_t j = 0; j < 3; j++) {
                double dot = 0;
                for (size_t k = 0; k < 3; k++) dot += (double)w[i * 3 + k] * (double)w[j * 3 + k];
                assert_true(fabs(dot - (i == j)) < 1e-6);
            }
        assert_true(fabs(determinant3(w) - 1) < 1e-6);
        bench_free(b);
    }
    const char *const options[] = {"{\"init\": \"even_odd\"}", "{\"init\": \"swap_halves\"}",
                                   "{\"init\": \"identity\"}"};
    const real orders[][4] = {{10, 30, 20, 40}, {30, 40, 10, 20}, {10, 20, 30, 40}};
    for (size_t i = 0; i < 3; i++) {
        bench *b = bench_new("inv1x1", options[i], (flow_shape){1, 1, 4}, 0);
        bench_expect(b, (const real[]){10, 20, 30, 40}, orders[i], 0);
        bench_free(b);
    }
}

static void large_rotations_stay_rotations(void **state) {
    (void)state;
    const size_t c = 96;
    bench *b = bench_new("inv1x1", NULL, (flow_shape){1, 1, c}, 0);
    const real *w = b->set.items[0]->value;
    real *unit = aligned_new(c, sizeof *unit), *z = aligned_new(c, sizeof *z);
    double logdet = 0, most = 0;
    for (size_t k = 0; k < c; k++) unit[k] = k == 5;
    assert_int_equal(flow_forward(b->flow, &b->run, unit, z, &logdet, NULL), VOCODE_OK);
    assert_true(fabs(logdet) < 1e-4);
    for (size_t i = 0; i < c; i++)
        for (size_t j = 0; j < c; j++) {
            double dot = 0;
            for (size_t k = 0; k < c; k++) dot += (double)w[i * c + k] * (double)w[j * c + k];
            if (fabs(dot - (i == j)) > most) most = fabs(dot - (i == j));
            assert_true(i != 0 || z[j] == w[j * c + 5]);
        }
    assert_true(most < 1e-5);
    aligned_free(unit);
    aligned_free(z);
    bench_free(b);
}

static void bad_matrices_are_named(void **state) {
    (void)state;
    const real matrices[][4] = {
        {1, 2, 2, 4}, {0, 0, 0, 0}, {1, (real)NAN, 0, 1}, {(real)INFINITY, 0, 0, 1}, {1, 1, 1, (real)1.0000001}};
    for (size_t i = 0; i < sizeof matrices / sizeof *matrices; i++) {
        bench *b = bench_new("inv1x1", NULL, (flow_shape){1, 1, 2}, 0);
        memcpy(b->set.items[0]->value, matrices[i], sizeof matrices[i]);
        assert_int_equal(flow_prepare(b->flow, &b->error), VOCODE_VALUE);
        assert_non_null(strstr(b->error.message, "here.: expected an invertible matrix"));
        bench_free(b);
    }
}

static void actnorm_is_its_equation(void **state) {
    (void)state;
    bench *b = bench_new("actnorm", NULL, (flow_shape){1, 2, 2}, 0);
    bench_expect(b, (const real[]){1, 2, 3, 4}, (const real[]){1, 2, 3, 4}, 0);
    param_find(&b->set, "here.shift")->value[1] = 1;
    param_find(&b->set, "here.log_scale")->value[1] = (real)log(3.0);
    bench_expect(b, (const real[]){1, 2, 3, 4}, (const real[]){1, 9, 3, 15}, 2 * log(3.0));
    /* a constant channel is centred and keeps its scale; the other one has deviation 2 */
    assert_int_equal(flow_init_from(b->flow, &b->run, (const real[]){7, 3, 7, 7}), VOCODE_OK);
    bench_expect(b, (const real[]){7, 3, 7, 7}, (const real[]){0, -1, 0, 1}, -2 * log(2.0));
    bench_free(b);
}

/* The same network outside of the flow gives shift and log-scale. */
static void coupling_is_its_equations(void **state) {
    (void)state;
    const char *const format =
        "{\"network\": \"wn\", \"layers\": 1, \"channels\": 2, \"scale\": \"%s\", \"order\": \"%s\"}";
    const real x[] = {1, -1, 2, (real)0.5, 3, 0}, cond[] = {(real)0.3, (real)-0.7};
    for (int bounded = 0; bounded < 2; bounded++)
        for (int scale_first = 0; scale_first < 2; scale_first++) {
            char options[160];
            snprintf(options, sizeof options, format, bounded ? "bounded" : "exp",
                     scale_first ? "scale_first" : "shift_first");
            bench *b = bench_new("coupling", options, (flow_shape){1, 2, 3}, 1);
            b->run.cond = cond, b->run.cond_frames = 2, b->run.cond_channels = 1;
            bench_expect(b, x, x, 0); /* a fresh coupling is the identity */
            for (size_t i = 0; i < b->set.total; i++) b->set.storage[i] = (real)rng_normal(1, 0, i);
            assert_int_equal(flow_prepare(b->flow, &b->error), VOCODE_OK);
            param_set other = {0};
            network *net = NULL;
            const wn_options same = {
                .inputs = 1, .outputs = 4, .conditioning = 1, .layers = 1, .channels = 2, .kernel = 3};
            assert_int_equal(wn_build(&same, &other, "here.", &net, &b->error), VOCODE_OK);
            assert_int_equal(param_allocate(&other, &b->error), VOCODE_OK);
            assert_int_equal(other.total, b->set.total);
            memcpy(other.storage, b->set.storage, other.total * sizeof(real));
            net->type->prepare(net);
            real y[8], z[6];
            const network_input in = {1, 2, 2, (const real[]){x[0], x[3]}, cond, NULL, NULL};
            net->type->forward(net, &b->work, &in, y, NULL);
            double logdet = 0;
            for (size_t t = 0; t < 2; t++) {
                z[3 * t] = x[3 * t];
                for (size_t c = 0; c < 2; c++) {
                    double shift = (double)y[4 * t + (scale_first ? 2 : 0) + c],
                           s = (double)y[4 * t + (scale_first ? 0 : 2) + c];
                    if (bounded) s = 2 * tanh(s / 2);
                    z[3 * t + 1 + c] = (real)((double)x[3 * t + 1 + c] * exp(s) + shift);
                    logdet += s;
                }
            }
            seen watched = {.calls = 0};
            b->run.observer = &(flow_observer){see, &watched};
            bench_expect(b, x, z, logdet);
            assert_string_equal(watched.what[0], "log_s");
            assert_int_equal(watched.shape[0].channels, 2);
            network_free(net);
            param_set_free(&other);
            bench_free(b);
        }
}

static void scale_starts_at_its_offset(void **state) {
    (void)state;
    bench *b = bench_new("scale", "{\"blocks\": 1, \"channels\": 2, \"offset\": -3}", (flow_shape){1, 1, 2}, 1);
    param *exit_weight = param_find(&b->set, "here.exit.weight"), *exit_bias = param_find(&b->set, "here.exit.bias");
    assert_non_null(exit_weight);
    assert_non_null(exit_bias);
    param_fill(exit_weight, 0);
    param_fill(exit_bias, 0);
    assert_int_equal(flow_prepare(b->flow, &b->error), VOCODE_OK);
    b->run.cond = (const real[]){1}, b->run.cond_frames = 1, b->run.cond_channels = 1;
    bench_expect(b, (const real[]){1, -1}, (const real[]){(real)exp(3.0), (real)-exp(3.0)}, 6);
    bench_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(squeeze_puts_frames_side_by_side),
        cmocka_unit_test(permutations_are_the_named_ones),
        cmocka_unit_test(shuffles_are_fair),
        cmocka_unit_test(matrix_times_every_frame),
        cmocka_unit_test(fresh_matrices_are_rotations_or_orders),
        cmocka_unit_test(large_rotations_stay_rotations),
        cmocka_unit_test(bad_matrices_are_named),
        cmocka_unit_test(actnorm_is_its_equation),
        cmocka_unit_test(coupling_is_its_equations),
        cmocka_unit_test(scale_starts_at_its_offset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
