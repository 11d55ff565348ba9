#include "nn/dense.h"

#include "kernels/convolve.h"

static bool take_memory(dense *layer, const dense_options *options) {
    size_t count = layer->weight->count;
    if (options->from) {
        layer->mask = aligned_new(count, sizeof(real));
        layer->visible = aligned_new(count, sizeof(real));
        if (!layer->mask || !layer->visible) return false;
        for (size_t i = 0; i < layer->inputs; i++)
            for (size_t o = 0; o < layer->outputs; o++)
                layer->mask[i * layer->outputs + o] = options->from[i] <= options->to[o];
    }
    layer->panels = aligned_new(panels_size(layer->outputs, layer->inputs), sizeof(real));
    if (layer->fixed) return layer->panels;
    layer->turned = aligned_new(count, sizeof(real));
    layer->back = aligned_new(panels_size(layer->inputs, layer->outputs), sizeof(real));
    return layer->panels && layer->turned && layer->back;
}

vocode_status dense_build(dense *layer, param_set *set, const char *prefix, const dense_options *options,
                          vocode_error *error) {
    const size_t shape[] = {options->inputs, options->outputs};
    *layer = (dense){.inputs = options->inputs, .outputs = options->outputs, .fixed = set->fixed};
    layer->weight = param_add(set, PARAM_TRAINED, prefix, "weight", 2, shape);
    layer->bias = layer->weight ? param_add(set, PARAM_TRAINED, prefix, "bias", 1, &shape[1]) : NULL;
    if (!layer->bias || !take_memory(layer, options))
        return failed(error, VOCODE_MEMORY, "%sweight: cannot build a layer of %zu inputs and %zu outputs", prefix,
                      options->inputs, options->outputs);
    return VOCODE_OK;
}

void dense_init(dense *layer, uint64_t seed) {
    param_init_uniform(layer->weight, seed, sqrt(6 / (double)(layer->inputs ? layer->inputs : 1)));
    param_init_uniform(layer->bias, seed, 1);
}

void dense_zero(dense *layer) {
    param_fill(layer->weight, 0);
    param_fill(layer->bias, 0);
}

const real *dense_weight(const dense *layer) {
    return layer->visible ? layer->visible : layer->weight->value;
}

enum { BLOCK = 16 }; /* rows and columns that are transposed together: whole cache lines on both sides */

static void transpose_block(const dense *layer, const real *w, size_t i, size_t o) {
    size_t past_i = smaller(layer->inputs, i + BLOCK), past_o = smaller(layer->outputs, o + BLOCK);
    for (; o < past_o; o++)
        for (size_t k = i; k < past_i; k++) layer->turned[o * layer->inputs + k] = w[k * layer->outputs + o];
}

void dense_prepare(dense *layer) {
    size_t count = layer->weight->count;
    for (size_t i = 0; layer->mask && i < count; i++) layer->visible[i] = layer->mask[i] * layer->weight->value[i];
    const real *w = dense_weight(layer);
    kernels()->pack(layer->outputs, layer->inputs, w, layer->outputs, layer->panels);
    if (layer->fixed) return;
    for (size_t i = 0; i < layer->inputs; i += BLOCK)
        for (size_t o = 0; o < layer->outputs; o += BLOCK) transpose_block(layer, w, i, o);
    kernels()->pack(layer->inputs, layer->outputs, layer->turned, layer->inputs, layer->back);
}

void dense_free(dense *layer) {
    aligned_free(layer->mask);
    aligned_free(layer->visible);
    aligned_free(layer->panels);
    aligned_free(layer->turned);
    aligned_free(layer->back);
    *layer = (dense){0};
}

static convolution shape_of(const dense *layer, size_t rows) {
    return (convolution){.batch = rows > 0,
                         .frames = rows,
                         .inputs = layer->inputs,
                         .outputs = layer->outputs,
                         .taps = 1,
                         .dilation = 1,
                         .ldx = layer->inputs,
                         .ldy = layer->outputs,
                         .panels = layer->panels,
                         .back = layer->back};
}

void dense_forward(const dense *layer, const compute *run, size_t rows, const real *x, real *y) {
    if (measuring(run)) return;
    const convolution shape = shape_of(layer, rows);
    run_convolution(run, &shape, x, layer->bias->value, false, y);
}

void dense_product(const dense *layer, const compute *run, size_t rows, const real *x, real *y) {
    if (measuring(run)) return;
    const convolution shape = shape_of(layer, rows);
    run_convolution(run, &shape, x, NULL, false, y);
}

void dense_product_backward(const dense *layer, compute *run, size_t rows, const real *x, const real *dy, real *dx,
                            real *grads) {
    size_t mark = run->scratch.used, count = layer->weight->count;
    real *dw = arena_reals(&run->scratch, count);
    const convolution shape = shape_of(layer, rows);
    if (!measuring(run) && grads) {
        real *to = param_grad(layer->weight, grads);
        run_convolution_weights(run, &shape, x, dy, dw);
        for (size_t i = 0; !layer->mask && i < count; i++) to[i] += dw[i];
        for (size_t i = 0; layer->mask && i < count; i++) to[i] += layer->mask[i] * dw[i];
    }
    if (!measuring(run) && dx) run_convolution_data(run, &shape, dy, false, dx, layer->inputs);
    arena_release(&run->scratch, mark);
}

void dense_backward(const dense *layer, compute *run, size_t rows, const real *x, const real *dy, real *dx,
                    real *grads) {
    dense_product_backward(layer, run, rows, x, dy, dx, grads);
    if (grads) run_add_columns(run, rows, layer->outputs, dy, layer->outputs, param_grad(layer->bias, grads));
}
