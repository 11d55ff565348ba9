#include "nn/conv1d.h"

#include <stdint.h>

#include "kernels/convolve.h"

static vocode_status build_bias(conv1d *layer, param_set *set, const char *prefix, const conv1d_options *options,
                                vocode_error *error) {
    if (options->no_bias) return VOCODE_OK;
    layer->bias = param_add(set, PARAM_TRAINED, prefix, "bias", 1, &options->outputs);
    if (!layer->bias) return failed(error, VOCODE_MEMORY, "cannot register %sbias", prefix);
    if (!options->scale) return VOCODE_OK;
    layer->scaled_bias = aligned_new(options->outputs, sizeof(real));
    if (!layer->scaled_bias) return failed(error, VOCODE_MEMORY, "cannot allocate %sbias", prefix);
    return VOCODE_OK;
}

vocode_status conv1d_build(conv1d *layer, param_set *set, const char *prefix, const conv1d_options *options,
                           vocode_error *error) {
    size_t taps = options->taps ? options->taps : 1, reach;
    *layer = (conv1d){.dilation = options->dilation ? options->dilation : 1};
    if (taps % 2 == 0)
        return failed(error, VOCODE_UNSUPPORTED, "%sweight: expected an odd kernel size, found %zu", prefix, taps);
    if (__builtin_mul_overflow(taps, layer->dilation, &reach))
        return failed(error, VOCODE_VALUE, "%sweight: a kernel of %zu taps with dilation %zu is too large", prefix,
                      taps, layer->dilation);
    if (options->style == WEIGHT_NORMED) TRY(build_bias(layer, set, prefix, options, error));
    const weight_options shape = {.style = options->style,
                                  .outputs = options->outputs,
                                  .inputs = options->inputs,
                                  .taps = taps,
                                  .group = options->group,
                                  .pairs = options->pairs,
                                  .linear = options->linear,
                                  .transposing = options->transposing,
                                  .scale = options->scale};
    TRY(weight_build(&layer->w, set, prefix, &shape, error));
    if (options->style == WEIGHT_PLAIN) TRY(build_bias(layer, set, prefix, options, error));
    return VOCODE_OK;
}

void conv1d_init(conv1d *layer, uint64_t seed) {
    weight_init(&layer->w, seed);
    if (layer->bias) param_init_uniform(layer->bias, seed, 1 / sqrt((double)(layer->w.inputs * layer->w.taps)));
}

void conv1d_zero(conv1d *layer) {
    weight_zero(&layer->w);
    if (layer->bias) param_fill(layer->bias, 0);
}

void conv1d_prepare(conv1d *layer) {
    weight_prepare(&layer->w);
    for (size_t o = 0; layer->scaled_bias && o < layer->w.outputs; o++)
        layer->scaled_bias[o] = layer->w.scale->value[o] * layer->bias->value[o];
}

void conv1d_free(conv1d *layer) {
    aligned_free(layer->scaled_bias);
    layer->scaled_bias = NULL;
}

size_t conv1d_reach(const conv1d *layer) {
    return layer->w.taps / 2 * layer->dilation;
}

static convolution shape_of(const conv1d *layer, const conv1d_call *call) {
    size_t inputs = layer->w.inputs, outputs = call->outputs ? call->outputs : layer->w.outputs;
    return (convolution){
        .batch = call->batch,
        .frames = call->frames,
        .inputs = inputs,
        .outputs = outputs,
        .taps = layer->w.taps,
        .dilation = layer->dilation,
        .ldx = call->ldx ? call->ldx : inputs,
        .ldy = call->ldy ? call->ldy : outputs,
        .panels = weight_panels(&layer->w, call->first),
        .panel_step = weight_panel_step(&layer->w),
        .back = weight_back(&layer->w, call->first),
        .back_step = weight_back_step(&layer->w),
    };
}

static const real *bias_of(const conv1d *layer, size_t first) {
    return part_of(layer->scaled_bias ? layer->scaled_bias : layer->bias ? layer->bias->value : NULL, first);
}

