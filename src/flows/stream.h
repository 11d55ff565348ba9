/* Running the inverse of a flow as latent rows arrive: latent -> data, in order, each row computed once. A flow that
 * looks around keeps a history of its own and gives its rows later (flow_find_halo says how much); nothing else is
 * kept, so memory does not depend on the length. Cutting the input otherwise changes no bit of the output. */
#ifndef FLOWS_STREAM_H
#define FLOWS_STREAM_H

#include "flows/flow.h"
#include "nn/rows.h"

/* Where rows go. last: the signal ends after them (rows may then be 0). */
typedef struct row_sink {
    vocode_status (*take)(void *context, const real *rows, size_t count, bool last);
    void *context;
} row_sink;

/* What a stream is made for. */
typedef struct stream_setting {
    size_t most;           /* latent rows a push */
    int threads;           /* the most that a push may have */
    size_t repeat;         /* latent rows that one row of conditioning serves */
    const row_queue *cond; /* conditioning by position, filled by the owner ahead of each push; NULL without */
    size_t steps;          /* of continuous flows; 0: their own number */
} stream_setting;

typedef struct flow_stream flow_stream;

typedef struct flow_stream_class {
    vocode_status (*push)(flow_stream *self, compute *run, const real *z, size_t rows, bool last, row_sink to);
    /* The first latent position whose conditioning may still be wanted. NULL: none is. */
    ptrdiff_t (*wants)(const flow_stream *self);
    void (*destroy)(flow_stream *self); /* frees self too */
} flow_stream_class;

/* Every stream's struct starts with one. */
struct flow_stream {
    const flow_stream_class *type;
    const flow *of;
    stream_setting setting;
    size_t scratch; /* bytes that a push takes from run->scratch */
};

/* VOCODE_UNSUPPORTED where the flow cannot run so (early outputs at several frame rates), VOCODE_MEMORY. */
vocode_status flow_stream_new(const flow *self, const stream_setting *setting, flow_stream **out, vocode_error *error);
void flow_stream_free(flow_stream *stream); /* NULL is fine */

/* rows <= most latent rows z [rows, channels * fold]; gives what has become known of the data, at most most * fold rows
 * at a time, to the sink. Exactly one push is the last. */
vocode_status flow_stream_push(flow_stream *stream, compute *run, const real *z, size_t rows, bool last, row_sink to);

/* Of conditioning rows: the first position that may still be wanted when `rows` latent rows have been pushed. */
ptrdiff_t flow_stream_wants(const flow_stream *stream, ptrdiff_t rows);

/* For builders: a zeroed struct of size bytes with its base filled. */
vocode_status flow_stream_make(size_t size, const flow_stream_class *type, const flow *of,
                               const stream_setting *setting, flow_stream **out, vocode_error *error);

#endif
