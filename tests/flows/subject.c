#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "flows/registry.h"
#include "flows/subject.h"

enum { FENCE = 64, FENCE_BYTE = 0xa5, GARBAGE = 0xff }; /* garbage is NaN in every floating type */

static void good(vocode_status status, const vocode_error *error, const char *name) {
    if (status != VOCODE_OK) fail_msg("%s: %s", name, error->message);
}

static real *draw(size_t count, uint64_t seed, double scale) {
    real *values = aligned_new(count, sizeof *values);
    assert_non_null(values);
    rng_fill_normal(values, count, 1, seed, 0, scale);
    return values;
}

/* Moves every parameter off its start; statistics become positive, as variances must be. */
static void disturb(param_set *set, uint64_t seed) {
    for (size_t i = 0; i < set->count; i++) {
        param *p = set->items[i];
        for (size_t k = 0; k < p->count; k++)
            if (p->kind == PARAM_BUFFER)
                p->value[k] = (real)(0.5 + rng_uniform(seed, i, k));
            else
                p->value[k] += (real)(0.2 * rng_normal(seed, i, k));
    }
}

static fenced fence(size_t size) {
    fenced area = {aligned_new(size + 2 * FENCE, 1), size};
    assert_non_null(area.memory);
    memset(area.memory, FENCE_BYTE, size + 2 * FENCE);
    return area;
}

static void build(subject *s, uint64_t seed) {
    const flow_case *what = s->what;
    vocode_error error = {0};
    flow_dims dims = {what->channels, what->cond_channels};
    good(what->kind ? flow_build(what->kind, what->options, dims, &s->set, "flow.", &s->chain, &error)
                    : what->build(dims, &s->set, &s->chain, &error),
         &error, what->name);
    good(param_allocate(&s->set, &error), &error, what->name);
    flow_init(s->chain, seed);
    disturb(&s->set, seed + 1);
    good(flow_prepare(s->chain, &error), &error, what->name);
}

subject *subject_new(const flow_case *what, size_t units, size_t batch, uint64_t seed, int threads) {
    subject *s = calloc(1, sizeof *s);
    vocode_error error = {0};
    assert_non_null(s);
    s->what = what;
    s->threads = threads;
    build(s, seed);
    s->shape = (flow_shape){batch, units * what->unit, what->channels};
    good(flow_latent_shape(s->chain, s->shape, &s->latent, &error), &error, what->name);
    s->batch = batch;
    s->count = flow_shape_count(s->shape);
    s->each = s->count / batch;
    s->cond_frames = s->shape.frames / what->cond_ratio;
    s->cond_count = batch * s->cond_frames * what->cond_channels;
    s->x = draw(s->count, seed + 2, 1);
    for (size_t i = 0; (s->chain->traits & FLOW_POSITIVE_DATA) && i < s->count; i++) s->x[i] = exp(s->x[i] / 2);
    for (size_t i = 0; (s->chain->traits & FLOW_DEQUANTIZES) && i < s->count; i++) s->x[i] = floor(3 * s->x[i]);
    s->dz = draw(s->count, seed + 3, 1);
    s->cond = draw(s->cond_count, seed + 4, 1);
    s->dlogdet = calloc(batch, sizeof *s->dlogdet);
    for (size_t b = 0; b < batch; b++) s->dlogdet[b] = rng_normal(seed + 5, 0, b);
    for (int use = 0; use < FLOW_USES; use++) {
        size_t scratch, tape;
        subject_run r;
        if (!subject_serves(s, (flow_use)use)) continue;
        subject_start(s, (flow_use)use, &r);
        good(flow_measure(s->chain, &r.run, (flow_use)use, &scratch, &tape), &r.error, what->name);
        assert_true(scratch > 0);
        assert_true(tape == 0 || use >= FLOW_TRAIN);
        s->scratch[use] = fence(scratch);
        s->tape[use] = fence(tape);
    }
    return s;
}

double subject_tolerance(const subject *s, double tolerance) {
    return s->chain->traits & FLOW_SOLVED ? 1e-6 : tolerance;
}

bool subject_trains(const subject *s) {
    return !(s->chain->traits & FLOW_MATCHED);
}

bool subject_serves(const subject *s, flow_use use) {
    switch (use) {
    case FLOW_TRAIN: return subject_trains(s);
    case FLOW_REBUILD: return (s->chain->traits & FLOW_REINVERTIBLE) != 0;
    case FLOW_SAMPLE: return (s->chain->traits & FLOW_SAMPLES_DIFFERENTIABLY) != 0;
    default: return true;
    }
}

void subject_free(subject *s) {
    for (int use = 0; use < FLOW_USES; use++) {
        aligned_free(s->scratch[use].memory);
        aligned_free(s->tape[use].memory);
    }
    aligned_free(s->x);
    aligned_free(s->dz);
    aligned_free(s->cond);
    free(s->dlogdet);
    flow_free(s->chain);
    param_set_free(&s->set);
    free(s);
}

static arena arena_inside(const fenced *area) {
    if (!area->memory) return arena_over(NULL, 0);
    memset(area->memory + FENCE, GARBAGE, area->size);
    return arena_over(area->memory + FENCE, area->size);
}

void subject_start(const subject *s, flow_use use, subject_run *r) {
    *r = (subject_run){.work = {.scratch = arena_inside(&s->scratch[use]), .threads = s->threads},
                       .tape = arena_inside(&s->tape[use])};
    r->run = (flow_run){.work = &r->work,
                        .shape = s->shape,
                        .cond = s->what->cond_channels ? s->cond : NULL,
                        .cond_frames = s->cond_frames,
                        .cond_channels = s->what->cond_channels,
                        .draw = 3,
                        .first = s->first,
                        .norm = s->norm,
                        .error = &r->error};
}

