/* What is a field's own: the objective that it is trained by, the estimate of its log-determinant, its solvers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "flows/field.h"
#include "flows/registry.h"
#include "flows/subject.h"

#define SMALL "\"blocks\": 1, \"channels\": 3, \"kernel\": 3, \"features\": 4"

static const flow_case exact = {
    "exact", "field", "{" SMALL ", \"steps\": 4, \"solver\": \"midpoint\", \"terms\": 0}", NULL, 3, 2, 1, 1, false};

static const flow_case eulers = {
    "euler", "field", "{" SMALL ", \"steps\": 3, \"solver\": \"euler\", \"terms\": 0}", NULL, 3, 2, 1, 1, false};

static const field_draw draw = {5, 7};

/* Memory of the sizes that a dry run takes. */
typedef struct room {
    compute work;
    arena tape;
    flow_run run;
} room;

static room take_room(const subject *s, size_t scratch, size_t tape) {
    room r = {.work = {.scratch = arena_over(scratch ? aligned_new(scratch, 1) : NULL, scratch), .threads = 1},
              .tape = arena_over(tape ? aligned_new(tape, 1) : NULL, tape)};
    r.run = (flow_run){
        .shape = s->shape, .cond = s->cond, .cond_frames = s->cond_frames, .cond_channels = s->what->cond_channels};
    return r;
}

static void leave_room(room *r) {
    assert_true(r->work.scratch.peak <= r->work.scratch.size && r->tape.peak <= r->tape.size);
    assert_true(r->work.scratch.used == 0);
    aligned_free(r->work.scratch.base);
    aligned_free(r->tape.base);
}

/* Two functionals of a field and their gradients, unless they are NULL: the matching loss of the pairs (dz, x), and the
 * sum of dz times what x is carried to; dx is that one's alone. */
typedef double functional(const subject *s, real *grads, real *dcond, real *dx);

static double match(const subject *s, real *grads, real *dcond, real *dx) {
    (void)dx;
    room dry = take_room(s, 0, 0);
    dry.run.work = &dry.work;
    field_match(s->chain, &dry.run, NULL, NULL, draw, &dry.tape, NULL);
    room r = take_room(s, dry.work.scratch.peak, dry.tape.peak);
    double loss = -1;
    r.run.work = &r.work;
    r.run.grads = grads;
    r.run.dcond = dcond;
    field_match(s->chain, &r.run, s->dz, s->x, draw, &r.tape, &loss);
    leave_room(&r);
    return loss;
}

static double carry(const subject *s, real *grads, real *dcond, real *dx) {
    room dry = take_room(s, 0, 0);
    dry.run.work = &dry.work;
    field_carry(s->chain, &dry.run, NULL, NULL, &dry.tape);
    dry.tape.used = 0;
    field_carry_backward(s->chain, &dry.run, NULL, &dry.tape);
    room r = take_room(s, dry.work.scratch.peak, dry.tape.peak);
    real *x = aligned_new(s->count, sizeof *x), *as_inverse = copy_of(s->dz, s->count);
    double sum = 0;
    r.run.work = &r.work;
    field_carry(s->chain, &r.run, s->x, x, &r.tape);
    subject_inverse(s, s->x, s->cond, as_inverse);
    assert_true(largest_difference(x, as_inverse, s->count) <= 1e-13 * (1 + largest(x, s->count)));
    for (size_t i = 0; i < s->count; i++) sum += s->dz[i] * x[i];
    if (grads) {
        r.run.grads = grads;
        r.run.dcond = dcond;
        r.tape.used = 0;
        for (size_t i = 0; i < s->count; i++) dx[i] = s->dz[i];
        field_carry_backward(s->chain, &r.run, dx, &r.tape);
    }
    leave_room(&r);
    aligned_free(x);
    aligned_free(as_inverse);
    return sum;
}

static double slope(subject *s, functional *value, real *place) {
    static const double at[] = {-2, -1, 1, 2}, weight[] = {1.0 / 12, -2.0 / 3, 2.0 / 3, -1.0 / 12};
    const double step = 2e-4;
    real before = *place;
    double sum = 0;
    vocode_error error;
    for (size_t k = 0; k < 4; k++) {
        *place = before + at[k] * step;
        assert_int_equal(flow_prepare(s->chain, &error), VOCODE_OK);
        sum += weight[k] * value(s, NULL, NULL, NULL) / step;
    }
    *place = before;
    assert_int_equal(flow_prepare(s->chain, &error), VOCODE_OK);
    return sum;
}

static void compare(subject *s, functional *value, const char *name, real *values, const real *gradient, size_t count) {
    double most = fmax(1e-3, largest(gradient, count));
    for (size_t i = 0; i < count; i++) {
        double expected = slope(s, value, values + i);
        if (!(fabs(expected - gradient[i]) <= 1e-7 * most))
            fail_msg("the gradient of %s [%zu] is %.9g, the loss says %.9g", name, i, gradient[i], expected);
    }
}

