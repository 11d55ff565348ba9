/* Levels with early outputs: after each level some channels leave as latent and the rest goes on.
 *
 * Dinh, Sohl-Dickstein, Bengio, "Real NVP", ICLR 2017, section 3.6, eq. 13 to 16; along channels as in Prenger, Valle,
 * Catanzaro, "WaveGlow", 2018, section 2.3.
 *
 *     y_k = level_k(x_k)       x_k [T / F_k, C_k], x_0 = x; level k folds f_k frames into one, F_k+1 = F_k f_k
 *     e_k = y_k[:, :n_k],  x_k+1 = y_k[:, n_k:]
 *     z = [e_0, e_1, ..., y_last] along channels,  log|det| = the levels' sum (the split moves numbers only)
 *
 * Where we differ: early outputs are first, in the order of leaving (the layout of WaveGlow's latents), and all have
 * the last level's frame rate: with S_k = F_last+1 / F_k+1, frame t, channel c of e_k is frame t / S_k, channel a_k +
 * (t mod S_k) n_k + c of z, where a_k = n_0 S_0 + ... + n_k-1 S_k-1.
 *
 * tape: steps [count], then for each level its own tape and the rest that goes on. y_k is not kept: it is z and x_k+1.
 */
#include <stdlib.h>
#include <string.h>

#include "flows/composite.h"
#include "flows/parts.h"
#include "flows/streamed.h"

typedef struct multiscale {
    flow base;
    flow_parts levels;
    size_t *early; /* n_k [count], 0 for the last level */
    size_t *first; /* a_k [count] */
} multiscale;

/* On the tape. */
typedef struct step {
    const real *input; /* x_k */
    size_t start;      /* of the level's own tape */
} step;

/* Level k's latent y_k of a run, and how many of its frames are one of z. */
typedef struct level_view {
    size_t batch, frames, channels, early, first;
    size_t later;       /* S_k */
    size_t row_numbers; /* of z */
    bool last;
} level_view;

static level_view view_level(const multiscale *self, size_t k, const flow_run *run) {
    const flow_parts *levels = &self->levels;
    size_t whole = levels->fold[levels->count];
    return (level_view){.batch = run->shape.batch,
                        .frames = run->shape.frames / levels->fold[k + 1],
                        .channels = levels->items[k]->channels * levels->items[k]->fold,
                        .early = self->early[k],
                        .first = self->first[k],
                        .later = whole / levels->fold[k + 1],
                        .row_numbers = self->base.channels * whole,
                        .last = k + 1 == levels->count};
}

/* Where z holds what left in frame t of the batch's frames. */
static size_t place(const level_view *level, size_t t) {
    return t / level->later * level->row_numbers + level->first + t % level->later * level->early;
}

/* y -> its columns of z (unless NULL), and the rest x_k+1 (unless it is the last level) */
static void split(const compute *work, const level_view *level, const real *y, real *z, real *rest) {
    if (measuring(work)) return;
    size_t rows = level->batch * level->frames, channels = level->channels, early = level->early;
    if (level->last) {
        if (z) run_copy_columns(work, rows, channels, y, channels, z + level->first, level->row_numbers);
        return;
    }
    for (size_t t = 0; z && t < rows; t++) memcpy(z + place(level, t), y + t * channels, early * sizeof *z);
    run_copy_columns(work, rows, channels - early, y + early, channels, rest, channels - early);
}

/* The reverse. */
static void merge(const compute *work, const level_view *level, const real *z, const real *rest, real *y) {
    if (measuring(work)) return;
    size_t rows = level->batch * level->frames, channels = level->channels, early = level->early;
    if (level->last) {
        run_copy_columns(work, rows, channels, z + level->first, level->row_numbers, y, channels);
        return;
    }
    for (size_t t = 0; t < rows; t++) memcpy(y + t * channels, z + place(level, t), early * sizeof *y);
    run_copy_columns(work, rows, channels - early, rest, channels - early, y + early, channels);
}

static size_t rest_count(const level_view *level) {
    return level->batch * level->frames * (level->channels - level->early);
}

