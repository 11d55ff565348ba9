#include "nn/subject.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "support/allocations.h"

enum { GUARD = 64, GUARD_BYTE = 0x5a }; /* bytes */

real *numbers(size_t count, unsigned stream) {
    real *values = malloc((count + 1) * sizeof *values);
    for (size_t i = 0; i < count; i++) values[i] = (real)rng_normal(5, stream, i);
    return values;
}

double distance(const real *a, const real *b, size_t count) {
    double error = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        double gap = fabs((double)a[i] - (double)b[i]);
        if (!(gap <= error)) error = gap; /* NaN stays */
        size = fmax(size, fabs((double)b[i]));
    }
    return size > 0 ? error / size : error;
}

static vocode_status build(subject *it, vocode_error *error) {
    const subject_case *what = &it->what;
    switch (what->kind) {
    case SUBJECT_WN: return wn_build(&what->wn, &it->set, "", &it->net, error);
    case SUBJECT_SQUEEZE_WN: return squeeze_wn_build(&what->squeeze_wn, &it->set, "", &it->net, error);
    case SUBJECT_CONVNEXT: return convnext_build(&what->convnext, &it->set, "", &it->net, error);
    case SUBJECT_UPSAMPLER: return upsampler_build(&it->upsampler, &it->set, "", &what->upsampler, error);
    case SUBJECT_TIME: return time_embedding_build(&it->time, &it->set, "", what->time.features, what->time.dim, error);
    }
    return VOCODE_INTERNAL;
}

static void find_sizes(subject *it) {
    const subject_case *what = &it->what;
    size_t rows = what->batch * what->frames;
    if (it->net) {
        it->x_count = rows * it->net->inputs;
        it->cond_count = what->batch * what->cond_frames * it->net->conditioning;
        it->y_count = rows * it->net->outputs;
    } else if (what->kind == SUBJECT_UPSAMPLER) {
        it->x_count = rows * what->upsampler.channels;
        it->y_count = what->batch * what->columns * what->upsampler.channels * what->upsampler.group;
    } else {
        it->x_count = rows;
        it->y_count = rows * what->time.dim;
    }
}

/* Every parameter random, gains and variances away from zero. */
static void fill(param_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        param *p = set->items[i];
        bool positive = strstr(p->name, "weight_g") || strstr(p->name, "running_var");
        for (size_t k = 0; k < p->count; k++) {
            double value = 0.5 * rng_normal(1, i, k);
            p->value[k] = (real)(positive ? 0.5 + fabs(value) : value);
        }
    }
}

static const real times[] = {(real)0.3, (real)0.8};

void subject_open(subject *it, const subject_case *what) {
    vocode_error error = {0};
    *it = (subject){.what = *what, .threads = 1};
    if (build(it, &error) != VOCODE_OK || param_allocate(&it->set, &error) != VOCODE_OK) fail_msg("%s", error.message);
    fill(&it->set);
    find_sizes(it);
    it->x = numbers(it->x_count, 1);
    it->cond = numbers(it->cond_count, 2);
    it->dy = numbers(it->y_count, 3);
    it->t = times;
    for (size_t i = 0; what->kind == SUBJECT_TIME && i < it->x_count; i++) it->x[i] = (real)rng_uniform(5, 0, i);
    subject_prepare(it);
}

void subject_free(subject *it) {
    network_free(it->net);
    if (it->what.kind == SUBJECT_UPSAMPLER) upsampler_free(&it->upsampler);
    if (it->what.kind == SUBJECT_TIME) time_embedding_free(&it->time);
    param_set_free(&it->set);
    free(it->x), free(it->cond), free(it->dy);
}

void subject_prepare(subject *it) {
    if (it->net) it->net->type->prepare(it->net);
    if (it->what.kind == SUBJECT_UPSAMPLER) upsampler_prepare(&it->upsampler);
    if (it->what.kind == SUBJECT_TIME) time_embedding_prepare(&it->time);
}

static network_input input_of(const subject *it) {
    return (network_input){it->what.batch, it->what.frames, it->what.cond_frames, it->x, it->cond, it->t, it->norm};
}

static void forward(const subject *it, compute *run, real *y, arena *tape) {
    const subject_case *what = &it->what;
    const network_input in = input_of(it);
    if (it->net)
        it->net->type->forward(it->net, run, &in, y, tape);
    else if (what->kind == SUBJECT_UPSAMPLER)
        upsampler_forward(&it->upsampler, run, what->batch, what->frames, it->x, what->columns, y);
    else
        time_embedding_forward(&it->time, run, what->batch * what->frames, it->x, y, tape);
}

static void backward(const subject *it, compute *run, real *dx, real *dcond, real *grads, arena *tape) {
    const subject_case *what = &it->what;
    const network_input in = input_of(it);
    if (it->net)
        it->net->type->backward(it->net, run, &in, it->dy, dx, dcond, grads, tape);
    else if (what->kind == SUBJECT_UPSAMPLER)
        upsampler_backward(&it->upsampler, run, what->batch, what->frames, it->x, what->columns, it->dy, dx, grads);
    else
        time_embedding_backward(&it->time, run, what->batch * what->frames, it->x, it->dy, dx, grads, tape);
}

/* An arena of exactly size bytes, filled with NaN patterns, and a guard behind it. */
static arena guarded(size_t size) {
    char *memory = aligned_new(size + GUARD, 1);
    memset(memory, 0xff, size);
    memset(memory + size, GUARD_BYTE, GUARD);
    return arena_over(memory, size);
}

static void release_guarded(arena *memory, size_t expected_use) {
    assert_int_equal(memory->used, expected_use);
    assert_int_equal(memory->peak, memory->size);
    for (int i = 0; i < GUARD; i++) assert_int_equal(memory->base[memory->size + (size_t)i], GUARD_BYTE);
    aligned_free(memory->base);
}

void subject_forward(subject *it, real *y) {
    compute run = {.scratch = arena_over(NULL, 0), .threads = it->threads};
    forward(it, &run, NULL, NULL);
    it->scratch_used = run.scratch.peak;
    run.scratch = guarded(run.scratch.peak);
    size_t before = allocations();
    forward(it, &run, y, NULL);
    assert_int_equal(allocations(), before);
    release_guarded(&run.scratch, 0);
}

void subject_backward(subject *it, real *y, real *dx, real *dcond, real *grads) {
    compute run = {.scratch = arena_over(NULL, 0), .threads = it->threads};
    arena tape = arena_over(NULL, 0);
    forward(it, &run, NULL, &tape);
    tape.used = 0;
    backward(it, &run, NULL, NULL, NULL, &tape);
    size_t size = tape.peak;
    it->scratch_used = run.scratch.peak;
    it->tape_used = size;
    run.scratch = guarded(run.scratch.peak);
    tape = guarded(size);
    size_t before = allocations();
    forward(it, &run, y, &tape);
    assert_int_equal(tape.used, size);
    memset(run.scratch.base, 0xff, run.scratch.size); /* backward may count on the tape alone */
    tape.used = 0;
    backward(it, &run, dx, dcond, grads, &tape);
    assert_int_equal(allocations(), before);
    release_guarded(&run.scratch, 0);
    release_guarded(&tape, size);
}