static void check_fences(const char *name, const char *what, const fenced *area, size_t peak) {
    for (size_t i = 0; i < FENCE; i++)
        if (area->memory[i] != FENCE_BYTE || area->memory[FENCE + area->size + i] != FENCE_BYTE)
            fail_msg("%s: wrote outside of its %s", name, what);
    if (peak > area->size) fail_msg("%s: measured %zu bytes of %s, asked for %zu", name, area->size, what, peak);
}

void subject_check(const subject *s, flow_use use, const subject_run *r) {
    check_fences(s->what->name, "scratch", &s->scratch[use], r->work.scratch.peak);
    check_fences(s->what->name, "tape", &s->tape[use], r->tape.peak);
    assert_int_equal(r->work.scratch.used, 0); /* all given back */
}

void subject_forward(const subject *s, const real *x, const real *cond, real *z, double *logdet) {
    subject_run r;
    subject_start(s, FLOW_FORWARD, &r);
    if (s->what->cond_channels) r.run.cond = cond;
    for (size_t b = 0; b < s->batch; b++) logdet[b] = 0;
    good(flow_forward(s->chain, &r.run, x, z, logdet, NULL), &r.error, s->what->name);
    subject_check(s, FLOW_FORWARD, &r);
}

void subject_inverse(const subject *s, const real *z, const real *cond, real *x) {
    subject_run r;
    subject_start(s, FLOW_INVERSE, &r);
    if (s->what->cond_channels) r.run.cond = cond;
    good(flow_inverse(s->chain, &r.run, z, x), &r.error, s->what->name);
    subject_check(s, FLOW_INVERSE, &r);
    assert_int_equal(r.work.scratch.peak > s->scratch[FLOW_INVERSE].size, 0);
}

void subject_backward(const subject *s, real *dx, real *grads, real *dcond, real *rebuilt) {
    flow_use use = rebuilt ? FLOW_REBUILD : FLOW_TRAIN;
    real *z = aligned_new(s->count, sizeof *z);
    double *logdet = calloc(s->batch, sizeof *logdet);
    subject_run r;
    subject_start(s, use, &r);
    good(flow_forward(s->chain, &r.run, s->x, z, logdet, rebuilt ? NULL : &r.tape), &r.error, s->what->name);
    r.run.grads = grads;
    r.run.dcond = dcond;
    r.tape.used = 0;
    good(rebuilt ? flow_backward_rebuild(s->chain, &r.run, z, rebuilt, s->dz, s->dlogdet, dx, &r.tape)
                 : flow_backward(s->chain, &r.run, s->x, z, s->dz, s->dlogdet, dx, &r.tape),
         &r.error, s->what->name);
    subject_check(s, use, &r);
    aligned_free(z);
    free(logdet);
}

void subject_sample_backward(const subject *s, const real *z, real *x, real *again, real *out, real *grads,
                             real *dcond) {
    subject_run r;
    subject_start(s, FLOW_SAMPLE, &r);
    r.run.grads = grads;
    r.run.dcond = dcond;
    good(flow_inverse(s->chain, &r.run, z, x), &r.error, s->what->name);
    good(flow_inverse_backward(s->chain, &r.run, x, again, s->dz, out, &r.tape), &r.error, s->what->name);
    subject_check(s, FLOW_SAMPLE, &r);
}

double subject_value(const subject *s, const real *x, const real *cond) {
    real *z = aligned_new(s->count, sizeof *z);
    double *logdet = calloc(s->batch, sizeof *logdet), sum = 0;
    subject_forward(s, x, cond, z, logdet);
    for (size_t i = 0; i < s->count; i++) sum += (double)s->dz[i] * (double)z[i];
    for (size_t b = 0; b < s->batch; b++) sum += s->dlogdet[b] * logdet[b];
    aligned_free(z);
    free(logdet);
    return sum;
}

real *numbers(size_t count) {
    real *values = aligned_new(count, sizeof *values);
    assert_non_null(values);
    return values;
}

real *copy_of(const real *values, size_t count) {
    real *copy = aligned_new(count, sizeof *copy);
    assert_non_null(copy);
    memcpy(copy, values, count * sizeof *copy);
    return copy;
}

double largest(const real *values, size_t count) {
    double most = 0;
    for (size_t i = 0; i < count; i++)
        if (!(fabs((double)values[i]) <= most)) most = fabs((double)values[i]); /* keeps NaN */
    return most;
}

double largest_difference(const real *a, const real *b, size_t count) {
    double most = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)a[i] - (double)b[i]);
        if (!(difference <= most)) most = difference;
    }
    return most;
}

real *direction_of(size_t count, uint64_t seed) {
    real *values = numbers(count);
    rng_fill_normal(values, count, 1, seed, 0, 1);
    return values;
}

void direction_keep_statistics(const subject *s, real *along) {
    for (size_t i = 0; i < s->set.count; i++) {
        const param *p = s->set.items[i];
        for (size_t k = 0; p->kind == PARAM_BUFFER && k < p->count; k++) along[p->offset + k] = 0;
    }
}

void move_along(const real *from, const real *along, double step, real *to, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] = (real)((double)from[i] + step * (double)along[i]);
}

double dot(const real *a, const real *b, size_t count, double *size) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)a[i] * (double)b[i];
        *size += fabs((double)a[i] * (double)b[i]);
    }
    return sum;
}
