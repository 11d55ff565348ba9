#include "nn/velocity.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Values and derivatives lie in one array, [1 + directions][rows, width]: the values first.
 *
 * On the tape, for each hidden layer: the p with their derivatives [1 + directions][rows, width], and what the unit is
 * made of: tanh p, or tanh(p / 2), [rows, width]. The h are computed again. */

static size_t inputs_of(const velocity *net) {
    return net->shape.channels + 1 + 2 * net->shape.waves + net->shape.conditioning;
}

static const double half_turn = 3.14159265358979323846;

/* h_0 and its derivatives [1 + directions][rows, inputs] */
static void enter(const velocity *net, const velocity_input *in, real *h) {
    size_t channels = net->shape.channels, conditioning = net->shape.conditioning, width = inputs_of(net);
    for (size_t r = 0; r < in->rows; r++) {
        real *row = h + r * width;
        memcpy(row, in->y + r * channels, channels * sizeof *row);
        row += channels;
        *row++ = (real)in->t[r];
        for (size_t k = 1; k <= net->shape.waves; k++) {
            *row++ = (real)sin(half_turn * (double)k * in->t[r]);
            *row++ = (real)cos(half_turn * (double)k * in->t[r]);
        }
        if (conditioning) memcpy(row, in->cond + r * conditioning, conditioning * sizeof *row);
    }
    h += in->rows * width;
    memset(h, 0, in->directions * in->rows * width * sizeof *h);
    for (size_t r = 0; r < in->directions * in->rows; r++)
        memcpy(h + r * width, in->along + r * channels, channels * sizeof *h);
}

/* unit(p), unit'(p) and unit''(p) [count] from what was kept. */
static void units(velocity_unit unit, size_t count, const real *p, const real *kept, real *value, real *slope,
                  real *bend) {
    const real half = (real)0.5;
    if (unit == VELOCITY_tanh)
        for (size_t i = 0; i < count; i++) {
            value[i] = kept[i];
            slope[i] = 1 - kept[i] * kept[i];
            bend[i] = -2 * kept[i] * slope[i];
        }
    else
        for (size_t i = 0; i < count; i++) {
            real s = half + half * kept[i], rest = half - half * kept[i];
            bool gated = unit == VELOCITY_silu;
            value[i] = p[i] * s;
            slope[i] = gated ? s + p[i] * s * rest : s;
            bend[i] = gated ? s * rest * (2 - p[i] * kept[i]) : s * rest;
        }
    if (unit == VELOCITY_softplus)
        for (size_t i = 0; i < count; i++) value[i] = (p[i] > 0 ? p[i] : 0) + log1p(exp(-fabs(p[i])));
}

/* p without the bias becomes p; kept is what its units are made of. */
static void begin_units(const velocity *net, const compute *run, const dense *layer, size_t rows, real *p, real *kept) {
    size_t width = net->shape.width;
    if (measuring(run)) return;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < width; c++) p[r * width + c] += layer->bias->value[c];
    real factor = net->shape.unit == VELOCITY_tanh ? 1 : (real)0.5;
    for (size_t i = 0; i < rows * width; i++) kept[i] = factor * p[i];
    run_hyperbolic(run, rows * width, kept, kept);
}

/* What a layer's units are at, for all directions. */
typedef struct unit_slopes {
    real *slope, *bend; /* [rows, width] */
} unit_slopes;

static unit_slopes take_slopes(const velocity *net, compute *run, size_t rows) {
    size_t count = rows * net->shape.width;
    return (unit_slopes){arena_reals(&run->scratch, count), arena_reals(&run->scratch, count)};
}

/* h and its derivatives from those of p. */
static void apply_units(const velocity *net, const compute *run, const velocity_input *in, const real *p,
                        const real *kept, unit_slopes at, real *h) {
    size_t count = in->rows * net->shape.width;
    if (measuring(run)) return;
    units((velocity_unit)net->shape.unit, count, p, kept, h, at.slope, at.bend);
    for (size_t j = 1; j <= in->directions; j++)
        for (size_t i = 0; i < count; i++) h[j * count + i] = at.slope[i] * p[j * count + i];
}

