#include "nn/layer_norm.h"

static const real epsilon = (real)1e-5; /* PyTorch's default */

vocode_status layer_norm_build(layer_norm *layer, param_set *set, const char *prefix, size_t channels,
                               vocode_error *error) {
    *layer = (layer_norm){.channels = channels};
    layer->weight = param_add(set, PARAM_TRAINED, prefix, "weight", 1, &channels);
    layer->bias = param_add(set, PARAM_TRAINED, prefix, "bias", 1, &channels);
    if (set->failed) return failed(error, VOCODE_MEMORY, "cannot register the layer norm %sweight", prefix);
    return VOCODE_OK;
}

void layer_norm_init(layer_norm *layer) {
    param_fill(layer->weight, 1);
    param_fill(layer->bias, 0);
}

void layer_norm_forward(const layer_norm *layer, const compute *run, size_t rows, const real *x, real *y) {
    run_layer_norm(run, rows, layer->channels, x, layer->weight->value, layer->bias->value, epsilon, y);
}

void layer_norm_backward(const layer_norm *layer, compute *run, size_t rows, const real *x, const real *dy, real *dx,
                         real *grads) {
    run_layer_norm_backward(run, rows, layer->channels, x, layer->weight->value, epsilon, dy, dx,
                            param_grad(layer->weight, grads), param_grad(layer->bias, grads));
}
