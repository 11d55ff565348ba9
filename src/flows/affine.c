/* The affine map of one variable, a channel each, and the exponential: the change of variables at its simplest
 * (Rezende, Mohamed, "Variational inference with normalizing flows", ICML 2015, eq. 5). The scaling layer that ends
 * NICE (Dinh, Krueger, Bengio, ICLR workshop 2015, section 3.3) is the affine map without a shift.
 *
 *     affine  x = z exp(l_c) + b_c,  log|det dz/dx| = -T sum_c l_c
 *             dx = dz exp(-l),  db_c = -sum_t dx,  dl_c = -sum_t dz z - T dlogdet          x, z [T, C], b and l [C]
 *     exp     x = exp z,  log|det dz/dx| = -sum z,  dx = (dz - dlogdet) / x                 x > 0
 *
 * With z uniform on (0, 1) the first with l = log 4 gives the density 1/4 on (0, 4), the second 1 / x on (1, e). */
#include <stdlib.h>

#include "flows/build.h"
#include "flows/flows.h"

typedef struct affine {
    flow base;
    param *shift, *log_scale; /* b, NULL where there is none, and l [channels] */
    double start;             /* l of a fresh flow */
} affine;

static void init(flow *base, uint64_t seed) {
    (void)seed;
    const affine *self = (const affine *)base;
    if (self->shift) param_fill(self->shift, 0);
    param_fill(self->log_scale, self->start);
}

static real shift_of(const affine *self, size_t c) {
    return self->shift ? self->shift->value[c] : 0;
}

/* exp(sign l) of every channel, in scratch */
static real *scales(const affine *self, const flow_run *run, real sign) {
    size_t channels = self->base.channels;
    real *scale = arena_reals(&run->work->scratch, channels);
    for (size_t c = 0; !measuring(run->work) && c < channels; c++) scale[c] = exp(sign * self->log_scale->value[c]);
    return scale;
}

