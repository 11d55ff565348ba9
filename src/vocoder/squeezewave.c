/* SqueezeWave (Zhai et al., "SqueezeWave: extremely lightweight vocoders for on-device speech synthesis", 2020).
 *
 * WaveGlow's chain on long columns (128 or 256 samples), with depthwise-separable networks. The mel keeps its own rate:
 * a frame serves hop / n_audio_channel columns in turn. */
#include <stdio.h>

#include "vocoder/glow_chain.h"

typedef struct squeezewave_sizes {
    size_t n_mel_channels, n_flows, n_audio_channel, n_early_every, n_early_size;
    int batch_norm;
    size_t n_layers, n_channels, kernel_size;
} squeezewave_sizes;

#define SIZE(member, fallback, low, high, text)                                             \
    {                                                                                       \
        .name = #member, .type = CONFIG_INT, .offset = offsetof(squeezewave_sizes, member), \
        .default_value = (fallback), .least = (low), .most = (high), .doc = (text)          \
    }

static const config_key keys[] = {
    SIZE(n_mel_channels, 80, 1, 4096, "bands of the mel"),
    SIZE(n_flows, 12, 1, 1024, "steps of 1x1 and coupling"),
    SIZE(n_audio_channel, 128, 2, 4096, "samples a column"),
    SIZE(n_early_every, 2, 1, 1024, "flows between early outputs"),
    SIZE(n_early_size, 16, 1, 4096, "channels of an early output"),
    {.name = "batch_norm",
     .type = CONFIG_BOOL,
     .offset = offsetof(squeezewave_sizes, batch_norm),
     .default_value = 1,
     .doc = "batch norm before each depthwise convolution (false: folded away by its author)"},
    {"WN_config", CONFIG_OTHER, .doc = "n_layers, n_channels, kernel_size of the coupling networks"},
};

static const config_key network_keys[] = {
    SIZE(n_layers, 8, 1, 1024, "gated layers"),
    SIZE(n_channels, 256, 1, 16384, "channels of a layer"),
    SIZE(kernel_size, 3, 1, 255, "taps of a depthwise convolution"),
};

enum { DEFAULT_HOP = 256 }; /* of the published models, for files that do not say */

static vocode_status build(vocode_model *model, bool normed, vocode_error *error) {
    const squeezewave_sizes *sizes = model->sizes;
    model->hop = model->has_mel ? model->mel.hop : DEFAULT_HOP;
    model->n_mels = model->cond_channels = sizes->n_mel_channels;
    model->group = model->latent_channels = sizes->n_audio_channel;
    if (model->hop % model->group)
        return failed(error, VOCODE_VALUE, "expected a hop that n_audio_channel (%zu) divides, found %zu", model->group,
                      model->hop);
    model->columns_per_cond = model->hop / model->group;
    char coupling[256];
    snprintf(coupling, sizeof coupling,
             "{\"network\": \"squeeze_wn\", \"layers\": %zu, \"channels\": %zu, \"kernel\": %zu, \"weight_norm\": %s, "
             "\"batch_norm\": %s, \"scale\": \"exp\", \"order\": \"shift_first\"}",
             sizes->n_layers, sizes->n_channels, sizes->kernel_size, normed ? "true" : "false",
             sizes->batch_norm ? "true" : "false");
    return glow_chain_build(model,
                            &(glow_chain_options){.group = sizes->n_audio_channel,
                                                  .n_flows = sizes->n_flows,
                                                  .early_every = sizes->n_early_every,
                                                  .early_size = sizes->n_early_size,
                                                  .cond_channels = model->cond_channels,
                                                  .coupling = coupling},
                            error);
}

static void condition(const vocode_model *model, compute *work, size_t batch, size_t frames, const real *mel,
                      size_t columns, real *cond) {
    size_t used = columns / model->columns_per_cond; /* frames that these columns stand on */
    for (size_t b = 0; b < batch; b++)
        run_copy(work, used * model->n_mels, measuring(work) ? NULL : mel + b * frames * model->n_mels,
                 measuring(work) ? NULL : cond + b * used * model->n_mels);
}

const vocoder_class squeezewave_class = {
    .kind = "squeezewave",
    .summary = "flow over long groups of samples with depthwise-separable networks",
    .keys = keys,
    .key_count = sizeof keys / sizeof *keys,
    .nested = "WN_config",
    .nested_keys = network_keys,
    .nested_count = sizeof network_keys / sizeof *network_keys,
    .sizes_size = sizeof(squeezewave_sizes),
    .build = build,
    .condition = condition,
};
