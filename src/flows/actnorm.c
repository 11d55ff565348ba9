/* Activation normalisation: one scale and one shift a channel.
 *
 * Kingma, Dhariwal, "Glow", NeurIPS 2018, section 3.1 and table 1 (y = s x + b, log-determinant h w sum log|s|):
 *
 *     z[t, c] = (x[t, c] + b_c) exp(l_c),  x = z exp(-l) - b      x, z [T, C], b and l [C]
 *     log|det dz/dx| = T sum_c l_c
 *     dx = dz exp(l),  db_c = sum_t dz exp(l_c),  dl_c = sum_t dz z + T dlogdet
 *
 * Where we differ: the scale is exp(l), so it is never zero, and b comes before it, so that the first batch sets the
 * two one after the other: b = -mean, l = -log(deviation). A channel that is constant in the first batch is only
 * centred. */
#include <stdlib.h>

#include "flows/build.h"
#include "flows/flows.h"

typedef struct actnorm {
    flow base;
    param *shift, *log_scale; /* b and l [channels] */
} actnorm;

/* Deviations below this share of a channel's size are rounding, not signal. */
static const double least_deviation = 1e-6;

static void init(flow *base, uint64_t seed) {
    (void)seed;
    const actnorm *self = (const actnorm *)base;
    param_fill(self->shift, 0);
    param_fill(self->log_scale, 0);
}

static vocode_status init_from(flow *base, const flow_run *run, const real *x) {
    const actnorm *self = (const actnorm *)base;
    size_t channels = base->channels, rows = run->shape.batch * run->shape.frames;
    for (size_t c = 0; !measuring(run->work) && c < channels; c++) {
        double sum = 0, square = 0;
        for (size_t t = 0; t < rows; t++) sum += (double)x[t * channels + c];
        double mean = sum / (double)rows;
        for (size_t t = 0; t < rows; t++) {
            double distance = (double)x[t * channels + c] - mean;
            square += distance * distance;
        }
        double deviation = sqrt(square / (double)rows);
        bool constant = !(deviation > least_deviation * (1 + fabs(mean)));
        self->shift->value[c] = (real)-mean;
        self->log_scale->value[c] = constant ? 0 : (real)-log(deviation);
    }
    return VOCODE_OK;
}

/* exp(sign * l) of every channel, in scratch */
static real *scales(const actnorm *self, const flow_run *run, real sign) {
    size_t channels = self->base.channels;
    real *scale = arena_reals(&run->work->scratch, channels);
    for (size_t c = 0; !measuring(run->work) && c < channels; c++) scale[c] = exp(sign * self->log_scale->value[c]);
    return scale;
}

