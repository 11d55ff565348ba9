/* Coupling by a mask over channels: the masked ones pass and drive a network that moves the others.
 *
 * Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", ICLR 2017, eq. 9 (the mask), figure 3
 * (checkerboard and channel-wise masks); additive: Dinh, Krueger, Bengio, "NICE", ICLR workshop 2015, section 3.2. With
 * a the channels under the mask, b the others, x, z [T, C]:
 *
 *     (shift, r) = network(x_a, cond),  s = r ("exp"), 2 tanh(r / 2) ("bounded"), 0 ("none": the network gives shift
 * only) z_a = x_a,  z_b = x_b exp(s) + shift,  x_b = (z_b - shift) exp(-s),  log|det dz/dx| = sum s dx_b = dz_b exp(s),
 * dshift = dz_b,  ds = dz_b x_b exp(s) + dlogdet,  dx_a = dz_a + network's
 *
 * What differs from flow "coupling": any mask, and a network for rows that do not see each other, as vectors and images
 * of one row do. Both halves are gathered side by side, so a perceptron computes nothing that a mask would hide. With
 * convolutions a row is an image [height, width, planes]: what passes lies in it among zeros, and the network gives
 * every pixel the shifts and log-scales of its planes, of which those of the moving ones are taken. */
#include <stdlib.h>
#include <string.h>

#include "flows/build.h"
#include "flows/flows.h"
#include "kernels/sums.h"
#include "nn/networks.h"

typedef struct masked {
    flow base;
    network *net;
    size_t *at; /* [channels]: those that pass, then those that move */
    size_t passed, moved;
    bool additive, bounded;
} masked;

static size_t rows_of(const flow_run *run) {
    return run->shape.batch * run->shape.frames;
}

/* What loops over rows work on; some of it, each. */
typedef struct rows_job {
    const masked *self;
    size_t frames;
    const real *net; /* [rows, 2 moved] = [shift, r], or [rows, moved] */
    real *kept;      /* the same without the shifts */
    real *halves;    /* [rows, moved], to work in */
    real *log_s;     /* [rows, moved] */
    bool inverse;
    const real *from, *dz;
    const double *dlogdet;
    real *to, *dnet;
} rows_job;

enum { COST_OF_EXP = 100 }; /* multiply-adds */

static void over_rows(const flow_run *run, rows_job *job, void (*body)(void *context, size_t first, size_t count)) {
    job->frames = run->shape.frames;
    run_parts(run->work, rows_of(run), job->self->base.channels * COST_OF_EXP, body, job);
}

/* Channels ascend: whether those at [count] lie side by side, as halves do. */
static bool adjoining(const size_t *at, size_t count) {
    return count && at[count - 1] - at[0] == count - 1;
}

/* side by side [rows, count] = the channels at [count] of rows */
static void gather(const real *rows, size_t channels, size_t count_rows, const size_t *at, size_t count, real *to) {
    if (adjoining(at, count)) {
        rows += at[0];
        for (size_t t = 0; t < count_rows; t++) memcpy(to + t * count, rows + t * channels, count * sizeof *to);
        return;
    }
    for (size_t t = 0; t < count_rows; t++, rows += channels, to += count)
        for (size_t i = 0; i < count; i++) to[i] = rows[at[i]];
}

static void scatter(const real *from, size_t channels, size_t count_rows, const size_t *at, size_t count, real *rows) {
    if (adjoining(at, count)) {
        rows += at[0];
        for (size_t t = 0; t < count_rows; t++) memcpy(rows + t * channels, from + t * count, count * sizeof *from);
        return;
    }
    for (size_t t = 0; t < count_rows; t++, rows += channels, from += count)
        for (size_t i = 0; i < count; i++) rows[at[i]] = from[i];
}

static void move_passed(const masked *self, size_t count, const real *from, real *to) {
    size_t channels = self->base.channels;
    bool whole = adjoining(self->at, self->passed);
    for (size_t t = 0; t < count; t++, from += channels, to += channels) {
        if (whole) memcpy(to + self->at[0], from + self->at[0], self->passed * sizeof *to);
        for (size_t i = 0; !whole && i < self->passed; i++) to[self->at[i]] = from[self->at[i]];
    }
}

