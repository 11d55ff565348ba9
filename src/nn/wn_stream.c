/* WN as rows come. Stage 0 is start; stage 1 + i is layer i, on rows [h_i, the sum of skips so far]; the last is end.
 */
#include "nn/stream.h"
#include "nn/wn.h"

static size_t count(const network *net) {
    return ((const wn *)net)->layers + 2;
}

static size_t reach(const network *net, size_t stage) {
    const wn *self = (const wn *)net;
    return stage == 0 || stage > self->layers ? 0 : conv1d_reach(&self->layer[stage - 1].in);
}

static size_t width(const network *net, size_t stage) {
    const wn *self = (const wn *)net;
    if (stage == 0) return net->inputs;
    return stage == self->layers + 2 ? net->outputs : 2 * self->channels;
}

static void run_layer(const wn *self, compute *run, const stage_call *call) {
    size_t mark = run->scratch.used, c = self->channels, i = call->stage - 1, rows = call->rows;
    const wn_layer *layer = &self->layer[i];
    real *a = arena_reals(&run->scratch, rows * 2 * c), *gated = arena_reals(&run->scratch, rows * c);
    bool conditioned = self->base.conditioning != 0, last = i + 1 == self->layers;
    if (conditioned) stage_condition(&self->cond, run, call, 2 * c * i, 2 * c, a);
    if (!measuring(run)) {
        conv1d_window(&layer->in, run, rows, call->in, 2 * c, 0, 0, conditioned, a, 2 * c);
        run_gate(run, rows, c, a, gated);
        run_copy(run, rows * 2 * c, call->in, call->out);
        conv1d_window(&layer->res_skip, run, rows, gated, c, 0, 0, true, call->out + (last ? c : 0), 2 * c);
    }
    arena_release(&run->scratch, mark);
}

static void run_stage(const network *net, compute *run, const stage_call *call) {
    const wn *self = (const wn *)net;
    size_t c = self->channels;
    if (call->stage > 0 && call->stage <= self->layers) {
        run_layer(self, run, call);
    } else if (!measuring(run) && call->stage == 0) {
        conv1d_window(&self->start, run, call->rows, call->in, net->inputs, 0, 0, false, call->out, 2 * c);
        run_fill_rows(run, call->rows, c, NULL, call->out + c, 2 * c);
    } else if (!measuring(run)) {
        conv1d_window(&self->end, run, call->rows, call->in + c, 2 * c, 0, 0, false, call->out, net->outputs);
    }
}

const network_stages wn_stages = {.count = count, .reach = reach, .width = width, .held_width = 1, .run = run_stage};
