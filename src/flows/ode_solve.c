#include "flows/ode_solve.h"

#include <float.h>
#include <string.h>

enum { MOST_STAGES = 7 };

typedef struct tableau {
    size_t stages; /* that y' is made of */
    double c[MOST_STAGES], a[MOST_STAGES][MOST_STAGES], b[MOST_STAGES];
    bool adaptive;         /* one more stage, at y', which is the next step's first */
    double e[MOST_STAGES]; /* y' less that of order 4 */
} tableau;

static const tableau tableaus[] = {
    [ODE_DOPRI5] = {.stages = 6,
                    .c = {0, 1.0 / 5, 3.0 / 10, 4.0 / 5, 8.0 / 9, 1, 1},
                    .a = {{0},
                          {1.0 / 5},
                          {3.0 / 40, 9.0 / 40},
                          {44.0 / 45, -56.0 / 15, 32.0 / 9},
                          {19372.0 / 6561, -25360.0 / 2187, 64448.0 / 6561, -212.0 / 729},
                          {9017.0 / 3168, -355.0 / 33, 46732.0 / 5247, 49.0 / 176, -5103.0 / 18656}},
                    .b = {35.0 / 384, 0, 500.0 / 1113, 125.0 / 192, -2187.0 / 6784, 11.0 / 84},
                    .adaptive = true,
                    .e = {71.0 / 57600, 0, -71.0 / 16695, 71.0 / 1920, -17253.0 / 339200, 22.0 / 525, -1.0 / 40}},
    [ODE_RK4] = {.stages = 4,
                 .c = {0, 0.5, 0.5, 1},
                 .a = {{0}, {0.5}, {0, 0.5}, {0, 0, 1}},
                 .b = {1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6},
                 .adaptive = false,
                 .e = {0}},
};

static const tableau *tableau_of(const ode_rows *rows) {
    return &tableaus[rows->method.solver];
}

/* The rows that take a step, side by side. */
typedef struct moving {
    size_t count;
    size_t *at;               /* [rows->count] which rows they are */
    double *place, *h, *time; /* [rows->count] how far they have come, the step's signed length, a stage's time */
    real *start, *cond, *along;
    real *y[MOST_STAGES], *k[MOST_STAGES]; /* of the stages */
    double *divergence[MOST_STAGES];
} moving;

static moving take_moving(const ode_rows *rows) {
    arena *scratch = &rows->work->scratch;
    size_t n = rows->count, numbers = n * rows->net->shape.channels;
    moving m = {.count = n,
                .at = arena_take(scratch, n, sizeof *m.at),
                .place = arena_take(scratch, n, sizeof(double)),
                .h = arena_take(scratch, n, sizeof(double)),
                .time = arena_take(scratch, n, sizeof(double)),
                .start = arena_reals(scratch, numbers),
                .cond = arena_reals(scratch, n * rows->net->shape.conditioning),
                .along = arena_reals(scratch, rows->directions * numbers)};
    for (size_t s = 0; s < MOST_STAGES; s++) {
        m.y[s] = arena_reals(scratch, numbers);
        m.k[s] = arena_reals(scratch, numbers);
        m.divergence[s] = arena_take(scratch, n, sizeof(double));
    }
    return m;
}

/* What of the rows does not change, for those that move. */
static void gather(const ode_rows *rows, moving *m) {
    size_t channels = rows->net->shape.channels, conditioning = rows->net->shape.conditioning;
    for (size_t i = 0; conditioning && i < m->count; i++)
        memcpy(m->cond + i * conditioning, rows->cond + m->at[i] * conditioning, conditioning * sizeof(real));
    for (size_t j = 0; j < rows->directions; j++)
        for (size_t i = 0; i < m->count; i++)
            memcpy(m->along + (j * m->count + i) * channels, rows->along + (j * rows->count + m->at[i]) * channels,
                   channels * sizeof(real));
}

