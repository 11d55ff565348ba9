/* ConvNeXt blocks as rows come. Stage 0 is enter, on rows [x, cond]; stage 1 + i is block i; the last is exit. */
#include "nn/convnext.h"
#include "nn/stream.h"
#include "nn/winograd.h"

#include <string.h>

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

typedef struct block_job {
    const convnext *self;
    const convnext_block *block;
    const stage_call *call;
    real *normed, *wide; /* [rows, dim], [rows, wide] */
} block_job;

/* Rows through the whole block while they are in cache. */
static void block_rows(void *context, const compute *run, size_t first, size_t count) {
    const block_job *job = context;
    size_t d = job->self->dim, w = job->self->wide;
    const real *in = job->call->in + first * d;
    real *normed = job->normed + first * d, *wide = job->wide + first * w, *out = job->call->out + first * d;
    depthwise_window(&job->block->depth, run, count, in, normed);
    layer_norm_forward(&job->block->norm, run, count, normed, normed);
    if (job->self->timed)
        modulate_rows(&job->self->time, run, 1, count, job->call->stage - 1, job->call->factors, normed, normed);
    conv1d_window(&job->block->up, run, count, normed, d, 0, 0, false, wide, w);
    run_gelu(run, count * w, wide, wide);
    run_copy(run, count * d, in, out);
    conv1d_window(&job->block->down, run, count, wide, w, 0, 0, true, out, d);
}

static void run_block(const convnext *self, compute *run, const stage_call *call) {
    size_t mark = run->scratch.used, rows = call->rows;
    block_job job = {.self = self, .block = &self->block[call->stage - 1], .call = call};
    job.normed = arena_reals(&run->scratch, rows * self->dim);
    job.wide = arena_reals(&run->scratch, rows * self->wide);
    if (few_rows(run, rows) && !measuring(run))
        block_rows(&job, run, 0, rows);
    else
        run_row_tiles(run, rows, block_rows, &job);
    arena_release(&run->scratch, mark);
}

typedef struct enter_job {
    const conv1d *layer;
    const stage_call *call;
    const real *before; /* what call->kept held when the call began */
    real *room;         /* [parts][enter_room] */
} enter_job;

static size_t enter_room(const conv1d *layer) {
    return 2 * MOST_PAIRS * layer->w.outputs + winograd_room(layer);
}

static void enter_tile(void *context, const compute *run, size_t part, const pair_tile *tile) {
    const enter_job *job = context;
    const conv1d *layer = job->layer;
    size_t n = layer->w.outputs;
    real *y = job->room + part * enter_room(layer), *out = job->call->out;
    winograd_rows(layer, run, tile, job->call->in, layer->w.inputs, job->before, job->call->kept, false,
                  y + 2 * MOST_PAIRS * n, y);
    for (size_t i = 0; i < tile->firsts; i++, y += n) memcpy(out + tile->first[i] * n, y, n * sizeof *y);
    for (size_t i = 0; i < tile->seconds; i++, y += n) memcpy(out + tile->second[i] * n, y, n * sizeof *y);
}

static void run_enter(const conv1d *layer, compute *run, const stage_call *call) {
    size_t mark = run->scratch.used, parts = pair_parts(run), n = layer->w.outputs;
    enter_job job = {.layer = layer, .call = call};
    job.room = arena_reals(&run->scratch, parts * enter_room(layer));
    real *before = arena_reals(&run->scratch, n);
    if (!measuring(run)) memcpy(before, call->kept, n * sizeof *before);
    job.before = before;
    run_pair_tiles(run, layer->dilation, measuring(run) ? 0 : (size_t)call->position, call->rows, 0, enter_tile, &job);
    arena_release(&run->scratch, mark);
}

static size_t kept(const network *net, size_t stage) {
    return stage == 0 ? ((const convnext *)net)->enter.w.outputs : 0;
}

static void run_stage(const network *net, compute *run, const stage_call *call) {
    const convnext *self = (const convnext *)net;
    if (call->stage > 0 && call->stage <= self->blocks) {
        run_block(self, run, call);
    } else if (call->stage == 0) {
        run_enter(&self->enter, run, call);
    } else if (!measuring(run)) {
        conv1d_window(&self->exit, run, call->rows, call->in, self->dim, 0, 0, false, call->out, net->outputs);
    }
}

const network_stages convnext_stages = {
    .count = count, .reach = reach, .width = width, .kept = kept, .joins = true, .run = run_stage};
