/* A continuous flow: rows are carried from a source to data along velocities that a network finds from them, from the
 * conditioning and from the time.
 *
 * Lipman, Chen, Ben-Hamu, Nickel, Le, "Flow matching for generative modeling", ICLR 2023: the map is that of the
 * differential equation dy/dt = v(y, t), t from 0 to 1 (eq. 1), and v is fitted to the velocities of simple paths (eq.
 * 9). The paths are straight lines between pairs of a source and a datum, which need not be independent (Tong et al.,
 * "Improving and generalizing flow-based generative models with minibatch optimal transport", TMLR 2024, section 3.1):
 *
 *     y(t) = (1 - t) source + t x,  loss = E |v(y(t), t) - (x - source)|^2
 *
 * A fresh network's last layer is zero, so a fresh field is the identity whatever the number of steps: put where
 * another flow gives samples, it begins as good as that one. The nearer the pairs, the smaller the velocities and the
 * fewer steps carry far; for those few steps it may be trained by a loss of what comes out (field_carry) as well.
 *
 * The map. h = 1 / steps; latent -> data is n explicit steps, data -> latent undoes each of them (I + A is a
 * residual block: Behrmann, Grathwohl, Chen, Duvenaud, Jacobsen, "Invertible residual networks", ICML 2019):
 *
 *     euler      y' = y + h v(y, t)
 *     midpoint   y' = y + h v(y + h/2 v(y, t), t + h/2)         both are y' = y + d(y)
 *     undone     y <- y' - d(y), until it stays (their algorithm 1); it does where d contracts, that is, where steps
 *                are small enough. VOCODE_VALUE and a sentence where it does not.
 *     log|det dz/dx| = -sum over steps of log|det (I + A)|, A the Jacobian of d at y
 *
 * It is the log-determinant of the steps themselves, not of the equation that they approximate. terms = 0: by
 * elimination of the whole Jacobian, which small data allow. Else Hutchinson's estimate of the series (their eq. 8 and
 * algorithm 2), with products A' w by the network's backward pass and a vector of signs u drawn from the option seed:
 *
 *     log det (I + A) ~ sum_{m <= terms} (-1)^(m + 1) / m  u' A^m u
 *
 * The likelihood's gradients would take second derivatives of the network: backward is refused (trait MATCHED). */
#include "flows/field.h"

#include <float.h>
#include <stdlib.h>

#include "core/rng.h"
#include "flows/build.h"
#include "flows/flows.h"
#include "flows/streamed.h"
#include "kernels/lu.h"
#include "nn/networks.h"

enum {
    MOST_TRIES = 200,     /* to undo a step; it takes some ten where the network has learned something sound */
    MOST_EXACT = 1 << 12, /* numbers of an element whose Jacobian is eliminated */
};

typedef struct field {
    flow base;
    network *net;
    size_t steps, terms, seed;
    field_solver solver;
} field;

/* The embedding's fastest sinusoid turns 1000 radians in unit time, made for diffusions of a thousand steps; velocities
 * that a few steps follow change more slowly. */
real field_clock(double t) {
    static const double slower = 50;
    return (real)(t / slower);
}

static size_t per_step(const field *self) {
    return self->solver == FIELD_MIDPOINT ? 2 : 1;
}

static size_t steps_or_own(const field *self, size_t steps) {
    return steps ? steps : self->steps;
}

size_t field_evaluations(const flow *base, size_t steps) {
    const field *self = (const field *)base;
    return steps_or_own(self, steps) * per_step(self);
}

real field_time(const flow *base, size_t steps, size_t e) {
    const field *self = (const field *)base;
    return field_clock((double)e / (double)(steps_or_own(self, steps) * per_step(self)));
}

field_stage field_stage_of(const flow *base, size_t steps, size_t e) {
    const field *self = (const field *)base;
    double h = 1 / (double)steps_or_own(self, steps);
    bool middle = self->solver == FIELD_MIDPOINT && e % 2 == 0;
    return (field_stage){(real)(middle ? h / 2 : h), middle};
}

const network *field_network(const flow *base) {
    return ((const field *)base)->net;
}

