/* WaveGlow's coupling network WN (Prenger, Valle, Catanzaro, "WaveGlow: a flow-based generative network for speech
 * synthesis", 2018, section 2.1; the gate is eq. 2 of van den Oord et al., "WaveNet", 2016). With C channels, L layers,
 * time-major rows, and zeros outside the signal:
 *
 *     h_0 = start(x)                                                   1x1, [inputs] -> [C]
 *     a_i = in_layers.i(h_i) + cond_layer(cond)[2C i .. 2C (i + 1)]    dilation 2^i, [C] -> [2C]; 1x1
 *     r_i, s_i = res_skip_layers.i(tanh(a_i[.. C]) sigmoid(a_i[C ..]))  1x1, [C] -> [2C]; the last layer has s only
 *     h_(i+1) = h_i + r_i                                               y = end(sum_i s_i), 1x1, [C] -> [outputs]
 *
 * h and the sum of skips are two halves of one array [rows, 2C], so residual and skip are one product added in place;
 * its gradient has the same form. On the tape: h_i and a_i of every layer, and the sum of skips; the gate's output is
 * computed again. */
#include <stdio.h>
#include <stdlib.h>

#include "nn/condition.h"
#include "nn/networks.h"
#include "nn/wn.h"

typedef struct wn_tape {
    real *h;    /* [layers, rows, C] */
    real *a;    /* [layers, rows, 2 C] */
    real *skip; /* [rows, C] */
} wn_tape;

static wn_tape take_tape(const wn *self, arena *tape, size_t rows) {
    size_t size = self->layers * rows * self->channels;
    wn_tape kept;
    kept.h = arena_reals(tape, size);
    kept.a = arena_reals(tape, 2 * size);
    kept.skip = arena_reals(tape, rows * self->channels);
    return kept;
}

/* The rows of the double array, of which res_skip_layers.i fills both halves, the last one the skip half only. */
static conv1d_call skip_call(const wn *self, const network_input *in) {
    return (conv1d_call){.batch = in->batch, .frames = in->frames, .ldy = 2 * self->channels, .add = true};
}

static size_t skip_half(const wn *self, size_t i) {
    return i + 1 == self->layers ? self->channels : 0;
}

/* a holds the conditioning's part by then. */
static void add_input(const wn *self, compute *run, const network_input *in, size_t i, const real *h, size_t ldh,
                      real *a) {
    const conv1d_call call = {
        .batch = in->batch, .frames = in->frames, .ldx = ldh, .add = self->base.conditioning != 0};
    conv1d_run(&self->layer[i].in, run, &call, h, a);
}

static void forward(const network *net, compute *run, const network_input *in, real *y, arena *tape) {
    const wn *self = (const wn *)net;
    size_t mark = run->scratch.used, rows = in->batch * in->frames, c = self->channels;
    const conv1d_call both = skip_call(self, in);
    real *sum = arena_reals(&run->scratch, rows * 2 * c), *skip = part_of(sum, c); /* [rows, h and skip] */
    real *gated = arena_reals(&run->scratch, rows * c);
    real *own = tape ? NULL : arena_reals(&run->scratch, rows * 2 * c);
    wn_tape kept = tape ? take_tape(self, tape, rows) : (wn_tape){0};
    conv1d_forward(&self->start, run, in->batch, in->frames, in->x, sum, 2 * c);
    run_fill_rows(run, rows, c, NULL, skip, 2 * c);
    if (tape && self->base.conditioning) condition_forward_all(&self->cond, run, in, 2 * c, kept.a);
    for (size_t i = 0; i < self->layers; i++) {
        real *a = tape ? part_of(kept.a, i * rows * 2 * c) : own;
        real *h = tape ? part_of(kept.h, i * rows * c) : sum;
        if (tape) run_copy_columns(run, rows, c, sum, 2 * c, h, c);
        if (!tape && self->base.conditioning) condition_forward(&self->cond, run, in, 2 * c * i, 2 * c, a);
        add_input(self, run, in, i, h, tape ? c : 2 * c, a);
        run_gate(run, rows, c, a, gated);
        conv1d_run(&self->layer[i].res_skip, run, &both, gated, part_of(sum, skip_half(self, i)));
    }
    if (tape) run_copy_columns(run, rows, c, skip, 2 * c, kept.skip, c);
    conv1d_run(&self->end, run, &(conv1d_call){.batch = in->batch, .frames = in->frames, .ldx = 2 * c}, skip, y);
    arena_release(&run->scratch, mark);
}

