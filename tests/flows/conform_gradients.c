/* Gradients: finite differences, accumulation, rebuilding. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "flows/conform.h"

/* Relative to the largest of the array. 4-point differences of the double build leave some 1e-10. */
static const double gradient_tolerance = 1e-7, rebuild_tolerance = 1e-9;

/* d value / d place; parameters have to be prepared anew. */
static double slope(subject *s, real *place, bool parameter) {
    static const double at[] = {-2, -1, 1, 2}, weight[] = {1.0 / 12, -2.0 / 3, 2.0 / 3, -1.0 / 12};
    const double step = 2e-4;
    real kept = *place;
    double sum = 0;
    vocode_error error;
    for (size_t k = 0; k < 4; k++) {
        *place = (real)((double)kept + at[k] * step);
        if (parameter) assert_int_equal(flow_prepare(s->chain, &error), VOCODE_OK);
        sum += weight[k] * subject_value(s, s->x, s->cond) / step;
    }
    *place = kept;
    if (parameter) assert_int_equal(flow_prepare(s->chain, &error), VOCODE_OK);
    return sum;
}

static void compare(subject *s, const char *name, real *values, const real *gradient, size_t count, bool parameter) {
    double most = 0, error = 0;
    for (size_t i = 0; i < count; i++) {
        double expected = slope(s, values + i, parameter), difference = fabs(expected - (double)gradient[i]);
        if (fabs(expected) > most) most = fabs(expected);
        if (!(difference <= error)) error = difference;
    }
    double relative = error / (most + 1e-3);
    if (relative > worst.gradient) worst.gradient = relative;
    if (!(relative <= subject_tolerance(s, gradient_tolerance)))
        fail_msg("%s, %zu x %zu frames: the gradient of %s is off by %.3g of its largest, %.3g", s->what->name,
                 s->batch, s->shape.frames, name, relative, most);
}

/* MATCHED: no gradient, and a sentence; what its own objective gives is held by tests of its own. */
static bool refuses_backward(const subject *s) {
    if (subject_trains(s)) return false;
    subject_run r;
    subject_start(s, FLOW_FORWARD, &r);
    real *dx = numbers(s->count);
    assert_int_equal(flow_backward(s->chain, &r.run, s->x, s->x, s->dz, s->dlogdet, dx, &r.tape), VOCODE_UNSUPPORTED);
    assert_non_null(strstr(r.error.message, "expected"));
    assert_true(largest(dx, s->count) == 0);
    aligned_free(dx);
    return true;
}

void conform_gradients(subject *s) {
    if (refuses_backward(s)) return;
    real *dx = numbers(s->count), *grads = numbers(s->set.total), *dcond = numbers(s->cond_count);
    subject_backward(s, dx, grads, dcond, NULL);
    compare(s, "x", s->x, dx, s->count, false);
    compare(s, "the conditioning", s->cond, dcond, s->cond_count, false);
    for (size_t i = 0; i < s->set.count; i++) {
        param *p = s->set.items[i];
        if (p->kind == PARAM_TRAINED) compare(s, p->name, p->value, param_grad(p, grads), p->count, true);
    }
    aligned_free(dx);
    aligned_free(grads);
    aligned_free(dcond);
}

void conform_direction(subject *s) {
    if (refuses_backward(s)) return;
    static const double at[] = {-2, -1, 1, 2}, weight[] = {1.0 / 12, -2.0 / 3, 2.0 / 3, -1.0 / 12};
    const double step = 1e-5; /* all numbers move at once */
    size_t total = s->set.total;
    real *dx = numbers(s->count), *grads = numbers(total), *dcond = numbers(s->cond_count);
    real *along_x = direction_of(s->count, 1), *along = direction_of(total, 2),
         *along_cond = direction_of(s->cond_count, 3);
    real *x = numbers(s->count), *cond = numbers(s->cond_count), *kept = copy_of(s->set.storage, total);
    double expected = 0, size = 0;
    vocode_error error;
    direction_keep_statistics(s, along);
    subject_backward(s, dx, grads, dcond, NULL);
    double found = dot(dx, along_x, s->count, &size) + dot(grads, along, total, &size) +
                   dot(dcond, along_cond, s->cond_count, &size);
    for (size_t k = 0; k < 4; k++) {
        move_along(s->x, along_x, at[k] * step, x, s->count);
        move_along(s->cond, along_cond, at[k] * step, cond, s->cond_count);
        move_along(kept, along, at[k] * step, s->set.storage, total);
        assert_int_equal(flow_prepare(s->chain, &error), VOCODE_OK);
        expected += weight[k] * subject_value(s, x, cond) / step;
    }
    move_along(kept, along, 0, s->set.storage, total);
    assert_int_equal(flow_prepare(s->chain, &error), VOCODE_OK);
    if (!(fabs(found - expected) <= subject_tolerance(s, gradient_tolerance) * size))
        fail_msg("%s, %zu frames: the slope along a direction is %.9g, the gradients say %.9g", s->what->name,
                 s->shape.frames, expected, found);
    real *owned[] = {dx, grads, dcond, along_x, along, along_cond, x, cond, kept};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) aligned_free(owned[i]);
}