/* One batch element at a time: how often a step is tried is its own affair. */
typedef struct element {
    const field *self;
    compute *work;
    size_t frames, count; /* count: numbers */
    size_t cond_frames;
    const real *cond;
    vocode_error *error;
} element;

static element element_of(const flow *base, const flow_run *run, size_t b) {
    const field *self = (const field *)base;
    element it = {.self = self, .work = run->work, .frames = run->shape.frames, .error = run->error};
    it.count = it.frames * base->channels;
    it.cond_frames = base->cond_channels ? run->cond_frames : it.frames;
    if (base->cond_channels && run->cond) it.cond = run->cond + b * run->cond_frames * run->cond_channels;
    return it;
}

static network_input input_at(const element *it, const real *y, const real *t) {
    return (network_input){
        .batch = 1, .frames = it->frames, .cond_frames = it->cond_frames, .x = y, .cond = it->cond, .t = t};
}

/* to = from + factor v */
static void step_along(const element *it, const real *from, real factor, const real *v, real *to) {
    for (size_t i = 0; !measuring(it->work) && i < it->count; i++) to[i] = from[i] + factor * v[i];
}

/* What one step needs: velocities, and where it is wanted the tapes of its evaluations. */
typedef struct step {
    size_t first; /* evaluation */
    real *v, *middle;
    arena tapes[2];
    bool taped;
} step;

/* Fills s->v: the step is y' = y + factor v, where the factor is that of its last evaluation. */
static real run_step(const element *it, step *s, const real *y) {
    const field *self = it->self;
    field_stage stage = {0};
    for (size_t i = 0; i < per_step(self); i++) {
        real t = field_time(&self->base, 0, s->first + i);
        const network_input in = input_at(it, i ? s->middle : y, &t);
        stage = field_stage_of(&self->base, 0, s->first + i);
        s->tapes[i].used = 0;
        self->net->type->forward(self->net, it->work, &in, s->v, s->taped ? &s->tapes[i] : NULL);
        if (stage.middle) step_along(it, y, stage.factor, s->v, s->middle);
    }
    return stage.factor;
}

static step take_step(const element *it) {
    return (step){.v = arena_reals(&it->work->scratch, it->count),
                  .middle = arena_reals(&it->work->scratch, it->count)};
}

/* Memory for the tapes, as much as a dry run takes. */
static void take_tapes(const element *it, step *s) {
    compute dry = {.scratch = arena_over(NULL, 0), .threads = it->work->threads};
    arena counting = arena_over(NULL, 0);
    const network_input in = input_at(it, NULL, NULL);
    it->self->net->type->forward(it->self->net, &dry, &in, NULL, &counting);
    for (size_t i = 0; i < per_step(it->self); i++)
        s->tapes[i] = arena_over(arena_take(&it->work->scratch, counting.peak, 1), counting.peak);
    s->taped = true;
}

static vocode_status inverse(const flow *base, const flow_run *run, const real *z, real *x) {
    const field *self = (const field *)base;
    for (size_t b = 0; b < run->shape.batch; b++) {
        const element it = element_of(base, run, b);
        size_t mark = run->work->scratch.used, at = b * it.count;
        step s = take_step(&it);
        run_copy(run->work, it.count, z ? z + at : NULL, part_of(x, at));
        for (size_t k = 0; k < self->steps; k++) {
            s.first = k * per_step(self);
            real *y = part_of(x, at), factor = run_step(&it, &s, y);
            step_along(&it, y, factor, s.v, y);
        }
        arena_release(&run->work->scratch, mark);
    }
    return VOCODE_OK;
}

/* to = from - factor v; returns the largest change of to, and through size its largest number. */
static real step_back(const element *it, const real *from, real factor, const real *v, real *to, real *size) {
    real change = 0;
    *size = 1;
    for (size_t i = 0; i < it->count; i++) {
        real next = from[i] - factor * v[i], difference = fabs(next - to[i]);
        if (!(difference <= change)) change = difference; /* keeps NaN */
        if (fabs(next) > *size) *size = fabs(next);
        to[i] = next;
    }
    return change;
}

