#include "nn/mlp.h"

#include <stdio.h>
#include <stdlib.h>

#include "nn/networks.h"

/* On the tape: p_k [layers][rows, width]. The h_k are computed again. */

static bool joins(const mlp *self, const network_input *in) {
    return self->base.conditioning && (self->base.inputs || in->cond_frames != in->frames);
}

const real *mlp_join(const mlp *self, compute *run, const network_input *in) {
    size_t conditioning = self->base.conditioning, inputs = self->base.inputs, width = conditioning + inputs;
    if (!joins(self, in)) return conditioning ? in->cond : in->x;
    real *joined = arena_reals(&run->scratch, in->batch * in->frames * width);
    run_repeat_rows(run, in->batch * in->cond_frames, in->frames / in->cond_frames, conditioning, in->cond,
                    conditioning, joined, width);
    if (inputs)
        run_copy_columns(run, in->batch * in->frames, inputs, in->x, inputs, part_of(joined, conditioning), width);
    return joined;
}

static void forward(const network *net, compute *run, const network_input *in, real *y, arena *tape) {
    const mlp *self = (const mlp *)net;
    size_t mark = run->scratch.used, rows = in->batch * in->frames, count = rows * self->width;
    real *kept = tape ? arena_reals(tape, self->layers * count) : NULL;
    real *turns[] = {arena_reals(&run->scratch, count), arena_reals(&run->scratch, count)};
    const real *h = mlp_join(self, run, in);
    for (size_t k = 0; k <= self->layers; k++) {
        real *to = k == self->layers ? y : tape ? part_of(kept, k * count) : turns[k % 2];
        if (k == 0)
            dense_forward(&self->layer[k], run, rows, h, to);
        else
            dense_forward_silu(&self->layer[k], run, rows, h, turns[tape ? 0 : (k - 1) % 2], to);
        h = to;
    }
    arena_release(&run->scratch, mark);
}

/* From dh, the gradient of h_0, to those of x and cond. */
static void part(const mlp *self, const compute *run, const network_input *in, const real *dh, real *dx, real *dcond) {
    size_t conditioning = self->base.conditioning, inputs = self->base.inputs, width = conditioning + inputs;
    if (dx && inputs) run_accumulate_columns(run, in->batch * in->frames, inputs, dh + conditioning, width, dx, inputs);
    if (dcond)
        run_fold_rows(run, in->batch * in->cond_frames, in->frames / in->cond_frames, conditioning, dh, width, dcond,
                      conditioning);
}

static void backward(const network *net, compute *run, const network_input *in, const real *dy, real *dx, real *dcond,
                     real *grads, arena *tape) {
    const mlp *self = (const mlp *)net;
    size_t mark = run->scratch.used, rows = in->batch * in->frames, count = rows * self->width;
    const real *kept = arena_reals(tape, self->layers * count);
    real *h = arena_reals(&run->scratch, count);
    real *turns[] = {arena_reals(&run->scratch, count), arena_reals(&run->scratch, count)};
    real *dh0 = arena_reals(&run->scratch, rows * self->layer[0].inputs);
    const real *h0 = mlp_join(self, run, in);
    for (size_t k = self->layers; k > 0; k--) {
        const real *p = kept ? kept + (k - 1) * count : NULL;
        real *dp = turns[k % 2];
        run_silu(run, count, p, h);
        dense_backward(&self->layer[k], run, rows, h, dy, dp, grads);
        run_silu_backward(run, count, p, dp, dp);
        dy = dp;
    }
    dense_backward(&self->layer[0], run, rows, h0, dy, dx || dcond ? dh0 : NULL, grads);
    if (!measuring(run)) part(self, run, in, dh0, dx, dcond);
    arena_release(&run->scratch, mark);
}

static void init(network *net, uint64_t seed) {
    mlp *self = (mlp *)net;
    for (size_t k = 0; k < self->layers; k++) dense_init(&self->layer[k], seed);
    dense_zero(&self->layer[self->layers]);
}

static void prepare(network *net) {
    mlp *self = (mlp *)net;
    for (size_t k = 0; k <= self->layers; k++) dense_prepare(&self->layer[k]);
}

