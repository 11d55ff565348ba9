/* Affine coupling: the first half of the channels passes and drives a network that scales and shifts the other half.
 *
 * Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", ICLR 2017, eq. 4 and 5 (forward), 8 (inverse), 6
 * (Jacobian); conditioned as in Prenger, Valle, Catanzaro, "WaveGlow", 2018, eq. 4 to 6 and section 2.1:
 *
 *     (shift, r) = network(x_a, cond)       x, z [T, C]; x_a [T, C / 2], x_b the rest, C - C / 2 channels
 *     s = r                                 scale "exp"
 *     s = 2 tanh(r / 2), so |s| < 2         scale "bounded"; ds/dr = 1 - (s / 2)^2
 *     z_a = x_a,  z_b = x_b exp(s) + shift,  x_b = (z_b - shift) exp(-s)
 *     log|det dz/dx| = sum s
 *     dx_b = dz_b exp(s),  dshift = dz_b,  ds = dz_b x_b exp(s) + dlogdet,  dx_a = dz_a + network's
 *     of samples: dz_b = dx_b exp(-s),  dshift = -dz_b,  ds = -dx_b x_b,  dz_a = dx_a + network's
 *
 * Where we differ: an odd channel count is allowed, x_a is then the smaller part. The network's outputs are [shift, r],
 * as in the published WaveGlow checkpoints, or [r, shift]. Rebuilding from z runs the network once: z_a is x_a. */
#include <stdlib.h>

#include "flows/build.h"
#include "flows/flows.h"
#include "flows/streamed.h"
#include "nn/networks.h"

static const real bound = 2; /* of |s| where it is bounded */

typedef struct coupling {
    flow base;
    network *net;
    size_t passed, moved; /* channels of x_a and x_b */
    bool bounded;
    size_t shift_at, scale_at; /* where a row of the network's output holds them */
} coupling;

/* What the loops over tiles of rows work on. */
typedef struct affine {
    const coupling *self;
    flow_shape shape;
    const real *net;   /* [rows, 2 moved] */
    real *log_s;       /* [rows, moved] */
    double *sums;      /* forward: of s [row_tile_count] */
    const real *x, *z; /* the one that is known, or both */
    real *out;         /* the other one, or dx */
    const real *dz;
    const double *dlogdet;
    real *dnet; /* [rows, 2 moved] */
} affine;

/* x_a [rows, passed] = z_a, or the reverse */
static void pass(const coupling *self, size_t rows, const real *from, real *to) {
    size_t channels = self->base.channels;
    for (size_t t = 0; t < rows; t++, from += channels, to += channels)
        for (size_t c = 0; c < self->passed; c++) to[c] = from[c];
}

static void forward_tile(void *context, size_t index) {
    const affine *job = context;
    const coupling *self = job->self;
    size_t channels = self->base.channels, moved = self->moved;
    row_tile tile = row_tile_at(job->shape, index);
    const real *x = job->x + tile.first * channels;
    real *log_s = job->log_s + tile.first * moved, *z = job->out + tile.first * channels;
    double sum = 0;
    pass(self, tile.count, x, z);
    kernels()->affine(tile.count, moved, job->net + tile.first * 2 * moved, self->shift_at, self->scale_at, 2 * moved,
                      self->bounded, x + self->passed, channels, log_s, z + self->passed, channels);
    for (size_t i = 0; i < tile.count * moved; i++) sum += (double)log_s[i];
    job->sums[index] = sum;
}

/* Rows of x from those of z and of the network's output; log_s [rows, moved] receives s unless NULL. */
static void undo_rows(const coupling *self, size_t rows, const real *net, const real *z, real *log_s, real *x) {
    size_t channels = self->base.channels, moved = self->moved;
    pass(self, rows, z, x);
    kernels()->affine_inverse(rows, moved, net, self->shift_at, self->scale_at, 2 * moved, self->bounded,
                              z + self->passed, channels, log_s, x + self->passed, channels);
}