static void fill(real *values, size_t count, real value) {
    for (size_t i = 0; i < count; i++) values[i] = value;
}

/* b is a plus 3 everywhere */
static void check_added(const subject *s, const char *name, const real *a, const real *b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)b[i] - (double)a[i] - 3);
        if (!(difference <= 1e-12 * (3 + largest(a, count))))
            fail_msg("%s: the gradient of %s does not add to what is there: %g and %g", s->what->name, name,
                     (double)a[i], (double)b[i]);
    }
}

void conform_accumulation(const subject *s) {
    if (refuses_backward(s)) return;
    real *dx = numbers(s->count), *grads = numbers(s->set.total), *dcond = numbers(s->cond_count);
    real *other_dx = numbers(s->count), *other_grads = numbers(s->set.total), *other_dcond = numbers(s->cond_count);
    real *x_kept = copy_of(s->x, s->count), *dz_kept = copy_of(s->dz, s->count);
    real *cond_kept = copy_of(s->cond, s->cond_count);
    subject_backward(s, dx, grads, dcond, NULL);
    fill(other_dx, s->count, (real)NAN);
    fill(other_grads, s->set.total, 3);
    fill(other_dcond, s->cond_count, 3);
    subject_backward(s, other_dx, other_grads, other_dcond, NULL);
    assert_memory_equal(dx, other_dx, s->count * sizeof *dx);
    check_added(s, "the parameters", grads, other_grads, s->set.total);
    check_added(s, "the conditioning", dcond, other_dcond, s->cond_count);
    for (size_t i = 0; i < s->set.count; i++) {
        const param *p = s->set.items[i];
        if (p->kind == PARAM_BUFFER && largest(grads + p->offset, p->count) > 0)
            fail_msg("%s: %s is a statistic and has a gradient", s->what->name, p->name);
    }
    subject_backward(s, other_dx, NULL, NULL, NULL);
    assert_memory_equal(dx, other_dx, s->count * sizeof *dx);
    fill(other_grads, s->set.total, 0);
    subject_backward(s, other_dx, other_grads, NULL, NULL);
    assert_memory_equal(grads, other_grads, s->set.total * sizeof *grads);
    fill(other_dcond, s->cond_count, 0);
    subject_backward(s, other_dx, NULL, dcond ? other_dcond : NULL, NULL);
    assert_memory_equal(dcond, other_dcond, s->cond_count * sizeof *dcond);
    assert_memory_equal(s->x, x_kept, s->count * sizeof *x_kept);
    assert_memory_equal(s->dz, dz_kept, s->count * sizeof *dz_kept);
    assert_memory_equal(s->cond, cond_kept, s->cond_count * sizeof *cond_kept);
    real *owned[] = {dx, grads, dcond, other_dx, other_grads, other_dcond, x_kept, dz_kept, cond_kept};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) aligned_free(owned[i]);
}

static void agree(const subject *s, const char *name, const real *taped, const real *rebuilt, size_t count) {
    double error = largest_difference(taped, rebuilt, count) / (1 + largest(taped, count));
    if (error > worst.rebuild) worst.rebuild = error;
    if (!(error <= rebuild_tolerance))
        fail_msg("%s: says REINVERTIBLE, but %s without a tape is off by %.3g", s->what->name, name, error);
}

static void check_refused(const subject *s) {
    subject_run r;
    subject_start(s, FLOW_FORWARD, &r);
    real *dx = numbers(s->count), *x = numbers(s->count);
    assert_int_equal(flow_backward_rebuild(s->chain, &r.run, s->x, x, s->dz, s->dlogdet, dx, &r.tape),
                     VOCODE_UNSUPPORTED);
    assert_true(strlen(r.error.message) > 0);
    aligned_free(dx);
    aligned_free(x);
}

void conform_rebuild(const subject *s) {
    if (!(s->chain->traits & FLOW_REINVERTIBLE)) {
        check_refused(s);
        return;
    }
    real *dx[2], *grads[2], *dcond[2], *x = numbers(s->count);
    for (int i = 0; i < 2; i++) {
        dx[i] = numbers(s->count);
        grads[i] = numbers(s->set.total);
        dcond[i] = numbers(s->cond_count);
        subject_backward(s, dx[i], grads[i], dcond[i], i ? x : NULL);
    }
    agree(s, "x", s->x, x, s->count);
    agree(s, "the gradient of x", dx[0], dx[1], s->count);
    agree(s, "the gradient of the parameters", grads[0], grads[1], s->set.total);
    agree(s, "the gradient of the conditioning", dcond[0], dcond[1], s->cond_count);
    for (int i = 0; i < 2; i++) {
        aligned_free(dx[i]);
        aligned_free(grads[i]);
        aligned_free(dcond[i]);
    }
    aligned_free(x);
    if (!(s->chain->traits & FLOW_STOCHASTIC_LOGDET))
        assert_true(subject_value(s, s->x, s->cond) == subject_value(s, s->x, s->cond));
}