/* to = the affine map of from, or its inverse */
static void move_rows(void *context, size_t first, size_t count) {
    const rows_job *job = context;
    const masked *self = job->self;
    size_t channels = self->base.channels, moved = self->moved, width = self->net->outputs;
    const real *from = job->from + first * channels, *net = job->net + first * width;
    real *to = job->to + first * channels, *half = job->halves + first * moved;
    move_passed(self, count, from, to);
    if (!self->additive && adjoining(self->at + self->passed, moved)) {
        size_t start = self->at[self->passed];
        (job->inverse ? kernels()->affine_inverse
                      : kernels()->affine)(count, moved, net, 0, moved, width, self->bounded, from + start, channels,
                                           job->log_s + first * moved, to + start, channels);
        return;
    }
    gather(from, channels, count, self->at + self->passed, moved, half);
    if (self->additive)
        kernels()->sum_scaled(count * moved, half, net, job->inverse ? -1 : 1, half);
    else
        (job->inverse ? kernels()->affine_inverse : kernels()->affine)(
            count, moved, net, 0, moved, width, self->bounded, half, moved, job->log_s + first * moved, half, moved);
    scatter(half, channels, count, self->at + self->passed, moved, to);
}

/* The network's output of the passing half of from, in scratch. */
static real *run_network(const masked *self, const flow_run *run, const real *from, arena *tape) {
    compute *work = run->work;
    real *net = arena_reals(&work->scratch, rows_of(run) * self->net->outputs);
    real *passed = arena_reals(&work->scratch, rows_of(run) * self->passed);
    if (!measuring(work)) gather(from, self->base.channels, rows_of(run), self->at, self->passed, passed);
    network_input in = flow_network_input(&self->base, run, passed);
    self->net->type->forward(self->net, work, &in, net, tape);
    return net;
}

