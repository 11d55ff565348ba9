#include "train/optimizer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "kernels/pool.h"

enum { CHUNK = 1 << 14, LANES = 8 };

struct optimizer_chunk {
    size_t offset, count; /* inside one parameter */
    double factor;        /* of the learning rate */
    bool decays, buffer;
};

static bool decays(const param *p) {
    int long_axes = 0;
    for (int i = 0; i < p->rank; i++) long_axes += p->shape[i] > 1;
    return long_axes >= 2 && !p->invertible;
}

static double group_factor(const param *p, const train_group *groups, size_t group_count) {
    double factor = 1;
    for (size_t i = 0; i < group_count; i++) /* a later group that fits wins */
        if (strncmp(p->name, groups[i].prefix, strlen(groups[i].prefix)) == 0) factor = groups[i].factor;
    return factor;
}

static size_t chunks_of(const param *p) {
    return (p->count + CHUNK - 1) / CHUNK;
}

static void cut(optimizer *state, const train_group *groups, size_t group_count) {
    optimizer_chunk *chunk = state->chunks;
    for (size_t i = 0; i < state->set->count; i++) {
        const param *p = state->set->items[i];
        for (size_t k = 0; k < chunks_of(p); k++) {
            size_t first = k * CHUNK, rest = p->count - first;
            *chunk++ = (optimizer_chunk){.offset = p->offset + first,
                                         .count = rest < CHUNK ? rest : CHUNK,
                                         .factor = group_factor(p, groups, group_count),
                                         .decays = decays(p),
                                         .buffer = p->kind == PARAM_BUFFER};
        }
    }
}

vocode_status optimizer_new(param_set *set, const train_group *groups, size_t group_count, optimizer *out,
                            vocode_error *error) {
    *out = (optimizer){.set = set, .weights = set->storage};
    if (!set->storage) return failed(error, VOCODE_ARGUMENT, "the parameters to train are not in memory of their own");
    for (size_t i = 0; i < set->count; i++) out->chunk_count += chunks_of(set->items[i]);
    real **arrays[] = {&out->grads, &out->first, &out->second, &out->average};
    bool good = true;
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        good = (*arrays[i] = aligned_new(set->total, sizeof(real))) && good;
    out->chunks = calloc(out->chunk_count + 1, sizeof *out->chunks);
    out->sums = calloc(out->chunk_count + 1, sizeof *out->sums);
    if (!good || !out->chunks || !out->sums)
        return failed(error, VOCODE_MEMORY, "cannot allocate the gradients and moments of %zu parameters", set->total);
    cut(out, groups, group_count);
    memcpy(out->average, out->weights, set->total * sizeof(real));
    return VOCODE_OK;
}

void optimizer_free(optimizer *state) {
    aligned_free(state->grads);
    aligned_free(state->first);
    aligned_free(state->second);
    aligned_free(state->average);
    free(state->chunks);
    free(state->sums);
    *state = (optimizer){0};
}

static void sum_squares(void *context, size_t i) {
    const optimizer *state = context;
    const optimizer_chunk *chunk = &state->chunks[i];
    const real *g = state->grads + chunk->offset;
    double lanes[LANES] = {0}, sum = 0;
    size_t k = 0;
    for (; k + LANES <= chunk->count; k += LANES)
        for (size_t l = 0; l < LANES; l++) lanes[l] += (double)g[k + l] * (double)g[k + l];
    for (; k < chunk->count; k++) sum += (double)g[k] * (double)g[k];
    for (size_t l = 0; l < LANES; l++) sum += lanes[l];
    state->sums[i] = chunk->buffer ? 0 : sum;
}

double optimizer_norm(optimizer *state, int threads) {
    double sum = 0;
    pool_run(threads, state->chunk_count, sum_squares, state);
    for (size_t i = 0; i < state->chunk_count; i++) sum += state->sums[i];
    return sqrt(sum);
}