static vocode_status forward(const flow *base, const flow_run *run, const real *x, real *z, double *logdet,
                             arena *tape) {
    (void)tape;
    const affine *self = (const affine *)base;
    size_t channels = base->channels, rows = run->shape.batch * run->shape.frames, mark = run->work->scratch.used;
    const real *scale = scales(self, run, -1);
    if (!measuring(run->work)) {
        double sum = 0;
        for (size_t c = 0; c < channels; c++) sum += (double)self->log_scale->value[c];
        for (size_t b = 0; b < run->shape.batch; b++) logdet[b] -= (double)run->shape.frames * sum;
        for (size_t t = 0; t < rows; t++)
            for (size_t c = 0; c < channels; c++)
                z[t * channels + c] = (x[t * channels + c] - shift_of(self, c)) * scale[c];
    }
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status inverse(const flow *base, const flow_run *run, const real *z, real *x) {
    const affine *self = (const affine *)base;
    size_t channels = base->channels, rows = run->shape.batch * run->shape.frames, mark = run->work->scratch.used;
    const real *scale = scales(self, run, 1);
    for (size_t t = 0; !measuring(run->work) && t < rows; t++)
        for (size_t c = 0; c < channels; c++) x[t * channels + c] = z[t * channels + c] * scale[c] + shift_of(self, c);
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

/* The parameters' gradients, each summed in double. */
static void accumulate(const affine *self, const flow_run *run, const real *z, const real *dz, const double *dlogdet,
                       const real *scale) {
    size_t channels = self->base.channels, rows = run->shape.batch * run->shape.frames;
    real *dlog_scale = param_grad(self->log_scale, run->grads);
    double each = 0;
    for (size_t b = 0; b < run->shape.batch; b++) each += dlogdet[b] * (double)run->shape.frames;
    for (size_t c = 0; c < channels; c++) {
        double plain = 0, weighted = each;
        for (size_t i = c; i < rows * channels; i += channels) {
            plain += (double)dz[i];
            weighted += (double)dz[i] * (double)z[i];
        }
        if (self->shift) param_grad(self->shift, run->grads)[c] -= (real)(plain * (double)scale[c]);
        dlog_scale[c] -= (real)weighted;
    }
}

static vocode_status backward(const flow *base, const flow_run *run, const real *x, const real *z, const real *dz,
                              const double *dlogdet, real *dx, arena *tape) {
    (void)x, (void)tape;
    const affine *self = (const affine *)base;
    size_t channels = base->channels, rows = run->shape.batch * run->shape.frames, mark = run->work->scratch.used;
    const real *scale = scales(self, run, -1);
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
    const real *scale = scales((const affine *)base, run, 1);
    for (size_t i = 0; !measuring(run->work) && i < count; i++) dz[i] = dx[i] * scale[i % channels];
    TRY(flow_give_back(base, run, x, z, dz, tape));
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static void destroy(flow *self) {
    free(self);
}

static const flow_class affine_class = {.name = "affine",
                                        .init = init,
                                        .forward = forward,
                                        .inverse = inverse,
                                        .backward = backward,
                                        .inverse_backward = inverse_backward,
                                        .destroy = destroy};

const config_key affine_keys[] = {
    {.name = "scale",
     .type = CONFIG_REAL,
     .offset = offsetof(affine_options, scale),
     .default_value = 1,
     .least = 1e-6,
     .most = 1e6,
     .doc = "data over latent, of a fresh flow"},
    {.name = "shift",
     .type = CONFIG_BOOL,
     .offset = offsetof(affine_options, shift),
     .default_value = 1,
     .doc = "whether it shifts as well"},
    {.name = NULL},
};

vocode_status affine_build(const affine_options *options, flow_dims dims, param_set *set, const char *prefix,
                           flow **out, vocode_error *error) {
    TRY(flow_new(sizeof(affine), &affine_class, FLOW_AUTOREGRESSIVE | FLOW_REINVERTIBLE | FLOW_SAMPLES_DIFFERENTIABLY,
                 dims, prefix, out, error));
    affine *self = (affine *)*out;
    self->start = log(options->scale);
    if (options->shift) self->shift = param_add(set, PARAM_TRAINED, prefix, "shift", 1, &dims.channels);
    self->log_scale = param_add(set, PARAM_TRAINED, prefix, "log_scale", 1, &dims.channels);
    if ((options->shift && !self->shift) || !self->log_scale)
        return flow_abandon(out, failed(error, VOCODE_MEMORY, "cannot build the affine map %s", prefix));
    return VOCODE_OK;
}

static vocode_status exp_forward(const flow *self, const flow_run *run, const real *x, real *z, double *logdet,
                                 arena *tape) {
    (void)tape;
    size_t each = run->shape.frames * run->shape.channels, count = run->shape.batch * each;
    if (measuring(run->work)) return VOCODE_OK;
    for (size_t i = 0; i < count; i++)
        if (!(x[i] > 0))
            return failed(run->error, VOCODE_VALUE, "exp %s: expected positive data, found %g in batch element %zu",
                          self->name, (double)x[i], i / each);
    for (size_t b = 0; b < run->shape.batch; b++) {
        double sum = 0;
        for (size_t i = b * each; i < (b + 1) * each; i++) {
            z[i] = log(x[i]);
            sum += (double)z[i];
        }
        logdet[b] -= sum;
    }
    return VOCODE_OK;
}

static vocode_status exp_inverse(const flow *self, const flow_run *run, const real *z, real *x) {
    (void)self;
    for (size_t i = 0; !measuring(run->work) && i < flow_shape_count(run->shape); i++) x[i] = exp(z[i]);
    return VOCODE_OK;
}

static vocode_status exp_backward(const flow *self, const flow_run *run, const real *x, const real *z, const real *dz,
                                  const double *dlogdet, real *dx, arena *tape) {
    (void)self, (void)z, (void)tape;
    size_t each = run->shape.frames * run->shape.channels;
    for (size_t i = 0; !measuring(run->work) && i < flow_shape_count(run->shape); i++)
        dx[i] = (dz[i] - (real)dlogdet[i / each]) / x[i];
    return VOCODE_OK;
}

static vocode_status exp_inverse_backward(const flow *self, const flow_run *run, const real *x, real *z, const real *dx,
                                          real *dz, arena *tape) {
    TRY(flow_retrace(self, run, x, z, tape));
    for (size_t i = 0; !measuring(run->work) && i < flow_shape_count(run->shape); i++) dz[i] = dx[i] * x[i];
    return VOCODE_OK;
}

static const flow_class exp_class = {.name = "exp",
                                     .forward = exp_forward,
                                     .inverse = exp_inverse,
                                     .backward = exp_backward,
                                     .inverse_backward = exp_inverse_backward,
                                     .destroy = destroy};

const config_key exp_keys[] = {{.name = NULL}};

vocode_status exp_build(const exp_options *options, flow_dims dims, param_set *set, const char *prefix, flow **out,
                        vocode_error *error) {
    (void)options, (void)set;
    return flow_new(sizeof **out, &exp_class,
                    FLOW_AUTOREGRESSIVE | FLOW_REINVERTIBLE | FLOW_SAMPLES_DIFFERENTIABLY | FLOW_POSITIVE_DATA, dims,
                    prefix, out, error);
}