static size_t reach(const network *net) {
    (void)net;
    return 0;
}

static void destroy(network *net) {
    mlp *self = (mlp *)net;
    for (size_t k = 0; k <= self->layers; k++) dense_free(&self->layer[k]);
    aligned_free(self->degree);
    aligned_free(self->order);
    free(self);
}

static const network_class mlp_class = {.name = "mlp",
                                        .init = init,
                                        .prepare = prepare,
                                        .forward = forward,
                                        .backward = backward,
                                        .reach = reach,
                                        .destroy = destroy};

/* The degrees of h_0 and of y, in one array: [conditioning + inputs][outputs]. */
static size_t *outer_degrees(const mlp_options *options) {
    size_t enter = options->conditioning + options->inputs;
    size_t *degrees = aligned_new(enter + options->outputs, sizeof *degrees);
    for (size_t i = 0; degrees && i < options->inputs; i++) degrees[options->conditioning + i] = options->order[i];
    for (size_t o = 0; degrees && o < options->outputs; o++)
        degrees[enter + o] = options->order[o % options->inputs] - 1;
    return degrees;
}

static void hidden_degrees(mlp *self) {
    size_t least = self->base.conditioning || self->base.inputs < 2 ? 0 : 1, kinds = self->base.inputs - least;
    for (size_t u = 0; u < self->width; u++) self->degree[u] = least + u * kinds / self->width;
}

static vocode_status build_layers(mlp *self, const mlp_options *options, const size_t *outer, param_set *set,
                                  const char *prefix, vocode_error *error) {
    size_t enter = options->conditioning + options->inputs;
    char name[PARAM_NAME_SIZE];
    for (size_t k = 0; k <= self->layers; k++) {
        bool first = k == 0, last = k == self->layers;
        const dense_options shape = {.inputs = first ? enter : self->width,
                                     .outputs = last ? options->outputs : self->width,
                                     .from = first ? outer : self->degree,
                                     .to = last && outer ? outer + enter : self->degree};
        snprintf(name, sizeof name, "%slayers.%zu.", prefix, k);
        TRY(dense_build(&self->layer[k], set, name, &shape, error));
    }
    return VOCODE_OK;
}

enum { MOST_LAYERS = 64 };

vocode_status mlp_build(const mlp_options *options, param_set *set, const char *prefix, network **out,
                        vocode_error *error) {
    size_t enter;
    *out = NULL;
    if (!options->layers || options->layers > MOST_LAYERS || !options->channels || !options->outputs ||
        __builtin_add_overflow(options->inputs, options->conditioning, &enter) || !enter ||
        (options->order && !options->inputs))
        return failed(error, VOCODE_VALUE,
                      "%slayers: expected 1 to %d layers of at least 1 channel, and inputs, found %zu of %zu channels "
                      "for %zu inputs with %zu of conditioning",
                      prefix, MOST_LAYERS, options->layers, options->channels, options->inputs, options->conditioning);
    mlp *self = calloc(1, sizeof *self + (options->layers + 1) * sizeof *self->layer);
    if (!self) return failed(error, VOCODE_MEMORY, "%slayers: out of memory", prefix);
    self->base = (network){&mlp_class, options->inputs, options->outputs, options->conditioning};
    self->layers = options->layers;
    self->width = options->channels;
    size_t *outer = NULL;
    if (options->order) {
        self->degree = aligned_new(self->width, sizeof *self->degree);
        self->order = aligned_new(options->inputs, sizeof *self->order);
        outer = outer_degrees(options);
        if (self->degree) hidden_degrees(self);
        for (size_t i = 0; self->order && i < options->inputs; i++) self->order[i] = options->order[i];
    }
    vocode_status status = options->order && (!self->degree || !self->order || !outer)
                               ? failed(error, VOCODE_MEMORY, "%slayers: out of memory", prefix)
                               : build_layers(self, options, outer, set, prefix, error);
    aligned_free(outer);
    if (status == VOCODE_OK)
        *out = &self->base;
    else
        destroy(&self->base);
    return status;
}
