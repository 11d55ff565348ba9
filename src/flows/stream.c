#include "flows/stream.h"

#include <stdlib.h>

vocode_status flow_stream_make(size_t size, const flow_stream_class *type, const flow *of,
                               const stream_setting *setting, flow_stream **out, vocode_error *error) {
    *out = calloc(1, size);
    if (!*out) return failed(error, VOCODE_MEMORY, "%s %s: cannot allocate a stream", of->type->name, of->name);
    (*out)->type = type;
    (*out)->of = of;
    (*out)->setting = *setting;
    return VOCODE_OK;
}

/* A flow whose rows do not look around: its inverse, rows at a time. */
typedef struct row_stream {
    flow_stream base;
    real *out; /* [most * fold, channels] */
} row_stream;

static flow_run row_run(const flow *of, compute *run, size_t rows) {
    return (flow_run){.work = run, .shape = {1, rows * of->fold, of->channels}};
}

static vocode_status push_rows(flow_stream *base, compute *run, const real *z, size_t rows, bool last, row_sink to) {
    real *out = ((row_stream *)base)->out;
    flow_run call = row_run(base->of, run, rows);
    if (rows) TRY(flow_inverse(base->of, &call, z, out));
    return to.take(to.context, out, rows * base->of->fold, last);
}

static void destroy_rows(flow_stream *base) {
    aligned_free(((row_stream *)base)->out);
    free(base);
}

static const flow_stream_class row_stream_class = {.push = push_rows, .destroy = destroy_rows};

static vocode_status row_stream_new(const flow *of, const stream_setting *setting, flow_stream **out,
                                    vocode_error *error) {
    TRY(flow_stream_make(sizeof(row_stream), &row_stream_class, of, setting, out, error));
    row_stream *self = (row_stream *)*out;
    compute dry = {.scratch = arena_over(NULL, 0), .threads = 1};
    flow_run call = row_run(of, &dry, setting->most);
    call.error = error;
    self->out = aligned_new(setting->most * of->fold, of->channels * sizeof *self->out);
    vocode_status status = self->out ? flow_measure(of, &call, FLOW_INVERSE, &self->base.scratch, NULL)
                                     : failed(error, VOCODE_MEMORY, "%s: cannot allocate a stream", of->type->name);
    if (status != VOCODE_OK) {
        destroy_rows(*out);
        *out = NULL;
    }
    return status;
}

vocode_status flow_stream_new(const flow *self, const stream_setting *setting, flow_stream **out, vocode_error *error) {
    *out = NULL;
    if (self->type->stream) return self->type->stream(self, setting, out, error);
    if (flow_reach(self))
        return failed(error, VOCODE_UNSUPPORTED, "%s %s: cannot run as rows arrive", self->type->name, self->name);
    return row_stream_new(self, setting, out, error);
}

void flow_stream_free(flow_stream *stream) {
    if (stream) stream->type->destroy(stream);
}

vocode_status flow_stream_push(flow_stream *stream, compute *run, const real *z, size_t rows, bool last, row_sink to) {
    return stream->type->push(stream, run, z, rows, last, to);
}

ptrdiff_t flow_stream_wants(const flow_stream *stream, ptrdiff_t rows) {
    ptrdiff_t wanted = stream->type->wants ? stream->type->wants(stream) : rows;
    return (wanted < rows ? wanted : rows) / (ptrdiff_t)stream->setting.repeat;
}