static void inverse_tile(void *context, size_t index) {
    const affine *job = context;
    const coupling *self = job->self;
    size_t channels = self->base.channels, moved = self->moved;
    row_tile tile = row_tile_at(job->shape, index);
    undo_rows(self, tile.count, job->net + tile.first * 2 * moved, job->z + tile.first * channels,
              job->log_s + tile.first * moved, job->out + tile.first * channels);
}

/* dx_b and the gradient of the network's output */
static void backward_tile(void *context, size_t index) {
    const affine *job = context;
    const coupling *self = job->self;
    size_t channels = self->base.channels, moved = self->moved;
    row_tile tile = row_tile_at(job->shape, index);
    real dlogdet = (real)job->dlogdet[tile.batch];
    for (size_t t = tile.first; t < tile.first + tile.count; t++) {
        const real *x = job->x + t * channels + self->passed, *dz = job->dz + t * channels + self->passed;
        const real *s = job->log_s + t * moved;
        real *dx = job->out + t * channels + self->passed, *dnet = job->dnet + t * 2 * moved;
        real *dshift = dnet + self->shift_at, *draw = dnet + self->scale_at;
        for (size_t c = 0; c < moved; c++) {
            dx[c] = dz[c] * exp(s[c]);
            dshift[c] = dz[c];
            draw[c] = dx[c] * x[c] + dlogdet;
        }
        if (!self->bounded) continue;
        for (size_t c = 0; c < moved; c++) draw[c] *= 1 - s[c] * s[c] / (bound * bound);
    }
}

static size_t rows_of(const flow_run *run) {
    return run->shape.batch * run->shape.frames;
}

/* The known half, side by side [rows, passed], in scratch. */
static real *gather_passed(const coupling *self, const flow_run *run, const real *from) {
    real *passed = arena_reals(&run->work->scratch, rows_of(run) * self->passed);
    run_copy_columns(run->work, rows_of(run), self->passed, from, self->base.channels, passed, self->passed);
    return passed;
}

/* The network's output of x_a, in scratch; tape may be NULL. */
static real *run_network(const coupling *self, const flow_run *run, const real *from, arena *tape) {
    real *net = arena_reals(&run->work->scratch, rows_of(run) * 2 * self->moved);
    network_input in = flow_network_input(&self->base, run, gather_passed(self, run, from));
    self->net->type->forward(self->net, run->work, &in, net, tape);
    return net;
}

static vocode_status forward(const flow *base, const flow_run *run, const real *x, real *z, double *logdet,
                             arena *tape) {
    const coupling *self = (const coupling *)base;
    compute *work = run->work;
    size_t mark = work->scratch.used, tiles = row_tile_count(run->shape), count = rows_of(run) * self->moved;
    real *log_s = arena_reals(tape ? tape : &work->scratch, count);
    double *sums = arena_take(&work->scratch, tiles, sizeof *sums);
    affine job = {.self = self, .shape = run->shape, .log_s = log_s, .sums = sums, .x = x, .out = z};
    job.net = run_network(self, run, x, tape);
    run_tasks(work, tiles, forward_tile, &job);
    add_tile_sums(work, run->shape, sums, 1, logdet);
    if (run->observer && !measuring(work))
        run->observer->see(run->observer->context, "log_s", base->name, log_s, count,
                           (flow_shape){run->shape.batch, run->shape.frames, self->moved});
    arena_release(&work->scratch, mark);
    return VOCODE_OK;
}

/* x from z; log_s [rows, moved] is written */
static void undo(const coupling *self, const flow_run *run, const real *z, real *x, real *log_s, arena *tape) {
    size_t mark = run->work->scratch.used;
    affine job = {.self = self, .shape = run->shape, .log_s = log_s, .z = z, .out = x};
    job.net = run_network(self, run, z, tape);
    run_tasks(run->work, row_tile_count(run->shape), inverse_tile, &job);
    arena_release(&run->work->scratch, mark);
}

