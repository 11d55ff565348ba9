/* Inverses, log-determinants, batches and threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "flows/conform.h"
#include "kernels/lu.h"

conform_worst worst;

static const double exact = 1e-9;

static void note(double *most, double error) {
    if (error > *most) *most = error;
}

static void within(const subject *s, const char *what, double error, double tolerance) {
    if (!(error <= tolerance))
        fail_msg("%s, %zu x %zu frames: %s is off by %.3g, more than %.3g", s->what->name, s->batch, s->shape.frames,
                 what, error, tolerance);
}

static void taped_forward_is_the_same(const subject *s, const real *z, const double *logdet) {
    if (!subject_trains(s)) return;
    subject_run r;
    real *taped = numbers(s->count);
    double *sum = calloc(s->batch, sizeof *sum);
    subject_start(s, FLOW_TRAIN, &r);
    for (size_t b = 0; b < s->batch; b++) sum[b] = 8;
    assert_int_equal(flow_forward(s->chain, &r.run, s->x, taped, sum, &r.tape), VOCODE_OK);
    assert_memory_equal(taped, z, s->count * sizeof *z);
    for (size_t b = 0; b < s->batch; b++)
        within(s, "logdet that was 8 before", fabs(sum[b] - 8 - logdet[b]), 1e-12 * (8 + fabs(logdet[b])));
    aligned_free(taped);
    free(sum);
}

void conform_inverse(const subject *s) {
    real *z = numbers(s->count), *back = numbers(s->count), *again = numbers(s->count);
    real *x_kept = copy_of(s->x, s->count), *cond_kept = copy_of(s->cond, s->cond_count);
    double *logdet = calloc(s->batch, sizeof *logdet), *unused = calloc(s->batch, sizeof *unused);
    subject_forward(s, s->x, s->cond, z, logdet);
    taped_forward_is_the_same(s, z, logdet);
    real *z_kept = copy_of(z, s->count);
    subject_inverse(s, z, s->cond, back);
    assert_memory_equal(z, z_kept, s->count * sizeof *z);
    double error = largest_difference(back, s->x, s->count);
    note(&worst.inverse, error);
    within(s, "inverse(forward(x))", error, subject_tolerance(s, exact));
    subject_inverse(s, s->x, s->cond, back); /* x as a latent */
    subject_forward(s, back, s->cond, again, unused);
    bool noisy = s->chain->traits & FLOW_DEQUANTIZES; /* then the fraction is lost, and another one drawn */
    error = noisy ? 0 : largest_difference(again, s->x, s->count);
    for (size_t i = 0; noisy && i < s->count; i++) assert_true(again[i] >= back[i] && again[i] < back[i] + 1);
    note(&worst.inverse, error);
    within(s, "forward(inverse(z))", error, subject_tolerance(s, exact) * (1 + largest(back, s->count)));
    assert_memory_equal(s->x, x_kept, s->count * sizeof *x_kept);
    assert_memory_equal(s->cond, cond_kept, s->cond_count * sizeof *cond_kept);
    real *owned[] = {z, back, again, x_kept, cond_kept, z_kept};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) aligned_free(owned[i]);
    free(logdet);
    free(unused);
}

/* dz/dx [each, each] of the first batch element, by 4-point central differences. */
static void find_jacobian(const subject *s, double *jacobian) {
    static const double at[] = {-2, -1, 1, 2}, weight[] = {1.0 / 12, -2.0 / 3, 2.0 / 3, -1.0 / 12};
    const double step = 2e-4;
    size_t n = s->each;
    real *x = copy_of(s->x, s->count), *z = numbers(s->count);
    double *unused = calloc(s->batch, sizeof *unused);
    for (size_t column = 0; column < n; column++) {
        for (size_t k = 0; k < 4; k++) {
            x[column] = (real)((double)s->x[column] + at[k] * step);
            subject_forward(s, x, s->cond, z, unused);
            for (size_t row = 0; row < n; row++) jacobian[row * n + column] += weight[k] * (double)z[row] / step;
        }
        x[column] = s->x[column];
    }
    aligned_free(x);
    aligned_free(z);
    free(unused);
}