static real *take_enter(const velocity *net, compute *run, const velocity_input *in) {
    real *h = arena_reals(&run->scratch, (1 + in->directions) * in->rows * inputs_of(net));
    if (!measuring(run)) enter(net, in, h);
    return h;
}

/* v = its rows of y plus the bias; divergence = sum_j e_j' of the others */
static void leave(const velocity *net, const velocity_input *in, const real *y, real *v, double *divergence) {
    const real *bias = net->layer[net->shape.layers].bias->value;
    size_t channels = net->shape.channels, count = in->rows * channels;
    for (size_t i = 0; i < count; i++) v[i] = y[i] + bias[i % channels];
    for (size_t r = 0; in->directions && r < in->rows; r++) {
        double sum = 0;
        for (size_t j = 0; j < in->directions; j++) {
            size_t at = (j * in->rows + r) * channels;
            for (size_t c = 0; c < channels; c++) sum += (double)in->along[at + c] * (double)y[count + at + c];
        }
        divergence[r] = sum;
    }
}

void velocity_forward(const velocity *net, compute *run, const velocity_input *in, real *v, double *divergence,
                      arena *tape) {
    size_t mark = run->scratch.used, all = (1 + in->directions) * in->rows, layers = net->shape.layers;
    size_t width = net->shape.width, count = in->rows * width;
    real *p = arena_reals(tape ? tape : &run->scratch, (tape ? layers : 1) * all * width);
    real *kept = arena_reals(tape ? tape : &run->scratch, (tape ? layers : 1) * count);
    real *turn = arena_reals(&run->scratch, all * width), *y = arena_reals(&run->scratch, all * net->shape.channels);
    unit_slopes at = take_slopes(net, run, in->rows);
    const real *h = take_enter(net, run, in);
    for (size_t k = 0; k < layers; k++) {
        dense_product(&net->layer[k], run, all, h, p);
        begin_units(net, run, &net->layer[k], in->rows, p, kept);
        apply_units(net, run, in, p, kept, at, turn);
        h = turn;
        if (tape) {
            p = part_of(p, all * width);
            kept = part_of(kept, count);
        }
    }
    dense_product(&net->layer[layers], run, all, h, y);
    if (!measuring(run)) leave(net, in, y, v, divergence);
    arena_release(&run->scratch, mark);
}

/* The gradients of v and of its derivatives: dv, and ddivergence e_j. */
static void begin_backward(const velocity *net, const velocity_input *in, const real *dv, const double *ddivergence,
                           real *to) {
    size_t channels = net->shape.channels, count = in->rows * channels;
    memcpy(to, dv, count * sizeof *to);
    for (size_t j = 0; j < in->directions; j++)
        for (size_t r = 0; r < in->rows; r++)
            for (size_t c = 0; c < channels; c++) {
                size_t i = (j * in->rows + r) * channels + c;
                to[count + i] = (real)ddivergence[r] * in->along[i];
            }
}

/* In place, from the gradients of h and its derivatives to those of p and its derivatives. */
static void units_backward(const velocity_input *in, size_t count, const real *p, unit_slopes at, real *dh) {
    for (size_t i = 0; i < count; i++) dh[i] *= at.slope[i];
    for (size_t j = 1; j <= in->directions; j++)
        for (size_t i = 0; i < count; i++) {
            dh[i] += at.bend[i] * p[j * count + i] * dh[j * count + i];
            dh[j * count + i] *= at.slope[i];
        }
}

static void finish_backward(const velocity *net, const compute *run, const velocity_input *in, const real *dh, real *dy,
                            real *dcond) {
    size_t channels = net->shape.channels, conditioning = net->shape.conditioning, width = inputs_of(net);
    if (dy) run_accumulate_columns(run, in->rows, channels, dh, width, dy, channels);
    if (dcond && conditioning)
        run_accumulate_columns(run, in->rows, conditioning, dh + width - conditioning, width, dcond, conditioning);
}

