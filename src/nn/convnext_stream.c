/* ConvNeXt blocks as rows come. Stage 0 is enter, on rows [x, cond]; stage 1 + i is block i; the last is exit. */
#include "nn/convnext.h"
#include "nn/stream.h"

static size_t count(const network *net) {
    return ((const convnext *)net)->blocks + 2;
}

static size_t reach(const network *net, size_t stage) {
    const convnext *self = (const convnext *)net;
    if (stage == 0) return conv1d_reach(&self->enter);
    return stage > self->blocks ? 0 : self->block[stage - 1].depth.taps / 2;
}

static size_t width(const network *net, size_t stage) {
    const convnext *self = (const convnext *)net;
    if (stage == 0) return net->inputs + net->conditioning;
    return stage == self->blocks + 2 ? net->outputs : self->dim;
}

static void run_block(const convnext *self, compute *run, const stage_call *call) {
    size_t mark = run->scratch.used, d = self->dim, wide = self->wide, rows = call->rows;
    const convnext_block *block = &self->block[call->stage - 1];
    real *u = arena_reals(&run->scratch, rows * d), *p = arena_reals(&run->scratch, rows * wide);
    if (!measuring(run)) {
        depthwise_window(&block->depth, run, rows, call->in, u);
        layer_norm_forward(&block->norm, run, rows, u, u);
        conv1d_window(&block->up, run, rows, u, d, 0, 0, false, p, wide);
        run_gelu(run, rows * wide, p, p);
        run_copy(run, rows * d, call->in, call->out);
        conv1d_window(&block->down, run, rows, p, wide, 0, 0, true, call->out, d);
    }
    arena_release(&run->scratch, mark);
}

static void run_stage(const network *net, compute *run, const stage_call *call) {
    const convnext *self = (const convnext *)net;
    if (call->stage > 0 && call->stage <= self->blocks) {
        run_block(self, run, call);
    } else if (!measuring(run)) {
        const conv1d *layer = call->stage == 0 ? &self->enter : &self->exit;
        conv1d_window(layer, run, call->rows, call->in, width(net, call->stage), 0, 0, false, call->out,
                      width(net, call->stage + 1));
    }
}

const network_stages convnext_stages = {
    .count = count, .reach = reach, .width = width, .joins = true, .run = run_stage};