/* to = start + h sum of weights [stages] times the k */
static void combine(const ode_rows *rows, const moving *m, const double *weights, size_t stages, real *to) {
    size_t channels = rows->net->shape.channels;
    for (size_t i = 0; i < m->count; i++)
        for (size_t c = i * channels; c < (i + 1) * channels; c++) {
            real sum = 0;
            for (size_t j = 0; j < stages; j++) sum += (real)weights[j] * m->k[j][c];
            to[c] = m->start[c] + (real)m->h[i] * sum;
        }
}

static velocity_input input_of(const ode_rows *rows, const moving *m, size_t stage) {
    double c = tableau_of(rows)->c[stage];
    for (size_t i = 0; !measuring(rows->work) && i < m->count; i++)
        m->time[i] = (rows->backwards ? 1 - m->place[i] : m->place[i]) + c * m->h[i];
    return (velocity_input){.rows = m->count,
                            .directions = rows->directions,
                            .y = m->y[stage],
                            .t = m->time,
                            .cond = m->cond,
                            .along = m->along};
}

static void evaluate(const ode_rows *rows, const moving *m, size_t stage, arena *tape) {
    const velocity_input in = input_of(rows, m, stage);
    if (rows->evaluations && !measuring(rows->work)) *rows->evaluations += m->count;
    velocity_forward(rows->net, rows->work, &in, m->k[stage], m->divergence[stage], tape);
}

/* Stages from `first` on; tapes [stages] may be NULL. */
static void run_stages(const ode_rows *rows, const moving *m, size_t first, arena *tapes) {
    const tableau *table = tableau_of(rows);
    for (size_t s = first; s < table->stages; s++) {
        if (!measuring(rows->work)) combine(rows, m, table->a[s], s, m->y[s]);
        if (tapes) tapes[s].used = 0;
        evaluate(rows, m, s, tapes ? &tapes[s] : NULL);
        if (measuring(rows->work)) return; /* stages take alike */
    }
}

/* How a row goes on. */
typedef struct progress {
    double *step, *error;     /* [count] the next one's length; the last one's error */
    size_t *taken;            /* [count] */
    real *first;              /* [count, channels] the velocity where it is: dopri5 */
    double *first_divergence; /* [count] */
} progress;

static progress take_progress(const ode_rows *rows) {
    arena *scratch = &rows->work->scratch;
    size_t n = rows->count;
    return (progress){.step = arena_take(scratch, n, sizeof(double)),
                      .error = arena_take(scratch, n, sizeof(double)),
                      .taken = arena_take(scratch, n, sizeof(size_t)),
                      .first = arena_reals(scratch, n * rows->net->shape.channels),
                      .first_divergence = arena_take(scratch, n, sizeof(double))};
}

static double weighted(const double *weights, size_t stages, const moving *m, size_t i) {
    double sum = 0;
    for (size_t s = 0; s < stages; s++) sum += weights[s] * m->divergence[s][i];
    return sum;
}

/* The error of the step of moving row i; after: [channels] where it led. */
static double error_of(const ode_rows *rows, const moving *m, size_t i, const real *after, const double *sum) {
    const tableau *table = tableau_of(rows);
    size_t channels = rows->net->shape.channels, all = table->stages + 1;
    double square = 0, rtol = rows->method.rtol, atol = rows->method.atol;
    for (size_t c = 0; c < channels; c++) {
        double miss = 0, before = fabs((double)m->start[i * channels + c]), now = fabs((double)after[c]);
        for (size_t s = 0; s < all; s++) miss += table->e[s] * (double)m->k[s][i * channels + c];
        double share = m->h[i] * miss / (atol + rtol * (before > now ? before : now));
        square += share * share;
    }
    if (sum) {
        double before = fabs(*sum), now = fabs(*sum + m->h[i] * weighted(table->b, table->stages, m, i));
        double share = m->h[i] * weighted(table->e, all, m, i) / (atol + rtol * (before > now ? before : now));
        square += share * share;
    }
    return sqrt(square / (double)(channels + (sum != NULL)));
}

