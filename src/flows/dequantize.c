/* Dequantization: whole numbers become real ones by noise from (0, 1), so that a density has something to hold on to.
 *
 * Uniform noise: Theis, van den Oord, Bethge, "A note on the evaluation of generative models", ICLR 2016, section 3.1.
 * Noise from a conditional flow: Ho, Chen, Srinivas, Duan, Abbeel, "Flow++", ICML 2019, section 3.1. For a whole number
 * k a channel and p the density of what follows:
 *
 *     log P(k) = log integral p(k + u) du >= E_q(u | k) [log p(k + u) - log q(u | k)]                (Jensen)
 *
 *     forward    z = k + u,  logdet gains -log q(u | k): its expectation is the bound
 *     inverse    k = floor(z)
 *
 *     uniform      q = 1
 *     variational  u = 1 / (1 + exp(-g(e))),  e normal, g a flow (affine couplings by turns of the halves), conditioned
 *                  on k (centred and scaled as the first batch says) and on the conditioning
 *                  log q(u | k) = log N(e) - log|det dg/de| - sum log(u (1 - u))
 *
 * The noise is a function of the option seed, the run's draw, the frame's number and the channel (trait DEQUANTIZES).
 * Gradients: with L = dlogdet and h what comes back through g from dv = dz u (1 - u) + L (1 - 2 u), L,
 *
 *     dk = dz + h's share
 *
 * Shapes: k, z [T, C], cond [T, cond channels]. One channel alone has no halves: g is then a scale and a shift. */
#include <stdio.h>
#include <stdlib.h>

#include "core/rng.h"
#include "flows/build.h"
#include "flows/composite.h"
#include "flows/flows.h"
#include "flows/registry.h"

typedef struct dequantize {
    flow base;
    flow *noise;         /* g; NULL: uniform */
    param *mean, *scale; /* [channels] of k, for g; NULL: uniform */
    uint64_t seed;
} dequantize;

static const uint64_t golden = 0x9E3779B97F4A7C15u;
static const double log_two_pi = 1.8378770664093454836;

static size_t rows_of(const flow_run *run) {
    return run->shape.batch * run->shape.frames;
}

/* k + u, which must not round to k + 1 */
static real with_fraction(real k, double u) {
    real sum = (real)((double)k + u);
    return sum < k + 1 ? sum : nextafter(k + 1, k);
}

static void draw_uniform(const dequantize *self, const flow_run *run, const real *x, real *z) {
    size_t channels = self->base.channels, first = run->first * run->shape.frames;
    for (size_t r = 0; r < rows_of(run); r++)
        for (size_t c = 0; c < channels; c++)
            z[r * channels + c] =
                with_fraction(x[r * channels + c], rng_uniform(self->seed + golden * run->draw, c, first + r));
}

/* What g needs: e and v [rows, channels], its conditioning [rows, channels + cond channels]; on the tape, or in
 * scratch. */
typedef struct noise_room {
    real *e, *v, *cond;
    double *logdet; /* [batch] */
} noise_room;

static noise_room take_room(const dequantize *self, const flow_run *run, arena *memory) {
    size_t count = flow_shape_count(run->shape);
    return (noise_room){.e = arena_reals(memory, count),
                        .v = arena_reals(memory, count),
                        .cond = arena_reals(memory, count + rows_of(run) * self->base.cond_channels),
                        .logdet = arena_take(memory, run->shape.batch, sizeof(double))};
}

static flow_run noise_run(const dequantize *self, const flow_run *run, const noise_room *room) {
    flow_run inner = *run;
    inner.cond = room->cond;
    inner.cond_frames = run->shape.frames;
    inner.cond_channels = self->base.channels + self->base.cond_channels;
    inner.dcond = NULL;
    inner.observer = NULL;
    return inner;
}

static void fill_room(const dequantize *self, const flow_run *run, const real *x, const noise_room *room) {
    size_t channels = self->base.channels, conditioning = self->base.cond_channels;
    size_t ratio = conditioning ? run->shape.frames / run->cond_frames : 1;
    rng_fill_normal(room->e, rows_of(run), channels, self->seed + golden * run->draw, run->first * run->shape.frames,
                    1);
    for (size_t r = 0; r < rows_of(run); r++) {
        real *to = room->cond + r * (channels + conditioning);
        for (size_t c = 0; c < channels; c++)
            to[c] = (x[r * channels + c] - self->mean->value[c]) * self->scale->value[c];
        for (size_t c = 0; c < conditioning; c++) to[channels + c] = run->cond[r / ratio * conditioning + c];
    }
    for (size_t b = 0; b < run->shape.batch; b++) room->logdet[b] = 0;
}

