/* Planar flow: every frame is pushed along one direction, as far as its position along another one says.
 *
 * Rezende, Mohamed, "Variational inference with normalizing flows", ICML 2015, eq. 10 to 12, with the
 * reparameterisation of appendix A.1. x, z [T, C], u and w [C], b [1], and where there is conditioning v [cond
 * channels]:
 *
 *     a = w'x + v'cond + b,  p = w'u,  m = log(1 + e^p) - 1,  h = u + (m - p) w / |w|^2       so that w'h = m > -1
 *     z = x + h tanh(a)
 *     log|det dz/dx| = sum_t log(1 + m (1 - tanh^2 a))
 *
 * The inverse needs the one number q = w'x of each frame, the root of q + m tanh(q + v'cond + b) = w'z, which rises
 * with q and lies within |m| of w'z: Newton's method, kept inside a bracket that shrinks. It is numerical, to the last
 * digits of a double (trait NO_ANALYTIC_INVERSE). A fresh flow has h = 0 and is the identity; its planes, w'x + b = 0,
 * lie spread over the data, so that several of them bend in different places from the first step on. */
#include <stdlib.h>

#include "flows/build.h"
#include "flows/flows.h"

typedef struct planar {
    flow base;
    param *along, *across, *offset; /* u and w [channels], b [1] */
    param *by_cond;                 /* v [cond_channels], or NULL */
} planar;

/* What the parameters say, in double. */
typedef struct plane {
    double p, m, square; /* square: |w|^2 */
} plane;

static plane plane_of(const planar *self) {
    plane it = {0};
    for (size_t c = 0; c < self->base.channels; c++) {
        double w = (double)self->across->value[c];
        it.p += w * (double)self->along->value[c];
        it.square += w * w;
    }
    it.m = (it.p > 0 ? it.p + log1p(exp(-it.p)) : log1p(exp(it.p))) - 1;
    return it;
}

/* h_c */
static double push(const planar *self, const plane *it, size_t c) {
    return (double)self->along->value[c] + (it->m - it->p) * (double)self->across->value[c] / it->square;
}

static const double most_offset = 3; /* of a fresh plane, in deviations of standardised data */

/* the root of p = log(e - 1), where m = 0 */
static const double neutral = 0.54132485461291805;

static void init(flow *base, uint64_t seed) {
    const planar *self = (const planar *)base;
    double square = 0;
    param_init_normal(self->across, seed, 1 / sqrt((double)base->channels));
    for (size_t c = 0; c < base->channels; c++)
        square += (double)self->across->value[c] * (double)self->across->value[c];
    for (size_t c = 0; c < base->channels; c++)
        self->along->value[c] = (real)(neutral * (double)self->across->value[c] / square);
    param_init_uniform(self->offset, seed, most_offset);
    if (self->by_cond) param_init_uniform(self->by_cond, seed, 1 / sqrt((double)base->cond_channels));
}

static vocode_status prepare(flow *base, vocode_error *error) {
    const planar *self = (const planar *)base;
    if (plane_of(self).square > 0) return VOCODE_OK;
    return failed(error, VOCODE_VALUE, "%s: expected a direction, found all zeros or NaN", self->across->name);
}

static size_t rows_of(const flow_run *run) {
    return run->shape.batch * run->shape.frames;
}

/* The row of conditioning of row t, or NULL. */
static const real *cond_row(const planar *self, const flow_run *run, size_t t) {
    if (!self->by_cond) return NULL;
    return run->cond + t / (run->shape.frames / run->cond_frames) * self->base.cond_channels;
}

/* b + v'cond of row t */
static double offset_of(const planar *self, const flow_run *run, size_t t) {
    double sum = (double)self->offset->value[0];
    const real *cond = cond_row(self, run, t);
    for (size_t i = 0; cond && i < self->base.cond_channels; i++)
        sum += (double)self->by_cond->value[i] * (double)cond[i];
    return sum;
}

static double position(const planar *self, const real *row) {
    double sum = 0;
    for (size_t c = 0; c < self->base.channels; c++) sum += (double)self->across->value[c] * (double)row[c];
    return sum;
}

