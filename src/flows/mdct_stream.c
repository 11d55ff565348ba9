/* The inverse MDCT as columns come. A column's first half overlaps with the one before it, so half a column of samples
 * waits; only the very end asks whether a column was the last, and then that column's tail is computed again. Threads
 * share the columns of a push: what a column leaves to the next one depends on it alone, so a share begins with the
 * column before it. */
#include <stdlib.h>
#include <string.h>

#include "flows/stream.h"
#include "flows/streamed.h"

typedef struct mdct_stream {
    flow_stream base;
    const mdct *transform;
    size_t bins;
    size_t columns;         /* so far */
    real *column;           /* [bins]: the last one */
    double *before, *carry; /* [bins]: what was carried into it and out of it */
    real *out;              /* [most * bins] */
} mdct_stream;

/* A share's own memory, and what it has: carries into and out of its last column, samples [bins]. */
typedef struct share {
    arena room;
    double *before, *carry, *samples;
} share;

typedef struct column_job {
    const mdct_stream *self;
    const real *z;
    size_t rows, parts, size; /* size: bytes of a share's memory */
    char *memory;             /* [parts][size] */
} column_job;

static size_t share_size(const mdct_stream *self) {
    return mdct_scratch(self->transform) + 3 * (self->bins * sizeof(double) + ARENA_ALIGNMENT);
}

static share share_of(const column_job *job, size_t part) {
    size_t n = job->self->bins;
    share own = {.room = arena_over(job->memory + part * job->size, job->size)};
    own.before = arena_take(&own.room, n, sizeof(double));
    own.carry = arena_take(&own.room, n, sizeof(double));
    own.samples = arena_take(&own.room, n, sizeof(double));
    return own;
}

enum { LEAST_COLUMNS = 8 }; /* of a share */

static size_t bound_of(const column_job *job, size_t part) {
    return job->rows * part / job->parts;
}

/* The columns of a share; all samples but the half that waits before the very first column. */
static void run_share(void *context, size_t part) {
    const column_job *job = context;
    const mdct_stream *self = job->self;
    size_t n = self->bins, first = bound_of(job, part), past = bound_of(job, part + 1), skip = n / 2;
    share own = share_of(job, part);
    if (first == 0)
        memcpy(own.carry, self->carry, n * sizeof *own.carry);
    else
        mdct_block_inverse(self->transform, job->z + (first - 1) * n, self->columns + first == 1, 0, own.carry,
                           own.samples, &own.room);
    for (size_t t = first; t < past; t++) {
        bool start = self->columns + t == 0;
        real *out = self->out + t * n - (self->columns || start ? 0 : skip);
        memcpy(own.before, own.carry, n * sizeof *own.before);
        mdct_block_inverse(self->transform, job->z + t * n, start, 0, own.carry, own.samples, &own.room);
        for (size_t i = start ? skip : 0; i < n; i++) out[i - (start ? skip : 0)] = (real)own.samples[i];
    }
}

/* Samples that rows > 0 columns give. */
static size_t push_columns(mdct_stream *self, const compute *run, column_job *job) {
    size_t n = self->bins, skip = self->columns ? 0 : n / 2;
    run_tasks(run, job->parts, run_share, job);
    share last = share_of(job, job->parts - 1);
    memcpy(self->column, job->z + (job->rows - 1) * n, n * sizeof *self->column);
    memcpy(self->before, last.before, n * sizeof *self->before);
    memcpy(self->carry, last.carry, n * sizeof *self->carry);
    self->columns += job->rows;
    return job->rows * n - skip;
}

/* The half column after the last one. */
static size_t push_end(mdct_stream *self, const share *own, real *out) {
    size_t n = self->bins;
    arena room = own->room;
    mdct_block_inverse(self->transform, self->column, self->columns == 1, 1, self->before, own->samples, &room);
    for (size_t i = 0; i < n / 2; i++) out[i] = (real)self->before[i];
    return n / 2;
}

static vocode_status push(flow_stream *base, compute *run, const real *z, size_t rows, bool last, row_sink to) {
    mdct_stream *self = (mdct_stream *)base;
    size_t mark = run->scratch.used, parts = smaller((size_t)run->threads, rows / LEAST_COLUMNS + 1);
    column_job job = {.self = self, .z = z, .rows = rows, .parts = parts, .size = share_size(self)};
    job.memory = arena_take(&run->scratch, parts, job.size);
    size_t count = rows ? push_columns(self, run, &job) : 0;
    share own = share_of(&job, 0);
    arena_release(&run->scratch, mark);
    if (!last || !self->columns) return to.take(to.context, self->out, count, last);
    if (count) TRY(to.take(to.context, self->out, count, false));
    count = push_end(self, &own, self->out);
    return to.take(to.context, self->out, count, true);
}

static void destroy(flow_stream *base) {
    mdct_stream *self = (mdct_stream *)base;
    aligned_free(self->column);
    aligned_free(self->before);
    aligned_free(self->carry);
    aligned_free(self->out);
    free(self);
}

static const flow_stream_class mdct_stream_class = {.push = push, .destroy = destroy};

vocode_status mdct_stream_new(const flow *of, const stream_setting *setting, flow_stream **out, vocode_error *error) {
    TRY(flow_stream_make(sizeof(mdct_stream), &mdct_stream_class, of, setting, out, error));
    mdct_stream *self = (mdct_stream *)*out;
    self->bins = of->fold;
    self->transform = mdct_flow_transform(of);
    self->column = aligned_new(self->bins, sizeof *self->column);
    self->before = aligned_new(self->bins, sizeof *self->before);
    self->carry = aligned_new(self->bins, sizeof *self->carry);
    self->out = aligned_new(setting->most * self->bins, sizeof *self->out);
    self->base.scratch = (size_t)setting->threads * share_size(self) + ARENA_ALIGNMENT;
    if (self->column && self->before && self->carry && self->out) return VOCODE_OK;
    destroy(*out);
    *out = NULL;
    return failed(error, VOCODE_MEMORY, "mdct: cannot allocate a stream");
}