void velocity_backward(const velocity *net, compute *run, const velocity_input *in, const real *dv,
                       const double *ddivergence, real *dy, real *dcond, real *grads, arena *tape) {
    size_t mark = run->scratch.used, all = (1 + in->directions) * in->rows, layers = net->shape.layers;
    size_t width = net->shape.width, count = in->rows * width;
    real *p = arena_reals(tape, layers * all * width), *kept = arena_reals(tape, layers * count);
    real *dlast = arena_reals(&run->scratch, all * net->shape.channels), *h = arena_reals(&run->scratch, all * width);
    real *turns[] = {arena_reals(&run->scratch, all * width), arena_reals(&run->scratch, all * width)};
    real *denter = arena_reals(&run->scratch, all * inputs_of(net));
    unit_slopes at = take_slopes(net, run, in->rows);
    const real *entered = take_enter(net, run, in);
    if (!measuring(run)) begin_backward(net, in, dv, ddivergence, dlast);
    const real *d = dlast;
    for (size_t k = layers + 1; k-- > 0;) {
        const dense *layer = &net->layer[k];
        size_t below = k ? k - 1 : 0;
        real *dh = k ? turns[k % 2] : denter, *pk = part_of(p, below * all * width);
        if (k) apply_units(net, run, in, pk, part_of(kept, below * count), at, h);
        dense_product_backward(layer, run, all, k ? h : entered, d, dh, grads);
        if (grads) run_add_columns(run, in->rows, layer->outputs, d, layer->outputs, param_grad(layer->bias, grads));
        if (k && !measuring(run)) units_backward(in, count, pk, at, dh);
        d = dh;
    }
    if (!measuring(run)) finish_backward(net, run, in, denter, dy, dcond);
    arena_release(&run->scratch, mark);
}

void velocity_init(velocity *net, uint64_t seed) {
    for (size_t k = 0; k < net->shape.layers; k++) dense_init(&net->layer[k], seed);
    dense_zero(&net->layer[net->shape.layers]);
}

void velocity_prepare(velocity *net) {
    for (size_t k = 0; k <= net->shape.layers; k++) dense_prepare(&net->layer[k]);
}

void velocity_free(velocity *net) {
    if (!net) return;
    for (size_t k = 0; k <= net->shape.layers; k++) dense_free(&net->layer[k]);
    free(net);
}

enum { MOST_LAYERS = 64 };

vocode_status velocity_build(const velocity_options *options, param_set *set, const char *prefix, velocity **out,
                             vocode_error *error) {
    char name[PARAM_NAME_SIZE];
    *out = NULL;
    if (!options->layers || options->layers > MOST_LAYERS || !options->width || !options->channels)
        return failed(error, VOCODE_VALUE,
                      "%slayers: expected 1 to %d layers of at least 1 unit, found %zu of %zu units", prefix,
                      MOST_LAYERS, options->layers, options->width);
    velocity *net = calloc(1, sizeof *net + (options->layers + 1) * sizeof *net->layer);
    if (!net) return failed(error, VOCODE_MEMORY, "%slayers: out of memory", prefix);
    net->shape = *options;
    vocode_status status = VOCODE_OK;
    for (size_t k = 0; status == VOCODE_OK && k <= options->layers; k++) {
        const dense_options shape = {.inputs = k ? options->width : inputs_of(net),
                                     .outputs = k < options->layers ? options->width : options->channels,
                                     .from = NULL,
                                     .to = NULL};
        snprintf(name, sizeof name, "%slayers.%zu.", prefix, k);
        status = dense_build(&net->layer[k], set, name, &shape, error);
    }
    if (status == VOCODE_OK)
        *out = net;
    else
        velocity_free(net);
    return status;
}
