/* A sequence as rows come: what part k gives, part k - 1 takes at once. */
#include <stdlib.h>

#include "flows/stream.h"
#include "flows/streamed.h"

typedef struct sequence_stream sequence_stream;

/* The sink of part k: part k - 1, or the caller's. */
typedef struct link {
    sequence_stream *whole;
    size_t part;
} link_to;

struct sequence_stream {
    flow_stream base;
    flow_stream **parts; /* [count] */
    link_to *links;      /* [count] */
    size_t count;
    compute *run; /* of the push that is under way */
    row_sink to;
};

static vocode_status pass_on(void *context, const real *rows, size_t count, bool last) {
    const link_to *from = context;
    sequence_stream *self = from->whole;
    if (from->part == 0) return self->to.take(self->to.context, rows, count, last);
    row_sink next = {pass_on, &self->links[from->part - 1]};
    return flow_stream_push(self->parts[from->part - 1], self->run, rows, count, last, next);
}

static vocode_status push(flow_stream *base, compute *run, const real *z, size_t rows, bool last, row_sink to) {
    sequence_stream *self = (sequence_stream *)base;
    self->run = run;
    self->to = to;
    row_sink next = {pass_on, &self->links[self->count - 1]};
    return flow_stream_push(self->parts[self->count - 1], run, z, rows, last, next);
}

/* Positions of part k are counted at its latent's rate; wants are asked of it in rows of conditioning. */
static ptrdiff_t wants(const flow_stream *base) {
    const sequence_stream *self = (const sequence_stream *)base;
    ptrdiff_t least = PTRDIFF_MAX;
    for (size_t k = 0; k < self->count; k++) {
        const flow_stream *part = self->parts[k];
        if (!part->type->wants) continue;
        ptrdiff_t wanted = part->type->wants(part) / (ptrdiff_t)part->setting.repeat;
        if (wanted < least) least = wanted;
    }
    ptrdiff_t repeat = (ptrdiff_t)base->setting.repeat;
    return least > PTRDIFF_MAX / repeat ? PTRDIFF_MAX : least * repeat;
}

static void destroy(flow_stream *base) {
    sequence_stream *self = (sequence_stream *)base;
    for (size_t k = 0; self->parts && k < self->count; k++) flow_stream_free(self->parts[k]);
    free(self->parts);
    free(self->links);
    free(self);
}

static const flow_stream_class sequence_stream_class = {.push = push, .wants = wants, .destroy = destroy};

static vocode_status make_parts(sequence_stream *self, const flow_parts *parts, vocode_error *error) {
    stream_setting setting = self->base.setting;
    for (size_t k = parts->count; k-- > 0;) {
        TRY(flow_stream_new(parts->items[k], &setting, &self->parts[k], error));
        if (self->parts[k]->scratch > self->base.scratch) self->base.scratch = self->parts[k]->scratch;
        self->links[k] = (link_to){self, k};
        setting.most *= parts->items[k]->fold; /* rows before part k */
        setting.repeat *= parts->items[k]->fold;
    }
    return VOCODE_OK;
}

vocode_status sequence_stream_new(const flow *of, const stream_setting *setting, flow_stream **out,
                                  vocode_error *error) {
    const flow_parts *parts = sequence_parts(of);
    TRY(flow_stream_make(sizeof(sequence_stream), &sequence_stream_class, of, setting, out, error));
    sequence_stream *self = (sequence_stream *)*out;
    self->count = parts->count;
    self->parts = calloc(parts->count, sizeof *self->parts);
    self->links = calloc(parts->count, sizeof *self->links);
    vocode_status status = self->parts && self->links
                               ? make_parts(self, parts, error)
                               : failed(error, VOCODE_MEMORY, "sequence: cannot allocate a stream");
    if (status != VOCODE_OK) {
        destroy(*out);
        *out = NULL;
    }
    return status;
}