static void check_gradients(const flow_case *what, functional *value, bool of_x) {
    subject *s = subject_new(what, 5, 2, 11, 1);
    real *grads = aligned_new(s->set.total, sizeof *grads), *dcond = aligned_new(s->cond_count, sizeof *dcond);
    real *dx = aligned_new(s->count, sizeof *dx);
    double loss = value(s, grads, dcond, dx);
    assert_true(loss == value(s, NULL, NULL, NULL));
    if (of_x) compare(s, value, "x", s->x, dx, s->count);
    compare(s, value, "the conditioning", s->cond, dcond, s->cond_count);
    for (size_t i = 0; i < s->set.count; i++) {
        param *p = s->set.items[i];
        compare(s, value, p->name, p->value, param_grad(p, grads), p->count);
    }
    aligned_free(grads);
    aligned_free(dcond);
    aligned_free(dx);
    subject_free(s);
}

static void gradients_are_the_slopes(void **state) {
    (void)state;
    check_gradients(&exact, match, false);
    check_gradients(&exact, carry, true);
    check_gradients(&eulers, carry, true);
}

/* A fresh network finds no velocity: the map is the identity, and the loss the distance of the pairs. */
static void a_fresh_field_is_the_identity(void **state) {
    (void)state;
    subject *s = subject_new(&exact, 41, 3, 3, 1);
    real *x = aligned_new(s->count, sizeof *x);
    double distance = 0;
    vocode_error error;
    flow_init(s->chain, 1);
    assert_int_equal(flow_prepare(s->chain, &error), VOCODE_OK);
    subject_inverse(s, s->x, s->cond, x);
    assert_memory_equal(x, s->x, s->count * sizeof *x);
    for (size_t i = 0; i < s->count; i++) distance += (s->x[i] - s->dz[i]) * (s->x[i] - s->dz[i]) / (double)s->count;
    assert_true(fabs(match(s, NULL, NULL, NULL) - distance) <= 1e-12 * distance);
    aligned_free(x);
    subject_free(s);
}

/* Over many draws of the signs: the mean is the exact value, but for the series' end. */
static void the_estimate_is_unbiased(void **state) {
    (void)state;
    enum { DRAWS = 200 };
    double exact_value[1], sum = 0, squares = 0;
    subject *s = subject_new(&exact, 6, 1, 21, 1);
    real *z = aligned_new(s->count, sizeof *z);
    subject_forward(s, s->x, s->cond, z, exact_value);
    for (int i = 0; i < DRAWS; i++) {
        char options[256];
        double value[1];
        snprintf(options, sizeof options,
                 "{" SMALL ", \"steps\": 4, \"solver\": \"midpoint\", \"terms\": 30, \"seed\": %d}", i);
        const flow_case estimated = {"estimated", "field", options, NULL, 3, 2, 1, 1, false};
        subject *e = subject_new(&estimated, 6, 1, 21, 1);
        assert_true(e->chain->traits & FLOW_STOCHASTIC_LOGDET);
        subject_forward(e, s->x, s->cond, z, value);
        sum += value[0];
        squares += value[0] * value[0];
        subject_free(e);
    }
    double mean = sum / DRAWS, error = sqrt((squares / DRAWS - mean * mean) / (DRAWS - 1));
    if (!(fabs(mean - exact_value[0]) <= 3 * error + 1e-9) || !(error > 0))
        fail_msg("the mean of %d estimates is %.6g +- %.2g, the exact value %.6g", DRAWS, mean, error, exact_value[0]);
    aligned_free(z);
    subject_free(s);
}

static double endpoint(const char *solver, size_t steps) {
    char options[256];
    snprintf(options, sizeof options, "{" SMALL ", \"steps\": %zu, \"solver\": \"%s\", \"terms\": 0}", steps, solver);
    const flow_case what = {"solver", "field", options, NULL, 2, 0, 1, 1, false};
    subject *s = subject_new(&what, 3, 1, 31, 1);
    real *x = aligned_new(s->count, sizeof *x);
    subject_inverse(s, s->dz, s->cond, x);
    double value = x[2];
    aligned_free(x);
    subject_free(s);
    return value;
}

/* Twice the steps, half the error of Euler's method and a quarter of the midpoint's. */
static void solvers_have_their_orders(void **state) {
    (void)state;
    double limit = endpoint("midpoint", 512);
    double euler = (endpoint("euler", 64) - limit) / (endpoint("euler", 128) - limit);
    double midpoint = (endpoint("midpoint", 32) - limit) / (endpoint("midpoint", 64) - limit);
    if (!(fabs(euler - 2) < 0.2) || !(fabs(midpoint - 4) < 0.5))
        fail_msg("errors shrink by %.3g (euler) and %.3g (midpoint)", euler, midpoint);
}

static void what_does_not_contract_is_refused(void **state) {
    (void)state;
    subject *s = subject_new(&exact, 4, 1, 41, 1);
    real *z = aligned_new(s->count, sizeof *z);
    double logdet[1] = {0};
    vocode_error error;
    subject_run r;
    for (size_t i = 0; i < s->set.total; i++) s->set.storage[i] *= 9;
    assert_int_equal(flow_prepare(s->chain, &error), VOCODE_OK);
    subject_start(s, FLOW_FORWARD, &r);
    assert_int_equal(flow_forward(s->chain, &r.run, s->x, z, logdet, NULL), VOCODE_VALUE);
    assert_non_null(strstr(r.error.message, "more steps"));
    aligned_free(z);
    subject_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_the_slopes),          cmocka_unit_test(a_fresh_field_is_the_identity),
        cmocka_unit_test(the_estimate_is_unbiased),          cmocka_unit_test(solvers_have_their_orders),
        cmocka_unit_test(what_does_not_contract_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