/* y of y' = y + d(y); y holds y' to begin with. */
static vocode_status undo_step(const element *it, step *s, const real *after, real *y) {
    const real close = 64 * (sizeof(real) == sizeof(float) ? (real)FLT_EPSILON : (real)DBL_EPSILON);
    for (int tries = 0; tries < MOST_TRIES; tries++) {
        real size, factor = run_step(it, s, y);
        if (measuring(it->work)) return VOCODE_OK;
        real change = step_back(it, after, factor, s->v, y, &size);
        if (change <= close * size) return VOCODE_OK;
        if (!isfinite(change)) break;
    }
    return failed(it->error, VOCODE_VALUE,
                  "field %s: step %zu of %zu cannot be undone, because it does not contract: more steps are needed",
                  it->self->base.name, s->first / per_step(it->self), it->self->steps);
}

/* w [count] <- A' w, from the tapes of a step at y. */
static void transposed_product(const element *it, step *s, const real *y, real *w) {
    const field *self = it->self;
    size_t mark = it->work->scratch.used, last = per_step(self) - 1;
    real *back = arena_reals(&it->work->scratch, it->count);
    for (size_t i = last + 1; i-- > 0;) {
        real t = field_time(&self->base, 0, s->first + i);
        const network_input in = input_at(it, i ? s->middle : y, &t);
        run_zero(it->work, it->count, back);
        s->tapes[i].used = 0;
        self->net->type->backward(self->net, it->work, &in, w, back, NULL, NULL, &s->tapes[i]);
        real factor = field_stage_of(&self->base, 0, s->first + i).factor;
        if (i == last) /* through v(middle), to the middle */
            for (size_t c = 0; !measuring(it->work) && c < it->count; c++) w[c] = factor * back[c];
        else /* the middle is y + factor v(y) */
            step_along(it, w, factor, back, w);
    }
    arena_release(&it->work->scratch, mark);
}

/* log|det (I + A)| of a step at y by elimination. */
static vocode_status exact_log_determinant(const element *it, step *s, const real *y, double *sum) {
    size_t n = it->count, mark = it->work->scratch.used;
    if (n > MOST_EXACT)
        return failed(it->error, VOCODE_UNSUPPORTED,
                      "field %s: expected at most %d numbers for an exact log-determinant, found %zu: set terms",
                      it->self->base.name, MOST_EXACT, n);
    double *jacobian = arena_take(&it->work->scratch, n * n, sizeof *jacobian);
    size_t *pivot = arena_take(&it->work->scratch, n, sizeof *pivot);
    real *row = arena_reals(&it->work->scratch, n);
    for (size_t i = 0; i < (measuring(it->work) ? 1 : n); i++) {
        for (size_t c = 0; !measuring(it->work) && c < n; c++) row[c] = c == i;
        transposed_product(it, s, y, row);
        for (size_t c = 0; !measuring(it->work) && c < n; c++) jacobian[i * n + c] = (c == i) + (double)row[c];
    }
    if (!measuring(it->work)) {
        if (!lu_factor(n, jacobian, pivot))
            return failed(it->error, VOCODE_VALUE, "field %s: the Jacobian of step %zu is singular",
                          it->self->base.name, s->first / per_step(it->self));
        *sum = lu_log_determinant(n, jacobian, pivot, NULL);
    }
    arena_release(&it->work->scratch, mark);
    return VOCODE_OK;
}

/* The same, estimated. */
static void estimate_log_determinant(const element *it, step *s, const real *y, double *sum) {
    size_t mark = it->work->scratch.used;
    real *w = arena_reals(&it->work->scratch, it->count), *signs = arena_reals(&it->work->scratch, it->count);
    for (size_t i = 0; !measuring(it->work) && i < it->count; i++)
        w[i] = signs[i] = rng_uniform(it->self->seed, s->first, i) < 0.5 ? -1 : 1;
    for (size_t m = 1; m <= it->self->terms; m++) {
        double product = 0;
        transposed_product(it, s, y, w);
        for (size_t i = 0; !measuring(it->work) && i < it->count; i++) product += (double)w[i] * (double)signs[i];
        *sum += (m % 2 ? product : -product) / (double)m;
    }
    arena_release(&it->work->scratch, mark);
}

