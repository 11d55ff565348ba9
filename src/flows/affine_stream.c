/* Couplings and conditional scales as rows come: the network runs ahead by its reach, latent rows wait for what it
 * gives. */
#include <stdlib.h>

#include "flows/stream.h"
#include "flows/streamed.h"
#include "nn/stream.h"

typedef struct affine_stream {
    flow_stream base;
    affine_view view;
    network_stream *net;
    row_queue z;      /* latent rows that wait */
    ptrdiff_t pushed; /* rows that the network has taken */
    real *out;        /* [most, channels] */
} affine_stream;

/* Coupling: the network takes each new row's passing half. */
static void feed_rows(affine_stream *self, compute *run, const real *z, size_t rows, bool last) {
    network_stream_push(self->net, run, z, self->base.of->channels, rows, self->base.setting.cond, last);
    self->pushed += (ptrdiff_t)rows;
}

/* Scale: the network takes rows of conditioning, no sooner than its output is wanted. */
static void feed_conditioning(affine_stream *self, compute *run, bool last) {
    const stream_setting *setting = &self->base.setting;
    ptrdiff_t known = row_queue_end(setting->cond) * (ptrdiff_t)setting->repeat, end = row_queue_end(&self->z);
    ptrdiff_t wanted = end + (ptrdiff_t)self->view.net->type->reach(self->view.net);
    ptrdiff_t until = last ? end : wanted < known ? wanted : known;
    do {
        size_t left = until > self->pushed ? (size_t)(until - self->pushed) : 0, rows = smaller(left, setting->most);
        network_stream_push(self->net, run, NULL, 0, rows, setting->cond, last && rows == left);
        self->pushed += (ptrdiff_t)rows;
    } while (self->pushed < until);
}

/* Gives every row whose network output is there. */
static vocode_status give(affine_stream *self, compute *run, bool last, row_sink to) {
    row_queue *net = network_stream_rows(self->net);
    bool more = true;
    while (more) {
        size_t ready = smaller(net->count, self->z.count), rows = smaller(ready, self->base.setting.most);
        bool final = last && rows == self->z.count;
        if (rows) {
            self->view.invert(self->base.of, run, rows, row_queue_at(net, net->first),
                              row_queue_at(&self->z, self->z.first), self->out);
            row_queue_drop(net, net->first + (ptrdiff_t)rows);
            row_queue_drop(&self->z, self->z.first + (ptrdiff_t)rows);
        }
        TRY(to.take(to.context, self->out, rows, final));
        more = ready > rows;
    }
    return VOCODE_OK;
}

static vocode_status push(flow_stream *base, compute *run, const real *z, size_t rows, bool last, row_sink to) {
    affine_stream *self = (affine_stream *)base;
    size_t count = rows * base->of->channels;
    real *kept = row_queue_push(&self->z, rows);
    run_copy(run, count, z, kept);
    if (self->view.net->inputs)
        feed_rows(self, run, kept, rows, last);
    else
        feed_conditioning(self, run, last);
    return give(self, run, last, to);
}

static ptrdiff_t wants(const flow_stream *base) {
    const affine_stream *self = (const affine_stream *)base;
    return base->of->cond_channels ? network_stream_wants(self->net) : PTRDIFF_MAX;
}

static void destroy(flow_stream *base) {
    affine_stream *self = (affine_stream *)base;
    network_stream_free(self->net);
    row_queue_free(&self->z);
    aligned_free(self->out);
    free(self);
}

static const flow_stream_class affine_stream_class = {.push = push, .wants = wants, .destroy = destroy};

static vocode_status new_stream(const flow *of, affine_view view, const stream_setting *setting, flow_stream **out,
                                vocode_error *error) {
    TRY(flow_stream_make(sizeof(affine_stream), &affine_stream_class, of, setting, out, error));
    affine_stream *self = (affine_stream *)*out;
    self->view = view;
    size_t reach = self->view.net->type->reach(self->view.net);
    self->out = aligned_new(setting->most, of->channels * sizeof *self->out);
    bool good = self->out && row_queue_new(&self->z, of->channels, reach + 2 * setting->most, 0);
    vocode_status status =
        good ? network_stream_new(self->view.net, setting->most, setting->repeat, setting->threads, &self->net, error)
             : failed(error, VOCODE_MEMORY, "%s %s: cannot allocate a stream", of->type->name, of->name);
    if (status != VOCODE_OK) {
        destroy(*out);
        *out = NULL;
        return status;
    }
    self->base.scratch = network_stream_scratch(self->net);
    return VOCODE_OK;
}

vocode_status coupling_stream_new(const flow *of, const stream_setting *setting, flow_stream **out,
                                  vocode_error *error) {
    return new_stream(of, coupling_view(of), setting, out, error);
}

vocode_status scale_stream_new(const flow *of, const stream_setting *setting, flow_stream **out, vocode_error *error) {
    return new_stream(of, scale_view(of), setting, out, error);
}
