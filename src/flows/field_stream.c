/* A field's steps as rows come. Every evaluation of its network is a stage with a history of its own: the rows that it
 * has given go to the next one at once, and rows that wait for its velocities lie beside it. Where an evaluation finds
 * the middle of a step, the rows that the step began at go on along with it. */
#include <stdlib.h>

#include "flows/field.h"
#include "flows/stream.h"
#include "flows/streamed.h"
#include "nn/stream.h"

typedef struct evaluation {
    network_stream *net;
    row_queue from; /* rows that the velocities are added to, waiting */
    real *out;      /* [most, channels] */
    field_stage stage;
} evaluation;

typedef struct field_stream {
    flow_stream base;
    size_t count;
    real *factors; /* [count, what the network says]: its times */
    evaluation evaluations[];
} field_stream;

typedef struct push_call {
    field_stream *self;
    compute *run;
    row_sink to;
} push_call;

/* to = from + factor v, the arithmetic of the whole-array form */
static void add_velocities(size_t count, const real *from, real factor, const real *v, real *to) {
    for (size_t i = 0; i < count; i++) to[i] = from[i] + factor * v[i];
}

/* Rows x for evaluation e, whose velocities are for the rows `from`; past the last evaluation they are data. */
static vocode_status take_rows(const push_call *call, size_t e, const real *x, const real *from, size_t rows,
                               bool last) {
    field_stream *self = call->self;
    if (e == self->count) return call->to.take(call->to.context, x, rows, last);
    evaluation *it = &self->evaluations[e];
    size_t channels = self->base.of->channels;
    real *kept = row_queue_push(&it->from, rows);
    for (size_t i = 0; i < rows * channels; i++) kept[i] = from[i];
    network_stream_push(it->net, call->run, x, channels, rows, self->base.setting.cond, last);
    row_queue *v = network_stream_rows(it->net);
    for (bool more = true; more;) {
        size_t ready = smaller(v->count, it->from.count), count = smaller(ready, self->base.setting.most);
        bool final = last && count == it->from.count;
        const real *begun = count ? row_queue_at(&it->from, it->from.first) : NULL;
        if (count) {
            add_velocities(count * channels, begun, it->stage.factor, row_queue_at(v, v->first), it->out);
            row_queue_drop(v, v->first + (ptrdiff_t)count);
        }
        TRY(take_rows(call, e + 1, it->out, it->stage.middle ? begun : it->out, count, final));
        row_queue_drop(&it->from, it->from.first + (ptrdiff_t)count);
        more = ready > count;
    }
    return VOCODE_OK;
}

static vocode_status push(flow_stream *base, compute *run, const real *z, size_t rows, bool last, row_sink to) {
    return take_rows(&(push_call){(field_stream *)base, run, to}, 0, z, z, rows, last);
}

static ptrdiff_t wants(const flow_stream *base) {
    const field_stream *self = (const field_stream *)base;
    ptrdiff_t least = PTRDIFF_MAX;
    for (size_t e = 0; base->of->cond_channels && e < self->count; e++) {
        ptrdiff_t wanted = network_stream_wants(self->evaluations[e].net);
        if (wanted < least) least = wanted;
    }
    return least;
}

static void destroy(flow_stream *base) {
    field_stream *self = (field_stream *)base;
    for (size_t e = 0; e < self->count; e++) {
        network_stream_free(self->evaluations[e].net);
        row_queue_free(&self->evaluations[e].from);
        aligned_free(self->evaluations[e].out);
    }
    aligned_free(self->factors);
    free(self);
}

static const flow_stream_class field_stream_class = {.push = push, .wants = wants, .destroy = destroy};

/* What the network makes of the times of all evaluations. */
static bool find_factors(field_stream *self, const network *net) {
    size_t width = net->type->factors(net), steps = self->base.setting.steps;
    compute run = {.scratch = arena_over(NULL, 0), .threads = 1};
    net->type->modulate(net, &run, 0, NULL);
    size_t scratch = run.scratch.peak ? run.scratch.peak : 1;
    void *memory = aligned_new(scratch, 1);
    self->factors = aligned_new(self->count, width * sizeof *self->factors);
    bool good = memory && self->factors;
    run.scratch = arena_over(memory, scratch);
    for (size_t e = 0; good && e < self->count; e++)
        net->type->modulate(net, &run, field_time(self->base.of, steps, e), self->factors + e * width);
    aligned_free(memory);
    return good;
}

static vocode_status open_evaluation(field_stream *self, const network *net, size_t e, vocode_error *error) {
    evaluation *it = &self->evaluations[e];
    const stream_setting *setting = &self->base.setting;
    size_t channels = self->base.of->channels, reach = net->type->reach(net);
    it->stage = field_stage_of(self->base.of, setting->steps, e);
    it->out = aligned_new(setting->most, channels * sizeof *it->out);
    if (!it->out || !row_queue_new(&it->from, channels, reach + 2 * setting->most, 0))
        return failed(error, VOCODE_MEMORY, "field %s: cannot allocate a stream", self->base.of->name);
    TRY(network_stream_new(net, setting->most, setting->repeat, setting->threads, &it->net, error));
    network_stream_set_time(it->net, self->factors + e * net->type->factors(net));
    self->base.scratch = network_stream_scratch(it->net);
    return VOCODE_OK;
}

vocode_status field_stream_new(const flow *of, const stream_setting *setting, flow_stream **out, vocode_error *error) {
    size_t count = field_evaluations(of, setting->steps);
    const network *net = field_network(of);
    TRY(flow_stream_make(sizeof(field_stream) + count * sizeof(evaluation), &field_stream_class, of, setting, out,
                         error));
    field_stream *self = (field_stream *)*out;
    self->count = count;
    vocode_status status = find_factors(self, net)
                               ? VOCODE_OK
                               : failed(error, VOCODE_MEMORY, "field %s: cannot allocate a stream", of->name);
    for (size_t e = 0; status == VOCODE_OK && e < count; e++) status = open_evaluation(self, net, e, error);
    if (status != VOCODE_OK) {
        destroy(*out);
        *out = NULL;
    }
    return status;
}
