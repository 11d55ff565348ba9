/* WaveGlow (Prenger, Valle, Catanzaro, "WaveGlow: a flow-based generative network for speech synthesis", 2018).
 *
 * audio [n_group T] -> squeeze -> 12 steps on [T, channels] with early outputs -> z [T, n_group]. Conditioning: the mel
 * upsampled by a transposed convolution and folded to one column a group, [T, n_mels * n_group], channel-major. */
#include <stdio.h>
#include <stdlib.h>

#include "nn/upsampler.h"
#include "vocoder/glow_chain.h"

typedef struct waveglow_sizes {
    size_t n_mel_channels, n_flows, n_group, n_early_every, n_early_size, upsample_kernel, upsample_stride;
    size_t n_layers, n_channels, kernel_size;
} waveglow_sizes;

#define SIZE(member, fallback, low, high, text)                                                                       \
    {                                                                                                                 \
        .name = #member, .type = CONFIG_INT, .offset = offsetof(waveglow_sizes, member), .default_value = (fallback), \
        .least = (low), .most = (high), .doc = (text)                                                                 \
    }

static const config_key keys[] = {
    SIZE(n_mel_channels, 80, 1, 4096, "bands of the mel"),
    SIZE(n_flows, 12, 1, 1024, "steps of 1x1 and coupling"),
    SIZE(n_group, 8, 2, 4096, "samples a column"),
    SIZE(n_early_every, 4, 1, 1024, "flows between early outputs"),
    SIZE(n_early_size, 2, 1, 4096, "channels of an early output"),
    SIZE(upsample_kernel, 1024, 1, 65536, "samples that a mel frame reaches"),
    SIZE(upsample_stride, 256, 1, 65536, "samples a mel frame: the hop"),
    {"WN_config", CONFIG_OTHER, .doc = "n_layers, n_channels, kernel_size of the coupling networks"},
};

static const config_key network_keys[] = {
    SIZE(n_layers, 8, 1, 20, "gated layers; layer i has dilation 2^i"),
    SIZE(n_channels, 256, 1, 16384, "channels of a layer"),
    SIZE(kernel_size, 3, 1, 255, "taps of a dilated convolution"),
};

static vocode_status build(vocode_model *model, bool normed, vocode_error *error) {
    const waveglow_sizes *sizes = model->sizes;
    model->hop = sizes->upsample_stride;
    model->n_mels = sizes->n_mel_channels;
    model->group = model->latent_channels = sizes->n_group;
    model->cond_channels = sizes->n_mel_channels * sizes->n_group;
    model->columns_per_cond = 1;
    upsampler *up = calloc(1, sizeof *up);
    if (!up) return failed(error, VOCODE_MEMORY, "cannot allocate the upsampler");
    model->own = up;
    TRY(upsampler_build(up, &model->params, "upsample.",
                        &(upsampler_options){.channels = sizes->n_mel_channels,
                                             .taps = sizes->upsample_kernel,
                                             .stride = sizes->upsample_stride,
                                             .group = sizes->n_group},
                        error));
    char coupling[256];
    snprintf(coupling, sizeof coupling,
             "{\"network\": \"wn\", \"layers\": %zu, \"channels\": %zu, \"kernel\": %zu, \"weight_norm\": %s, "
             "\"scale\": \"exp\", \"order\": \"shift_first\"}",
             sizes->n_layers, sizes->n_channels, sizes->kernel_size, normed ? "true" : "false");
    return glow_chain_build(model,
                            &(glow_chain_options){.group = sizes->n_group,
                                                  .n_flows = sizes->n_flows,
                                                  .early_every = sizes->n_early_every,
                                                  .early_size = sizes->n_early_size,
                                                  .cond_channels = model->cond_channels,
                                                  .coupling = coupling},
                            error);
}

static void init(vocode_model *model, uint64_t seed) {
    upsampler_init(model->own, seed);
}

static void prepare(vocode_model *model) {
    upsampler_prepare(model->own);
}

static void destroy(vocode_model *model) {
    upsampler_free(model->own);
    free(model->own);
}

static void condition(const vocode_model *model, compute *work, size_t batch, size_t frames, const real *mel,
                      size_t columns, real *cond) {
    upsampler_forward(model->own, work, batch, frames, mel, columns, cond);
}

static void condition_window(const vocode_model *model, compute *work, size_t frames, const real *mel, real *cond) {
    upsampler_window(model->own, work, frames, mel, cond);
}

static size_t history(const vocode_model *model) {
    return upsampler_history(model->own);
}

static void condition_backward(const vocode_model *model, compute *work, size_t batch, size_t frames, const real *mel,
                               size_t columns, const real *dcond, real *grads) {
    upsampler_backward(model->own, work, batch, frames, mel, columns, dcond, NULL, grads);
}

const vocoder_class waveglow_class = {
    .kind = "waveglow",
    .summary = "flow over groups of samples, conditioned on the upsampled mel",
    .keys = keys,
    .key_count = sizeof keys / sizeof *keys,
    .nested = "WN_config",
    .nested_keys = network_keys,
    .nested_count = sizeof network_keys / sizeof *network_keys,
    .sizes_size = sizeof(waveglow_sizes),
    .build = build,
    .init = init,
    .prepare = prepare,
    .destroy = destroy,
    .condition = condition,
    .condition_window = condition_window,
    .history = history,
    .condition_backward = condition_backward,
};