/* log(u (1 - u)) of u = 1 / (1 + exp(-v)) */
static double log_slope(double v) {
    double size = fabs(v);
    return -size - 2 * log1p(exp(-size));
}

static double sigmoid_of(double v) {
    return 1 / (1 + exp(-v));
}

/* z = x + u, and -log q */
static void add_noise(const dequantize *self, const flow_run *run, const real *x, const noise_room *room, real *z,
                      double *logdet) {
    size_t each = run->shape.frames * self->base.channels;
    for (size_t b = 0; b < run->shape.batch; b++) {
        double sum = room->logdet[b] + (double)each * log_two_pi / 2;
        for (size_t i = b * each; i < (b + 1) * each; i++) {
            double e = (double)room->e[i], v = (double)room->v[i];
            sum += e * e / 2 + log_slope(v);
            z[i] = with_fraction(x[i], sigmoid_of(v));
        }
        logdet[b] += sum;
    }
}

static vocode_status forward(const flow *base, const flow_run *run, const real *x, real *z, double *logdet,
                             arena *tape) {
    const dequantize *self = (const dequantize *)base;
    size_t mark = run->work->scratch.used;
    if (!self->noise) {
        if (!measuring(run->work)) draw_uniform(self, run, x, z);
        return VOCODE_OK;
    }
    const noise_room room = take_room(self, run, tape ? tape : &run->work->scratch);
    const flow_run inner = noise_run(self, run, &room);
    if (!measuring(run->work)) fill_room(self, run, x, &room);
    TRY(flow_forward(self->noise, &inner, room.e, room.v, room.logdet, tape));
    if (!measuring(run->work)) add_noise(self, run, x, &room, z, logdet);
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status inverse(const flow *base, const flow_run *run, const real *z, real *x) {
    (void)base;
    size_t count = flow_shape_count(run->shape);
    for (size_t i = 0; !measuring(run->work) && i < count; i++) x[i] = floor(z[i]);
    return VOCODE_OK;
}

/* dv, and dx so far */
static void begin_backward(const flow_run *run, const noise_room *room, const real *dz, const double *dlogdet,
                           real *dv) {
    size_t count = flow_shape_count(run->shape), each = count / run->shape.batch;
    for (size_t i = 0; i < count; i++) {
        double u = sigmoid_of((double)room->v[i]);
        dv[i] = (real)((double)dz[i] * u * (1 - u) + dlogdet[i / each] * (1 - 2 * u));
    }
}

/* What came back to g's conditioning goes to k and to the conditioning. */
static void finish_backward(const dequantize *self, const flow_run *run, const real *dinner, const real *dz, real *dx) {
    size_t channels = self->base.channels, conditioning = self->base.cond_channels;
    real *dcond = flow_dcond(&self->base, run);
    size_t ratio = conditioning ? run->shape.frames / run->cond_frames : 1;
    for (size_t r = 0; r < rows_of(run); r++) {
        const real *from = dinner + r * (channels + conditioning);
        for (size_t c = 0; c < channels; c++)
            dx[r * channels + c] = dz[r * channels + c] + from[c] * self->scale->value[c];
        for (size_t c = 0; dcond && c < conditioning; c++) dcond[r / ratio * conditioning + c] += from[channels + c];
    }
}

static vocode_status backward(const flow *base, const flow_run *run, const real *x, const real *z, const real *dz,
                              const double *dlogdet, real *dx, arena *tape) {
    (void)x, (void)z;
    const dequantize *self = (const dequantize *)base;
    size_t mark = run->work->scratch.used, count = flow_shape_count(run->shape);
    size_t width = count + rows_of(run) * base->cond_channels;
    if (!self->noise) {
        run_copy(run->work, count, dz, dx);
        return VOCODE_OK;
    }
    const noise_room room = take_room(self, run, tape);
    real *dv = arena_reals(&run->work->scratch, count), *de = arena_reals(&run->work->scratch, count);
    real *dinner = arena_reals(&run->work->scratch, width);
    flow_run inner = noise_run(self, run, &room);
    inner.dcond = dinner;
    run_zero(run->work, width, dinner);
    if (!measuring(run->work)) begin_backward(run, &room, dz, dlogdet, dv);
    TRY(flow_backward(self->noise, &inner, room.e, room.v, dv, dlogdet, de, tape));
    if (!measuring(run->work)) finish_backward(self, run, dinner, dz, dx);
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static void init(flow *base, uint64_t seed) {
    dequantize *self = (dequantize *)base;
    if (!self->noise) return;
    flow_init(self->noise, seed);
    param_fill(self->mean, 0);
    param_fill(self->scale, 1);
}

static vocode_status init_from(flow *base, const flow_run *run, const real *x) {
    const dequantize *self = (const dequantize *)base;
    size_t channels = base->channels, rows = rows_of(run);
    for (size_t c = 0; !measuring(run->work) && c < channels; c++) {
        double sum = 0, square = 0;
        for (size_t r = 0; r < rows; r++) sum += (double)x[r * channels + c];
        double mean = sum / (double)rows;
        for (size_t r = 0; r < rows; r++) {
            double distance = (double)x[r * channels + c] - mean;
            square += distance * distance;
        }
        self->mean->value[c] = (real)mean;
        self->scale->value[c] = square > 0 ? (real)sqrt((double)rows / square) : 1;
    }
    return VOCODE_OK;
}

static vocode_status prepare(flow *base, vocode_error *error) {
    const dequantize *self = (const dequantize *)base;
    return self->noise ? flow_prepare(self->noise, error) : VOCODE_OK;
}

static void destroy(flow *base) {
    flow_free(((dequantize *)base)->noise);
    free(base);
}

static const flow_class dequantize_class = {.name = "dequantize",
                                            .init = init,
                                            .init_from = init_from,
                                            .prepare = prepare,
                                            .forward = forward,
                                            .inverse = inverse,
                                            .backward = backward,
                                            .destroy = destroy};

enum { MOST_COUPLINGS = 64 };

static vocode_status build_noise(const dequantize_options *options, flow_dims dims, param_set *set, const char *prefix,
                                 flow **out, vocode_error *error) {
    flow *parts[2 + MOST_COUPLINGS];
    char line[160], name[PARAM_NAME_SIZE];
    size_t count = 0, couplings = dims.channels > 1 ? options->couplings : 0;
    vocode_status status = VOCODE_OK;
    for (size_t k = 0; status == VOCODE_OK && k <= couplings; k++) {
        snprintf(line, sizeof line, "{\"mask\": \"%s\", \"scale\": \"bounded\", \"layers\": %zu, \"channels\": %zu}",
                 k % 2 ? "second" : "first", options->layers, options->channels);
        snprintf(name, sizeof name, "%snoise.%zu.", prefix, k);
        status = k < couplings ? flow_build("masked", line, dims, set, name, &parts[count], error)
                               : flow_build("affine", NULL, dims, set, name, &parts[count], error);
        count += status == VOCODE_OK;
    }
    if (status == VOCODE_OK) return sequence_new(parts, count, out, error);
    for (size_t k = 0; k < count; k++) flow_free(parts[k]);
    return status;
}

vocode_status dequantize_build(const dequantize_options *options, flow_dims dims, param_set *set, const char *prefix,
                               flow **out, vocode_error *error) {
    bool uniform = options->noise == DEQUANTIZE_UNIFORM;
    unsigned traits = FLOW_DEQUANTIZES | FLOW_STOCHASTIC_LOGDET | (uniform ? 0 : FLOW_DATA_DEPENDENT_INIT);
    TRY(flow_new(sizeof(dequantize), &dequantize_class, traits, dims, prefix, out, error));
    dequantize *self = (dequantize *)*out;
    self->seed = options->seed;
    if (uniform) return VOCODE_OK;
    self->base.cond_channels = dims.cond_channels;
    self->mean = param_add(set, PARAM_BUFFER, prefix, "mean", 1, &dims.channels);
    self->scale = param_add(set, PARAM_BUFFER, prefix, "scale", 1, &dims.channels);
    if (!self->mean || !self->scale)
        return flow_abandon(out, failed(error, VOCODE_MEMORY, "cannot build the noise %s", prefix));
    const flow_dims inner = {dims.channels, dims.channels + dims.cond_channels};
    vocode_status status = build_noise(options, inner, set, prefix, &self->noise, error);
    return status == VOCODE_OK ? VOCODE_OK : flow_abandon(out, status);
}
