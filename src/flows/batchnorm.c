/* Batch normalisation as a flow.
 *
 * Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", ICLR 2017, section 3.7 and appendix E, eq. 17;
 * with gain and shift as Papamakarios, Pavlakou, Murray, "Masked autoregressive flow", NeurIPS 2017, appendix B. x, z
 * [T, C], m and v [C] mean and variance, l and b [C]:
 *
 *     h = (x - m) / sqrt(v + epsilon),  z = h exp(l) + b,  x = (z - b) exp(-l) sqrt(v + epsilon) + m
 *     log|det dz/dx| = T sum_c (l_c - log(v_c + epsilon) / 2)
 *
 * m and v are the running statistics, and with run->norm (training) those of the run's rows, or of all the parts':
 * rows then see each other, and the log-determinant is that of the map with m and v held (trait BATCH_STATISTICS).
 * Gradients go through them: with L the sum of T dlogdet over all n rows' elements, dh = dz exp(l), i = 1 / sqrt(v +
 * epsilon), averages over the n rows,
 *
 *     dx = i (dh - average(dh) - h average(dh h) - L h / n),  dl = sum dz (z - b) + L,  db = sum dz
 *
 * Running statistics follow as nn/batch_norm.h says. */
#include <stdlib.h>

#include "flows/build.h"
#include "flows/flows.h"
#include "nn/batch_norm.h"

typedef struct batchnorm {
    flow base;
    param *log_gain, *shift, *mean, *variance; /* l, b, and the running statistics [channels] */
} batchnorm;

static const double epsilon = 1e-5;

static void init(flow *base, uint64_t seed) {
    (void)seed;
    const batchnorm *self = (const batchnorm *)base;
    param_fill(self->log_gain, 0);
    param_fill(self->shift, 0);
    param_fill(self->mean, 0);
    param_fill(self->variance, 1);
}

static size_t rows_of(const flow_run *run) {
    return run->shape.batch * run->shape.frames;
}

/* What a pass normalises by: m and i [channels]. */
typedef struct statistics {
    double *mean, *inverse;
} statistics;

static statistics take_statistics(const batchnorm *self, arena *memory) {
    return (statistics){arena_take(memory, self->base.channels, sizeof(double)),
                        arena_take(memory, self->base.channels, sizeof(double))};
}

static void sum_parts(const norm_batch *batch, double *values, size_t count) {
    if (batch->parts > 1) batch->sum(batch->context, values, count);
}

static void remember(const norm_batch *batch, const param *p, size_t c, double value) {
    real *recent = param_grad(p, batch->recent);
    if (recent) recent[c] = (real)((1 - BATCH_NORM_MOMENTUM) * (double)recent[c] + BATCH_NORM_MOMENTUM * value);
}

/* sums [2 channels]: room */
static void find_statistics(const batchnorm *self, const flow_run *run, const real *x, double *sums, statistics *to) {
    size_t channels = self->base.channels, rows = rows_of(run);
    for (size_t c = 0; !run->norm && c < channels; c++) {
        to->mean[c] = (double)self->mean->value[c];
        to->inverse[c] = 1 / sqrt((double)self->variance->value[c] + epsilon);
    }
    if (!run->norm) return;
    double n = (double)rows * (double)run->norm->parts;
    for (size_t c = 0; c < channels; c++) {
        sums[c] = sums[channels + c] = 0;
        for (size_t i = c; i < rows * channels; i += channels) {
            sums[c] += (double)x[i];
            sums[channels + c] += (double)x[i] * (double)x[i];
        }
    }
    sum_parts(run->norm, sums, 2 * channels);
    for (size_t c = 0; c < channels; c++) {
        double mean = sums[c] / n, spread = sums[channels + c] / n - mean * mean, variance = spread < 0 ? 0 : spread;
        to->mean[c] = mean;
        to->inverse[c] = 1 / sqrt(variance + epsilon);
        remember(run->norm, self->mean, c, mean);
        remember(run->norm, self->variance, c, variance * (n > 1 ? n / (n - 1) : 1));
    }
}