/* The levels upwards. setting: not NULL while the first batch sets parameters, and the same flow as self. */
static vocode_status ascend(const multiscale *self, multiscale *setting, const flow_run *run, const real *x, real *z,
                            double *logdet, arena *tape) {
    arena *scratch = &run->work->scratch;
    size_t mark = scratch->used, count = flow_shape_count(run->shape);
    real *y = arena_reals(scratch, count), *rest = tape ? NULL : arena_reals(scratch, count);
    step *steps = tape ? arena_take(tape, self->levels.count, sizeof *steps) : NULL;
    for (size_t k = 0; k < self->levels.count; k++) {
        level_view level = view_level(self, k, run);
        flow_run part = parts_run(&self->levels, k, run);
        if (steps) steps[k] = (step){x, tape->used};
        if (setting) TRY(flow_init_from(setting->levels.items[k], &part, x));
        TRY(flow_forward(self->levels.items[k], &part, x, y, logdet, tape));
        if (tape && !level.last) rest = arena_reals(tape, rest_count(&level));
        split(run->work, &level, y, z, rest);
        x = rest;
    }
    arena_release(scratch, mark);
    return VOCODE_OK;
}

static vocode_status forward(const flow *base, const flow_run *run, const real *x, real *z, double *logdet,
                             arena *tape) {
    return ascend((const multiscale *)base, NULL, run, x, z, logdet, tape);
}