static vocode_status forward(const flow *base, const flow_run *run, const real *x, real *z, double *logdet,
                             arena *tape) {
    const masked *self = (const masked *)base;
    compute *work = run->work;
    size_t mark = work->scratch.used, count = rows_of(run) * self->moved, width = rows_of(run) * self->net->outputs;
    real *kept = tape && !self->additive ? arena_reals(tape, width) : NULL;
    rows_job job = {.self = self, .from = x, .to = z};
    job.halves = arena_reals(&work->scratch, count);
    job.log_s = arena_reals(&work->scratch, count);
    job.net = run_network(self, run, x, tape);
    over_rows(run, &job, move_rows);
    if (kept) run_copy(work, width, job.net, kept);
    size_t each = run->shape.frames * self->moved;
    for (size_t b = 0; !measuring(work) && !self->additive && b < run->shape.batch; b++)
        logdet[b] += sum_of(each, job.log_s + b * each);
    arena_release(&work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status inverse(const flow *base, const flow_run *run, const real *z, real *x) {
    const masked *self = (const masked *)base;
    size_t mark = run->work->scratch.used, count = rows_of(run) * self->moved;
    rows_job job = {.self = self, .from = z, .to = x, .inverse = true};
    job.halves = arena_reals(&run->work->scratch, count);
    job.log_s = arena_reals(&run->work->scratch, count);
    job.net = run_network(self, run, z, NULL);
    over_rows(run, &job, move_rows);
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

/* The moving half of dx, and the gradient of the network's output. halves: of dz, then dz exp(s). */
static void slope_rows(void *context, size_t first, size_t count) {
    const rows_job *job = context;
    const masked *self = job->self;
    size_t channels = self->base.channels, moved = self->moved;
    const size_t *at = self->at + self->passed;
    real *half = job->halves + first * moved, *dnet = job->dnet + first * self->net->outputs;
    gather(job->dz + first * channels, channels, count, at, moved, half);
    if (self->additive) {
        for (size_t i = 0; i < count * moved; i++) dnet[i] = half[i];
        scatter(half, channels, count, at, moved, job->to + first * channels);
        return;
    }
    real *kept = job->kept + first * 2 * moved, *log_s = job->log_s + first * moved;
    for (size_t t = 0; t < count; t++)
        for (size_t i = 0; i < moved; i++) {
            dnet[2 * t * moved + i] = half[t * moved + i];
            kept[2 * t * moved + i] = 0;
            kept[(2 * t + 1) * moved + i] = job->net[(2 * (first + t) + 1) * moved + i];
        }
    kernels()->affine(count, moved, kept, 0, moved, 2 * moved, self->bounded, half, moved, log_s, half, moved);
    scatter(half, channels, count, at, moved, job->to + first * channels);
    gather(job->from + first * channels, channels, count, at, moved, kept); /* which has served */
    for (size_t t = 0; t < count; t++) {
        const real *x = kept + t * moved, *s = log_s + t * moved;
        real *draw = dnet + (2 * t + 1) * moved, dlogdet = (real)job->dlogdet[(first + t) / job->frames];
        for (size_t i = 0; i < moved; i++) draw[i] = half[t * moved + i] * x[i] + dlogdet;
        for (size_t i = 0; self->bounded && i < moved; i++) draw[i] *= 1 - s[i] * s[i] / 4;
    }
}

static vocode_status backward(const flow *base, const flow_run *run, const real *x, const real *z, const real *dz,
                              const double *dlogdet, real *dx, arena *tape) {
    (void)z;
    const masked *self = (const masked *)base;
    compute *work = run->work;
    size_t mark = work->scratch.used, rows = rows_of(run), width = rows * self->net->outputs;
    size_t channels = base->channels, passed = self->passed;
    rows_job job = {.self = self, .from = x, .dz = dz, .dlogdet = dlogdet, .to = dx};
    if (!self->additive) job.net = arena_reals(tape, width);
    job.kept = arena_reals(&work->scratch, width);
    job.dnet = arena_reals(&work->scratch, width);
    job.halves = arena_reals(&work->scratch, rows * self->moved);
    job.log_s = arena_reals(&work->scratch, rows * self->moved);
    over_rows(run, &job, slope_rows);
    real *half = arena_reals(&work->scratch, rows * passed), *dhalf = arena_reals(&work->scratch, rows * passed);
    if (!measuring(work)) {
        gather(x, channels, rows, self->at, passed, half);
        gather(dz, channels, rows, self->at, passed, dhalf);
    }
    network_input in = flow_network_input(base, run, half);
    self->net->type->backward(self->net, work, &in, job.dnet, dhalf, flow_dcond(base, run), run->grads, tape);
    if (!measuring(work)) scatter(dhalf, channels, rows, self->at, passed, dx);
    arena_release(&work->scratch, mark);
    return VOCODE_OK;
}

/* As in coupling.c: dz_b = dx_b exp(-s), and backward of (0, -dz_b) gives the network's share of dz_a. */
static vocode_status inverse_backward(const flow *base, const flow_run *run, const real *x, real *z, const real *dx,
                                      real *dz, arena *tape) {
    const masked *self = (const masked *)base;
    size_t mark = run->work->scratch.used, start = tape->used, count = flow_shape_count(run->shape);
    size_t channels = base->channels, passed = self->passed, moved = self->moved;
    real *negative = arena_reals(&run->work->scratch, count), *back = arena_reals(&run->work->scratch, count);
    TRY(flow_retrace(base, run, x, z, tape));
    const real *net = self->additive ? NULL : arena_reals(tape, rows_of(run) * self->net->outputs);
    tape->used = start;
    for (size_t t = 0; !measuring(run->work) && t < rows_of(run); t++) {
        for (size_t i = 0; i < passed; i++) negative[t * channels + self->at[i]] = 0;
        for (size_t i = 0; i < moved; i++) {
            size_t at = t * channels + self->at[passed + i];
            real s = net ? net[(2 * t + 1) * moved + i] : 0;
            negative[at] = -dx[at] * exp(-(self->bounded ? 2 * tanh(s / 2) : s));
        }
    }
    TRY(backward(base, run, x, z, negative, flow_no_gain(run), back, tape));
    tape->used = start;
    for (size_t t = 0; !measuring(run->work) && t < rows_of(run); t++) {
        real *row = dz + t * channels;
        for (size_t c = 0; c < channels; c++) row[c] = -negative[t * channels + c];
        for (size_t i = 0; i < passed; i++)
            row[self->at[i]] = dx[t * channels + self->at[i]] + back[t * channels + self->at[i]];
    }
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static void init(flow *base, uint64_t seed) {
    network *net = ((masked *)base)->net;
    net->type->init(net, seed);
}

static vocode_status prepare(flow *base, vocode_error *error) {
    (void)error;
    network *net = ((masked *)base)->net;
    net->type->prepare(net);
    return VOCODE_OK;
}

static void destroy(flow *base) {
    masked *self = (masked *)base;
    network_free(self->net);
    aligned_free(self->at);
    free(self);
}

static const flow_class masked_class = {.name = "masked",
                                        .init = init,
                                        .prepare = prepare,
                                        .forward = forward,
                                        .inverse = inverse,
                                        .backward = backward,
                                        .inverse_backward = inverse_backward,
                                        .destroy = destroy};

static bool passes(const masked_options *options, size_t channels, size_t c) {
    size_t pixel = c / options->planes, plane = c % options->planes, half = options->planes / 2;
    bool dark = (pixel / options->width + pixel % options->width) % 2 == 0;
    switch ((masked_mask)options->mask) {
    case MASK_FIRST: return c < channels / 2;
    case MASK_SECOND: return c >= channels - channels / 2;
    case MASK_EVEN: return c % 2 == 0;
    case MASK_ODD: return c % 2 == 1;
    case MASK_CHECKERBOARD: return dark;
    case MASK_CHECKERBOARD_TURNED: return !dark;
    case MASK_CHANNELWISE: return plane < half;
    case MASK_CHANNELWISE_TURNED: break;
    }
    return plane >= options->planes - half;
}

static void split(masked *self, const masked_options *options) {
    size_t channels = self->base.channels, next = 0;
    for (size_t c = 0; c < channels; c++)
        if (passes(options, channels, c)) self->at[next++] = c;
    self->passed = next;
    self->moved = channels - next;
    for (size_t c = 0; c < channels; c++)
        if (!passes(options, channels, c)) self->at[next++] = c;
}

/* kept[plane]: how many before it are among the channels at [count]; planes that are not get SIZE_MAX. How many are. */
static size_t number_planes(const size_t *at, size_t count, size_t planes, size_t *kept) {
    size_t next = 0;
    for (size_t k = 0; k < planes; k++) kept[k] = SIZE_MAX;
    for (size_t i = 0; i < count; i++) kept[at[i] % planes] = 0;
    for (size_t k = 0; k < planes; k++)
        if (kept[k] == 0) kept[k] = next++;
    return next;
}

/* Where what passes lies in an image of the planes that pass, and where shift and r of what moves do in one that has
 * both for the planes that move. places [2 planes + passed + outputs]: room. */
static void lay_out(const masked *self, size_t planes, size_t *places, convnet_options *shape) {
    size_t *enters = places, *leaves = enters + planes, *from = leaves + planes, *to = from + self->passed;
    const size_t *moving = self->at + self->passed;
    size_t enter = number_planes(self->at, self->passed, planes, enters);
    size_t leave = number_planes(moving, self->moved, planes, leaves), halves = shape->outputs / self->moved;
    for (size_t i = 0; i < self->passed; i++) from[i] = self->at[i] / planes * enter + enters[self->at[i] % planes];
    for (size_t k = 0; k < halves; k++)
        for (size_t i = 0; i < self->moved; i++)
            to[k * self->moved + i] = (moving[i] / planes * halves + k) * leave + leaves[moving[i] % planes];
    shape->enter_planes = enter;
    shape->exit_planes = halves * leave;
    shape->from = from;
    shape->to = to;
}

static vocode_status build_convolutions(masked *self, const masked_options *options, size_t outputs, param_set *set,
                                        const char *prefix, vocode_error *error) {
    size_t channels = self->base.channels, across;
    if (__builtin_mul_overflow(options->width, options->planes, &across) || channels % across)
        return failed(error, VOCODE_VALUE,
                      "masked %s: expected images of rows of %zu pixels of %zu channels, found %zu numbers", prefix,
                      options->width, options->planes, channels);
    convnet_options shape = {.inputs = self->passed,
                             .outputs = outputs,
                             .conditioning = self->base.cond_channels,
                             .height = channels / across,
                             .width = options->width,
                             .blocks = options->layers,
                             .channels = options->channels};
    size_t *places = aligned_new(2 * options->planes + self->passed + outputs, sizeof *places);
    if (!places) return failed(error, VOCODE_MEMORY, "masked %s: out of memory", prefix);
    lay_out(self, options->planes, places, &shape);
    vocode_status status = convnet_build(&shape, set, prefix, &self->net, error);
    aligned_free(places);
    return status;
}

static vocode_status build_network(masked *self, const masked_options *options, param_set *set, const char *prefix,
                                   vocode_error *error) {
    size_t outputs = (self->additive ? 1 : 2) * self->moved;
    if (!self->passed || !self->moved)
        return failed(error, VOCODE_VALUE,
                      "masked %s: expected channels that pass and channels that move, found %zu and "
                      "%zu",
                      prefix, self->passed, self->moved);
    if (options->network == MASKED_CONV) return build_convolutions(self, options, outputs, set, prefix, error);
    const mlp_options shape = {.inputs = self->passed,
                               .outputs = outputs,
                               .conditioning = self->base.cond_channels,
                               .layers = options->layers,
                               .channels = options->channels};
    return mlp_build(&shape, set, prefix, &self->net, error);
}

vocode_status masked_build(const masked_options *options, flow_dims dims, param_set *set, const char *prefix,
                           flow **out, vocode_error *error) {
    *out = NULL;
    if (dims.channels < 2)
        return failed(error, VOCODE_VALUE, "masked %s: expected at least two channels, found %zu", prefix,
                      dims.channels);
    bool additive = options->scale == MASKED_NONE;
    TRY(flow_new(sizeof(masked), &masked_class,
                 FLOW_REINVERTIBLE | FLOW_SAMPLES_DIFFERENTIABLY | (additive ? FLOW_VOLUME_PRESERVING : 0), dims,
                 prefix, out, error));
    masked *self = (masked *)*out;
    self->at = aligned_new(dims.channels, sizeof *self->at);
    if (!self->at) return flow_abandon(out, failed(error, VOCODE_MEMORY, "masked %s: out of memory", prefix));
    split(self, options);
    self->additive = additive;
    self->bounded = options->scale == MASKED_BOUNDED;
    self->base.cond_channels = dims.cond_channels;
    vocode_status status = build_network(self, options, set, prefix, error);
    return status == VOCODE_OK ? VOCODE_OK : flow_abandon(out, status);
}
