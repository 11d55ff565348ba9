/* The inverse MDCT as columns come. A column's first half overlaps with the one before it, so half a column of samples
 * waits; only the very end asks whether a column was the last, and then that column's tail is computed again. */
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
    double *samples;        /* [bins] */
    real *out;              /* [most * bins] */
} mdct_stream;

/* The column's samples, but for the half that waits, appended to out; returns how many. */
static size_t push_column(mdct_stream *self, arena *room, const real *column, real *out) {
    size_t n = self->bins, skip = self->columns ? 0 : n / 2;
    memcpy(self->column, column, n * sizeof *column);
    memcpy(self->before, self->carry, n * sizeof *self->carry);
    mdct_block_inverse(self->transform, column, self->columns++ == 0, 0, self->carry, self->samples, room);
    for (size_t i = skip; i < n; i++) out[i - skip] = (real)self->samples[i];
    return n - skip;
}

/* The half column after the last one. */
static size_t push_end(mdct_stream *self, arena *room, real *out) {
    size_t n = self->bins;
    mdct_block_inverse(self->transform, self->column, self->columns == 1, 1, self->before, self->samples, room);
    for (size_t i = 0; i < n / 2; i++) out[i] = (real)self->before[i];
    return n / 2;
}

static vocode_status push(flow_stream *base, compute *run, const real *z, size_t rows, bool last, row_sink to) {
    mdct_stream *self = (mdct_stream *)base;
    size_t mark = run->scratch.used, size = mdct_scratch(self->transform), count = 0;
    void *room = arena_take(&run->scratch, size, 1);
    for (size_t t = 0; t < rows; t++) {
        arena memory = arena_over(room, size);
        count += push_column(self, &memory, z + t * self->bins, self->out + count);
    }
    arena_release(&run->scratch, mark);
    if (!last || !self->columns) return to.take(to.context, self->out, count, last);
    if (count) TRY(to.take(to.context, self->out, count, false));
    arena memory = arena_over(room, size);
    count = push_end(self, &memory, self->out);
    return to.take(to.context, self->out, count, true);
}

static void destroy(flow_stream *base) {
    mdct_stream *self = (mdct_stream *)base;
    aligned_free(self->column);
    aligned_free(self->before);
    aligned_free(self->carry);
    aligned_free(self->samples);
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
    self->samples = aligned_new(self->bins, sizeof *self->samples);
    self->out = aligned_new(setting->most * self->bins, sizeof *self->out);
    self->base.scratch = mdct_scratch(self->transform) + ARENA_ALIGNMENT;
    if (self->column && self->before && self->carry && self->samples && self->out) return VOCODE_OK;
    destroy(*out);
    *out = NULL;
    return failed(error, VOCODE_MEMORY, "mdct: cannot allocate a stream");
}
