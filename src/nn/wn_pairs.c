/* A layer of WN whose dilated convolution has 3 taps, as rows come: by pairs of rows (winograd.h). A tile's rows stand
 * side by side in the order of the tile, firsts before seconds, through conditioning, gate and residual; only what goes
 * out is in the order of time. */
#include <string.h>

#include "nn/stream.h"
#include "nn/winograd.h"
#include "nn/wn.h"

typedef struct pairs_job {
    const wn *self;
    const wn_layer *layer;
    const stage_call *call;
    const real *shared; /* [rows, 2 channels]: the conditioning's share where a row of it serves several, or NULL */
    const real *before; /* what call->kept held when the call began */
    real *room;         /* [parts][part_room] */
    size_t part_room;
} pairs_job;

enum { MOST_ROWS = 2 * MOST_PAIRS };

/* Reals of a part: conditioning's rows, a, gate and residual of a tile, and what winograd_rows takes. */
static size_t part_room(const wn *self) {
    return MOST_ROWS * (self->base.conditioning + 5 * self->channels) + winograd_room(&self->layer[0].in);
}

static size_t row_of(const pair_tile *tile, size_t i) {
    return i < tile->firsts ? tile->first[i] : tile->second[i - tile->firsts];
}

/* a [rows, 2 channels] = the conditioning's share */
static void condition_tile(const pairs_job *job, const compute *run, const pair_tile *tile, real *cond, real *a) {
    const wn *self = job->self;
    const stage_call *call = job->call;
    size_t rows = tile->firsts + tile->seconds, n = self->base.conditioning, width = 2 * self->channels;
    for (size_t i = 0; i < rows; i++)
        if (job->shared)
            memcpy(a + i * width, job->shared + row_of(tile, i) * width, width * sizeof *a);
        else
            memcpy(cond + i * n, row_queue_at(call->cond, call->position + (ptrdiff_t)row_of(tile, i)),
                   n * sizeof *cond);
    if (!job->shared) conv1d_window(&self->cond, run, rows, cond, n, width * (call->stage - 1), width, false, a, width);
}

/* out = in, with the residual and the skip added, or in the last layer the skip alone */
static void give_tile(const pairs_job *job, const pair_tile *tile, const real *residual) {
    size_t c = job->self->channels, n = job->layer->res_skip.w.outputs, skip = 2 * c - n;
    for (size_t i = 0; i < tile->firsts + tile->seconds; i++, residual += n) {
        const real *in = job->call->in + row_of(tile, i) * 2 * c;
        real *out = job->call->out + row_of(tile, i) * 2 * c;
        memcpy(out, in, skip * sizeof *out);
        kernels()->sum_scaled(n, in + skip, residual, 1, out + skip);
    }
}

static void run_tile(void *context, const compute *run, size_t part, const pair_tile *tile) {
    const pairs_job *job = context;
    size_t c = job->self->channels, conditioning = job->self->base.conditioning, rows = tile->firsts + tile->seconds;
    real *cond = job->room + part * job->part_room, *a = cond + MOST_ROWS * conditioning;
    real *gated = a + MOST_ROWS * 2 * c, *residual = gated + MOST_ROWS * c, *rest = residual + MOST_ROWS * 2 * c;
    if (conditioning) condition_tile(job, run, tile, cond, a);
    winograd_rows(&job->layer->in, run, tile, job->call->in, 2 * c, job->before, job->call->kept, conditioning != 0,
                  rest, a);
    run_gate(run, rows, c, a, gated);
    conv1d_window(&job->layer->res_skip, run, rows, gated, c, 0, 0, false, residual, job->layer->res_skip.w.outputs);
    give_tile(job, tile, residual);
}

void wn_run_pairs(const wn *self, compute *run, const stage_call *call) {
    size_t mark = run->scratch.used, width = 2 * self->channels, i = call->stage - 1, parts = pair_parts(run);
    const wn_layer *layer = &self->layer[i];
    size_t dilation = layer->in.dilation, product = self->channels * width;
    pairs_job job = {.self = self, .layer = layer, .call = call, .part_room = part_room(self)};
    bool shared = self->base.conditioning && call->repeat > 1;
    job.room = arena_reals(&run->scratch, parts * job.part_room);
    real *before = arena_reals(&run->scratch, parts > 1 ? dilation * width : 0);
    real *a = arena_reals(&run->scratch, shared ? call->rows * width : 0);
    if (shared) stage_condition(&self->cond, run, call, width * i, width, a);
    if (!measuring(run)) {
        bool alone = parts == 1 || few_rows(run, call->rows);
        job.shared = shared ? a : NULL;
        job.before = alone ? call->kept : before;
        if (!alone) memcpy(before, call->kept, dilation * width * sizeof *before);
        run_pair_tiles(run, dilation, (size_t)call->position, call->rows, 1 + self->base.conditioning * width / product,
                       run_tile, &job);
    }
    arena_release(&run->scratch, mark);
}