/* By what the step is multiplied (eq. 2.43c). */
static double change(double error, double before) {
    static const double safety = 0.9, alpha = 0.7 / 5, beta = 0.4 / 5, least = 0.2, most = 5;
    double factor = safety * pow(error, -alpha) * pow(before, beta);
    return factor < most ? factor > least ? factor : least : isnan(factor) ? least : most;
}

static const double first_step = 0.1, least_step = 1e-9, least_error = 1e-4;

/* Row i of those that move has tried its step. true: it goes on (with another step, or the same one anew). */
static bool settle(const ode_rows *rows, const moving *m, const progress *p, size_t i, const real *after, real *y,
                   double *sum, const ode_record *record) {
    const tableau *table = tableau_of(rows);
    size_t r = m->at[i], channels = rows->net->shape.channels, width = channels * sizeof(real);
    double length = fabs(m->h[i]), error = table->adaptive ? error_of(rows, m, i, after, sum ? sum + r : NULL) : 0;
    if (!(error <= 1)) {
        p->step[r] = length * fmin(1, change(error, 1));
        return true;
    }
    if (record) {
        size_t slot = p->taken[r] * rows->count + r;
        memcpy(record->y + slot * channels, y + r * channels, width);
        record->at[slot] = m->place[i];
        record->step[slot] = length;
    }
    p->taken[r]++;
    memcpy(y + r * channels, after, width);
    if (sum) sum[r] += m->h[i] * weighted(table->b, table->stages, m, i);
    m->place[i] = 1 - m->place[i] - length < least_step ? 1 : m->place[i] + length;
    if (!table->adaptive) return p->taken[r] < rows->method.steps;
    error = fmax(error, least_error);
    p->step[r] = length * change(error, p->error[r]);
    p->error[r] = error;
    memcpy(p->first + r * channels, m->k[table->stages] + i * channels, width);
    p->first_divergence[r] = m->divergence[table->stages][i];
    return m->place[i] < 1;
}

/* Every moving row's step, start and, where they are known, its first velocities. */
static vocode_status set_out(const ode_rows *rows, const moving *m, const progress *p, const real *y) {
    size_t channels = rows->net->shape.channels;
    for (size_t i = 0; i < m->count; i++) {
        size_t r = m->at[i];
        double left = 1 - m->place[i], length = p->step[r];
        if (tableau_of(rows)->adaptive && (p->taken[r] == rows->method.steps || !(length >= least_step)))
            return failed(rows->error, VOCODE_VALUE,
                          "ode %s: expected velocities that %zu steps can follow, found a row at %.3g of the way that "
                          "needs one of %.2g: raise rtol and atol, or most",
                          rows->name, rows->method.steps, m->place[i], length);
        if (length > left * (1 - 1e-6)) length = left; /* no sliver is left over */
        m->h[i] = rows->backwards ? -length : length;
        memcpy(m->start + i * channels, y + r * channels, channels * sizeof(real));
        if (!tableau_of(rows)->adaptive) continue;
        memcpy(m->k[0] + i * channels, p->first + r * channels, channels * sizeof(real));
        m->divergence[0][i] = p->first_divergence[r];
    }
    return VOCODE_OK;
}

static void begin(const ode_rows *rows, moving *m, const progress *p, const real *y, double *sum) {
    size_t channels = rows->net->shape.channels;
    const tableau *table = tableau_of(rows);
    for (size_t r = 0; r < rows->count; r++) {
        m->at[r] = r;
        m->place[r] = m->h[r] = 0;
        p->step[r] = table->adaptive ? first_step : 1 / (double)rows->method.steps;
        p->error[r] = 1;
        p->taken[r] = 0;
        if (sum) sum[r] = 0;
    }
    gather(rows, m);
    if (!table->adaptive) return;
    memcpy(m->y[0], y, rows->count * channels * sizeof *y);
    evaluate(rows, m, 0, NULL);
    memcpy(p->first, m->k[0], rows->count * channels * sizeof *y);
    memcpy(p->first_divergence, m->divergence[0], rows->count * sizeof(double));
}