/* The call for the group of outputs that starts `done` outputs into it; what lies past its end stays out. */
static conv1d_call group_of(const conv1d *layer, const conv1d_call *call, size_t done) {
    size_t all = call->outputs ? call->outputs : layer->w.outputs, group = layer->w.group;
    conv1d_call part = *call;
    part.first = call->first + done;
    part.outputs = smaller(all - done, group - part.first % group);
    part.ldy = call->ldy ? call->ldy : all;
    return part;
}

void conv1d_run(const conv1d *layer, const compute *run, const conv1d_call *call, const real *x, real *y) {
    size_t all = call->outputs ? call->outputs : layer->w.outputs;
    for (size_t done = 0; !measuring(run) && done < all;) {
        const conv1d_call part = group_of(layer, call, done);
        convolution shape = shape_of(layer, &part);
        run_convolution(run, &shape, x, bias_of(layer, part.first), call->add, y + done);
        done += part.outputs;
    }
}

void conv1d_window(const conv1d *layer, const compute *run, size_t rows, const real *x, size_t ldx, size_t first,
                   size_t outputs, bool add, real *y, size_t ldy) {
    const conv1d_call call = {.first = first, .outputs = outputs ? outputs : layer->w.outputs, .ldx = ldx, .ldy = ldy};
    for (size_t done = 0; !measuring(run) && done < call.outputs;) {
        const conv1d_call part = group_of(layer, &call, done);
        convolution shape = shape_of(layer, &part);
        run_convolution_window(run, &shape, rows, x, bias_of(layer, part.first), add, y + done);
        done += part.outputs;
    }
}

/* With a layer scale s the bias's share of y is s b: ds = b sum(dy), db = s sum(dy). */
static void bias_backward(const conv1d *layer, compute *run, size_t first, size_t outputs, size_t rows, const real *dy,
                          size_t lddy, real *grads) {
    size_t mark = run->scratch.used;
    real *sums = layer->scaled_bias ? arena_reals(&run->scratch, outputs) : NULL;
    if (!measuring(run) && grads && layer->bias) {
        real *dbias = param_grad(layer->bias, grads) + first;
        if (sums) run_zero(run, outputs, sums);
        run_add_columns(run, rows, outputs, dy, lddy, sums ? sums : dbias);
        for (size_t o = 0; sums && o < outputs; o++) {
            param_grad(layer->w.scale, grads)[first + o] += layer->bias->value[first + o] * sums[o];
            dbias[o] += layer->w.scale->value[first + o] * sums[o];
        }
    }
    arena_release(&run->scratch, mark);
}

void conv1d_run_backward(const conv1d *layer, compute *run, const conv1d_call *call, const real *x, const real *dy,
                         real *dx, real *grads) {
    convolution shape = shape_of(layer, call);
    size_t mark = run->scratch.used;
    real *dpacked = arena_reals(&run->scratch, shape.taps * shape.inputs * shape.outputs);
    if (grads) {
        run_convolution_weights(run, &shape, x, dy, false, dpacked);
        weight_backward(&layer->w, run, call->first, shape.outputs, dpacked, grads);
    }
    arena_release(&run->scratch, mark);
    bias_backward(layer, run, call->first, shape.outputs, shape.batch * shape.frames, dy, shape.ldy, grads);
    for (size_t done = 0; dx && !measuring(run) && done < shape.outputs;) {
        const conv1d_call part = group_of(layer, call, done);
        const convolution group = shape_of(layer, &part);
        run_convolution_data(run, &group, dy + done, call->add || done > 0, dx, call->lddx ? call->lddx : shape.inputs);
        done += part.outputs;
    }
}

void conv1d_forward(const conv1d *layer, compute *run, size_t batch, size_t frames, const real *x, real *y,
                    size_t ldy) {
    conv1d_run(layer, run, &(conv1d_call){.batch = batch, .frames = frames, .ldy = ldy}, x, y);
}

void conv1d_backward(const conv1d *layer, compute *run, size_t batch, size_t frames, const real *x, const real *dy,
                     size_t lddy, real *dx, real *grads) {
    const conv1d_call call = {.batch = batch, .frames = frames, .ldy = lddy, .add = true};
    conv1d_run_backward(layer, run, &call, x, dy, dx, grads);
}