static vocode_status forward(const flow *base, const flow_run *run, const real *x, real *z, double *logdet,
                             arena *tape) {
    (void)tape;
    const planar *self = (const planar *)base;
    size_t channels = base->channels, mark = run->work->scratch.used;
    double *h = arena_take(&run->work->scratch, channels, sizeof *h);
    if (!measuring(run->work)) {
        plane it = plane_of(self);
        for (size_t c = 0; c < channels; c++) h[c] = push(self, &it, c);
        for (size_t t = 0; t < rows_of(run); t++) {
            double bend = tanh(position(self, x + t * channels) + offset_of(self, run, t));
            for (size_t c = 0; c < channels; c++)
                z[t * channels + c] = (real)((double)x[t * channels + c] + h[c] * bend);
            logdet[t / run->shape.frames] += log1p(it.m * (1 - bend * bend));
        }
    }
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

enum { MOST_STEPS = 200 };

/* q of q + m tanh(q + offset) = target */
static double solve(double m, double offset, double target) {
    double low = target - fabs(m), high = target + fabs(m), q = target;
    for (int step = 0; step < MOST_STEPS && low < high; step++) {
        double bend = tanh(q + offset), miss = q + m * bend - target;
        if (miss > 0)
            high = q;
        else
            low = q;
        double next = q - miss / (1 + m * (1 - bend * bend));
        if (!(next >= low && next <= high)) next = low + (high - low) / 2;
        if (next == q || miss == 0) break;
        q = next;
    }
    return q;
}

static vocode_status inverse(const flow *base, const flow_run *run, const real *z, real *x) {
    const planar *self = (const planar *)base;
    size_t channels = base->channels, mark = run->work->scratch.used;
    double *h = arena_take(&run->work->scratch, channels, sizeof *h);
    if (!measuring(run->work)) {
        plane it = plane_of(self);
        for (size_t c = 0; c < channels; c++) h[c] = push(self, &it, c);
        for (size_t t = 0; t < rows_of(run); t++) {
            double offset = offset_of(self, run, t);
            double bend = tanh(solve(it.m, offset, position(self, z + t * channels)) + offset);
            for (size_t c = 0; c < channels; c++)
                x[t * channels + c] = (real)((double)z[t * channels + c] - h[c] * bend);
        }
    }
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

/* Sums over the rows, in double. */
typedef struct slopes {
    double *dacross, *dpush; /* [channels]: of w where h stays, and of h */
    double *dby_cond;        /* [cond_channels] */
    double dm, doffset;
} slopes;

static void backward_row(const planar *self, const flow_run *run, const plane *it, size_t t, const real *x,
                         const real *dz, double dlogdet, real *dx, slopes *sums) {
    size_t channels = self->base.channels;
    double bend = tanh(position(self, x) + offset_of(self, run, t)), slope = 1 - bend * bend, pushed = 0;
    double volume = 1 + it->m * slope;
    for (size_t c = 0; c < channels; c++) pushed += (double)dz[c] * push(self, it, c);
    double da = pushed * slope - dlogdet * it->m * 2 * bend * slope / volume;
    for (size_t c = 0; c < channels; c++) {
        dx[c] = (real)((double)dz[c] + da * (double)self->across->value[c]);
        sums->dacross[c] += da * (double)x[c];
        sums->dpush[c] += (double)dz[c] * bend;
    }
    sums->dm += dlogdet * slope / volume;
    sums->doffset += da;
    const real *cond = cond_row(self, run, t);
    for (size_t i = 0; cond && i < self->base.cond_channels; i++) {
        sums->dby_cond[i] += da * (double)cond[i];
        if (run->dcond) run->dcond[(cond - run->cond) + (ptrdiff_t)i] += (real)(da * (double)self->by_cond->value[i]);
    }
}

/* From h and m to u and w: h = u + k w / |w|^2 with k = m - p. */
static void accumulate(const planar *self, const plane *it, const slopes *sums, real *grads) {
    real *dalong = param_grad(self->along, grads), *dacross = param_grad(self->across, grads);
    double across = 0, k = it->m - it->p;
    for (size_t c = 0; c < self->base.channels; c++) across += sums->dpush[c] * (double)self->across->value[c];
    double dm = sums->dm + across / it->square, dp = dm / (1 + exp(-it->p)) - across / it->square;
    for (size_t c = 0; c < self->base.channels; c++) {
        double w = (double)self->across->value[c];
        dalong[c] += (real)(sums->dpush[c] + dp * w);
        dacross[c] += (real)(sums->dacross[c] + dp * (double)self->along->value[c] +
                             k / it->square * (sums->dpush[c] - 2 * across / it->square * w));
    }
    param_grad(self->offset, grads)[0] += (real)sums->doffset;
    for (size_t i = 0; self->by_cond && i < self->base.cond_channels; i++)
        param_grad(self->by_cond, grads)[i] += (real)sums->dby_cond[i];
}

static vocode_status backward(const flow *base, const flow_run *run, const real *x, const real *z, const real *dz,
                              const double *dlogdet, real *dx, arena *tape) {
    (void)z, (void)tape;
    const planar *self = (const planar *)base;
    size_t channels = base->channels, all = 2 * channels + base->cond_channels, mark = run->work->scratch.used;
    double *room = arena_take(&run->work->scratch, all, sizeof *room);
    if (!measuring(run->work)) {
        plane it = plane_of(self);
        for (size_t i = 0; i < all; i++) room[i] = 0;
        slopes sums = {.dacross = room, .dpush = room + channels, .dby_cond = room + 2 * channels};
        for (size_t t = 0; t < rows_of(run); t++)
            backward_row(self, run, &it, t, x + t * channels, dz + t * channels, dlogdet[t / run->shape.frames],
                         dx + t * channels, &sums);
        if (run->grads) accumulate(self, &it, &sums, run->grads);
    }
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static void destroy(flow *self) {
    free(self);
}

static const flow_class planar_class = {.name = "planar",
                                        .init = init,
                                        .prepare = prepare,
                                        .forward = forward,
                                        .inverse = inverse,
                                        .backward = backward,
                                        .destroy = destroy};

const config_key planar_keys[] = {{.name = NULL}};

vocode_status planar_build(const planar_options *options, flow_dims dims, param_set *set, const char *prefix,
                           flow **out, vocode_error *error) {
    (void)options;
    const size_t one = 1;
    TRY(flow_new(sizeof(planar), &planar_class, FLOW_NO_ANALYTIC_INVERSE | FLOW_REINVERTIBLE, dims, prefix, out,
                 error));
    planar *self = (planar *)*out;
    self->base.cond_channels = dims.cond_channels;
    self->along = param_add(set, PARAM_TRAINED, prefix, "along", 1, &dims.channels);
    self->across = param_add(set, PARAM_TRAINED, prefix, "across", 1, &dims.channels);
    self->offset = param_add(set, PARAM_TRAINED, prefix, "offset", 1, &one);
    if (dims.cond_channels) self->by_cond = param_add(set, PARAM_TRAINED, prefix, "by_cond", 1, &dims.cond_channels);
    if (!self->along || !self->across || !self->offset || (dims.cond_channels && !self->by_cond))
        return flow_abandon(out, failed(error, VOCODE_MEMORY, "cannot build the planar flow %s", prefix));
    return VOCODE_OK;
}