static vocode_status run_steps(const ode_rows *rows, moving *m, const progress *p, real *y, double *sum,
                               const ode_record *record) {
    const tableau *table = tableau_of(rows);
    size_t channels = rows->net->shape.channels, last = table->adaptive ? table->stages : 0;
    begin(rows, m, p, y, sum);
    while (m->count) {
        size_t left = 0;
        TRY(set_out(rows, m, p, y));
        run_stages(rows, m, table->adaptive, NULL);
        combine(rows, m, table->b, table->stages, m->y[last]); /* rk4: y[0] is not wanted any more */
        if (table->adaptive) evaluate(rows, m, last, NULL);
        for (size_t i = 0; i < m->count; i++) {
            if (!settle(rows, m, p, i, m->y[last] + i * channels, y, sum, record)) continue;
            m->place[left] = m->place[i];
            m->at[left++] = m->at[i];
        }
        bool fewer = left < m->count;
        m->count = left;
        if (fewer) gather(rows, m);
    }
    return VOCODE_OK;
}

/* Tolerances that the arithmetic can hold. */
static double at_least(double tolerance) {
    double least = 32 * (sizeof(real) == sizeof(float) ? (double)FLT_EPSILON : DBL_EPSILON);
    return tolerance > least ? tolerance : least;
}

vocode_status ode_solve(const ode_rows *rows, real *y, double *sum, const ode_record *record) {
    size_t mark = rows->work->scratch.used;
    ode_rows held = *rows;
    held.method.rtol = at_least(rows->method.rtol);
    held.method.atol = at_least(rows->method.atol);
    moving m = take_moving(&held);
    progress p = take_progress(&held);
    vocode_status status = VOCODE_OK;
    if (measuring(rows->work))
        run_stages(&held, &m, 0, NULL);
    else
        status = run_steps(&held, &m, &p, y, sum, record);
    for (size_t r = 0; status == VOCODE_OK && record && p.taken && r < rows->count; r++) record->taken[r] = p.taken[r];
    arena_release(&rows->work->scratch, mark);
    return status;
}

ode_record ode_take_record(const ode_rows *rows, arena *tape) {
    size_t slots = rows->method.steps * rows->count;
    return (ode_record){.taken = arena_take(tape, rows->count, sizeof(size_t)),
                        .y = arena_reals(tape, slots * rows->net->shape.channels),
                        .at = arena_take(tape, slots, sizeof(double)),
                        .step = arena_take(tape, slots, sizeof(double))};
}

/* Memory for the tape of each stage, as much as a dry run takes. */
static void take_tapes(const ode_rows *rows, const moving *m, arena *tapes) {
    compute dry = {.scratch = arena_over(NULL, 0), .threads = rows->work->threads};
    arena counting = arena_over(NULL, 0);
    const velocity_input in = {.rows = m->count, .directions = rows->directions};
    velocity_forward(rows->net, &dry, &in, NULL, NULL, &counting);
    for (size_t s = 0; s < tableau_of(rows)->stages; s++)
        tapes[s] = arena_over(arena_take(&rows->work->scratch, counting.peak, 1), counting.peak);
}

/* Gradients of a step, for the rows that move. */
typedef struct slopes {
    real *dy;              /* [count, channels] of y', becomes that of y */
    real *dstage, *dk;     /* [stages, count, channels] of where the stages looked; [count, channels] */
    real *dcond;           /* [count, conditioning] */
    double *dsum, *dother; /* [count] */
} slopes;

static slopes take_slopes(const ode_rows *rows) {
    arena *scratch = &rows->work->scratch;
    size_t n = rows->count, numbers = n * rows->net->shape.channels;
    return (slopes){.dy = arena_reals(scratch, numbers),
                    .dstage = arena_reals(scratch, tableau_of(rows)->stages * numbers),
                    .dk = arena_reals(scratch, numbers),
                    .dcond = arena_reals(scratch, n * rows->net->shape.conditioning),
                    .dsum = arena_take(scratch, n, sizeof(double)),
                    .dother = arena_take(scratch, n, sizeof(double))};
}

