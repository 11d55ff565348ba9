/* SqueezeWave's coupling network (Zhai et al., "SqueezeWave: extremely lightweight vocoders for on-device speech
 * synthesis", 2020, section 3): WN without skips and dilation, its convolutions depthwise-separable. C channels, L
 * layers, time-major rows, zeros outside the signal:
 *
 *     h_0 = start(x)                                                                1x1, [inputs] -> [C]
 *     n_i = batch norm(h_i)             (in_layers.i.0; nn/batch_norm.h)            [C]
 *     d_i = depthwise(n_i)              (in_layers.i.1)                             [C]
 *     a_i = pointwise(d_i)              (in_layers.i.2)                             [C] -> [2C]
 *           + cond_layer(cond)[2C i .. 2C (i + 1)], each column for frames / cond_frames frames
 *     h_(i+1) = h_i + res_skip_layers.i(tanh(a_i[.. C]) sigmoid(a_i[C ..]))         1x1
 *     y = end(h_L)                                                                  1x1, [C] -> [outputs]
 *
 * Batch norm stays a step of its own: folded into the zero-padded convolution its shift would be missing at the edges.
 * Without batch norm n_i = h_i, and the convolutions are in_layers.i.0 and .1. On the tape: every h_i and a_i,
 * and what the norms made of their batches. */
#include <stdio.h>
#include <stdlib.h>

#include "nn/condition.h"
#include "nn/networks.h"
#include "nn/squeeze_wn.h"

typedef struct squeeze_tape {
    real *h;    /* [layers + 1, rows, C] */
    real *a;    /* [layers, rows, 2 C] */
    real *fold; /* [layers, BATCH_NORM_FOLD, C] */
} squeeze_tape;

static squeeze_tape take_tape(const squeeze_wn *self, arena *tape, size_t rows) {
    squeeze_tape kept;
    kept.h = arena_reals(tape, (self->layers + 1) * rows * self->channels);
    kept.a = arena_reals(tape, self->layers * rows * 2 * self->channels);
    kept.fold = arena_reals(tape, self->normed ? self->layers * BATCH_NORM_FOLD * self->channels : 0);
    return kept;
}

/* normal [rows, C] = n_i, deep [rows, C] = d_i; gives the array that holds n_i, which is h without batch norm. */
static const real *convolve_channels(const squeeze_wn *self, compute *run, const network_input *in, size_t i,
                                     const real *fold, const real *h, real *normal, real *deep) {
    const separable_layer *layer = &self->layer[i];
    if (self->normed) batch_norm_apply(&layer->norm, run, in->batch * in->frames, fold, h, normal);
    const real *from = self->normed ? normal : h;
    depthwise_forward(&layer->depth, run, in->batch, in->frames, from, deep);
    return from;
}

static void gated_input(const squeeze_wn *self, compute *run, const network_input *in, size_t i, const real *deep,
                        real *a) {
    size_t width = 2 * self->channels;
    if (self->base.conditioning) condition_forward(&self->cond, run, in, width * i, width, a);
    const conv1d_call call = {.batch = in->batch, .frames = in->frames, .add = self->base.conditioning != 0};
    conv1d_run(&self->layer[i].point, run, &call, deep, a);
}

static void forward(const network *net, compute *run, const network_input *in, real *y, arena *tape) {
    const squeeze_wn *self = (const squeeze_wn *)net;
    size_t mark = run->scratch.used, rows = in->batch * in->frames, c = self->channels;
    const conv1d_call add = {.batch = in->batch, .frames = in->frames, .add = true};
    real *normal = arena_reals(&run->scratch, rows * c), *deep = arena_reals(&run->scratch, rows * c);
    real *own_h = tape ? NULL : arena_reals(&run->scratch, rows * c);
    real *own_a = tape ? NULL : arena_reals(&run->scratch, rows * 2 * c);
    real *own_fold = arena_reals(&run->scratch, BATCH_NORM_FOLD * c);
    squeeze_tape kept = tape ? take_tape(self, tape, rows) : (squeeze_tape){0};
    real *h = tape ? kept.h : own_h;
    conv1d_forward(&self->start, run, in->batch, in->frames, in->x, h, 0);
    for (size_t i = 0; i < self->layers; i++) {
        real *a = tape ? part_of(kept.a, i * rows * 2 * c) : own_a, *gated = deep; /* d_i has served by then */
        real *fold = tape ? part_of(kept.fold, i * BATCH_NORM_FOLD * c) : own_fold;
        if (self->normed) batch_norm_fold(&self->layer[i].norm, run, in->norm, rows, h, fold);
        convolve_channels(self, run, in, i, fold, h, normal, deep);
        gated_input(self, run, in, i, deep, a);
        run_gate(run, rows, c, a, gated);
        if (tape) {
            real *next = part_of(kept.h, (i + 1) * rows * c);
            run_copy(run, rows * c, h, next);
            h = next;
        }
        conv1d_run(&self->layer[i].res, run, &add, gated, h);
    }
    conv1d_forward(&self->end, run, in->batch, in->frames, h, y, 0);
    arena_release(&run->scratch, mark);
}