static void check_structure(const subject *s, const double *jacobian) {
    size_t n = s->each;
    if (!(s->chain->traits & FLOW_AUTOREGRESSIVE)) return;
    for (size_t row = 0; row < n; row++)
        for (size_t column = row + 1; column < n; column++)
            if (fabs(jacobian[row * n + column]) > exact)
                fail_msg("%s: says AUTOREGRESSIVE, but output %zu depends on input %zu", s->what->name, row, column);
}

void conform_log_determinant(const subject *s) {
    size_t n = s->each;
    double *jacobian = calloc(n * n, sizeof *jacobian), *logdet = calloc(s->batch, sizeof *logdet);
    size_t *pivot = calloc(n, sizeof *pivot);
    real *z = numbers(s->count);
    subject_forward(s, s->x, s->cond, z, logdet);
    find_jacobian(s, jacobian);
    check_structure(s, jacobian);
    assert_true(lu_factor(n, jacobian, pivot));
    double error = fabs(lu_log_determinant(n, jacobian, pivot, NULL) - logdet[0]);
    if (!(s->chain->traits & FLOW_STOCHASTIC_LOGDET)) { /* tests of its own hold an estimate */
        note(&worst.log_determinant, error);
        within(s, "the log-determinant", error, subject_tolerance(s, exact));
    }
    if (s->chain->traits & FLOW_VOLUME_PRESERVING)
        within(s, "the log-determinant of a flow that says VOLUME_PRESERVING", fabs(logdet[0]), 0);
    else if (logdet[0] == 0 && !(s->chain->traits & FLOW_DEQUANTIZES))
        fail_msg("%s: does not say VOLUME_PRESERVING, but its log-determinant is 0", s->what->name);
    free(jacobian);
    free(logdet);
    free(pivot);
    aligned_free(z);
}

typedef struct outcome {
    real *z, *x, *dx;
    double *logdet;
} outcome;

static outcome run_all(const subject *s) {
    outcome o = {numbers(s->count), numbers(s->count), numbers(s->count), calloc(s->batch, sizeof(double))};
    real *grads = numbers(s->set.total);
    subject_forward(s, s->x, s->cond, o.z, o.logdet);
    subject_inverse(s, s->x, s->cond, o.x);
    if (subject_trains(s)) subject_backward(s, o.dx, grads, NULL, NULL);
    aligned_free(grads);
    return o;
}

static void free_outcome(outcome *o) {
    aligned_free(o->z);
    aligned_free(o->x);
    aligned_free(o->dx);
    free(o->logdet);
}

/* Bits where the kernels' rows do not depend on how many there are, which OpenBLAS does not promise. */
static void same(const subject *s, const char *what, const real *a, const real *b, size_t count) {
    bool rows_alone = strcmp(kernels()->level, "blas") != 0;
    within(s, what, largest_difference(a, b, count), rows_alone ? 0 : 1e-12 * (1 + largest(a, count)));
}

void conform_batch(const flow_case *what, size_t units, uint64_t seed) {
    const size_t batch = 3;
    subject *all = subject_new(what, units, batch, seed, 1), *one = subject_new(what, units, 1, seed, 1);
    outcome together = run_all(all);
    for (size_t b = 0; b < batch; b++) {
        size_t each = all->each;
        memcpy(one->x, all->x + b * each, each * sizeof(real));
        memcpy(one->dz, all->dz + b * each, each * sizeof(real));
        memcpy(one->cond, all->cond + b * one->cond_count, one->cond_count * sizeof(real));
        one->dlogdet[0] = all->dlogdet[b];
        one->first = b;
        outcome alone = run_all(one);
        same(one, "z of an element alone", alone.z, together.z + b * each, each);
        same(one, "x of an element alone", alone.x, together.x + b * each, each);
        same(one, "dx of an element alone", alone.dx, together.dx + b * each, each);
        within(one, "logdet of an element alone", fabs(alone.logdet[0] - together.logdet[b]),
               1e-12 * (1 + fabs(together.logdet[b])));
        free_outcome(&alone);
    }
    free_outcome(&together);
    subject_free(all);
    subject_free(one);
}

