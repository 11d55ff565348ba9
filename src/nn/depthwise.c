#include "nn/depthwise.h"

vocode_status depthwise_build(depthwise *layer, param_set *set, const char *prefix, size_t channels, size_t taps,
                              vocode_error *error) {
    const size_t shape[] = {channels, 1, taps};
    *layer = (depthwise){.channels = channels, .taps = taps};
    if (taps % 2 == 0)
        return failed(error, VOCODE_UNSUPPORTED, "%sweight: expected an odd kernel size, found %zu", prefix, taps);
    layer->weight = param_add(set, PARAM_TRAINED, prefix, "weight", 3, shape);
    layer->bias = param_add(set, PARAM_TRAINED, prefix, "bias", 1, shape);
    if (!layer->weight || !layer->bias)
        return failed(error, VOCODE_MEMORY, "cannot register %sweight and its bias", prefix);
    layer->packed = aligned_new(layer->weight->count, sizeof(real));
    if (!layer->packed) return failed(error, VOCODE_MEMORY, "cannot allocate %sweight", prefix);
    return VOCODE_OK;
}

void depthwise_init(depthwise *layer, uint64_t seed) {
    double bound = 1 / sqrt((double)layer->taps);
    param_init_uniform(layer->weight, seed, bound);
    param_init_uniform(layer->bias, seed, bound);
}

void depthwise_prepare(depthwise *layer) {
    for (size_t c = 0; c < layer->channels; c++)
        for (size_t j = 0; j < layer->taps; j++)
            layer->packed[j * layer->channels + c] = layer->weight->value[c * layer->taps + j];
}

void depthwise_free(depthwise *layer) {
    aligned_free(layer->packed);
    layer->packed = NULL;
}

void depthwise_forward(const depthwise *layer, const compute *run, size_t batch, size_t frames, const real *x,
                       real *y) {
    run_depthwise(run, batch, frames, layer->channels, layer->taps, 1, x, layer->packed, layer->bias->value, y);
}

void depthwise_backward(const depthwise *layer, compute *run, size_t batch, size_t frames, const real *x,
                        const real *dy, real *dx, real *grads) {
    size_t mark = run->scratch.used, channels = layer->channels, taps = layer->taps;
    real *dpacked = arena_reals(&run->scratch, taps * channels), *dweight = param_grad(layer->weight, grads);
    if (grads) run_zero(run, taps * channels, dpacked);
    run_depthwise_backward(run, batch, frames, channels, taps, 1, x, layer->packed, dy, dx, grads ? dpacked : NULL,
                           param_grad(layer->bias, grads));
    for (size_t c = 0; !measuring(run) && grads && c < channels; c++)
        for (size_t j = 0; j < taps; j++) dweight[c * taps + j] += dpacked[j * channels + c];
    arena_release(&run->scratch, mark);
}

typedef struct window {
    const depthwise *layer;
    const real *x; /* the first row that is read */
    real *y;
    size_t frames; /* rows that are read */
} window;

static void window_rows(void *context, size_t first, size_t count) {
    const window *work = context;
    size_t c = work->layer->channels, middle = work->layer->taps / 2;
    kernels()->depthwise(work->frames, first + middle, count, c, work->layer->taps, 1, work->x, work->layer->packed,
                         work->layer->bias->value, work->y + first * c);
}

void depthwise_window(const depthwise *layer, const compute *run, size_t rows, const real *x, real *y) {
    if (measuring(run)) return;
    size_t middle = layer->taps / 2;
    window work = {layer, x - middle * layer->channels, y, rows + 2 * middle};
    run_parts(run, rows, layer->taps * layer->channels, window_rows, &work);
}
