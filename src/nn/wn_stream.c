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

typedef struct layer_job {
    const wn *self;
    const wn_layer *layer;
    const stage_call *call;
    bool conditioned; /* a holds the conditioning's share already */
    bool condition;   /* it is still to be computed, a row of conditioning a row */
    size_t skip_half; /* where in a row of out the residual or the skip starts */
    real *a, *gated;  /* [rows, 2 channels], [rows, channels] */
} layer_job;

/* Rows through the whole layer while they are in cache. */
static void layer_rows(void *context, const compute *run, size_t first, size_t count) {
    const layer_job *job = context;
    const wn *self = job->self;
    const stage_call *call = job->call;
    size_t c = self->channels, i = call->stage - 1;
    const real *in = call->in + first * 2 * c;
    real *a = job->a + first * 2 * c, *gated = job->gated + first * c, *out = call->out + first * 2 * c;
    if (job->condition)
        conv1d_window(&self->cond, run, count, row_queue_at(call->cond, call->position + (ptrdiff_t)first),
                      call->cond->width, 2 * c * i, 2 * c, false, a, 2 * c);
    conv1d_window(&job->layer->in, run, count, in, 2 * c, 0, 0, job->condition || job->conditioned, a, 2 * c);
    run_gate(run, count, c, a, gated);
    run_copy(run, count * 2 * c, in, out);
    conv1d_window(&job->layer->res_skip, run, count, gated, c, 0, 0, true, out + job->skip_half, 2 * c);
}

static void run_layer(const wn *self, compute *run, const stage_call *call) {
    size_t mark = run->scratch.used, c = self->channels, i = call->stage - 1, rows = call->rows;
    bool conditioned = self->base.conditioning != 0;
    layer_job job = {.self = self,
                     .layer = &self->layer[i],
                     .call = call,
                     .conditioned = conditioned && call->repeat > 1,
                     .condition = conditioned && call->repeat == 1,
                     .skip_half = i + 1 == self->layers ? c : 0};
    job.a = arena_reals(&run->scratch, rows * 2 * c);
    job.gated = arena_reals(&run->scratch, rows * c);
    if (job.conditioned) stage_condition(&self->cond, run, call, 2 * c * i, 2 * c, job.a);
    if (few_rows(run, rows) && !measuring(run))
        layer_rows(&job, run, 0, rows);
    else
        run_row_tiles(run, rows, layer_rows, &job);
    arena_release(&run->scratch, mark);
}

static bool paired(const wn *self, size_t stage) {
    return stage > 0 && stage <= self->layers && self->layer[stage - 1].in.w.pairs;
}

static size_t kept(const network *net, size_t stage) {
    const wn *self = (const wn *)net;
    return paired(self, stage) ? self->layer[stage - 1].in.dilation * 2 * self->channels : 0;
}

static void run_stage(const network *net, compute *run, const stage_call *call) {
    const wn *self = (const wn *)net;
    size_t c = self->channels;
    if (paired(self, call->stage)) {
        wn_run_pairs(self, run, call);
    } else if (call->stage > 0 && call->stage <= self->layers) {
        run_layer(self, run, call);
    } else if (!measuring(run) && call->stage == 0) {
        conv1d_window(&self->start, run, call->rows, call->in, net->inputs, 0, 0, false, call->out, 2 * c);
        run_fill_rows(run, call->rows, c, NULL, call->out + c, 2 * c);
    } else if (!measuring(run)) {
        conv1d_window(&self->end, run, call->rows, call->in + c, 2 * c, 0, 0, false, call->out, net->outputs);
    }
}

const network_stages wn_stages = {
    .count = count, .reach = reach, .width = width, .held_width = 1, .kept = kept, .run = run_stage};