/* A step's constants in the arithmetic of the arrays. */
typedef struct update {
    optimizer *state;
    const optimizer_step *step;
    real scale, beta1, beta2, rest1, rest2, root, epsilon, ema;
    double rate, correction;
} update;

/* Buffers. */
static void follow(const update *u, size_t count, real *w, real *g, real *average) {
    const real keep = (real)u->step->keep, gain = (real)u->step->gain, ema = u->ema;
    for (size_t k = 0; k < count; k++) {
        w[k] = keep * w[k] + gain * g[k];
        average[k] = w[k] + ema * (average[k] - w[k]);
        g[k] = 0;
    }
}

static void update_chunk(void *context, size_t i) {
    const update *u = context;
    const optimizer *state = u->state;
    const optimizer_chunk *chunk = &state->chunks[i];
    size_t offset = chunk->offset, count = chunk->count;
    real *restrict w = state->weights + offset, *restrict g = state->grads + offset;
    real *restrict m = state->first + offset, *restrict v = state->second + offset;
    real *restrict average = state->average + offset;
    if (chunk->buffer) {
        follow(u, count, w, g, average);
        return;
    }
    const real scale = u->scale, beta1 = u->beta1, beta2 = u->beta2, rest1 = u->rest1, rest2 = u->rest2;
    const real root = u->root, epsilon = u->epsilon, ema = u->ema;
    const real length = (real)(u->rate * chunk->factor / u->correction);
    const real shrink = (real)(1 - (chunk->decays ? u->rate * chunk->factor * u->step->decay : 0));
    for (size_t k = 0; k < count; k++) {
        real gradient = scale * g[k];
        m[k] = beta1 * m[k] + rest1 * gradient;
        v[k] = beta2 * v[k] + rest2 * gradient * gradient;
        w[k] = shrink * w[k] - length * m[k] / (sqrt(v[k]) * root + epsilon);
        average[k] = w[k] + ema * (average[k] - w[k]); /* without an average: the weights, to the bit */
        g[k] = 0;
    }
}

void optimizer_update(optimizer *state, const optimizer_step *step, int threads) {
    double t = (double)++state->updates;
    update u = {.state = state,
                .step = step,
                .scale = (real)step->scale,
                .beta1 = (real)step->beta1,
                .beta2 = (real)step->beta2,
                .rest1 = (real)(1 - step->beta1),
                .rest2 = (real)(1 - step->beta2),
                .root = (real)(1 / sqrt(1 - pow(step->beta2, t))),
                .epsilon = (real)step->epsilon,
                .ema = (real)step->ema,
                .rate = step->rate,
                .correction = 1 - pow(step->beta1, t)};
    pool_run(threads, state->chunk_count, update_chunk, &u);
}

static void zero_chunk(void *context, size_t i) {
    const optimizer *state = context;
    memset(state->grads + state->chunks[i].offset, 0, state->chunks[i].count * sizeof(real));
}

void optimizer_drop(optimizer *state, int threads) {
    pool_run(threads, state->chunk_count, zero_chunk, state);
}

void optimizer_reset(optimizer *state, const param *p) {
    memset(state->first + p->offset, 0, p->count * sizeof(real));
    memset(state->second + p->offset, 0, p->count * sizeof(real));
}

double schedule_factor(const train_settings *settings, uint64_t step) {
    double rise = step < settings->warmup ? (double)(step + 1) / (double)settings->warmup : 1;
    if (settings->schedule == TRAIN_STEPWISE)
        return rise * pow(settings->decay_factor, floor((double)step / (double)settings->decay_every));
    if (settings->schedule == TRAIN_CONSTANT || settings->steps <= settings->warmup || step < settings->warmup)
        return rise;
    double done = (double)(step - settings->warmup) / (double)(settings->steps - settings->warmup);
    return settings->final_rate + (1 - settings->final_rate) * 0.5 * (1 + cos(M_PI * (done < 1 ? done : 1)));
}
