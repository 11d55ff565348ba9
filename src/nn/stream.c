#include "nn/stream.h"

#include <stdlib.h>
#include <string.h>

#include "nn/conv1d.h"

/* A stage, the rows that it has taken and how many it has given. */
typedef struct stage {
    size_t reach;
    row_queue in;   /* from position -reach on */
    ptrdiff_t done; /* the next position to give */
    bool ended;     /* its input has ended: `reach` zero rows follow the last one */
    real *held;
    ptrdiff_t held_at;
    real *kept;
} stage;

struct network_stream {
    const network *net;
    const network_stages *kind;
    size_t count, most, repeat, scratch;
    int threads;
    const real *factors;
    row_queue out;
    stage stages[];
};

static size_t total_reach(const network *net, const network_stages *kind) {
    size_t sum = 0;
    for (size_t i = 0; i < kind->count(net); i++) sum += kind->reach(net, i);
    return sum;
}

/* A tile, the rows to either side that it sees, and as many zeros as may follow the end. */
static bool new_stage(network_stream *stream, size_t i) {
    stage *self = &stream->stages[i];
    self->reach = stream->kind->reach(stream->net, i);
    self->held_at = -1;
    size_t most = stream->most + 3 * self->reach;
    if (!row_queue_new(&self->in, stream->kind->width(stream->net, i), most, -(ptrdiff_t)self->reach)) return false;
    row_queue_push_zeros(&self->in, self->reach);
    size_t kept = stream->kind->kept ? stream->kind->kept(stream->net, i) : 0;
    if (kept && !(self->kept = aligned_new(kept, sizeof(real)))) return false;
    size_t held = stream->kind->held_width * stream->kind->width(stream->net, i + 1);
    if (!held || stream->repeat == 1) return true;
    self->held = aligned_new(held, sizeof(real));
    return self->held != NULL;
}

/* What the hungriest stage takes, by a dry run. */
static size_t measure(const network_stream *stream) {
    compute dry = {.scratch = arena_over(NULL, 0), .threads = stream->threads};
    ptrdiff_t held_at = -1;
    for (size_t i = 0; i < stream->count; i++) {
        const stage_call call = {.stage = i, .rows = stream->most, .repeat = stream->repeat, .held_at = &held_at};
        stream->kind->run(stream->net, &dry, &call);
    }
    return dry.scratch.peak;
}

vocode_status network_stream_new(const network *net, size_t most, size_t repeat, int threads, network_stream **out,
                                 vocode_error *error) {
    const network_stages *kind = net->type->stages;
    size_t count = kind->count(net), total = total_reach(net, kind);
    network_stream *stream = calloc(1, sizeof *stream + count * sizeof *stream->stages);
    *out = NULL;
    if (!stream) return failed(error, VOCODE_MEMORY, "cannot allocate a stream of %zu stages", count);
    stream->net = net;
    stream->kind = kind;
    stream->count = count;
    stream->most = most;
    stream->repeat = repeat;
    stream->threads = threads;
    bool good = row_queue_new(&stream->out, net->outputs, most + total, 0);
    for (size_t i = 0; good && i < count; i++) good = new_stage(stream, i);
    if (!good) {
        network_stream_free(stream);
        return failed(error, VOCODE_MEMORY, "cannot allocate the history of a stream of %zu stages", count);
    }
    stream->scratch = measure(stream);
    *out = stream;
    return VOCODE_OK;
}

void network_stream_free(network_stream *stream) {
    if (!stream) return;
    for (size_t i = 0; i < stream->count; i++) {
        row_queue_free(&stream->stages[i].in);
        aligned_free(stream->stages[i].held);
        aligned_free(stream->stages[i].kept);
    }
    row_queue_free(&stream->out);
    free(stream);
}

void network_stream_set_time(network_stream *stream, const real *factors) {
    stream->factors = factors;
}

size_t network_stream_scratch(const network_stream *stream) {
    return stream->scratch;
}

row_queue *network_stream_rows(network_stream *stream) {
    return &stream->out;
}

/* Joining stages want the conditioning of new rows only; gated ones that of the oldest row that is not yet given. */
ptrdiff_t network_stream_wants(const network_stream *stream) {
    ptrdiff_t oldest = row_queue_end(&stream->stages[0].in);
    for (size_t i = 0; !stream->kind->joins && i < stream->count; i++)
        if (stream->stages[i].done < oldest) oldest = stream->stages[i].done;
    return oldest;
}

typedef struct taking {
    const network_stream *stream;
    const real *x;
    const row_queue *cond;
    size_t ldx;
    ptrdiff_t position; /* of the first row */
    real *to;
} taking;

