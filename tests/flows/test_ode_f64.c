/* What is the continuous flow's own: its solvers' orders, the estimate of its divergence, flow matching, its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "flows/ode.h"
#include "flows/registry.h"
#include "flows/subject.h"

#define NETWORK "\"layers\": 2, \"channels\": 4, \"unit\": \"silu\""

static flow_case case_of(const char *options) {
    return (flow_case){"ode", "ode", options, NULL, 3, 2, 1, 1, false};
}

/* z and log-determinants of some data by a case of these options. */
typedef struct outcome {
    real z[6];
    double logdet[2];
} outcome;

static outcome outcome_of(const char *options, uint64_t draw) {
    const flow_case what = case_of(options);
    subject *s = subject_new(&what, 1, 2, 7, 1);
    outcome o;
    s->first = draw;
    subject_forward(s, s->x, s->cond, o.z, o.logdet);
    subject_free(s);
    return o;
}

static double distance(const outcome *a, const outcome *b) {
    double most = largest_difference(a->z, b->z, 6);
    for (int i = 0; i < 2; i++) most = fmax(most, fabs(a->logdet[i] - b->logdet[i]));
    return most;
}

static void solvers_have_their_orders(void **state) {
    (void)state;
    char line[256];
    const outcome truth = outcome_of("{" NETWORK ", \"rtol\": 1e-12, \"atol\": 1e-12, \"most\": 2000}", 0);
    double errors[3];
    for (int k = 0; k < 3; k++) {
        snprintf(line, sizeof line, "{" NETWORK ", \"solver\": \"rk4\", \"steps\": %d}", 16 << k);
        const outcome o = outcome_of(line, 0);
        errors[k] = distance(&o, &truth);
    }
    for (int k = 0; k < 2; k++) assert_true(errors[k] / errors[k + 1] > 12 && errors[k] / errors[k + 1] < 20);
    for (int k = 4; k <= 10; k += 3) {
        snprintf(line, sizeof line, "{" NETWORK ", \"rtol\": 1e-%d, \"atol\": 1e-%d, \"most\": 500}", k, k);
        const outcome o = outcome_of(line, 0);
        double error = distance(&o, &truth);
        if (!(error < 10 * pow(10, -k))) fail_msg("tolerance 1e-%d: an error of %g", k, error);
        assert_true(error > 0);
    }
}

/* Over the draws of signs, the mean of the estimates lies within 3 standard errors of the exact value. */
static void estimates_are_unbiased(void **state) {
    (void)state;
    enum { DRAWS = 400 };
    static const char options[] = "{" NETWORK ", \"rtol\": 1e-6, \"atol\": 1e-6, \"trace\": \"hutchinson\"}";
    const outcome exact = outcome_of("{" NETWORK ", \"rtol\": 1e-6, \"atol\": 1e-6}", 0);
    const flow_case what = case_of(options);
    subject *s = subject_new(&what, 1, 2, 7, 1);
    double sum[2] = {0}, square[2] = {0};
    for (size_t i = 0; i < DRAWS; i++) {
        real z[6];
        double logdet[2];
        s->first = 2 * i;
        subject_forward(s, s->x, s->cond, z, logdet);
        for (int b = 0; b < 2; b++) {
            sum[b] += logdet[b];
            square[b] += logdet[b] * logdet[b];
        }
    }
    subject_free(s);
    for (int b = 0; b < 2; b++) {
        double mean = sum[b] / DRAWS, variance = square[b] / DRAWS - mean * mean;
        assert_true(variance > 1e-6); /* it is an estimate */
        if (!(fabs(mean - exact.logdet[b]) < 3 * sqrt(variance / DRAWS)))
            fail_msg("expected %g, found a mean of %g +- %g", exact.logdet[b], mean, sqrt(variance / DRAWS));
    }
}