/* dk_s = h (b_s dy' + sum_{j > s} a_js dstage_j) */
static void stage_slope(const ode_rows *rows, const moving *m, const slopes *d, size_t s) {
    const tableau *table = tableau_of(rows);
    size_t channels = rows->net->shape.channels, all = rows->count * channels;
    for (size_t i = 0; i < m->count; i++) {
        for (size_t c = i * channels; c < (i + 1) * channels; c++) {
            real sum = (real)table->b[s] * d->dy[c];
            for (size_t j = s + 1; j < table->stages; j++) sum += (real)table->a[j][s] * d->dstage[j * all + c];
            d->dk[c] = (real)m->h[i] * sum;
        }
        d->dother[i] = m->h[i] * table->b[s] * d->dsum[i];
    }
    memset(d->dstage + s * all, 0, m->count * channels * sizeof(real));
}

static void step_backward(const ode_rows *rows, const moving *m, arena *tapes, const slopes *d, real *grads) {
    const tableau *table = tableau_of(rows);
    size_t channels = rows->net->shape.channels, all = rows->count * channels;
    run_stages(rows, m, 0, tapes);
    for (size_t s = table->stages; s-- > 0;) {
        const velocity_input in = input_of(rows, m, s);
        if (!measuring(rows->work)) stage_slope(rows, m, d, s);
        tapes[s].used = 0;
        velocity_backward(rows->net, rows->work, &in, d->dk, d->dother, part_of(d->dstage, s * all), d->dcond, grads,
                          &tapes[s]);
        if (measuring(rows->work)) return;
    }
    for (size_t s = 0; s < table->stages; s++)
        for (size_t c = 0; c < m->count * channels; c++) d->dy[c] += d->dstage[s * all + c];
}

/* The rows that took more than `done` steps, at the last of those that are left. */
static void find_moving(const ode_rows *rows, const ode_record *record, size_t done, moving *m, const slopes *d,
                        const real *dy, const double *dsum) {
    size_t channels = rows->net->shape.channels;
    m->count = 0;
    for (size_t r = 0; r < rows->count; r++) {
        if (record->taken[r] <= done) continue;
        size_t i = m->count++, slot = (record->taken[r] - 1 - done) * rows->count + r;
        m->at[i] = r;
        m->place[i] = record->at[slot];
        m->h[i] = rows->backwards ? -record->step[slot] : record->step[slot];
        memcpy(m->start + i * channels, record->y + slot * channels, channels * sizeof(real));
        memcpy(d->dy + i * channels, dy + r * channels, channels * sizeof(real));
        d->dsum[i] = dsum[r];
    }
    gather(rows, m);
}

void ode_solve_backward(const ode_rows *rows, const ode_record *record, real *dy, const double *dsum, real *dcond,
                        real *grads) {
    size_t mark = rows->work->scratch.used, channels = rows->net->shape.channels;
    size_t conditioning = rows->net->shape.conditioning;
    arena tapes[MOST_STAGES];
    moving m = take_moving(rows);
    slopes d = take_slopes(rows);
    take_tapes(rows, &m, tapes);
    if (measuring(rows->work)) step_backward(rows, &m, tapes, &d, NULL);
    for (size_t done = 0; !measuring(rows->work); done++) {
        find_moving(rows, record, done, &m, &d, dy, dsum);
        if (!m.count) break;
        memset(d.dcond, 0, m.count * conditioning * sizeof(real));
        step_backward(rows, &m, tapes, &d, grads);
        for (size_t i = 0; i < m.count; i++) {
            memcpy(dy + m.at[i] * channels, d.dy + i * channels, channels * sizeof *dy);
            for (size_t c = 0; dcond && c < conditioning; c++)
                dcond[m.at[i] * conditioning + c] += d.dcond[i * conditioning + c];
        }
    }
    arena_release(&rows->work->scratch, mark);
}
