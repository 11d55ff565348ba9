/* Conditional scale: every number is divided by a standard deviation that a network finds from the conditioning alone.
 *
 * The diagonal scaling of Dinh, Krueger, Bengio, "NICE", ICLR workshop 2015, section 3.3, made a function of the
 * conditioning (Prenger, Valle, Catanzaro 2018, eq. 4 with an empty x_a):
 *
 *     l = network(cond) + offset      x, z, l [T, C]
 *     z = x exp(-l),  x = z exp(l);   log|det dz/dx| = -sum l
 *     dx = dz exp(-l),  dl = -dz z - dlogdet;  of samples: dz = dx exp(l),  dl = dz z
 *
 * x does not enter l, so both directions cost one run of the network, and neither is sequential. */
#include <stdlib.h>

#include "flows/build.h"
#include "flows/flows.h"
#include "flows/streamed.h"
#include "nn/networks.h"

typedef struct scale {
    flow base;
    network *net;
    real offset;
} scale;

/* What the loops over tiles of rows work on. */
typedef struct scaling {
    flow_shape shape;
    real offset;
    real *log_scale; /* [rows, channels]; on input what the network gave */
    double *sums;    /* of l [row_tile_count] */
} scaling;

static void offset_tile(void *context, size_t index) {
    const scaling *job = context;
    row_tile tile = row_tile_at(job->shape, index);
    size_t first = tile.first * job->shape.channels, past = first + tile.count * job->shape.channels;
    double sum = 0;
    for (size_t i = first; i < past; i++) {
        job->log_scale[i] += job->offset;
        sum += (double)job->log_scale[i];
    }
    job->sums[index] = sum;
}

/* to = from exp(sign l) */
typedef struct product {
    size_t count;
    const real *from, *log_scale;
    real sign;
    real *to;
} product;

enum { PRODUCT_TILE = 1 << 13 }; /* elements */

static void product_tile(void *context, size_t index) {
    const product *job = context;
    size_t first = index * PRODUCT_TILE, past = first + smaller(PRODUCT_TILE, job->count - first);
    for (size_t i = first; i < past; i++) job->to[i] = job->from[i] * exp(job->sign * job->log_scale[i]);
}

static void multiply(const flow_run *run, const real *from, const real *log_scale, real sign, real *to) {
    product job = {flow_shape_count(run->shape), from, log_scale, sign, to};
    run_tasks(run->work, tiles_of(job.count, PRODUCT_TILE), product_tile, &job);
}

/* Fills log_scale [rows, channels]; adds -sum l to logdet unless NULL. */
static void find_log_scale(const scale *self, const flow_run *run, real *log_scale, double *logdet, arena *tape) {
    compute *work = run->work;
    size_t mark = work->scratch.used, tiles = row_tile_count(run->shape);
    scaling job = {run->shape, self->offset, log_scale, arena_take(&work->scratch, tiles, sizeof(double))};
    network_input in = flow_network_input(&self->base, run, NULL);
    self->net->type->forward(self->net, work, &in, log_scale, tape);
    run_tasks(work, tiles, offset_tile, &job);
    if (logdet) add_tile_sums(work, run->shape, job.sums, -1, logdet);
    arena_release(&work->scratch, mark);
}

