/* SqueezeWave's WN as rows come. Stage 0 is start; stage 1 + i is layer i, on rows [n_i, h_i], where n_i is h_i after
 * batch norm: zeros stand outside the signal for n, not for h. The last stage is end. */
#include "nn/squeeze_wn.h"
#include "nn/stream.h"

static size_t count(const network *net) {
    return ((const squeeze_wn *)net)->layers + 2;
}

static size_t reach(const network *net, size_t stage) {
    const squeeze_wn *self = (const squeeze_wn *)net;
    return stage == 0 || stage > self->layers ? 0 : self->layer[stage - 1].depth.taps / 2;
}

static size_t width(const network *net, size_t stage) {
    const squeeze_wn *self = (const squeeze_wn *)net;
    if (stage == 0) return net->inputs;
    return stage == self->layers + 2 ? net->outputs : 2 * self->channels;
}

/* rows [n, h] for layer i from h, which stands in the right half */
static void normalise(const squeeze_wn *self, compute *run, size_t i, size_t rows, real *out) {
    size_t mark = run->scratch.used, c = self->channels;
    bool normed = self->normed && i < self->layers;
    real *h = arena_reals(&run->scratch, rows * c), *n = arena_reals(&run->scratch, rows * c);
    run_copy_columns(run, rows, c, part_of(out, c), 2 * c, h, c);
    if (normed) batch_norm_forward(&self->layer[i].norm, run, rows, h, n);
    run_copy_columns(run, rows, c, normed ? n : h, c, out, 2 * c);
    arena_release(&run->scratch, mark);
}

static void run_layer(const squeeze_wn *self, compute *run, const stage_call *call) {
    size_t mark = run->scratch.used, c = self->channels, i = call->stage - 1, rows = call->rows;
    const separable_layer *layer = &self->layer[i];
    size_t around = layer->depth.taps / 2, seen = rows + 2 * around;
    real *a = arena_reals(&run->scratch, rows * 2 * c), *gated = arena_reals(&run->scratch, rows * c);
    real *near = arena_reals(&run->scratch, seen * c), *deep = arena_reals(&run->scratch, rows * c);
    bool conditioned = self->base.conditioning != 0;
    if (conditioned) stage_condition(&self->cond, run, call, 2 * c * i, 2 * c, a);
    if (!measuring(run)) {
        run_copy_columns(run, seen, c, call->in - around * 2 * c, 2 * c, near, c);
        depthwise_window(&layer->depth, run, rows, near + around * c, deep);
        conv1d_window(&layer->point, run, rows, deep, c, 0, 0, conditioned, a, 2 * c);
        run_gate(run, rows, c, a, gated);
        run_copy_columns(run, rows, c, call->in + c, 2 * c, call->out + c, 2 * c);
        conv1d_window(&layer->res, run, rows, gated, c, 0, 0, true, call->out + c, 2 * c);
    }
    normalise(self, run, i + 1, rows, call->out);
    arena_release(&run->scratch, mark);
}

static void run_stage(const network *net, compute *run, const stage_call *call) {
    const squeeze_wn *self = (const squeeze_wn *)net;
    size_t c = self->channels;
    if (call->stage > 0 && call->stage <= self->layers) {
        run_layer(self, run, call);
    } else if (call->stage == 0) {
        if (!measuring(run))
            conv1d_window(&self->start, run, call->rows, call->in, net->inputs, 0, 0, false, call->out + c, 2 * c);
        normalise(self, run, 0, call->rows, call->out);
    } else if (!measuring(run)) {
        conv1d_window(&self->end, run, call->rows, call->in + c, 2 * c, 0, 0, false, call->out, net->outputs);
    }
}

const network_stages squeeze_wn_stages = {
    .count = count, .reach = reach, .width = width, .held_width = 1, .run = run_stage};
