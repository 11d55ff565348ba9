/* Gradients of functions of samples, x = f^-1(z). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "flows/conform.h"

/* Relative to the largest of the array. */
static const double tolerance = 1e-6;
static const double at[] = {-2, -1, 1, 2}, weight[] = {1.0 / 12, -2.0 / 3, 2.0 / 3, -1.0 / 12};

/* What one call gives. */
typedef struct slopes {
    real *z, *x, *again, *dz, *grads, *dcond;
} slopes;

static slopes slopes_new(const subject *s) {
    slopes all = {numbers(s->count), numbers(s->count),     numbers(s->count),
                  numbers(s->count), numbers(s->set.total), numbers(s->cond_count)};
    rng_fill_normal(all.z, s->count, 1, 71, 0, 1);
    for (size_t i = 0; i < s->count; i++) all.dz[i] = (real)NAN; /* overwritten */
    return all;
}

static void slopes_free(slopes *all) {
    real *owned[] = {all->z, all->x, all->again, all->dz, all->grads, all->dcond};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) aligned_free(owned[i]);
}

static void find(const subject *s, slopes *all) {
    subject_sample_backward(s, all->z, all->x, all->again, all->dz, all->grads, all->dcond);
}

/* sum(dz x) of x = f^-1(z) */
static double value_at(const subject *s, const real *z, const real *cond) {
    real *x = numbers(s->count);
    double sum = 0;
    subject_inverse(s, z, cond, x);
    for (size_t i = 0; i < s->count; i++) sum += (double)s->dz[i] * (double)x[i];
    aligned_free(x);
    return sum;
}

static void prepare(subject *s) {
    vocode_error error;
    if (flow_prepare(s->chain, &error) != VOCODE_OK) fail_msg("%s: %s", s->what->name, error.message);
}

static double slope(subject *s, const real *z, real *place, bool parameter) {
    const double step = 2e-4;
    real kept = *place;
    double sum = 0;
    for (size_t k = 0; k < 4; k++) {
        *place = (real)((double)kept + at[k] * step);
        if (parameter) prepare(s);
        sum += weight[k] * value_at(s, z, s->cond) / step;
    }
    *place = kept;
    if (parameter) prepare(s);
    return sum;
}

static void compare(subject *s, const real *z, const char *name, real *values, const real *gradient, size_t count,
                    bool parameter) {
    double most = 0, error = 0;
    for (size_t i = 0; i < count; i++) {
        double expected = slope(s, z, values + i, parameter), difference = fabs(expected - (double)gradient[i]);
        if (fabs(expected) > most) most = fabs(expected);
        if (!(difference <= error)) error = difference;
    }
    double relative = error / (most + 1e-3);
    if (relative > worst.sample) worst.sample = relative;
    if (!(relative <= tolerance))
        fail_msg("%s, %zu x %zu frames: the samples' gradient of %s is off by %.3g of its largest, %.3g", s->what->name,
                 s->batch, s->shape.frames, name, relative, most);
}

static void check_refused(const subject *s, slopes *all) {
    subject_run r;
    subject_start(s, FLOW_FORWARD, &r);
    assert_int_equal(flow_inverse_backward(s->chain, &r.run, s->x, all->again, s->dz, all->x, &r.tape),
                     VOCODE_UNSUPPORTED);
    assert_non_null(strstr(r.error.message, "no gradient"));
}