/* Rows of the first stage: x and, where it joins them, conditioning. */
static void take_rows(void *context, size_t first, size_t count) {
    const taking *job = context;
    size_t width = job->stream->stages[0].in.width, inputs = job->stream->net->inputs, conditioning = width - inputs;
    real *to = job->to + first * width;
    for (size_t t = first; t < first + count; t++, to += width) {
        if (inputs) memcpy(to, job->x + t * job->ldx, inputs * sizeof *to);
        if (!conditioning) continue;
        const real *from = row_queue_at(job->cond, (job->position + (ptrdiff_t)t) / (ptrdiff_t)job->stream->repeat);
        memcpy(to + inputs, from, conditioning * sizeof *to);
    }
}

enum { COST_OF_COPY = 10 }; /* multiply-adds of the same time */

static void take(network_stream *stream, const compute *run, const real *x, size_t ldx, size_t rows,
                 const row_queue *cond) {
    row_queue *in = &stream->stages[0].in;
    taking job = {stream, x, cond, ldx, row_queue_end(in), row_queue_push(in, rows)};
    run_parts(run, rows, in->width * COST_OF_COPY, take_rows, &job);
}

/* Marks the input of a stage as ended; past the last stage there is nothing to mark. */
static void end_input(network_stream *stream, size_t i) {
    if (i == stream->count || stream->stages[i].ended) return;
    stream->stages[i].ended = true;
    row_queue_push_zeros(&stream->stages[i].in, stream->stages[i].reach);
}

static row_queue *output_of(network_stream *stream, size_t i) {
    return i + 1 < stream->count ? &stream->stages[i + 1].in : &stream->out;
}

/* One call at most, of as many rows as there are and the next stage has room for. Whether anything was done. */
static bool run_stage(network_stream *stream, compute *run, size_t i, const row_queue *cond) {
    stage *self = &stream->stages[i];
    row_queue *to = output_of(stream, i);
    ptrdiff_t past = row_queue_end(&self->in) - (ptrdiff_t)self->reach;
    size_t ready = past > self->done ? (size_t)(past - self->done) : 0;
    size_t rows = smaller(smaller(ready, stream->most), row_queue_room(to));
    if (rows) {
        const stage_call call = {.stage = i,
                                 .rows = rows,
                                 .in = row_queue_at(&self->in, self->done),
                                 .out = row_queue_push(to, rows),
                                 .cond = cond,
                                 .position = self->done,
                                 .repeat = stream->repeat,
                                 .held = self->held,
                                 .held_at = &self->held_at,
                                 .kept = self->kept,
                                 .factors = stream->factors};
        stream->kind->run(stream->net, run, &call);
        self->done += (ptrdiff_t)rows;
        row_queue_drop(&self->in, self->done - (ptrdiff_t)self->reach);
    }
    if (self->ended && rows == ready) end_input(stream, i + 1);
    return rows > 0;
}

void network_stream_push(network_stream *stream, compute *run, const real *x, size_t ldx, size_t rows,
                         const row_queue *cond, bool last) {
    take(stream, run, x, ldx, rows, cond);
    if (last) end_input(stream, 0);
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < stream->count; i++) more = run_stage(stream, run, i, cond) || more;
    }
}

/* The products [first, past) of conditioning rows; the first of them may be held from the call before. */
static void condition_rows(const conv1d *layer, compute *run, const stage_call *call, size_t first, size_t width,
                           ptrdiff_t from, size_t rows, real *products) {
    size_t skip = call->held && *call->held_at == from;
    if (skip) memcpy(products, call->held, width * sizeof *products);
    if (rows > skip)
        conv1d_window(layer, run, rows - skip, row_queue_at(call->cond, from + (ptrdiff_t)skip), call->cond->width,
                      first, width, false, products + skip * width, width);
    if (!call->held) return;
    memcpy(call->held, products + (rows - 1) * width, width * sizeof *products);
    *call->held_at = from + (ptrdiff_t)rows - 1;
}

void stage_condition(const conv1d *layer, compute *run, const stage_call *call, size_t first, size_t width, real *y) {
    size_t repeat = call->repeat;
    if (repeat == 1) {
        if (!measuring(run))
            conv1d_window(layer, run, call->rows, row_queue_at(call->cond, call->position), call->cond->width, first,
                          width, false, y, width);
        return;
    }
    size_t mark = run->scratch.used, most = call->rows / repeat + 2;
    real *products = arena_reals(&run->scratch, most * width);
    if (!measuring(run)) {
        ptrdiff_t from = call->position / (ptrdiff_t)repeat;
        size_t offset = (size_t)call->position % repeat, rows = tiles_of(offset + call->rows, repeat);
        condition_rows(layer, run, call, first, width, from, rows, products);
        for (size_t t = 0; t < call->rows; t++)
            memcpy(y + t * width, products + (offset + t) / repeat * width, width * sizeof *y);
    }
    arena_release(&run->scratch, mark);
}
