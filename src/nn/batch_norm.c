#include "nn/batch_norm.h"

static const double epsilon = 1e-5; /* PyTorch's default, which no published checkpoint changes */

vocode_status batch_norm_build(batch_norm *layer, param_set *set, const char *prefix, size_t channels,
                               vocode_error *error) {
    *layer = (batch_norm){.channels = channels};
    layer->weight = param_add(set, PARAM_TRAINED, prefix, "weight", 1, &channels);
    layer->bias = param_add(set, PARAM_TRAINED, prefix, "bias", 1, &channels);
    layer->mean = param_add(set, PARAM_BUFFER, prefix, "running_mean", 1, &channels);
    layer->variance = param_add(set, PARAM_BUFFER, prefix, "running_var", 1, &channels);
    if (set->failed) return failed(error, VOCODE_MEMORY, "cannot register the batch norm %sweight", prefix);
    layer->scale = aligned_new(channels, 2 * sizeof(real));
    if (!layer->scale) return failed(error, VOCODE_MEMORY, "cannot allocate the batch norm %sweight", prefix);
    layer->shift = layer->scale + channels;
    return VOCODE_OK;
}

void batch_norm_init(batch_norm *layer) {
    param_fill(layer->weight, 1);
    param_fill(layer->bias, 0);
    param_fill(layer->mean, 0);
    param_fill(layer->variance, 1);
}

static double deviation(const batch_norm *layer, size_t c) {
    return sqrt((double)layer->variance->value[c] + epsilon);
}

void batch_norm_prepare(batch_norm *layer) {
    for (size_t c = 0; c < layer->channels; c++) {
        double scale = (double)layer->weight->value[c] / deviation(layer, c);
        layer->scale[c] = (real)scale;
        layer->shift[c] = (real)((double)layer->bias->value[c] - scale * (double)layer->mean->value[c]);
    }
}

void batch_norm_free(batch_norm *layer) {
    aligned_free(layer->scale);
    layer->scale = layer->shift = NULL;
}

void batch_norm_forward(const batch_norm *layer, const compute *run, size_t rows, const real *x, real *y) {
    size_t channels = layer->channels;
    run_scale_shift(run, rows, channels, x, channels, layer->scale, layer->shift, y, channels);
}

void batch_norm_backward(const batch_norm *layer, compute *run, size_t rows, const real *x, real *dy, real *grads) {
    size_t mark = run->scratch.used, channels = layer->channels;
    real *sums = arena_reals(&run->scratch, channels);
    run_zero(run, channels, sums);
    if (!measuring(run) && grads) {
        run_dot_columns(run, rows, channels, x, layer->mean->value, dy, sums);
        real *dweight = param_grad(layer->weight, grads);
        for (size_t c = 0; c < channels; c++) dweight[c] += (real)((double)sums[c] / deviation(layer, c));
        run_add_columns(run, rows, channels, dy, channels, param_grad(layer->bias, grads));
        run_zero(run, channels, sums);
    }
    run_scale_shift(run, rows, channels, dy, channels, layer->scale, sums, dy, channels); /* no shift */
    arena_release(&run->scratch, mark);
}