static vocode_status inverse(const flow *base, const flow_run *run, const real *z, real *x) {
    const coupling *self = (const coupling *)base;
    size_t mark = run->work->scratch.used;
    undo(self, run, z, x, arena_reals(&run->work->scratch, rows_of(run) * self->moved), NULL);
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status backward(const flow *base, const flow_run *run, const real *x, const real *z, const real *dz,
                              const double *dlogdet, real *dx, arena *tape) {
    (void)z;
    const coupling *self = (const coupling *)base;
    compute *work = run->work;
    size_t mark = work->scratch.used, rows = rows_of(run), channels = base->channels, passed = self->passed;
    affine job = {.self = self, .shape = run->shape, .x = x, .dz = dz, .dlogdet = dlogdet, .out = dx};
    job.log_s = arena_reals(tape, rows * self->moved);
    job.dnet = arena_reals(&work->scratch, rows * 2 * self->moved);
    run_tasks(work, row_tile_count(run->shape), backward_tile, &job);
    real *dpassed = arena_reals(&work->scratch, rows * passed);
    run_copy_columns(work, rows, passed, dz, channels, dpassed, passed);
    network_input in = flow_network_input(base, run, gather_passed(self, run, x));
    self->net->type->backward(self->net, work, &in, job.dnet, dpassed, flow_dcond(base, run), run->grads, tape);
    run_copy_columns(work, rows, passed, dpassed, passed, dx, channels);
    arena_release(&work->scratch, mark);
    return VOCODE_OK;
}

/* The network runs once: its tape and s serve the inverse and the gradients. */
static vocode_status rebuild(const flow *base, const flow_run *run, const real *z, real *x, const real *dz,
                             const double *dlogdet, real *dx, arena *tape) {
    const coupling *self = (const coupling *)base;
    size_t start = tape->used;
    real *log_s = arena_reals(tape, rows_of(run) * self->moved);
    undo(self, run, z, x, log_s, tape);
    tape->used = start;
    TRY(backward(base, run, x, z, dz, dlogdet, dx, tape));
    tape->used = start;
    return VOCODE_OK;
}

/* dz_b = dx_b exp(-s), and what backward makes of (0, -dz_b) besides the gradients is the network's share of dz_a. */
static vocode_status inverse_backward(const flow *base, const flow_run *run, const real *x, real *z, const real *dx,
                                      real *dz, arena *tape) {
    const coupling *self = (const coupling *)base;
    size_t mark = run->work->scratch.used, start = tape->used, count = flow_shape_count(run->shape);
    size_t channels = base->channels, passed = self->passed, moved = self->moved;
    TRY(flow_retrace(base, run, x, z, tape));
    const real *log_s = arena_reals(tape, rows_of(run) * moved);
    tape->used = start;
    real *negative = arena_reals(&run->work->scratch, count), *back = arena_reals(&run->work->scratch, count);
    for (size_t t = 0; !measuring(run->work) && t < rows_of(run); t++) {
        real *row = negative + t * channels;
        for (size_t c = 0; c < passed; c++) row[c] = 0;
        for (size_t c = 0; c < moved; c++)
            row[passed + c] = -dx[t * channels + passed + c] * exp(-log_s[t * moved + c]);
    }
    TRY(backward(base, run, x, z, negative, flow_no_gain(run), back, tape));
    tape->used = start;
    for (size_t i = 0; !measuring(run->work) && i < count; i++)
        dz[i] = i % channels < passed ? dx[i] + back[i] : -negative[i];
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static void init(flow *base, uint64_t seed) {
    network *net = ((coupling *)base)->net;
    net->type->init(net, seed);
}

static vocode_status prepare(flow *base, vocode_error *error) {
    (void)error;
    network *net = ((coupling *)base)->net;
    net->type->prepare(net);
    return VOCODE_OK;
}

static flow_halo halo(const flow *base) {
    const network *net = ((const coupling *)base)->net;
    size_t reach = net->type->reach(net);
    return (flow_halo){reach, base->cond_channels ? reach : 0};
}

static void destroy(flow *base) {
    network_free(((coupling *)base)->net);
    free(base);
}

/* What the loop over rows of a stream works on. */
typedef struct undoing {
    const coupling *self;
    const real *net, *z;
    real *x;
} undoing;

static void undo_part(void *context, size_t first, size_t count) {
    const undoing *job = context;
    size_t channels = job->self->base.channels, moved = job->self->moved;
    undo_rows(job->self, count, job->net + first * 2 * moved, job->z + first * channels, NULL,
              job->x + first * channels);
}

enum { COST_OF_EXP = 100 }; /* multiply-adds */

static void invert_rows(const flow *base, const compute *run, size_t rows, real *net, const real *z, real *x) {
    const coupling *self = (const coupling *)base;
    run_parts(run, rows, self->moved * COST_OF_EXP, undo_part, &(undoing){self, net, z, x});
}

affine_view coupling_view(const flow *base) {
    return (affine_view){((const coupling *)base)->net, invert_rows};
}

static const flow_class coupling_class = {.name = "coupling",
                                          .init = init,
                                          .prepare = prepare,
                                          .forward = forward,
                                          .inverse = inverse,
                                          .backward = backward,
                                          .rebuild = rebuild,
                                          .inverse_backward = inverse_backward,
                                          .halo = halo,
                                          .stream = coupling_stream_new,
                                          .destroy = destroy};

static vocode_status build_network(coupling *self, const coupling_options *options, size_t conditioning, param_set *set,
                                   const char *prefix, vocode_error *error) {
    size_t inputs = self->passed, outputs = 2 * self->moved;
    switch ((coupling_network)options->network) {
    case COUPLING_WN:
        return wn_build(&(wn_options){.inputs = inputs,
                                      .outputs = outputs,
                                      .conditioning = conditioning,
                                      .layers = options->layers,
                                      .channels = options->channels,
                                      .kernel = options->kernel,
                                      .weight_norm = options->weight_norm},
                        set, prefix, &self->net, error);
    case COUPLING_SQUEEZE_WN:
        return squeeze_wn_build(&(squeeze_wn_options){.inputs = inputs,
                                                      .outputs = outputs,
                                                      .conditioning = conditioning,
                                                      .layers = options->layers,
                                                      .channels = options->channels,
                                                      .kernel = options->kernel,
                                                      .weight_norm = options->weight_norm,
                                                      .batch_norm = options->batch_norm},
                                set, prefix, &self->net, error);
    case COUPLING_CONVNEXT:
        return convnext_build(&(convnext_options){.inputs = inputs,
                                                  .outputs = outputs,
                                                  .conditioning = conditioning,
                                                  .blocks = options->blocks,
                                                  .dim = options->channels,
                                                  .expansion = options->expansion,
                                                  .kernel = options->kernel},
                              set, prefix, &self->net, error);
    }
    return failed(error, VOCODE_ARGUMENT, "coupling %s: there is no network %d", prefix, options->network);
}

vocode_status coupling_build(const coupling_options *options, flow_dims dims, param_set *set, const char *prefix,
                             flow **out, vocode_error *error) {
    *out = NULL;
    if (dims.channels < 2)
        return failed(error, VOCODE_VALUE, "coupling %s: expected at least two channels, found %zu", prefix,
                      dims.channels);
    TRY(flow_new(sizeof(coupling), &coupling_class, FLOW_REINVERTIBLE | FLOW_SAMPLES_DIFFERENTIABLY, dims, prefix, out,
                 error));
    coupling *self = (coupling *)*out;
    self->passed = dims.channels / 2;
    self->moved = dims.channels - self->passed;
    self->bounded = options->scale == COUPLING_BOUNDED;
    self->shift_at = options->order == COUPLING_SCALE_FIRST ? self->moved : 0;
    self->scale_at = self->moved - self->shift_at;
    self->base.cond_channels = dims.cond_channels;
    vocode_status status = build_network(self, options, dims.cond_channels, set, prefix, error);
    return status == VOCODE_OK ? VOCODE_OK : flow_abandon(out, status);
}
