/* Running a network as rows arrive. A network is a line of stages; each takes rows at a position and gives rows at the
 * same position, and sees `reach` rows to either side. A stage keeps the history that it needs and computes every row
 * once, as soon as the rows that it sees are there; before position 0 and after the end there are zeros. The arithmetic
 * of a row does not depend on which other rows are computed with it, so the outcome does not depend on how the input is
 * cut. A long push is cut into tiles that stay in cache through all stages. */
#ifndef NN_STREAM_H
#define NN_STREAM_H

#include "nn/network.h"
#include "nn/rows.h"

/* One call of one stage. */
typedef struct stage_call {
    size_t stage;
    size_t rows;
    const real *in;        /* the row at the first position; rows of the stage's reach lie before and after */
    real *out;             /* [rows, width of the next stage] */
    const row_queue *cond; /* conditioning rows; NULL where the network has none */
    ptrdiff_t position;    /* of the first row */
    size_t repeat;         /* rows that one row of conditioning serves */
    real *held;            /* [held_width]: the stage's product of the conditioning row held_at, from the call before */
    ptrdiff_t *held_at;
    real
        *kept; /* [the stage's kept]: what it carries from call to call, zero at first; NULL where it carries nothing */
    const real *factors; /* of the stream's time; NULL where the network knows none */
} stage_call;

/* How a network is cut; network_class.stages. */
typedef struct network_stages {
    size_t (*count)(const network *net);
    size_t (*reach)(const network *net, size_t stage);
    size_t (*width)(const network *net, size_t stage); /* of the rows that it takes; at count: the outputs */
    size_t held_width; /* of stage_call.held in multiples of the next stage's width; 0: no stage uses it */
    size_t (*kept)(const network *net, size_t stage); /* reals of stage_call.kept; NULL: none */
    bool joins;                                       /* stage 0 takes [x, cond] side by side instead of x */
    /* Takes scratch; while measuring it only counts. */
    void (*run)(const network *net, compute *run, const stage_call *call);
} network_stages;

typedef struct network_stream network_stream;

/* most: rows of a push. repeat: rows that one row of conditioning serves. threads: the most that a push may have. */
vocode_status network_stream_new(const network *net, size_t most, size_t repeat, int threads, network_stream **out,
                                 vocode_error *error);
void network_stream_free(network_stream *stream); /* NULL is fine */

/* The factors of the time at which a network that knows one runs (network_class.modulate), borrowed; before the first
 * push. */
void network_stream_set_time(network_stream *stream, const real *factors);

/* Bytes of scratch that a push takes. */
size_t network_stream_scratch(const network_stream *stream);

/* rows <= most new rows x, ldx apart (x NULL where the network has no inputs), at the positions that follow. The rows
 * of conditioning for them must be held in cond, and those for the network's reach before them. last: the signal ends
 * after them. */
void network_stream_push(network_stream *stream, compute *run, const real *x, size_t ldx, size_t rows,
                         const row_queue *cond, bool last);

/* What has been computed; the caller takes rows from the front with row_queue_drop before the next push. */
row_queue *network_stream_rows(network_stream *stream);

/* The first position whose row of conditioning is still wanted. */
ptrdiff_t network_stream_wants(const network_stream *stream);

/* For stages: y [rows, width] = outputs first .. first + width of a 1x1 layer over the conditioning of the call's rows,
 * each row of conditioning computed once. Takes scratch. */
struct conv1d;
void stage_condition(const struct conv1d *layer, compute *run, const stage_call *call, size_t first, size_t width,
                     real *y);

#endif