/* Gradients of layer i, from and to dsum [rows, dh and dskip]; that of a_i takes its place. */
static void backward_layer(const wn *self, compute *run, const network_input *in, size_t i, const wn_tape *kept,
                           real *dsum, real *grads) {
    size_t mark = run->scratch.used, rows = in->batch * in->frames, c = self->channels;
    real *gated = arena_reals(&run->scratch, rows * c), *dgated = arena_reals(&run->scratch, rows * c);
    const real *h = part_of(kept->h, i * rows * c);
    real *a = part_of(kept->a, i * rows * 2 * c), *da = a;
    conv1d_call call = skip_call(self, in);
    call.add = false;
    run_gate(run, rows, c, a, gated);
    conv1d_run_backward(&self->layer[i].res_skip, run, &call, gated, part_of(dsum, skip_half(self, i)), dgated, grads);
    run_gate_backward(run, rows, c, a, dgated, da);
    call = (conv1d_call){.batch = in->batch, .frames = in->frames, .lddx = 2 * c, .add = true};
    conv1d_run_backward(&self->layer[i].in, run, &call, h, da, dsum, grads);
    arena_release(&run->scratch, mark);
}

static void backward(const network *net, compute *run, const network_input *in, const real *dy, real *dx, real *dcond,
                     real *grads, arena *tape) {
    const wn *self = (const wn *)net;
    size_t mark = run->scratch.used, rows = in->batch * in->frames, c = self->channels;
    wn_tape kept = take_tape(self, tape, rows);
    real *dsum = arena_reals(&run->scratch, rows * 2 * c);
    conv1d_call call = {.batch = in->batch, .frames = in->frames, .lddx = 2 * c};
    run_fill_rows(run, rows, c, NULL, dsum, 2 * c);
    conv1d_run_backward(&self->end, run, &call, kept.skip, dy, part_of(dsum, c), grads);
    for (size_t i = self->layers; i-- > 0;) backward_layer(self, run, in, i, &kept, dsum, grads);
    if (self->base.conditioning) condition_backward_all(&self->cond, run, in, 2 * c, kept.a, dcond, grads);
    conv1d_backward(&self->start, run, in->batch, in->frames, in->x, dsum, 2 * c, dx, grads);
    arena_release(&run->scratch, mark);
}

static void init(network *net, uint64_t seed) {
    wn *self = (wn *)net;
    conv1d_init(&self->start, seed);
    if (net->conditioning) conv1d_init(&self->cond, seed);
    for (size_t i = 0; i < self->layers; i++) {
        conv1d_init(&self->layer[i].in, seed);
        conv1d_init(&self->layer[i].res_skip, seed);
    }
    conv1d_zero(&self->end);
}

static void prepare(network *net) {
    wn *self = (wn *)net;
    conv1d_prepare(&self->start);
    conv1d_prepare(&self->end);
    if (net->conditioning) conv1d_prepare(&self->cond);
    for (size_t i = 0; i < self->layers; i++) {
        conv1d_prepare(&self->layer[i].in);
        conv1d_prepare(&self->layer[i].res_skip);
    }
}

static size_t reach(const network *net) {
    const wn *self = (const wn *)net;
    size_t sum = 0;
    for (size_t i = 0; i < self->layers; i++) sum += conv1d_reach(&self->layer[i].in);
    return sum;
}