static vocode_status forward(const flow *base, const flow_run *run, const real *x, real *z, double *logdet,
                             arena *tape) {
    const batchnorm *self = (const batchnorm *)base;
    size_t channels = base->channels, mark = run->work->scratch.used;
    statistics by = take_statistics(self, tape ? tape : &run->work->scratch);
    double *sums = arena_take(&run->work->scratch, 2 * channels, sizeof *sums), sum = 0;
    if (!measuring(run->work)) {
        find_statistics(self, run, x, sums, &by);
        for (size_t c = 0; c < channels; c++) {
            double gain = exp((double)self->log_gain->value[c]) * by.inverse[c];
            sum += (double)self->log_gain->value[c] + log(by.inverse[c]);
            for (size_t i = c; i < rows_of(run) * channels; i += channels)
                z[i] = (real)(((double)x[i] - by.mean[c]) * gain + (double)self->shift->value[c]);
        }
        for (size_t b = 0; b < run->shape.batch; b++) logdet[b] += (double)run->shape.frames * sum;
    }
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status inverse(const flow *base, const flow_run *run, const real *z, real *x) {
    const batchnorm *self = (const batchnorm *)base;
    size_t channels = base->channels;
    for (size_t c = 0; !measuring(run->work) && c < channels; c++) {
        double gain = exp(-(double)self->log_gain->value[c]) * sqrt((double)self->variance->value[c] + epsilon);
        for (size_t i = c; i < rows_of(run) * channels; i += channels)
            x[i] = (real)(((double)z[i] - (double)self->shift->value[c]) * gain + (double)self->mean->value[c]);
    }
    return VOCODE_OK;
}

/* sums [2 channels + 1] <- sum dz and sum dz h of every channel, and L */
static void sum_slopes(const batchnorm *self, const flow_run *run, const real *x, const real *dz, const double *dlogdet,
                       const statistics *by, double *sums) {
    size_t channels = self->base.channels;
    for (size_t c = 0; c < channels; c++) {
        sums[c] = sums[channels + c] = 0;
        for (size_t i = c; i < rows_of(run) * channels; i += channels) {
            sums[c] += (double)dz[i];
            sums[channels + c] += (double)dz[i] * ((double)x[i] - by->mean[c]) * by->inverse[c];
        }
    }
    sums[2 * channels] = 0;
    for (size_t b = 0; b < run->shape.batch; b++) sums[2 * channels] += dlogdet[b] * (double)run->shape.frames;
}

static void accumulate(const batchnorm *self, const double *sums, real *grads) {
    size_t channels = self->base.channels;
    for (size_t c = 0; c < channels; c++) {
        double gain = exp((double)self->log_gain->value[c]);
        param_grad(self->shift, grads)[c] += (real)sums[c];
        param_grad(self->log_gain, grads)[c] += (real)(gain * sums[channels + c] + sums[2 * channels]);
    }
}

static vocode_status backward(const flow *base, const flow_run *run, const real *x, const real *z, const real *dz,
                              const double *dlogdet, real *dx, arena *tape) {
    (void)z;
    const batchnorm *self = (const batchnorm *)base;
    size_t channels = base->channels, mark = run->work->scratch.used;
    const statistics by = take_statistics(self, tape);
    double *sums = arena_take(&run->work->scratch, 2 * channels + 1, sizeof *sums);
    if (!measuring(run->work)) {
        sum_slopes(self, run, x, dz, dlogdet, &by, sums);
        if (run->grads) accumulate(self, sums, run->grads);
        if (run->norm) sum_parts(run->norm, sums, 2 * channels + 1);
        double n = (double)rows_of(run) * (double)(run->norm ? run->norm->parts : 1);
        for (size_t c = 0; c < channels; c++) {
            double gain = exp((double)self->log_gain->value[c]), i = by.inverse[c];
            double constant = run->norm ? gain * sums[c] / n : 0;
            double along = run->norm ? (gain * sums[channels + c] + sums[2 * channels]) / n : 0;
            for (size_t k = c; k < rows_of(run) * channels; k += channels) {
                double h = ((double)x[k] - by.mean[c]) * i;
                dx[k] = (real)(i * (gain * (double)dz[k] - constant - along * h));
            }
        }
    }
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static void destroy(flow *self) {
    free(self);
}

static const flow_class batchnorm_class = {.name = "batchnorm",
                                           .init = init,
                                           .forward = forward,
                                           .inverse = inverse,
                                           .backward = backward,
                                           .destroy = destroy};

const config_key batchnorm_keys[] = {{.name = NULL}};

vocode_status batchnorm_build(const batchnorm_options *options, flow_dims dims, param_set *set, const char *prefix,
                              flow **out, vocode_error *error) {
    (void)options;
    TRY(flow_new(sizeof(batchnorm), &batchnorm_class, FLOW_BATCH_STATISTICS | FLOW_AUTOREGRESSIVE, dims, prefix, out,
                 error));
    batchnorm *self = (batchnorm *)*out;
    self->log_gain = param_add(set, PARAM_TRAINED, prefix, "log_gain", 1, &dims.channels);
    self->shift = param_add(set, PARAM_TRAINED, prefix, "shift", 1, &dims.channels);
    self->mean = param_add(set, PARAM_BUFFER, prefix, "running_mean", 1, &dims.channels);
    self->variance = param_add(set, PARAM_BUFFER, prefix, "running_var", 1, &dims.channels);
    if (!self->log_gain || !self->shift || !self->mean || !self->variance)
        return flow_abandon(out, failed(error, VOCODE_MEMORY, "cannot build the batch norm %s", prefix));
    return VOCODE_OK;
}