static vocode_status forward(const flow *base, const flow_run *run, const real *x, real *z, double *logdet,
                             arena *tape) {
    size_t mark = run->work->scratch.used;
    real *log_scale = arena_reals(tape ? tape : &run->work->scratch, flow_shape_count(run->shape));
    find_log_scale((const scale *)base, run, log_scale, logdet, tape);
    multiply(run, x, log_scale, -1, z);
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status inverse(const flow *base, const flow_run *run, const real *z, real *x) {
    size_t mark = run->work->scratch.used;
    real *log_scale = arena_reals(&run->work->scratch, flow_shape_count(run->shape));
    find_log_scale((const scale *)base, run, log_scale, NULL, NULL);
    multiply(run, z, log_scale, 1, x);
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status backward(const flow *base, const flow_run *run, const real *x, const real *z, const real *dz,
                              const double *dlogdet, real *dx, arena *tape) {
    (void)x;
    const scale *self = (const scale *)base;
    size_t mark = run->work->scratch.used, count = flow_shape_count(run->shape), each = count / run->shape.batch;
    real *log_scale = arena_reals(tape, count), *dlog_scale = arena_reals(&run->work->scratch, count);
    multiply(run, dz, log_scale, -1, dx);
    for (size_t i = 0; !measuring(run->work) && i < count; i++) dlog_scale[i] = -dz[i] * z[i] - (real)dlogdet[i / each];
    network_input in = flow_network_input(base, run, NULL);
    self->net->type->backward(self->net, run->work, &in, dlog_scale, NULL, flow_dcond(base, run), run->grads, tape);
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

/* The network runs once: l serves the inverse and the gradients. */
static vocode_status rebuild(const flow *base, const flow_run *run, const real *z, real *x, const real *dz,
                             const double *dlogdet, real *dx, arena *tape) {
    size_t start = tape->used;
    real *log_scale = arena_reals(tape, flow_shape_count(run->shape));
    find_log_scale((const scale *)base, run, log_scale, NULL, tape);
    multiply(run, z, log_scale, 1, x);
    tape->used = start;
    TRY(backward(base, run, x, z, dz, dlogdet, dx, tape));
    tape->used = start;
    return VOCODE_OK;
}

static vocode_status inverse_backward(const flow *base, const flow_run *run, const real *x, real *z, const real *dx,
                                      real *dz, arena *tape) {
    size_t start = tape->used;
    TRY(flow_retrace(base, run, x, z, tape));
    const real *log_scale = arena_reals(tape, flow_shape_count(run->shape));
    tape->used = start;
    multiply(run, dx, log_scale, 1, dz);
    return flow_give_back(base, run, x, z, dz, tape);
}

static void init(flow *base, uint64_t seed) {
    network *net = ((scale *)base)->net;
    net->type->init(net, seed);
}

static vocode_status prepare(flow *base, vocode_error *error) {
    (void)error;
    network *net = ((scale *)base)->net;
    net->type->prepare(net);
    return VOCODE_OK;
}

static flow_halo halo(const flow *base) {
    const network *net = ((const scale *)base)->net;
    return (flow_halo){0, net->type->reach(net)};
}

static void destroy(flow *base) {
    network_free(((scale *)base)->net);
    free(base);
}

/* x = z exp(net + offset) */
static void invert_rows(const flow *base, const compute *run, size_t rows, real *net, const real *z, real *x) {
    const scale *self = (const scale *)base;
    product job = {rows * base->channels, z, net, 1, x};
    for (size_t i = 0; i < job.count; i++) net[i] += self->offset;
    run_tasks(run, tiles_of(job.count, PRODUCT_TILE), product_tile, &job);
}

affine_view scale_view(const flow *base) {
    return (affine_view){((const scale *)base)->net, invert_rows};
}

static const flow_class scale_class = {.name = "scale",
                                       .init = init,
                                       .prepare = prepare,
                                       .forward = forward,
                                       .inverse = inverse,
                                       .backward = backward,
                                       .rebuild = rebuild,
                                       .inverse_backward = inverse_backward,
                                       .halo = halo,
                                       .stream = scale_stream_new,
                                       .destroy = destroy};

vocode_status scale_build(const scale_options *options, flow_dims dims, param_set *set, const char *prefix, flow **out,
                          vocode_error *error) {
    *out = NULL;
    if (!dims.cond_channels) return failed(error, VOCODE_VALUE, "scale %s: expected conditioning, found none", prefix);
    TRY(flow_new(sizeof(scale), &scale_class, FLOW_AUTOREGRESSIVE | FLOW_REINVERTIBLE | FLOW_SAMPLES_DIFFERENTIABLY,
                 dims, prefix, out, error));
    scale *self = (scale *)*out;
    self->offset = (real)options->offset;
    self->base.cond_channels = dims.cond_channels;
    vocode_status status = convnext_build(&(convnext_options){.inputs = 0,
                                                              .outputs = dims.channels,
                                                              .conditioning = dims.cond_channels,
                                                              .blocks = options->blocks,
                                                              .dim = options->channels,
                                                              .expansion = options->expansion,
                                                              .kernel = options->kernel},
                                          set, prefix, &self->net, error);
    return status == VOCODE_OK ? VOCODE_OK : flow_abandon(out, status);
}