/* Gradients of layer i; dh [rows, C] is the gradient of h_(i+1) and becomes that of h_i. */
static void backward_layer(const squeeze_wn *self, compute *run, const network_input *in, size_t i,
                           const squeeze_tape *kept, real *dh, real *dcond, real *grads) {
    const separable_layer *layer = &self->layer[i];
    size_t mark = run->scratch.used, rows = in->batch * in->frames, c = self->channels;
    const real *h = part_of(kept->h, i * rows * c), *a = part_of(kept->a, i * rows * 2 * c);
    const real *fold = part_of(kept->fold, i * BATCH_NORM_FOLD * c);
    const conv1d_call dense = {.batch = in->batch, .frames = in->frames};
    real *normal = arena_reals(&run->scratch, rows * c), *deep = arena_reals(&run->scratch, rows * c);
    real *dinner = arena_reals(&run->scratch, rows * c), *da = arena_reals(&run->scratch, rows * 2 * c);
    real *gated = normal;
    run_gate(run, rows, c, a, gated);
    conv1d_run_backward(&layer->res, run, &dense, gated, dh, dinner, grads);
    run_gate_backward(run, rows, c, a, dinner, da);
    if (self->base.conditioning) condition_backward(&self->cond, run, in, 2 * c * i, 2 * c, da, dcond, grads);
    const real *source = convolve_channels(self, run, in, i, fold, h, normal, deep);
    conv1d_run_backward(&layer->point, run, &dense, deep, da, dinner, grads);
    if (self->normed) {
        real *dnormal = deep;
        run_zero(run, rows * c, dnormal);
        depthwise_backward(&layer->depth, run, in->batch, in->frames, source, dinner, dnormal, grads);
        batch_norm_backward(&layer->norm, run, in->norm, rows, fold, h, dnormal, grads);
        run_add(run, rows * c, dnormal, dh);
    } else {
        depthwise_backward(&layer->depth, run, in->batch, in->frames, source, dinner, dh, grads);
    }
    arena_release(&run->scratch, mark);
}

static void backward(const network *net, compute *run, const network_input *in, const real *dy, real *dx, real *dcond,
                     real *grads, arena *tape) {
    const squeeze_wn *self = (const squeeze_wn *)net;
    size_t mark = run->scratch.used, rows = in->batch * in->frames, c = self->channels;
    squeeze_tape kept = take_tape(self, tape, rows);
    real *dh = arena_reals(&run->scratch, rows * c);
    const conv1d_call dense = {.batch = in->batch, .frames = in->frames};
    conv1d_run_backward(&self->end, run, &dense, part_of(kept.h, self->layers * rows * c), dy, dh, grads);
    for (size_t i = self->layers; i-- > 0;) backward_layer(self, run, in, i, &kept, dh, dcond, grads);
    conv1d_backward(&self->start, run, in->batch, in->frames, in->x, dh, 0, dx, grads);
    arena_release(&run->scratch, mark);
}

static void init(network *net, uint64_t seed) {
    squeeze_wn *self = (squeeze_wn *)net;
    conv1d_init(&self->start, seed);
    if (net->conditioning) conv1d_init(&self->cond, seed);
    for (size_t i = 0; i < self->layers; i++) {
        separable_layer *layer = &self->layer[i];
        if (self->normed) batch_norm_init(&layer->norm);
        depthwise_init(&layer->depth, seed);
        conv1d_init(&layer->point, seed);
        conv1d_init(&layer->res, seed);
    }
    conv1d_zero(&self->end);
}

static void prepare(network *net) {
    squeeze_wn *self = (squeeze_wn *)net;
    conv1d_prepare(&self->start);
    conv1d_prepare(&self->end);
    if (net->conditioning) conv1d_prepare(&self->cond);
    for (size_t i = 0; i < self->layers; i++) {
        separable_layer *layer = &self->layer[i];
        if (self->normed) batch_norm_prepare(&layer->norm);
        depthwise_prepare(&layer->depth);
        conv1d_prepare(&layer->point);
        conv1d_prepare(&layer->res);
    }
}

static size_t reach(const network *net) {
    const squeeze_wn *self = (const squeeze_wn *)net;
    return self->layers * (self->layer[0].depth.taps / 2);
}

