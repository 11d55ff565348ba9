/* WaveGlow and SqueezeWave: sizes from shapes, then every tensor that a model of those sizes has. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vocoder/import_plan.h"

#define FLOWS_MOST ((size_t)1024)
#define LAYERS_MOST ((size_t)20) /* layer i has dilation 2^i */

/* Formats the name of a layer, such as WN.3.in_layers.1. */
__attribute__((format(printf, 2, 3))) static const char *layer_name(char name[PLAN_NAME_SIZE], const char *format,
                                                                    ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(name, PLAN_NAME_SIZE, format, arguments);
    va_end(arguments);
    return name;
}

static vocode_status need_layer(plan *p, const char *layer, size_t shape[PLAN_MAX_RANK]) {
    if (plan_layer_shape(p, layer, shape)) return VOCODE_OK;
    char name[PLAN_NAME_SIZE + 16];
    const char *const kinds[] = {"weight_v", "weight"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s.%s", layer, kinds[i]);
        const plan_source *source = plan_find(p, name);
        if (source && source->entry->foreign) return tree_refuse_class(p->tree, source->entry, p->error);
        torch_tensor tensor;
        if (source)
            TRY(torch_tensor_describe(p->tree->file, source->entry->ref, source->entry->name, &tensor, p->error));
        if (source)
            return failed(p->error, VOCODE_SHAPE, "tensor %s has %d dimensions, expected at most %d", name, tensor.rank,
                          PLAN_MAX_RANK);
    }
    return failed(p->error, VOCODE_FORMAT, "tensor %s.weight (or weight_g and weight_v) is missing", layer);
}

/* Channels of each flow: n_group at first, early_size fewer after every early_every flows. */
static vocode_status find_flows(plan *p, model_sizes *sizes) {
    char name[PLAN_NAME_SIZE];
    size_t shape[PLAN_MAX_RANK], channels = 0;
    for (sizes->n_flows = 0; sizes->n_flows <= FLOWS_MOST; sizes->n_flows++) {
        size_t k = sizes->n_flows;
        if (!plan_layer_shape(p, layer_name(name, "convinv.%zu.conv", k), shape)) break;
        if (k == 0) sizes->n_group = shape[0];
        if (k > 0 && !sizes->early_every && shape[0] < channels) {
            sizes->early_every = k;
            sizes->early_size = channels - shape[0];
        }
        channels = shape[0];
    }
    if (sizes->n_flows == 0) return need_layer(p, "convinv.0.conv", shape);
    if (sizes->n_flows > FLOWS_MOST) return failed(p->error, VOCODE_UNSUPPORTED, "more than %zu flows", FLOWS_MOST);
    return VOCODE_OK;
}

static size_t channels_of(const model_sizes *sizes, size_t flow) {
    size_t dropped = sizes->early_every ? flow / sizes->early_every * sizes->early_size : 0;
    return dropped < sizes->n_group ? sizes->n_group - dropped : 0;
}

static vocode_status find_layers(plan *p, model_sizes *sizes, const char *format) {
    char name[PLAN_NAME_SIZE];
    size_t shape[PLAN_MAX_RANK];
    while (sizes->n_layers <= LAYERS_MOST) {
        snprintf(name, sizeof name, format, sizes->n_layers);
        if (!plan_layer_shape(p, name, shape)) break;
        sizes->kernel_size = shape[2];
        sizes->n_layers++;
    }
    if (sizes->n_layers == 0) {
        snprintf(name, sizeof name, format, (size_t)0);
        return need_layer(p, name, shape);
    }
    if (sizes->n_layers > LAYERS_MOST)
        return failed(p->error, VOCODE_UNSUPPORTED, "more than %zu layers in a network", LAYERS_MOST);
    if (sizes->kernel_size % 2 == 0)
        return failed(p->error, VOCODE_UNSUPPORTED, "the layers' kernels have %zu taps, expected an odd number",
                      sizes->kernel_size);
    return VOCODE_OK;
}

static vocode_status find_sizes(plan *p, model_sizes *sizes) {
    size_t shape[PLAN_MAX_RANK];
    *sizes = (model_sizes){.squeezewave = plan_layer_shape(p, "WN.0.in_layers.0.1", shape)};
    TRY(find_flows(p, sizes));
    TRY(need_layer(p, "WN.0.start", shape));
    sizes->n_channels = shape[0];
    if (sizes->squeezewave) {
        sizes->batch_norm = plan_find(p, "WN.0.in_layers.0.0.running_mean") != NULL;
        TRY(find_layers(p, sizes, sizes->batch_norm ? "WN.0.in_layers.%zu.1" : "WN.0.in_layers.%zu.0"));
        TRY(need_layer(p, "WN.0.cond_layer", shape));
        sizes->n_mels = shape[1];
        return VOCODE_OK;
    }
    TRY(find_layers(p, sizes, "WN.0.in_layers.%zu"));
    TRY(need_layer(p, "upsample", shape));
    sizes->n_mels = shape[0];
    sizes->upsample_kernel = shape[2];
    return VOCODE_OK;
}