static vocode_status forward(const flow *base, const flow_run *run, const real *x, real *z, double *logdet,
                             arena *tape) {
    (void)tape;
    const actnorm *self = (const actnorm *)base;
    size_t channels = base->channels, rows = run->shape.batch * run->shape.frames, mark = run->work->scratch.used;
    const real *scale = scales(self, run, 1);
    if (!measuring(run->work)) {
        double sum = 0;
        for (size_t c = 0; c < channels; c++) sum += (double)self->log_scale->value[c];
        for (size_t b = 0; b < run->shape.batch; b++) logdet[b] += (double)run->shape.frames * sum;
        const real *shift = self->shift->value;
        for (size_t t = 0; t < rows; t++, x += channels, z += channels)
            for (size_t c = 0; c < channels; c++) z[c] = (x[c] + shift[c]) * scale[c];
    }
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status inverse(const flow *base, const flow_run *run, const real *z, real *x) {
    const actnorm *self = (const actnorm *)base;
    size_t channels = base->channels, rows = run->shape.batch * run->shape.frames, mark = run->work->scratch.used;
    const real *scale = scales(self, run, -1);
    for (size_t t = 0; !measuring(run->work) && t < rows; t++)
        for (size_t c = 0; c < channels; c++)
            x[t * channels + c] = z[t * channels + c] * scale[c] - self->shift->value[c];
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

enum { TOGETHER = 64 }; /* channels whose sums grow row by row */

/* The parameters' gradients, each summed in double. */
static void accumulate(const actnorm *self, const flow_run *run, const real *z, const real *dz, const double *dlogdet,
                       const real *scale) {
    size_t channels = self->base.channels, rows = run->shape.batch * run->shape.frames;
    real *dshift = param_grad(self->shift, run->grads), *dlog_scale = param_grad(self->log_scale, run->grads);
    double each = 0;
    for (size_t b = 0; b < run->shape.batch; b++) each += dlogdet[b] * (double)run->shape.frames;
    for (size_t first = 0; first < channels; first += TOGETHER) {
        double plain[TOGETHER] = {0}, weighted[TOGETHER] = {0};
        size_t count = smaller(TOGETHER, channels - first);
        for (size_t t = 0; t < rows; t++)
            for (size_t c = 0; c < count; c++) {
                double slope = (double)dz[t * channels + first + c];
                plain[c] += slope;
                weighted[c] += slope * (double)z[t * channels + first + c];
            }
        for (size_t c = 0; c < count; c++) {
            dshift[first + c] += (real)(plain[c] * (double)scale[first + c]);
            dlog_scale[first + c] += (real)(each + weighted[c]);
        }
    }
}

static vocode_status backward(const flow *base, const flow_run *run, const real *x, const real *z, const real *dz,
                              const double *dlogdet, real *dx, arena *tape) {
    (void)x, (void)tape;
    const actnorm *self = (const actnorm *)base;
    size_t channels = base->channels, rows = run->shape.batch * run->shape.frames, mark = run->work->scratch.used;
    const real *scale = scales(self, run, 1);
    for (size_t t = 0; !measuring(run->work) && t < rows; t++)
        for (size_t c = 0; c < channels; c++) dx[t * channels + c] = dz[t * channels + c] * scale[c];
    if (!measuring(run->work) && run->grads) accumulate(self, run, z, dz, dlogdet, scale);
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status inverse_backward(const flow *base, const flow_run *run, const real *x, real *z, const real *dx,
                                      real *dz, arena *tape) {
    size_t channels = base->channels, mark = run->work->scratch.used, count = flow_shape_count(run->shape);
    TRY(flow_retrace(base, run, x, z, tape));
    const real *scale = scales((const actnorm *)base, run, -1);
    for (size_t i = 0; !measuring(run->work) && i < count; i++) dz[i] = dx[i] * scale[i % channels];
    TRY(flow_give_back(base, run, x, z, dz, tape));
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static void destroy(flow *self) {
    free(self);
}

static const flow_class actnorm_class = {.name = "actnorm",
                                         .init = init,
                                         .init_from = init_from,
                                         .forward = forward,
                                         .inverse = inverse,
                                         .backward = backward,
                                         .inverse_backward = inverse_backward,
                                         .destroy = destroy};

const config_key actnorm_keys[] = {{.name = NULL}};

vocode_status actnorm_build(const actnorm_options *options, flow_dims dims, param_set *set, const char *prefix,
                            flow **out, vocode_error *error) {
    (void)options;
    TRY(flow_new(sizeof(actnorm), &actnorm_class,
                 FLOW_DATA_DEPENDENT_INIT | FLOW_AUTOREGRESSIVE | FLOW_REINVERTIBLE | FLOW_SAMPLES_DIFFERENTIABLY, dims,
                 prefix, out, error));
    actnorm *self = (actnorm *)*out;
    self->shift = param_add(set, PARAM_TRAINED, prefix, "shift", 1, &dims.channels);
    self->log_scale = param_add(set, PARAM_TRAINED, prefix, "log_scale", 1, &dims.channels);
    if (!self->shift || !self->log_scale)
        return flow_abandon(out, failed(error, VOCODE_MEMORY, "cannot build the actnorm %s", prefix));
    return VOCODE_OK;
}