static vocode_status inverse(const flow *base, const flow_run *run, const real *z, real *x) {
    const multiscale *self = (const multiscale *)base;
    size_t mark = run->work->scratch.used, count = flow_shape_count(run->shape);
    real *y = arena_reals(&run->work->scratch, count), *rest = arena_reals(&run->work->scratch, count);
    for (size_t k = self->levels.count; k-- > 0;) {
        level_view level = view_level(self, k, run);
        flow_run part = parts_run(&self->levels, k, run);
        merge(run->work, &level, z, rest, y);
        TRY(flow_inverse(self->levels.items[k], &part, y, k ? rest : x));
    }
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status backward(const flow *base, const flow_run *run, const real *x, const real *z, const real *dz,
                              const double *dlogdet, real *dx, arena *tape) {
    const multiscale *self = (const multiscale *)base;
    arena *scratch = &run->work->scratch;
    size_t mark = scratch->used, count = flow_shape_count(run->shape);
    real *y = arena_reals(scratch, count), *dy = arena_reals(scratch, count), *drest = arena_reals(scratch, count);
    const step *steps = arena_take(tape, self->levels.count, sizeof *steps);
    const real *rest = NULL;
    for (size_t k = self->levels.count; k-- > 0;) {
        level_view level = view_level(self, k, run);
        flow_run part = parts_run(&self->levels, k, run);
        merge(run->work, &level, z, rest, y);
        merge(run->work, &level, dz, drest, dy);
        const real *in = k && steps ? steps[k].input : x;
        if (steps) tape->used = steps[k].start;
        TRY(flow_backward(self->levels.items[k], &part, in, y, dy, dlogdet, k ? drest : dx, tape));
        rest = in;
    }
    arena_release(scratch, mark);
    return VOCODE_OK;
}

static vocode_status rebuild(const flow *base, const flow_run *run, const real *z, real *x, const real *dz,
                             const double *dlogdet, real *dx, arena *tape) {
    const multiscale *self = (const multiscale *)base;
    arena *scratch = &run->work->scratch;
    size_t mark = scratch->used, count = flow_shape_count(run->shape);
    real *y = arena_reals(scratch, count), *dy = arena_reals(scratch, count);
    real *rest = arena_reals(scratch, count), *drest = arena_reals(scratch, count);
    for (size_t k = self->levels.count; k-- > 0;) {
        level_view level = view_level(self, k, run);
        flow_run part = parts_run(&self->levels, k, run);
        merge(run->work, &level, z, rest, y);
        merge(run->work, &level, dz, drest, dy);
        TRY(flow_backward_rebuild(self->levels.items[k], &part, y, k ? rest : x, dy, dlogdet, k ? drest : dx, tape));
    }
    arena_release(scratch, mark);
    return VOCODE_OK;
}

static vocode_status inverse_backward(const flow *base, const flow_run *run, const real *x, real *z, const real *dx,
                                      real *dz, arena *tape) {
    const multiscale *self = (const multiscale *)base;
    arena *scratch = &run->work->scratch;
    size_t mark = scratch->used, count = flow_shape_count(run->shape);
    real *y = arena_reals(scratch, count), *dy = arena_reals(scratch, count);
    real *rest = arena_reals(scratch, count), *drest = arena_reals(scratch, count);
    for (size_t k = 0; k < self->levels.count; k++) {
        level_view level = view_level(self, k, run);
        flow_run part = parts_run(&self->levels, k, run);
        TRY(flow_inverse_backward(self->levels.items[k], &part, k ? rest : x, y, k ? drest : dx, dy, tape));
        split(run->work, &level, y, z, rest);
        split(run->work, &level, dy, dz, drest);
    }
    arena_release(scratch, mark);
    return VOCODE_OK;
}

static void init(flow *base, uint64_t seed) {
    parts_init(&((multiscale *)base)->levels, seed);
}

static vocode_status init_from(flow *base, const flow_run *run, const real *x) {
    size_t mark = run->work->scratch.used;
    double *logdet = arena_take(&run->work->scratch, run->shape.batch, sizeof *logdet);
    for (size_t b = 0; !measuring(run->work) && b < run->shape.batch; b++) logdet[b] = 0;
    TRY(ascend((multiscale *)base, (multiscale *)base, run, x, NULL, logdet, NULL));
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status prepare(flow *base, vocode_error *error) {
    return parts_prepare(&((multiscale *)base)->levels, error);
}

/* What left early passes no later level, so this is an upper bound, reached by the last level's channels. */
static flow_halo halo(const flow *base) {
    return parts_halo(&((const multiscale *)base)->levels);
}

static void destroy(flow *base) {
    multiscale *self = (multiscale *)base;
    parts_free(&self->levels);
    free(self->early);
    free(self->first);
    free(self);
}

const flow_parts *multiscale_levels(const flow *base) {
    return &((const multiscale *)base)->levels;
}

const size_t *multiscale_early(const flow *base) {
    return ((const multiscale *)base)->early;
}

static const flow_class multiscale_class = {.name = "multiscale",
                                            .init = init,
                                            .init_from = init_from,
                                            .prepare = prepare,
                                            .forward = forward,
                                            .inverse = inverse,
                                            .backward = backward,
                                            .rebuild = rebuild,
                                            .inverse_backward = inverse_backward,
                                            .halo = halo,
                                            .stream = multiscale_stream_new,
                                            .destroy = destroy};

/* Sets n_k and a_k. */
static vocode_status lay_out(multiscale *self, const size_t *early, vocode_error *error) {
    const flow_parts *levels = &self->levels;
    size_t next = 0;
    self->early = calloc(levels->count, sizeof *self->early);
    self->first = calloc(levels->count, sizeof *self->first);
    if (!self->early || !self->first) return failed(error, VOCODE_MEMORY, "multiscale: out of memory");
    for (size_t k = 0; k < levels->count; k++) {
        self->first[k] = next;
        if (k + 1 == levels->count) break;
        self->early[k] = early[k];
        next += early[k] * (levels->fold[levels->count] / levels->fold[k + 1]); /* a part of all the channels */
    }
    /* Folding what left early changes the order of the numbers. */
    if (levels->fold[levels->count] != levels->fold[1]) self->base.traits &= ~(unsigned)FLOW_AUTOREGRESSIVE;
    return VOCODE_OK;
}

vocode_status multiscale_new(flow **levels, const size_t *early, size_t count, flow **out, vocode_error *error) {
    if (count == 0) return failed(error, VOCODE_ARGUMENT, "multiscale: expected at least one level, found none");
    multiscale *self = calloc(1, sizeof *self);
    if (!self) {
        for (size_t k = 0; k < count; k++) flow_free(levels[k]);
        return failed(error, VOCODE_MEMORY, "multiscale: out of memory");
    }
    self->base.type = &multiscale_class;
    vocode_status status = parts_take(&self->levels, &self->base, levels, early, count, error);
    if (status == VOCODE_OK) status = lay_out(self, early, error);
    if (status != VOCODE_OK) {
        destroy(&self->base);
        return status;
    }
    *out = &self->base;
    return VOCODE_OK;
}