static void destroy(network *net) {
    wn *self = (wn *)net;
    conv1d_free(&self->start);
    conv1d_free(&self->end);
    conv1d_free(&self->cond);
    for (size_t i = 0; i < self->layers; i++) {
        conv1d_free(&self->layer[i].in);
        conv1d_free(&self->layer[i].res_skip);
    }
    free(self);
}

static const network_class wn_class = {
    .name = "wn",
    .init = init,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .reach = reach,
    .destroy = destroy,
    .stages = &wn_stages,
};

static vocode_status build_layers(wn *self, const wn_options *options, param_set *set, const char *prefix,
                                  vocode_error *error) {
    size_t c = options->channels;
    char name[PARAM_NAME_SIZE];
    conv1d_options gated = {.inputs = c, .outputs = 2 * c, .taps = options->kernel, .pairs = true},
                   skip = {.inputs = c, .outputs = 2 * c};
    gated.style = skip.style = options->weight_norm ? WEIGHT_NORMED : WEIGHT_PLAIN;
    for (size_t i = 0; i < options->layers; i++) {
        gated.dilation = (size_t)1 << i;
        snprintf(name, sizeof name, "%sin_layers.%zu.", prefix, i);
        TRY(conv1d_build(&self->layer[i].in, set, name, &gated, error));
    }
    for (size_t i = 0; i < options->layers; i++) {
        if (i + 1 == options->layers) skip.outputs = c;
        snprintf(name, sizeof name, "%sres_skip_layers.%zu.", prefix, i);
        TRY(conv1d_build(&self->layer[i].res_skip, set, name, &skip, error));
    }
    return VOCODE_OK;
}

static vocode_status build_ends(wn *self, const wn_options *options, param_set *set, const char *prefix,
                                vocode_error *error) {
    char name[PARAM_NAME_SIZE];
    weight_style style = options->weight_norm ? WEIGHT_NORMED : WEIGHT_PLAIN;
    const conv1d_options start = {.inputs = options->inputs, .outputs = options->channels, .style = style};
    const conv1d_options end = {.inputs = options->channels, .outputs = options->outputs};
    const conv1d_options cond = {.inputs = options->conditioning,
                                 .outputs = 2 * options->channels * options->layers,
                                 .group = 2 * options->channels,
                                 .style = style};
    snprintf(name, sizeof name, "%sstart.", prefix);
    TRY(conv1d_build(&self->start, set, name, &start, error));
    snprintf(name, sizeof name, "%send.", prefix);
    TRY(conv1d_build(&self->end, set, name, &end, error));
    if (!options->conditioning) return VOCODE_OK;
    snprintf(name, sizeof name, "%scond_layer.", prefix);
    return conv1d_build(&self->cond, set, name, &cond, error);
}

enum { MOST_LAYERS = 32 }; /* dilation 2^31: far past any signal */

vocode_status wn_build(const wn_options *options, param_set *set, const char *prefix, network **out,
                       vocode_error *error) {
    size_t width;
    *out = NULL;
    if (!options->layers || options->layers > MOST_LAYERS || !options->channels || !options->inputs)
        return failed(error, VOCODE_VALUE,
                      "%sWN: expected 1 to %d layers and at least 1 channel and input, found %zu, %zu and %zu", prefix,
                      MOST_LAYERS, options->layers, options->channels, options->inputs);
    wn *self = calloc(1, sizeof *self + options->layers * sizeof *self->layer);
    if (!self || __builtin_mul_overflow(2 * options->layers, options->channels, &width)) {
        free(self);
        return failed(error, VOCODE_MEMORY, "%sWN: cannot allocate %zu layers of %zu channels", prefix, options->layers,
                      options->channels);
    }
    self->base = (network){&wn_class, options->inputs, options->outputs, options->conditioning};
    self->layers = options->layers;
    self->channels = options->channels;
    vocode_status status = build_layers(self, options, set, prefix, error);
    if (status == VOCODE_OK) status = build_ends(self, options, set, prefix, error);
    if (status == VOCODE_OK)
        *out = &self->base;
    else
        destroy(&self->base);
    return status;
}
