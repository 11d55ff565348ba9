#include "nn/conv2d.h"

#include <string.h>

vocode_status conv2d_build(conv2d *layer, param_set *set, const char *prefix, const conv2d_options *options,
                           vocode_error *error) {
    size_t seen;
    *layer = (conv2d){.height = options->height,
                      .width = options->width,
                      .kernel = options->kernel,
                      .inputs = options->inputs,
                      .outputs = options->outputs};
    if (options->kernel % 2 == 0)
        return failed(error, VOCODE_UNSUPPORTED, "%sweight: expected an odd kernel size, found %zu", prefix,
                      options->kernel);
    if (__builtin_mul_overflow(options->kernel, options->kernel, &seen) ||
        __builtin_mul_overflow(seen, options->inputs, &seen))
        return failed(error, VOCODE_MEMORY, "%sweight: a kernel of %zu pixels and %zu inputs is too large", prefix,
                      options->kernel, options->inputs);
    const dense_options shape = {.inputs = seen, .outputs = options->outputs};
    return dense_build(&layer->taps, set, prefix, &shape, error);
}

void conv2d_init(conv2d *layer, uint64_t seed) {
    dense_init(&layer->taps, seed);
}

void conv2d_zero(conv2d *layer) {
    dense_zero(&layer->taps);
}

void conv2d_prepare(conv2d *layer) {
    dense_prepare(&layer->taps);
}

void conv2d_free(conv2d *layer) {
    dense_free(&layer->taps);
}

/* Pixels side by side in a row of the image, and those that a tap of the kernel has them see. */
typedef struct stretch {
    size_t pixel, source, count; /* the first of them, the first that is seen, how many */
    size_t tap;
} stretch;

/* What tap (a, c) of pixel row i sees. false: nothing. */
static bool stretch_of(const conv2d *layer, size_t i, size_t a, size_t c, stretch *out) {
    size_t half = layer->kernel / 2, height = layer->height, width = layer->width;
    if (i + a < half || i + a - half >= height) return false;
    size_t first = c < half ? half - c : 0, past = width + half < c ? 0 : smaller(width, width + half - c);
    if (first >= past) return false;
    *out = (stretch){.pixel = i * width + first,
                     .source = (i + a - half) * width + first + c - half,
                     .count = past - first,
                     .tap = a * layer->kernel + c};
    return true;
}

/* patches [pixels, kernel^2 inputs] of one image, which are zero where the kernel looks outside */
static void take_patches(const conv2d *layer, const real *image, real *patches) {
    size_t kernel = layer->kernel, inputs = layer->inputs, step = layer->taps.inputs;
    stretch s;
    for (size_t i = 0; i < layer->height; i++)
        for (size_t a = 0; a < kernel; a++)
            for (size_t c = 0; c < kernel; c++) {
                if (!stretch_of(layer, i, a, c, &s)) continue;
                const real *from = image + s.source * inputs;
                real *to = patches + s.pixel * step + s.tap * inputs;
                for (size_t p = 0; p < s.count; p++, from += inputs, to += step)
                    for (size_t k = 0; k < inputs; k++) to[k] = from[k];
            }
}

/* The transpose: image += patches */
static void add_patches(const conv2d *layer, const real *patches, real *image) {
    size_t kernel = layer->kernel, inputs = layer->inputs, step = layer->taps.inputs;
    stretch s;
    for (size_t i = 0; i < layer->height; i++)
        for (size_t a = 0; a < kernel; a++)
            for (size_t c = 0; c < kernel; c++) {
                if (!stretch_of(layer, i, a, c, &s)) continue;
                const real *from = patches + s.pixel * step + s.tap * inputs;
                real *to = image + s.source * inputs;
                for (size_t p = 0; p < s.count; p++, from += step, to += inputs)
                    for (size_t k = 0; k < inputs; k++) to[k] += from[k];
            }
}

static size_t pixels_of(const conv2d *layer) {
    return layer->height * layer->width;
}

/* Images that are taken together. */
static size_t tile_of(const conv2d *layer, size_t images) {
    size_t fitting = TILE_ROWS / pixels_of(layer);
    return smaller(images, fitting ? fitting : 1);
}

void conv2d_forward(const conv2d *layer, compute *run, size_t images, const real *x, real *y) {
    size_t mark = run->scratch.used, pixels = pixels_of(layer), each = pixels * layer->taps.inputs;
    size_t tile = tile_of(layer, images);
    real *patches = arena_reals(&run->scratch, tile * each);
    run_zero(run, tile * each, patches); /* what lies outside stays so */
    for (size_t first = 0; !measuring(run) && first < images; first += tile) {
        size_t count = smaller(tile, images - first);
        for (size_t i = 0; i < count; i++)
            take_patches(layer, x + (first + i) * pixels * layer->inputs, patches + i * each);
        dense_forward(&layer->taps, run, count * pixels, patches, y + first * pixels * layer->outputs);
    }
    arena_release(&run->scratch, mark);
}

void conv2d_backward(const conv2d *layer, compute *run, size_t images, const real *x, const real *dy, real *dx,
                     real *grads) {
    size_t mark = run->scratch.used, pixels = pixels_of(layer), each = pixels * layer->taps.inputs;
    size_t tile = tile_of(layer, images), size = pixels * layer->inputs;
    real *patches = arena_reals(&run->scratch, tile * each), *dpatches = arena_reals(&run->scratch, tile * each);
    run_zero(run, tile * each, patches);
    if (dx) run_zero(run, images * size, dx);
    if (measuring(run)) dense_backward(&layer->taps, run, tile * pixels, NULL, NULL, NULL, NULL);
    for (size_t first = 0; !measuring(run) && first < images; first += tile) {
        size_t count = smaller(tile, images - first);
        for (size_t i = 0; grads && i < count; i++) take_patches(layer, x + (first + i) * size, patches + i * each);
        dense_backward(&layer->taps, run, count * pixels, patches, dy + first * pixels * layer->outputs,
                       dx ? dpatches : NULL, grads);
        for (size_t i = 0; dx && i < count; i++) add_patches(layer, dpatches + i * each, dx + (first + i) * size);
    }
    arena_release(&run->scratch, mark);
}