void conform_threads(const flow_case *what, size_t units, uint64_t seed) {
    outcome outcomes[2];
    real *grads[2], *dcond[2];
    subject *subjects[2];
    for (int i = 0; i < 2; i++) {
        subject *s = subjects[i] = subject_new(what, units, 1, seed, i ? 3 : 1);
        outcomes[i] = run_all(s);
        grads[i] = numbers(s->set.total);
        dcond[i] = numbers(s->cond_count);
        if (subject_trains(s)) subject_backward(s, outcomes[i].dx, grads[i], dcond[i], NULL);
    }
    const subject *s = subjects[0];
    assert_memory_equal(outcomes[0].z, outcomes[1].z, s->count * sizeof(real));
    assert_memory_equal(outcomes[0].x, outcomes[1].x, s->count * sizeof(real));
    assert_memory_equal(outcomes[0].dx, outcomes[1].dx, s->count * sizeof(real));
    assert_memory_equal(outcomes[0].logdet, outcomes[1].logdet, sizeof(double));
    assert_memory_equal(grads[0], grads[1], s->set.total * sizeof(real));
    assert_memory_equal(dcond[0], dcond[1], s->cond_count * sizeof(real));
    for (int i = 0; i < 2; i++) {
        free_outcome(&outcomes[i]);
        aligned_free(grads[i]);
        aligned_free(dcond[i]);
        subject_free(subjects[i]);
    }
}

/* Changes one latent frame, or one frame of conditioning, and finds how far the data change, in latent frames. */
static size_t spread(const subject *s, const real *x, size_t frame, bool conditioning) {
    size_t frames = s->latent.frames, ratio = s->cond_frames ? frames / s->cond_frames : 1, farthest = 0;
    real *z = copy_of(s->dz, s->count), *cond = copy_of(s->cond, s->cond_count), *moved = numbers(s->count);
    size_t cond_width = s->what->cond_channels;
    for (size_t c = 0; !conditioning && c < s->latent.channels; c++)
        z[frame * s->latent.channels + c] += (real)(0.3 + 0.1 * rng_uniform(9, frame, c));
    for (size_t c = 0; conditioning && c < cond_width; c++)
        cond[frame / ratio * cond_width + c] += (real)(0.3 + 0.1 * rng_uniform(9, frame, c));
    subject_inverse(s, z, cond, moved);
    for (size_t i = 0; i < s->each; i++) {
        if (moved[i] == x[i]) continue;
        size_t at = i / s->latent.channels; /* a latent frame stands for as many numbers of data */
        /* one frame of conditioning is several latent frames: the distance is to the nearest of them */
        size_t first = conditioning ? frame / ratio * ratio : frame, last = conditioning ? first + ratio - 1 : frame;
        size_t distance = at < first ? first - at : at > last ? at - last : 0;
        if (distance > farthest) farthest = distance;
    }
    aligned_free(z);
    aligned_free(cond);
    aligned_free(moved);
    return farthest;
}

void conform_halo(const subject *s) {
    flow_halo halo = flow_find_halo(s->chain);
    real *x = numbers(s->count);
    size_t latent = 0, cond = 0;
    subject_inverse(s, s->dz, s->cond, x);
    for (size_t frame = 0; frame < s->latent.frames; frame++) {
        size_t by_latent = spread(s, x, frame, false), by_cond = s->what->cond_channels ? spread(s, x, frame, true) : 0;
        if (by_latent > latent) latent = by_latent;
        if (by_cond > cond) cond = by_cond;
    }
    if (latent > halo.latent || cond > halo.cond || flow_reach(s->chain) < halo.latent ||
        flow_reach(s->chain) < halo.cond)
        fail_msg("%s: says a halo of %zu latent and %zu conditioning frames, reaches %zu and %zu", s->what->name,
                 halo.latent, halo.cond, latent, cond);
    /* A composite's is a bound: what a coupling passes may not have been mixed with what the next one read. */
    if (s->what->kind && s->latent.frames > halo.latent && latent != halo.latent)
        fail_msg("%s: says a halo of %zu latent frames, reaches %zu only", s->what->name, halo.latent, latent);
    aligned_free(x);
}