/* One row of cond_layer a layer and half, or the old list of cond_layers. */
static vocode_status plan_conditioning(plan *p, const model_sizes *sizes, size_t k) {
    char name[PLAN_NAME_SIZE];
    size_t rows = 2 * sizes->n_channels, shape[PLAN_MAX_RANK];
    size_t columns = sizes->squeezewave ? sizes->n_mels : sizes->n_mels * sizes->n_group;
    plan_rows from[LAYERS_MOST];
    layer_name(name, "WN.%zu.cond_layer", k);
    layer_name(from[0].layer, "WN.%zu.cond_layers.0", k);
    if (!plan_layer_shape(p, from[0].layer, shape)) return plan_layer(p, name, rows * sizes->n_layers, columns, 1, 1);
    for (size_t i = 0; i < sizes->n_layers; i++) {
        layer_name(from[i].layer, "WN.%zu.cond_layers.%zu", k, i);
        from[i].rows = rows;
    }
    return plan_layers(p, name, from, sizes->n_layers, columns, 1, 1);
}

/* Residual rows first, then skip rows; the last layer has skip rows alone. Old models keep the two apart. */
static vocode_status plan_outputs(plan *p, const model_sizes *sizes, size_t k, size_t i) {
    char name[PLAN_NAME_SIZE];
    size_t channels = sizes->n_channels, shape[PLAN_MAX_RANK];
    plan_rows from[2] = {{.rows = channels}, {.rows = channels}};
    int last = i + 1 == sizes->n_layers;
    layer_name(from[0].layer, "WN.%zu.res_layers.%zu", k, i);
    layer_name(from[1].layer, "WN.%zu.skip_layers.%zu", k, i);
    layer_name(name, "WN.%zu.res_skip_layers.%zu", k, i);
    if (plan_layer_shape(p, from[1].layer, shape))
        return plan_layers(p, name, last ? from + 1 : from, last ? 1 : 2, channels, 1, 1);
    return plan_layer(p, name, last || sizes->squeezewave ? channels : 2 * channels, channels, 1, 1);
}

static vocode_status plan_separable(plan *p, const model_sizes *sizes, size_t k, size_t i) {
    static const char *const statistics[] = {"weight", "bias", "running_mean", "running_var"};
    char name[PLAN_NAME_SIZE];
    size_t channels = sizes->n_channels, module = 0;
    for (size_t s = 0; sizes->batch_norm && s < sizeof statistics / sizeof *statistics; s++)
        TRY(plan_tensor(p, layer_name(name, "WN.%zu.in_layers.%zu.0.%s", k, i, statistics[s]), 1, &channels));
    if (sizes->batch_norm) module = 1;
    TRY(plan_layer(p, layer_name(name, "WN.%zu.in_layers.%zu.%zu", k, i, module), channels, 1, sizes->kernel_size, 0));
    return plan_layer(p, layer_name(name, "WN.%zu.in_layers.%zu.%zu", k, i, module + 1), 2 * channels, channels, 1, 0);
}

static vocode_status plan_network(plan *p, const model_sizes *sizes, size_t k, size_t half) {
    char name[PLAN_NAME_SIZE];
    size_t channels = sizes->n_channels;
    TRY(plan_layer(p, layer_name(name, "WN.%zu.start", k), channels, half, 1, 1));
    TRY(plan_layer(p, layer_name(name, "WN.%zu.end", k), 2 * half, channels, 1, 0));
    TRY(plan_conditioning(p, sizes, k));
    for (size_t i = 0; i < sizes->n_layers; i++) {
        if (sizes->squeezewave)
            TRY(plan_separable(p, sizes, k, i));
        else
            TRY(plan_layer(p, layer_name(name, "WN.%zu.in_layers.%zu", k, i), 2 * channels, channels,
                           sizes->kernel_size, 1));
        TRY(plan_outputs(p, sizes, k, i));
    }
    return VOCODE_OK;
}

static vocode_status check_sizes(plan *p, const model_sizes *sizes) {
    size_t columns;
    if (sizes->n_mels == 0 || sizes->n_channels == 0 || sizes->kernel_size == 0 ||
        __builtin_mul_overflow(sizes->n_channels, 2 * LAYERS_MOST, &columns) ||
        __builtin_mul_overflow(sizes->n_mels, sizes->n_group, &columns))
        return failed(p->error, VOCODE_SHAPE, "its layers have %zu mel bands, %zu channels and %zu taps", sizes->n_mels,
                      sizes->n_channels, sizes->kernel_size);
    for (size_t k = 0; k < sizes->n_flows; k++) {
        size_t channels = channels_of(sizes, k);
        if (channels < 2 || channels % 2)
            return failed(p->error, VOCODE_SHAPE,
                          "flow %zu of a model with n_group %zu, n_early_every %zu and "
                          "n_early_size %zu would have %zu channels, expected an even number",
                          k, sizes->n_group, sizes->early_every, sizes->early_size, channels);
    }
    return VOCODE_OK;
}

vocode_status plan_model(plan *p, model_sizes *sizes) {
    char name[PLAN_NAME_SIZE];
    TRY(find_sizes(p, sizes));
    TRY(check_sizes(p, sizes));
    if (!sizes->squeezewave) {
        size_t shape[PLAN_MAX_RANK] = {sizes->n_mels, sizes->n_mels, sizes->upsample_kernel};
        TRY(plan_layer(p, "upsample", shape[0], shape[1], shape[2], 0));
    }
    for (size_t k = 0; k < sizes->n_flows; k++) {
        size_t channels = channels_of(sizes, k), shape[PLAN_MAX_RANK] = {channels, channels, 1};
        TRY(plan_tensor(p, layer_name(name, "convinv.%zu.conv.weight", k), PLAN_MAX_RANK, shape));
        TRY(plan_network(p, sizes, k, channels / 2));
    }
    return VOCODE_OK;
}
