#include "train/sharing.h"

#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

/* Numbers: smaller pieces cost more to send than they take, and wait for their neighbours. */
static const size_t least_piece = 4096;
static const size_t traced_steps = 10;

typedef struct piece {
    size_t offset, count;
    const char *name;
} piece;

struct gradient_sharing {
    const param_set *set;
    real *grads;
    const train_team *team;
    train_trace *trace;
    flow_watch watch;
    bool *taken;   /* [set->count] parameters that are in a piece */
    piece *pieces; /* [set->count] */
    size_t count, begun;
    double tick;  /* when what is being computed began */
    size_t steps; /* that have ended */
};

static void trace_computation(gradient_sharing *self, const char *name) {
    double now = clock_seconds();
    if (self->trace && self->steps < traced_steps) trace_add(self->trace, TRACE_COMPUTATION, name, self->tick, now);
    self->tick = now;
}

static void begin_pieces(gradient_sharing *self) {
    for (; self->team && self->begun < self->count; self->begun++) {
        const piece *next = &self->pieces[self->begun];
        self->team->reduce(self->team->context, next->name, self->grads + next->offset, next->count);
    }
}

/* Parameters first .. past, which lie side by side. */
static void take(gradient_sharing *self, size_t first, size_t past, const char *name) {
    const param *begin = self->set->items[first], *end = self->set->items[past - 1];
    self->pieces[self->count++] = (piece){begin->offset, end->offset + end->count - begin->offset, name};
    for (size_t i = first; i < past; i++) self->taken[i] = true;
}

static void see(void *context, const flow *part) {
    gradient_sharing *self = context;
    trace_computation(self, part ? part->name : "forward");
    if (!part) return;
    size_t first = part->first_param, past = first + part->param_count;
    const param *begin = self->set->items[first], *end = self->set->items[past - 1];
    if (self->taken[first] || end->offset + end->count - begin->offset < least_piece) return;
    take(self, first, past, part->name);
    if (self->team && !self->team->late) begin_pieces(self);
}

vocode_status sharing_new(const param_set *set, real *grads, const train_team *team, train_trace *trace,
                          gradient_sharing **out, vocode_error *error) {
    *out = NULL;
    gradient_sharing *self = calloc(1, sizeof *self);
    if (!self) return failed(error, VOCODE_MEMORY, "out of memory for the sharing of gradients");
    *self = (gradient_sharing){.set = set, .grads = grads, .team = team, .trace = trace, .watch = {see, self}};
    self->taken = calloc(set->count + 1, sizeof *self->taken);
    self->pieces = calloc(set->count + 1, sizeof *self->pieces);
    if (self->taken && self->pieces) {
        *out = self;
        return VOCODE_OK;
    }
    sharing_free(self);
    return failed(error, VOCODE_MEMORY, "out of memory for the sharing of gradients");
}

void sharing_free(gradient_sharing *self) {
    if (!self) return;
    free(self->taken);
    free(self->pieces);
    free(self);
}

const flow_watch *sharing_begin(gradient_sharing *self, bool last) {
    self->tick = clock_seconds();
    return last ? &self->watch : NULL;
}

static void take_rest(gradient_sharing *self) {
    for (size_t first = 0; first < self->set->count; first++) {
        size_t past = first;
        while (past < self->set->count && !self->taken[past]) past++;
        if (past > first) take(self, first, past, "the rest");
    }
}

static void report(void *context, const char *name, double began, double ended) {
    gradient_sharing *self = context;
    if (self->trace && self->steps < traced_steps) trace_add(self->trace, TRACE_COMMUNICATION, name, began, ended);
}

void sharing_end(gradient_sharing *self) {
    take_rest(self);
    begin_pieces(self);
    if (self->team) self->team->finish(self->team->context, report, self);
    self->steps++;
    self->count = self->begun = 0;
    memset(self->taken, 0, self->set->count * sizeof *self->taken);
}
