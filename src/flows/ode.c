/* The continuous flow for vectors: every frame moves along the velocity that a perceptron finds from where it is, the
 * time and the conditioning.
 *
 * Chen, Rubanova, Bettencourt, Duvenaud, "Neural ordinary differential equations", NeurIPS 2018, eq. 1, 2 and theorem 1
 * (eq. 8): x = y(1) and z = y(0) of
 *
 *     dy/dt = v(y, t, cond),   d log p(y(t)) / dt = -tr(dv/dy)
 *     log|det dz/dx| = -integral of tr(dv/dy) from 0 to 1, along the way
 *
 * Grathwohl, Chen, Bettencourt, Sutskever, Duvenaud, "FFJORD", ICLR 2019, eq. 3 and 4, section 3.1: the trace as
 * E e' (dv/dy) e over signs e (Hutchinson's estimator), one e a frame for the whole way (eq. 8 there). trace =
 * "exact": the sum over unit vectors, d times the cost. "hutchinson": one e, signs of (seed, the run's draw, the
 * frame's number, channel) (trait STOCHASTIC_LOGDET).
 *
 * Frames do not see each other, and each takes steps of its own (ode_solve.h). Both directions are solved, neither is
 * the inverse of the other to the last bit (traits NO_ANALYTIC_INVERSE, SOLVED): they agree as far as the tolerances
 * say. What differs from both papers: gradients are those of the steps that were taken, their lengths held as they
 * were, not those of the adjoint equation (Chen et al., eq. 4), whose solution backwards drifts from the way there; the
 * tape keeps where each step began, and no more. A fresh flow's velocity is zero, so it is the identity.
 *
 * Shapes: x, z [T, C], cond [T, cond channels]. */
#include "flows/ode.h"

#include <stdlib.h>

#include "core/rng.h"
#include "flows/build.h"
#include "flows/flows.h"
#include "flows/ode_solve.h"

typedef struct ode {
    flow base;
    velocity *net;
    ode_method method;
    bool exact;
    uint64_t seed;
} ode;

enum {
    ROWS_AT_ONCE = 2048, /* values and derivatives that go through the network together */
    MOST_ROWS = 256
};

/* Rows that are solved together. */
typedef struct piece {
    size_t first;
    ode_rows rows;
    real *cond, *along; /* those of rows */
} piece;

static size_t rows_of(const flow_run *run) {
    return run->shape.batch * run->shape.frames;
}

static size_t rows_at_once(const flow_run *run, size_t directions) {
    size_t most = ROWS_AT_ONCE / (1 + directions);
    most = most < 1 ? 1 : smaller(most, MOST_ROWS);
    return smaller(most, rows_of(run));
}

static const real *cond_row(const ode *self, const flow_run *run, size_t r) {
    return run->cond + r / (run->shape.frames / run->cond_frames) * self->base.cond_channels;
}

static void draw_signs(const ode *self, const flow_run *run, const piece *p) {
    static const uint64_t golden = 0x9E3779B97F4A7C15u;
    size_t channels = self->base.channels;
    uint64_t first = (uint64_t)run->first * run->shape.frames + p->first;
    for (size_t r = 0; r < p->rows.count; r++)
        for (size_t c = 0; c < channels; c++)
            p->along[r * channels + c] = rng_uniform(self->seed + golden * run->draw, c, first + r) < 0.5 ? -1 : 1;
}

static void unit_vectors(const piece *p, size_t channels) {
    for (size_t j = 0; j < channels; j++)
        for (size_t r = 0; r < p->rows.count; r++)
            for (size_t c = 0; c < channels; c++) p->along[(j * p->rows.count + r) * channels + c] = c == j;
}

/* Up to `count` rows from first on, with what is theirs in scratch. */
static piece take_piece(const ode *self, const flow_run *run, size_t first, size_t count, size_t directions) {
    arena *scratch = &run->work->scratch;
    size_t channels = self->base.channels, conditioning = self->base.cond_channels;
    count = smaller(count, rows_of(run) - first);
    piece p = {.first = first,
               .rows = {.net = self->net,
                        .method = self->method,
                        .work = run->work,
                        .name = self->base.name,
                        .error = run->error,
                        .evaluations = run->evaluations,
                        .count = count,
                        .directions = directions},
               .cond = arena_reals(scratch, count * conditioning),
               .along = arena_reals(scratch, directions * count * channels)};
    p.rows.cond = p.cond;
    p.rows.along = p.along;
    if (measuring(run->work)) return p;
    for (size_t r = 0; conditioning && r < count; r++)
        for (size_t c = 0; c < conditioning; c++) p.cond[r * conditioning + c] = cond_row(self, run, first + r)[c];
    if (directions && self->exact) unit_vectors(&p, channels);
    if (directions && !self->exact) draw_signs(self, run, &p);
    return p;
}