/* A second call from other starts adds to them, and what is left out changes no other. */
static void check_accumulation(const subject *s, const slopes *first) {
    slopes second = slopes_new(s);
    real *kept = second.dcond;
    for (size_t i = 0; i < s->set.total; i++) second.grads[i] = 3;
    for (size_t i = 0; i < s->cond_count; i++) second.dcond[i] = 3;
    find(s, &second);
    assert_memory_equal(first->dz, second.dz, s->count * sizeof(real));
    for (size_t i = 0; i < s->set.total; i++)
        assert_true(fabs((double)second.grads[i] - 3 - (double)first->grads[i]) <=
                    1e-12 * (3 + largest(first->grads, s->set.total)));
    for (size_t i = 0; i < s->cond_count; i++)
        assert_true(fabs((double)second.dcond[i] - 3 - (double)first->dcond[i]) <=
                    1e-12 * (3 + largest(first->dcond, s->cond_count)));
    memset(second.grads, 0, s->set.total * sizeof(real));
    second.dcond = NULL;
    find(s, &second);
    assert_memory_equal(first->grads, second.grads, s->set.total * sizeof(real));
    second.dcond = kept;
    slopes_free(&second);
}

void conform_samples(subject *s) {
    slopes all = slopes_new(s);
    if (s->chain->traits & FLOW_SAMPLES_DIFFERENTIABLY) {
        find(s, &all);
        if (!(largest_difference(all.z, all.again, s->count) <= 1e-9 * (1 + largest(all.z, s->count))))
            fail_msg("%s: the latent of samples is not the one that they were made of", s->what->name);
        compare(s, all.z, "the latent", all.z, all.dz, s->count, false);
        compare(s, all.z, "the conditioning", s->cond, all.dcond, s->cond_count, false);
        for (size_t i = 0; i < s->set.count; i++) {
            param *p = s->set.items[i];
            if (p->kind == PARAM_TRAINED)
                compare(s, all.z, p->name, p->value, param_grad(p, all.grads), p->count, true);
        }
        check_accumulation(s, &all);
    } else {
        check_refused(s, &all);
    }
    slopes_free(&all);
}

static void check_slope(subject *s, const slopes *all) {
    const double step = 1e-5; /* all numbers move at once */
    size_t total = s->set.total;
    real *along_z = direction_of(s->count, 1), *along = direction_of(total, 2),
         *along_cond = direction_of(s->cond_count, 3);
    real *z = numbers(s->count), *cond = numbers(s->cond_count), *kept = copy_of(s->set.storage, total);
    double expected = 0, size = 0;
    direction_keep_statistics(s, along);
    double found = dot(all->dz, along_z, s->count, &size) + dot(all->grads, along, total, &size) +
                   dot(all->dcond, along_cond, s->cond_count, &size);
    for (size_t k = 0; k < 4; k++) {
        move_along(all->z, along_z, at[k] * step, z, s->count);
        move_along(s->cond, along_cond, at[k] * step, cond, s->cond_count);
        move_along(kept, along, at[k] * step, s->set.storage, total);
        prepare(s);
        expected += weight[k] * value_at(s, z, cond) / step;
    }
    if (!(fabs(found - expected) <= tolerance * size))
        fail_msg("%s, %zu frames: the samples' slope along a direction is %.9g, the gradients say %.9g", s->what->name,
                 s->shape.frames, expected, found);
    real *owned[] = {along_z, along, along_cond, z, cond, kept};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) aligned_free(owned[i]);
}

void conform_sample_direction(const flow_case *what, size_t units, uint64_t seed) {
    subject *s[] = {subject_new(what, units, 2, seed, 1), subject_new(what, units, 2, seed, 3)};
    slopes all[] = {slopes_new(s[0]), slopes_new(s[1])};
    if (s[0]->chain->traits & FLOW_SAMPLES_DIFFERENTIABLY) {
        for (size_t i = 0; i < 2; i++) find(s[i], &all[i]);
        assert_memory_equal(all[0].dz, all[1].dz, s[0]->count * sizeof(real));
        assert_memory_equal(all[0].grads, all[1].grads, s[0]->set.total * sizeof(real));
        assert_memory_equal(all[0].dcond, all[1].dcond, s[0]->cond_count * sizeof(real));
        check_slope(s[0], &all[0]);
    }
    for (size_t i = 0; i < 2; i++) {
        slopes_free(&all[i]);
        subject_free(s[i]);
    }
}
