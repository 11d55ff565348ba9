/* Flows one after the other: z = f_n(... f_1(x)), log-determinants add up, gradients go backwards (chain rule; Rezende,
 * Mohamed, "Variational inference with normalizing flows", ICML 2015, eq. 6 and 13).
 *
 * Memory: one array besides the caller's two, in turns with the output, however many parts there are. With a tape, what
 * each part gives the next stays there:
 *
 *     tape: steps [count], then for each part its output (but for the last, which is z) and its own tape */
#include <stdlib.h>

#include "flows/composite.h"
#include "flows/parts.h"
#include "flows/streamed.h"

typedef struct sequence {
    flow base;
    flow_parts parts;
} sequence;

/* On the tape. */
typedef struct step {
    real *output;
    size_t start; /* of the part's own tape */
} step;

const flow_parts *sequence_parts(const flow *base) {
    return &((const sequence *)base)->parts;
}

/* The array to work in by turns with the caller's; none for a single part. */
static real *spare_array(const flow_run *run, const flow_parts *parts) {
    return parts->count > 1 ? arena_reals(&run->work->scratch, flow_shape_count(run->shape)) : NULL;
}

/* Which of the two arrays part k writes, so that the part `last` writes the caller's. */
static real *turn(size_t k, size_t last, real *callers, real *spare) {
    size_t distance = k < last ? last - k : k - last;
    return distance % 2 ? spare : callers;
}

static vocode_status forward_taped(const flow_parts *parts, const flow_run *run, const real *x, real *z, double *logdet,
                                   arena *tape) {
    step *steps = arena_take(tape, parts->count, sizeof *steps);
    for (size_t k = 0; k < parts->count; k++) {
        bool last = k + 1 == parts->count;
        real *to = last ? z : arena_reals(tape, flow_shape_count(run->shape));
        if (steps) steps[k] = (step){to, tape->used};
        flow_run part = parts_run(parts, k, run);
        TRY(flow_forward(parts->items[k], &part, x, to, logdet, tape));
        x = to;
    }
    return VOCODE_OK;
}