static size_t directions_of(const ode *self) {
    return self->exact ? self->base.channels : 1;
}

static vocode_status forward_piece(const ode *self, const flow_run *run, piece *p, const real *x, real *z,
                                   double *logdet, arena *tape) {
    size_t at = p->first * self->base.channels, count = p->rows.count * self->base.channels;
    double *sum = arena_take(&run->work->scratch, p->rows.count, sizeof *sum);
    ode_record record = {0};
    p->rows.backwards = true;
    if (tape) record = ode_take_record(&p->rows, tape);
    if (x) run_copy(run->work, count, x + at, z + at);
    TRY(ode_solve(&p->rows, part_of(z, at), sum, tape ? &record : NULL));
    for (size_t r = 0; !measuring(run->work) && r < p->rows.count; r++)
        logdet[(p->first + r) / run->shape.frames] += sum[r];
    return VOCODE_OK;
}

static vocode_status forward(const flow *base, const flow_run *run, const real *x, real *z, double *logdet,
                             arena *tape) {
    const ode *self = (const ode *)base;
    size_t mark = run->work->scratch.used, directions = directions_of(self), most = rows_at_once(run, directions);
    for (size_t first = 0; first < rows_of(run); first += most) {
        piece p = take_piece(self, run, first, most, directions);
        TRY(forward_piece(self, run, &p, x, z, logdet, tape));
        arena_release(&run->work->scratch, mark);
    }
    return VOCODE_OK;
}

static vocode_status inverse(const flow *base, const flow_run *run, const real *z, real *x) {
    const ode *self = (const ode *)base;
    size_t mark = run->work->scratch.used, most = rows_at_once(run, 0);
    for (size_t first = 0; first < rows_of(run); first += most) {
        const piece p = take_piece(self, run, first, most, 0);
        size_t at = first * base->channels;
        if (z) run_copy(run->work, p.rows.count * base->channels, z + at, x + at);
        TRY(ode_solve(&p.rows, part_of(x, at), NULL, NULL));
        arena_release(&run->work->scratch, mark);
    }
    return VOCODE_OK;
}

static void backward_piece(const ode *self, const flow_run *run, piece *p, const double *dlogdet, real *dx,
                           arena *tape) {
    size_t conditioning = self->base.cond_channels, count = p->rows.count;
    double *dsum = arena_take(&run->work->scratch, count, sizeof *dsum);
    real *dcond = arena_reals(&run->work->scratch, count * conditioning);
    p->rows.backwards = true;
    const ode_record record = ode_take_record(&p->rows, tape);
    bool wanted = flow_dcond(&self->base, run);
    for (size_t r = 0; !measuring(run->work) && r < count; r++) dsum[r] = dlogdet[(p->first + r) / run->shape.frames];
    if (wanted) run_zero(run->work, count * conditioning, dcond);
    ode_solve_backward(&p->rows, &record, part_of(dx, p->first * self->base.channels), dsum, wanted ? dcond : NULL,
                       run->grads);
    for (size_t r = 0; wanted && r < count; r++)
        for (size_t c = 0; c < conditioning; c++)
            run->dcond[cond_row(self, run, p->first + r) - run->cond + (ptrdiff_t)c] += dcond[r * conditioning + c];
}

static vocode_status backward(const flow *base, const flow_run *run, const real *x, const real *z, const real *dz,
                              const double *dlogdet, real *dx, arena *tape) {
    (void)x, (void)z;
    const ode *self = (const ode *)base;
    size_t mark = run->work->scratch.used, directions = directions_of(self), most = rows_at_once(run, directions);
    run_copy(run->work, flow_shape_count(run->shape), dz, dx);
    for (size_t first = 0; first < rows_of(run); first += most) {
        piece p = take_piece(self, run, first, most, directions);
        backward_piece(self, run, &p, dlogdet, dx, tape);
        arena_release(&run->work->scratch, mark);
    }
    return VOCODE_OK;
}

/* Where the rows of a piece are on their lines, and the velocities there. Times are drawn with the density
 * (2/3) (1 - t)^(-1/3), more of them near the data: what is fine in the data is fine in the velocity there alone. The
 * velocity that is best at each time is the same as with times drawn evenly. */