static double match(const subject *s, real *grads) {
    compute work = {.scratch = arena_over(NULL, 0), .threads = 1};
    arena tape = arena_over(NULL, 0);
    flow_run run = {.work = &work,
                    .shape = s->shape,
                    .cond = s->cond,
                    .cond_frames = s->cond_frames,
                    .cond_channels = s->what->cond_channels,
                    .draw = 5};
    ode_match(s->chain, &run, NULL, NULL, 1, &tape, NULL);
    size_t scratch = work.scratch.peak, kept = tape.peak;
    work.scratch = arena_over(aligned_new(scratch, 1), scratch);
    tape = arena_over(aligned_new(kept, 1), kept);
    run.grads = grads;
    double loss = -1;
    ode_match(s->chain, &run, s->dz, s->x, 0.25, &tape, &loss);
    assert_true(work.scratch.used == 0 && work.scratch.peak <= scratch && tape.peak <= kept);
    aligned_free(work.scratch.base);
    aligned_free(tape.base);
    return loss;
}

static void matching_has_its_gradients(void **state) {
    (void)state;
    static const double at[] = {-2, -1, 1, 2}, weight[] = {1.0 / 12, -2.0 / 3, 2.0 / 3, -1.0 / 12};
    const double step = 1e-3;
    vocode_error error;
    const flow_case what = case_of("{" NETWORK "}");
    subject *s = subject_new(&what, 3, 2, 11, 1);
    real *grads = aligned_new(s->set.total, sizeof *grads);
    assert_true(match(s, grads) > 0);
    for (size_t i = 0; i < s->set.total; i++) {
        real kept = s->set.storage[i];
        double slope = 0;
        for (int k = 0; k < 4; k++) {
            s->set.storage[i] = (real)((double)kept + at[k] * step);
            assert_int_equal(flow_prepare(s->chain, &error), VOCODE_OK);
            slope += weight[k] * match(s, NULL) / step;
        }
        s->set.storage[i] = kept;
        if (!(fabs(slope - (double)grads[i]) < 1e-7 * (1 + fabs(slope))))
            fail_msg("parameter %zu: a slope of %g, the gradient says %g", i, slope, (double)grads[i]);
    }
    aligned_free(grads);
    subject_free(s);
}

/* A fresh flow stays where it is, and its loss is the mean square of the lines. */
static void fresh_flows_stand_still(void **state) {
    (void)state;
    const flow_case what = case_of("{" NETWORK "}");
    subject *s = subject_new(&what, 2, 2, 3, 1);
    vocode_error error;
    double expected = 0, logdet[2];
    real *z = aligned_new(s->count, sizeof *z);
    flow_init(s->chain, 1);
    assert_int_equal(flow_prepare(s->chain, &error), VOCODE_OK);
    subject_forward(s, s->x, s->cond, z, logdet);
    assert_memory_equal(z, s->x, s->count * sizeof *z);
    assert_true(logdet[0] == 0 && logdet[1] == 0);
    for (size_t i = 0; i < s->count; i++)
        expected += ((double)s->x[i] - (double)s->dz[i]) * ((double)s->x[i] - (double)s->dz[i]);
    assert_true(fabs(match(s, NULL) - expected / 4) < 1e-12 * expected);
    aligned_free(z);
    subject_free(s);
}

static void too_many_steps_are_refused(void **state) {
    (void)state;
    const flow_case what = case_of("{" NETWORK ", \"most\": 3, \"rtol\": 1e-12, \"atol\": 1e-12}");
    subject *s = subject_new(&what, 1, 2, 7, 1);
    real *z = aligned_new(s->count, sizeof *z);
    double logdet[2] = {0};
    subject_run r;
    subject_start(s, FLOW_FORWARD, &r);
    assert_int_equal(flow_forward(s->chain, &r.run, s->x, z, logdet, NULL), VOCODE_VALUE);
    if (!strstr(r.error.message, "expected velocities that 3 steps can follow")) fail_msg("%s", r.error.message);
    aligned_free(z);
    subject_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(solvers_have_their_orders),  cmocka_unit_test(estimates_are_unbiased),
        cmocka_unit_test(matching_has_its_gradients), cmocka_unit_test(fresh_flows_stand_still),
        cmocka_unit_test(too_many_steps_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