static vocode_status forward(const flow *base, const flow_run *run, const real *x, real *z, double *logdet,
                             arena *tape) {
    const flow_parts *parts = sequence_parts(base);
    if (tape) return forward_taped(parts, run, x, z, logdet, tape);
    size_t mark = run->work->scratch.used;
    real *spare = spare_array(run, parts);
    for (size_t k = 0; k < parts->count; k++) {
        real *to = turn(k, parts->count - 1, z, spare);
        flow_run part = parts_run(parts, k, run);
        TRY(flow_forward(parts->items[k], &part, x, to, logdet, NULL));
        x = to;
    }
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status inverse(const flow *base, const flow_run *run, const real *z, real *x) {
    const flow_parts *parts = sequence_parts(base);
    size_t mark = run->work->scratch.used;
    real *spare = spare_array(run, parts);
    for (size_t k = parts->count; k-- > 0;) {
        real *to = turn(k, 0, x, spare);
        flow_run part = parts_run(parts, k, run);
        TRY(flow_inverse(parts->items[k], &part, z, to));
        z = to;
    }
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status backward(const flow *base, const flow_run *run, const real *x, const real *z, const real *dz,
                              const double *dlogdet, real *dx, arena *tape) {
    const flow_parts *parts = sequence_parts(base);
    size_t mark = run->work->scratch.used;
    real *spare = spare_array(run, parts);
    const step *steps = arena_take(tape, parts->count, sizeof *steps);
    for (size_t k = parts->count; k-- > 0;) {
        const real *in = k > 0 && steps ? steps[k - 1].output : x;
        real *to = turn(k, 0, dx, spare);
        if (steps) tape->used = steps[k].start;
        flow_run part = parts_run(parts, k, run);
        TRY(flow_backward(parts->items[k], &part, in, z, dz, dlogdet, to, tape));
        z = in;
        dz = to;
    }
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status rebuild(const flow *base, const flow_run *run, const real *z, real *x, const real *dz,
                             const double *dlogdet, real *dx, arena *tape) {
    const flow_parts *parts = sequence_parts(base);
    size_t mark = run->work->scratch.used;
    real *spare_x = spare_array(run, parts), *spare_dx = spare_array(run, parts);
    for (size_t k = parts->count; k-- > 0;) {
        real *to = turn(k, 0, x, spare_x), *dto = turn(k, 0, dx, spare_dx);
        flow_run part = parts_run(parts, k, run);
        TRY(flow_backward_rebuild(parts->items[k], &part, z, to, dz, dlogdet, dto, tape));
        z = to;
        dz = dto;
    }
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status inverse_backward(const flow *base, const flow_run *run, const real *x, real *z, const real *dx,
                                      real *dz, arena *tape) {
    const flow_parts *parts = sequence_parts(base);
    size_t mark = run->work->scratch.used;
    real *spare_z = spare_array(run, parts), *spare_dz = spare_array(run, parts);
    for (size_t k = 0; k < parts->count; k++) {
        real *to = turn(k, parts->count - 1, z, spare_z), *dto = turn(k, parts->count - 1, dz, spare_dz);
        flow_run part = parts_run(parts, k, run);
        TRY(flow_inverse_backward(parts->items[k], &part, x, to, dx, dto, tape));
        x = to;
        dx = dto;
    }
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static void init(flow *base, uint64_t seed) {
    parts_init(sequence_parts(base), seed);
}

/* Each part is set from what the parts before it make of the batch. */
static vocode_status init_from(flow *base, const flow_run *run, const real *x) {
    const flow_parts *parts = sequence_parts(base);
    size_t mark = run->work->scratch.used, count = flow_shape_count(run->shape);
    real *arrays[] = {arena_reals(&run->work->scratch, count), arena_reals(&run->work->scratch, count)};
    double *logdet = arena_take(&run->work->scratch, run->shape.batch, sizeof *logdet);
    for (size_t b = 0; !measuring(run->work) && b < run->shape.batch; b++) logdet[b] = 0;
    for (size_t k = 0; k < parts->count; k++) {
        flow_run part = parts_run(parts, k, run);
        TRY(flow_init_from(parts->items[k], &part, x));
        TRY(flow_forward(parts->items[k], &part, x, arrays[k % 2], logdet, NULL));
        x = arrays[k % 2];
    }
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status prepare(flow *base, vocode_error *error) {
    return parts_prepare(sequence_parts(base), error);
}

static flow_halo halo(const flow *base) {
    return parts_halo(sequence_parts(base));
}

static void destroy(flow *base) {
    parts_free(&((sequence *)base)->parts);
    free(base);
}

static const flow_class sequence_class = {.name = "sequence",
                                          .init = init,
                                          .init_from = init_from,
                                          .prepare = prepare,
                                          .forward = forward,
                                          .inverse = inverse,
                                          .backward = backward,
                                          .rebuild = rebuild,
                                          .inverse_backward = inverse_backward,
                                          .halo = halo,
                                          .stream = sequence_stream_new,
                                          .destroy = destroy};

vocode_status sequence_new(flow **parts, size_t count, flow **out, vocode_error *error) {
    if (count == 0) return failed(error, VOCODE_ARGUMENT, "sequence: expected at least one part, found none");
    sequence *self = calloc(1, sizeof *self);
    if (!self) {
        for (size_t k = 0; k < count; k++) flow_free(parts[k]);
        return failed(error, VOCODE_MEMORY, "sequence: out of memory");
    }
    self->base.type = &sequence_class;
    vocode_status status = parts_take(&self->parts, &self->base, parts, NULL, count, error);
    if (status != VOCODE_OK) {
        destroy(&self->base);
        return status;
    }
    *out = &self->base;
    return VOCODE_OK;
}
