#include "vocoder/tiny_models.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "io/json.h"

const char *const tiny_configs[] = {
    "{\"kind\": \"waveglow\", \"waveglow\": {\"n_mel_channels\": 3, \"n_flows\": 4, \"n_group\": 6, \"n_early_every\": "
    "2, "
    "\"n_early_size\": 2, \"upsample_kernel\": 48, \"upsample_stride\": 12, \"WN_config\": {\"n_layers\": 2, "
    "\"n_channels\": 4, \"kernel_size\": 3}}}",
    "{\"kind\": \"squeezewave\", \"squeezewave\": {\"n_mel_channels\": 3, \"n_flows\": 3, \"n_audio_channel\": 8, "
    "\"n_early_every\": 2, \"n_early_size\": 2, \"WN_config\": {\"n_layers\": 2, \"n_channels\": 4, \"kernel_size\": "
    "3}}, "
    "\"mel\": {\"n_mels\": 3, \"hop\": 16, \"n_fft\": 64}}",
    "{\"kind\": \"squeezewave\", \"squeezewave\": {\"n_mel_channels\": 2, \"n_flows\": 2, \"n_audio_channel\": 8, "
    "\"n_early_every\": 1, \"n_early_size\": 4, \"batch_norm\": false, \"WN_config\": {\"n_layers\": 1, "
    "\"n_channels\": 3, "
    "\"kernel_size\": 3}}, \"mel\": {\"n_mels\": 2, \"hop\": 8, \"n_fft\": 32}}",
    "{\"kind\": \"frameflow\", \"frameflow\": {\"n_mels\": 3, \"hop\": 8, \"n_flows\": 2, \"dim\": 6, \"n_blocks\": 1, "
    "\"white_dim\": 4, \"white_blocks\": 1, \"expansion\": 2, \"kernel\": 3, \"white_offset\": 0.5}}",
    "{\"kind\": \"frameflow-cnf\", \"frameflow-cnf\": {\"n_mels\": 3, \"hop\": 8, \"n_flows\": 1, \"dim\": 6, "
    "\"n_blocks\": 1, \"white_dim\": 4, \"white_blocks\": 1, \"expansion\": 2, \"kernel\": 3, \"white_offset\": 0.5, "
    "\"field_dim\": 5, \"field_blocks\": 1, \"field_kernel\": 3, \"field_features\": 4, \"steps\": 4, \"terms\": 0}}",
    NULL,
};

static void give_up(const char *sentence) {
    fprintf(stderr, "tiny model: %s\n", sentence);
    abort();
}

/* Fresh values around what the parameter starts at; running variances stay positive. */
static void disturb(param *p, uint64_t seed, uint64_t stream) {
    bool variance = strstr(p->name, "running_var") != NULL;
    for (size_t i = 0; i < p->count; i++) {
        double noise = rng_normal(seed, stream, i);
        p->value[i] = (real)(variance ? 0.5 + noise * noise : (double)p->value[i] + 0.25 * noise);
    }
}

vocode_model *tiny_model(const char *config, uint64_t seed) {
    json_t *root;
    vocode_error error = {0};
    vocode_model *model;
    if (json_parse(config, strlen(config), NULL, "tiny", &root, &error) != VOCODE_OK) give_up(error.message);
    if (model_create(root, "tiny", seed, &model, &error) != VOCODE_OK) give_up(error.message);
    json_decref(root);
    for (size_t i = 0; i < model->params.count; i++) disturb(model->params.items[i], seed + 1, i);
    if (model_prepare(model, &error) != VOCODE_OK) give_up(error.message);
    return model;
}