static void draw_places(const flow_run *run, const piece *p, const real *source, const real *x, size_t channels,
                        double *t, real *y, real *target) {
    static const double golden = 0.61803398874989484820;
    static const double crowding = 1.5;
    double start = rng_uniform(run->draw, 0, 1);
    for (size_t r = 0; r < p->rows.count; r++) {
        size_t number = run->first * run->shape.frames + p->first + r;
        t[r] = 1 - pow(1 - fmod(start + golden * (double)number, 1), crowding);
        for (size_t c = 0; c < channels; c++) {
            size_t at = (p->first + r) * channels + c;
            target[r * channels + c] = x[at] - source[at];
            y[r * channels + c] = source[at] + (real)t[r] * target[r * channels + c];
        }
    }
}

/* The piece's share of the loss; v becomes its gradient. */
static double mismatch(const real *target, size_t count, double weight, real *v) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        double error = (double)v[i] - (double)target[i];
        sum += error * error;
        v[i] = (real)(2 * weight * error);
    }
    return weight * sum;
}

static double match_piece(const ode *self, const flow_run *run, const piece *p, const real *source, const real *x,
                          double weight, arena *tape) {
    arena *scratch = &run->work->scratch;
    size_t start = tape->used, n = p->rows.count, numbers = n * self->base.channels;
    real *y = arena_reals(scratch, numbers), *target = arena_reals(scratch, numbers),
         *v = arena_reals(scratch, numbers);
    double *t = arena_take(scratch, n, sizeof *t), loss = 0;
    bool gradients = run->grads || measuring(run->work);
    if (!measuring(run->work)) draw_places(run, p, source, x, self->base.channels, t, y, target);
    const velocity_input in = {.rows = n, .y = y, .t = t, .cond = p->cond};
    velocity_forward(self->net, run->work, &in, v, NULL, gradients ? tape : NULL);
    if (!measuring(run->work)) loss = mismatch(target, numbers, weight, v);
    tape->used = start;
    if (gradients) velocity_backward(self->net, run->work, &in, v, NULL, NULL, NULL, run->grads, tape);
    tape->used = start;
    return loss;
}

void ode_match(const flow *base, const flow_run *run, const real *source, const real *x, double weight, arena *tape,
               double *loss) {
    const ode *self = (const ode *)base;
    size_t mark = run->work->scratch.used, most = rows_at_once(run, 0);
    double sum = 0;
    for (size_t first = 0; first < rows_of(run); first += most) {
        const piece p = take_piece(self, run, first, most, 0);
        sum += match_piece(self, run, &p, source, x, weight, tape);
        arena_release(&run->work->scratch, mark);
    }
    if (!measuring(run->work)) *loss = sum;
}

static void init(flow *base, uint64_t seed) {
    velocity_init(((ode *)base)->net, seed);
}

static vocode_status prepare(flow *base, vocode_error *error) {
    (void)error;
    velocity_prepare(((ode *)base)->net);
    return VOCODE_OK;
}

static void destroy(flow *base) {
    velocity_free(((ode *)base)->net);
    free(base);
}

static const flow_class ode_class = {.name = "ode",
                                     .init = init,
                                     .prepare = prepare,
                                     .forward = forward,
                                     .inverse = inverse,
                                     .backward = backward,
                                     .destroy = destroy};

bool ode_is(const flow *self) {
    return self->type == &ode_class;
}

vocode_status ode_build(const ode_options *options, flow_dims dims, param_set *set, const char *prefix, flow **out,
                        vocode_error *error) {
    bool exact = options->trace == ODE_EXACT;
    unsigned traits = FLOW_NO_ANALYTIC_INVERSE | FLOW_SOLVED | (exact ? 0 : FLOW_STOCHASTIC_LOGDET);
    TRY(flow_new(sizeof(ode), &ode_class, traits, dims, prefix, out, error));
    ode *self = (ode *)*out;
    self->exact = exact;
    self->seed = options->seed;
    self->method = (ode_method){.solver = (ode_solver)options->solver,
                                .rtol = options->rtol,
                                .atol = options->atol,
                                .steps = options->solver == ODE_RK4 ? options->steps : options->most};
    self->base.cond_channels = dims.cond_channels;
    const velocity_options shape = {.channels = dims.channels,
                                    .conditioning = dims.cond_channels,
                                    .layers = options->layers,
                                    .width = options->channels,
                                    .waves = options->waves,
                                    .unit = options->unit};
    vocode_status status = velocity_build(&shape, set, prefix, &self->net, error);
    return status == VOCODE_OK ? VOCODE_OK : flow_abandon(out, status);
}