static void destroy(network *net) {
    squeeze_wn *self = (squeeze_wn *)net;
    conv1d_free(&self->start);
    conv1d_free(&self->end);
    conv1d_free(&self->cond);
    for (size_t i = 0; i < self->layers; i++) {
        separable_layer *layer = &self->layer[i];
        batch_norm_free(&layer->norm);
        depthwise_free(&layer->depth);
        conv1d_free(&layer->point);
        conv1d_free(&layer->res);
    }
    free(self);
}

static const network_class squeeze_wn_class = {
    .name = "squeeze_wn",
    .init = init,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .reach = reach,
    .destroy = destroy,
    .stages = &squeeze_wn_stages,
};

/* in_layers.i is a sequence: batch norm where there is one, depthwise, pointwise. */
static vocode_status build_separable(squeeze_wn *self, const squeeze_wn_options *options, size_t i, param_set *set,
                                     const char *prefix, vocode_error *error) {
    separable_layer *layer = &self->layer[i];
    size_t c = options->channels, place = 0;
    const conv1d_options point = {.inputs = c, .outputs = 2 * c};
    char name[PARAM_NAME_SIZE];
    if (options->batch_norm) {
        snprintf(name, sizeof name, "%sin_layers.%zu.%zu.", prefix, i, place++);
        TRY(batch_norm_build(&layer->norm, set, name, c, error));
    }
    snprintf(name, sizeof name, "%sin_layers.%zu.%zu.", prefix, i, place++);
    TRY(depthwise_build(&layer->depth, set, name, c, options->kernel, error));
    snprintf(name, sizeof name, "%sin_layers.%zu.%zu.", prefix, i, place);
    return conv1d_build(&layer->point, set, name, &point, error);
}

static vocode_status build_all(squeeze_wn *self, const squeeze_wn_options *options, param_set *set, const char *prefix,
                               vocode_error *error) {
    size_t c = options->channels;
    weight_style style = options->weight_norm ? WEIGHT_NORMED : WEIGHT_PLAIN;
    const conv1d_options res = {.inputs = c, .outputs = c, .style = style};
    const conv1d_options start = {.inputs = options->inputs, .outputs = c, .style = style};
    const conv1d_options end = {.inputs = c, .outputs = options->outputs};
    const conv1d_options cond = {
        .inputs = options->conditioning, .outputs = 2 * c * options->layers, .group = 2 * c, .style = style};
    char name[PARAM_NAME_SIZE];
    for (size_t i = 0; i < options->layers; i++) TRY(build_separable(self, options, i, set, prefix, error));
    for (size_t i = 0; i < options->layers; i++) {
        snprintf(name, sizeof name, "%sres_skip_layers.%zu.", prefix, i);
        TRY(conv1d_build(&self->layer[i].res, set, name, &res, error));
    }
    snprintf(name, sizeof name, "%sstart.", prefix);
    TRY(conv1d_build(&self->start, set, name, &start, error));
    snprintf(name, sizeof name, "%send.", prefix);
    TRY(conv1d_build(&self->end, set, name, &end, error));
    if (!options->conditioning) return VOCODE_OK;
    snprintf(name, sizeof name, "%scond_layer.", prefix);
    return conv1d_build(&self->cond, set, name, &cond, error);
}

enum { MOST_LAYERS = 1024 };

vocode_status squeeze_wn_build(const squeeze_wn_options *options, param_set *set, const char *prefix, network **out,
                               vocode_error *error) {
    size_t width;
    *out = NULL;
    if (!options->layers || options->layers > MOST_LAYERS || !options->channels || !options->inputs)
        return failed(error, VOCODE_VALUE,
                      "%sWN: expected 1 to %d layers and at least 1 channel and input, found %zu, %zu and %zu", prefix,
                      MOST_LAYERS, options->layers, options->channels, options->inputs);
    squeeze_wn *self = calloc(1, sizeof *self + options->layers * sizeof *self->layer);
    if (!self || __builtin_mul_overflow(2 * options->layers, options->channels, &width)) {
        free(self);
        return failed(error, VOCODE_MEMORY, "%sWN: cannot allocate %zu layers of %zu channels", prefix, options->layers,
                      options->channels);
    }
    self->base = (network){&squeeze_wn_class, options->inputs, options->outputs, options->conditioning};
    self->layers = options->layers;
    self->channels = options->channels;
    self->normed = options->batch_norm;
    vocode_status status = build_all(self, options, set, prefix, error);
    if (status == VOCODE_OK)
        *out = &self->base;
    else
        destroy(&self->base);
    return status;
}
