/* Two flows side by side over the channels: z = [f(x_a), g(x_b)], log|det| = the sum of theirs.
 *
 * tape: where each part's own tape starts [2], then those. The parts' inputs and outputs are columns of x and z. */
#include <stdlib.h>

#include "flows/composite.h"

typedef struct halves {
    flow base;
    flow *part[2];
    size_t first[2]; /* channel that each part starts at */
} halves;

static flow_run part_run(const halves *self, const flow_run *run, size_t k) {
    flow_run part = *run;
    part.shape.channels = self->part[k]->channels;
    return part;
}

static size_t rows_of(const flow_run *run) {
    return run->shape.batch * run->shape.frames;
}

/* Part k's columns of rows [.., channels], side by side in scratch. */
static real *take(const halves *self, const flow_run *run, size_t k, const real *rows) {
    size_t width = self->part[k]->channels;
    real *own = arena_reals(&run->work->scratch, rows_of(run) * width);
    if (!measuring(run->work))
        run_copy_columns(run->work, rows_of(run), width, rows + self->first[k], self->base.channels, own, width);
    return own;
}

static void give(const halves *self, const flow_run *run, size_t k, const real *own, real *rows) {
    size_t width = self->part[k]->channels;
    if (!measuring(run->work))
        run_copy_columns(run->work, rows_of(run), width, own, width, rows + self->first[k], self->base.channels);
}

static real *room(const halves *self, const flow_run *run, size_t k) {
    return arena_reals(&run->work->scratch, rows_of(run) * self->part[k]->channels);
}

static vocode_status forward(const flow *base, const flow_run *run, const real *x, real *z, double *logdet,
                             arena *tape) {
    const halves *self = (const halves *)base;
    size_t *starts = tape ? arena_take(tape, 2, sizeof *starts) : NULL;
    for (size_t k = 0; k < 2; k++) {
        size_t mark = run->work->scratch.used;
        flow_run part = part_run(self, run, k);
        real *from = take(self, run, k, x), *to = room(self, run, k);
        if (starts) starts[k] = tape->used;
        TRY(flow_forward(self->part[k], &part, from, to, logdet, tape));
        give(self, run, k, to, z);
        arena_release(&run->work->scratch, mark);
    }
    return VOCODE_OK;
}

static vocode_status inverse(const flow *base, const flow_run *run, const real *z, real *x) {
    const halves *self = (const halves *)base;
    for (size_t k = 0; k < 2; k++) {
        size_t mark = run->work->scratch.used;
        flow_run part = part_run(self, run, k);
        real *from = take(self, run, k, z), *to = room(self, run, k);
        TRY(flow_inverse(self->part[k], &part, from, to));
        give(self, run, k, to, x);
        arena_release(&run->work->scratch, mark);
    }
    return VOCODE_OK;
}

static vocode_status backward(const flow *base, const flow_run *run, const real *x, const real *z, const real *dz,
                              const double *dlogdet, real *dx, arena *tape) {
    const halves *self = (const halves *)base;
    const size_t *starts = arena_take(tape, 2, sizeof *starts);
    for (size_t k = 0; k < 2; k++) {
        size_t mark = run->work->scratch.used;
        flow_run part = part_run(self, run, k);
        real *own_x = take(self, run, k, x), *own_z = take(self, run, k, z), *own_dz = take(self, run, k, dz);
        real *own_dx = room(self, run, k);
        if (starts) tape->used = starts[k];
        TRY(flow_backward(self->part[k], &part, own_x, own_z, own_dz, dlogdet, own_dx, tape));
        give(self, run, k, own_dx, dx);
        arena_release(&run->work->scratch, mark);
    }
    return VOCODE_OK;
}

static vocode_status inverse_backward(const flow *base, const flow_run *run, const real *x, real *z, const real *dx,
                                      real *dz, arena *tape) {
    const halves *self = (const halves *)base;
    for (size_t k = 0; k < 2; k++) {
        size_t mark = run->work->scratch.used;
        flow_run part = part_run(self, run, k);
        real *own_x = take(self, run, k, x), *own_dx = take(self, run, k, dx);
        real *own_z = room(self, run, k), *own_dz = room(self, run, k);
        TRY(flow_inverse_backward(self->part[k], &part, own_x, own_z, own_dx, own_dz, tape));
        give(self, run, k, own_z, z);
        give(self, run, k, own_dz, dz);
        arena_release(&run->work->scratch, mark);
    }
    return VOCODE_OK;
}

static vocode_status init_from(flow *base, const flow_run *run, const real *x) {
    const halves *self = (const halves *)base;
    for (size_t k = 0; k < 2; k++) {
        size_t mark = run->work->scratch.used;
        flow_run part = part_run(self, run, k);
        TRY(flow_init_from(self->part[k], &part, take(self, run, k, x)));
        arena_release(&run->work->scratch, mark);
    }
    return VOCODE_OK;
}

static void init(flow *base, uint64_t seed) {
    for (size_t k = 0; k < 2; k++) flow_init(((halves *)base)->part[k], seed);
}

static vocode_status prepare(flow *base, vocode_error *error) {
    for (size_t k = 0; k < 2; k++) TRY(flow_prepare(((halves *)base)->part[k], error));
    return VOCODE_OK;
}

static void destroy(flow *base) {
    for (size_t k = 0; k < 2; k++) flow_free(((halves *)base)->part[k]);
    free(base);
}

static const flow_class halves_class = {.name = "halves",
                                        .init = init,
                                        .init_from = init_from,
                                        .prepare = prepare,
                                        .forward = forward,
                                        .inverse = inverse,
                                        .backward = backward,
                                        .inverse_backward = inverse_backward,
                                        .destroy = destroy};

static vocode_status check(const flow *first, const flow *second, vocode_error *error) {
    const flow *parts[] = {first, second};
    for (size_t k = 0; k < 2; k++) {
        flow_halo halo = flow_find_halo(parts[k]);
        if (parts[k]->fold != 1 || halo.latent || halo.cond)
            return failed(error, VOCODE_UNSUPPORTED, "halves: %s %s folds time or looks around in it",
                          parts[k]->type->name, parts[k]->name);
    }
    if (first->cond_channels && second->cond_channels && first->cond_channels != second->cond_channels)
        return failed(error, VOCODE_SHAPE, "halves: %s expects conditioning of %zu channels, %s of %zu", first->name,
                      first->cond_channels, second->name, second->cond_channels);
    return VOCODE_OK;
}

vocode_status halves_new(flow *first, flow *second, flow **out, vocode_error *error) {
    static const unsigned all_must =
        FLOW_VOLUME_PRESERVING | FLOW_AUTOREGRESSIVE | FLOW_REINVERTIBLE | FLOW_SAMPLES_DIFFERENTIABLY;
    halves *self = calloc(1, sizeof *self);
    vocode_status status = VOCODE_OK;
    if (!self || !first || !second)
        status = failed(error, self ? VOCODE_ARGUMENT : VOCODE_MEMORY, "halves: expected two flows and memory");
    else
        status = check(first, second, error);
    if (status != VOCODE_OK) {
        flow_free(first);
        flow_free(second);
        free(self);
        return status;
    }
    *self = (halves){.base = {.type = &halves_class, .fold = 1, .channels = first->channels + second->channels},
                     .part = {first, second},
                     .first = {0, first->channels}};
    self->base.cond_channels = first->cond_channels ? first->cond_channels : second->cond_channels;
    self->base.traits = ((first->traits | second->traits) & ~all_must) | (first->traits & second->traits & all_must);
    *out = &self->base;
    return VOCODE_OK;
}