/* x -> z of one element; its log-determinant is taken from *logdet. */
static vocode_status run_back(const element *it, const real *x, real *z, double *logdet) {
    const field *self = it->self;
    compute *work = it->work;
    step s = take_step(it);
    take_tapes(it, &s);
    s.taped = false;
    real *after = arena_reals(&work->scratch, it->count);
    run_copy(work, it->count, x, z);
    for (size_t k = self->steps; k-- > 0;) {
        double sum = 0;
        s.first = k * per_step(self);
        run_copy(work, it->count, z, after);
        TRY(undo_step(it, &s, after, z));
        s.taped = true;
        run_step(it, &s, z);
        s.taped = false;
        if (self->terms)
            estimate_log_determinant(it, &s, z, &sum);
        else
            TRY(exact_log_determinant(it, &s, z, &sum));
        if (logdet) *logdet -= sum;
    }
    return VOCODE_OK;
}

static vocode_status forward(const flow *base, const flow_run *run, const real *x, real *z, double *logdet,
                             arena *tape) {
    (void)tape; /* nothing is kept: backward is refused */
    for (size_t b = 0; b < run->shape.batch; b++) {
        const element it = element_of(base, run, b);
        size_t mark = run->work->scratch.used, at = b * it.count;
        vocode_status status =
            run_back(&it, x ? x + at : NULL, part_of(z, at), measuring(run->work) ? NULL : logdet + b);
        arena_release(&run->work->scratch, mark);
        TRY(status);
    }
    return VOCODE_OK;
}

static vocode_status backward(const flow *base, const flow_run *run, const real *x, const real *z, const real *dz,
                              const double *dlogdet, real *dx, arena *tape) {
    (void)x, (void)z, (void)dz, (void)dlogdet, (void)dx, (void)tape;
    return failed(run->error, VOCODE_UNSUPPORTED,
                  "field %s: expected training by flow matching, found backward of its likelihood", base->name);
}

static void init(flow *base, uint64_t seed) {
    network *net = ((field *)base)->net;
    net->type->init(net, seed);
}

static vocode_status prepare(flow *base, vocode_error *error) {
    (void)error;
    network *net = ((field *)base)->net;
    net->type->prepare(net);
    return VOCODE_OK;
}

static flow_halo halo(const flow *base) {
    const field *self = (const field *)base;
    size_t reach = field_evaluations(base, 0) * self->net->type->reach(self->net);
    return (flow_halo){reach, base->cond_channels ? reach : 0};
}

static void destroy(flow *base) {
    network_free(((field *)base)->net);
    free(base);
}

static const flow_class field_class = {.name = "field",
                                       .init = init,
                                       .prepare = prepare,
                                       .forward = forward,
                                       .inverse = inverse,
                                       .backward = backward,
                                       .halo = halo,
                                       .stream = field_stream_new,
                                       .destroy = destroy};

vocode_status field_build(const field_options *options, flow_dims dims, param_set *set, const char *prefix, flow **out,
                          vocode_error *error) {
    *out = NULL;
    unsigned traits = FLOW_NO_ANALYTIC_INVERSE | FLOW_MATCHED | (options->terms ? FLOW_STOCHASTIC_LOGDET : 0);
    TRY(flow_new(sizeof(field), &field_class, traits, dims, prefix, out, error));
    field *self = (field *)*out;
    self->steps = options->steps;
    self->terms = options->terms;
    self->seed = options->seed;
    self->solver = (field_solver)options->solver;
    self->base.cond_channels = dims.cond_channels;
    vocode_status status = convnext_build(&(convnext_options){.inputs = dims.channels,
                                                              .outputs = dims.channels,
                                                              .conditioning = dims.cond_channels,
                                                              .blocks = options->blocks,
                                                              .dim = options->channels,
                                                              .expansion = options->expansion,
                                                              .kernel = options->kernel,
                                                              .features = options->features,
                                                              .transposing = true},
                                          set, prefix, &self->net, error);
    return status == VOCODE_OK ? VOCODE_OK : flow_abandon(out, status);
}
