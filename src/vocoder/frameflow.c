/* The frame-rate coupling flow: WaveGlow's idea moved to MDCT columns, so that a column is one mel frame.
 *
 * block x' [hop T] -> orthonormal MDCT [T, hop] -> conditional scale (a network of the mel gives each bin's log-scale)
 * -> n_flows x (invertible 1x1, affine coupling with log_s bounded to (-2, 2)) -> z [T, hop].
 *
 * Block t owns the samples [hop t - hop/2, hop t + hop/2), centred on frame t of a centred STFT. Conditioning: the mel,
 * shifted and scaled to about unit variance. */
#include <stdio.h>
#include <stdlib.h>

#include "flows/composite.h"
#include "flows/registry.h"
#include "vocoder/frameflow.h"

static const config_key keys[] = {FRAMEFLOW_KEYS(FRAMEFLOW_SIZE, FRAMEFLOW_NUMBER)};

static vocode_status build_step(vocode_model *model, size_t k, flow **pair, vocode_error *error) {
    const frameflow_sizes *sizes = model->sizes;
    flow_dims dims = {sizes->hop, sizes->n_mels};
    char prefix[PARAM_NAME_SIZE], options[256];
    snprintf(prefix, sizeof prefix, "mix.%zu", k);
    TRY(flow_build("inv1x1", k ? "{\"init\": \"swap_halves\"}" : "{\"init\": \"even_odd\"}", dims, &model->params,
                   prefix, &pair[0], error));
    snprintf(prefix, sizeof prefix, "coupling.%zu.", k);
    snprintf(options, sizeof options,
             "{\"network\": \"convnext\", \"blocks\": %zu, \"channels\": %zu, \"expansion\": %zu, \"kernel\": %zu, "
             "\"scale\": \"bounded\", \"order\": \"scale_first\"}",
             sizes->n_blocks, sizes->dim, sizes->expansion, sizes->kernel);
    return flow_build("coupling", options, dims, &model->params, prefix, &pair[1], error);
}

vocode_status frameflow_build_parts(vocode_model *model, size_t gap, flow **parts, vocode_error *error) {
    const frameflow_sizes *sizes = model->sizes;
    char options[256];
    model->hop = model->group = model->latent_channels = sizes->hop;
    model->n_mels = model->cond_channels = sizes->n_mels;
    model->columns_per_cond = 1;
    model->frame_blocks = true;
    if (sizes->hop % 2) return failed(error, VOCODE_VALUE, "expected an even hop, found %zu", sizes->hop);
    snprintf(options, sizeof options, "{\"bins\": %zu}", sizes->hop);
    TRY(flow_build("mdct", options, (flow_dims){1, 0}, &model->params, "", &parts[0], error));
    snprintf(options, sizeof options,
             "{\"blocks\": %zu, \"channels\": %zu, \"expansion\": %zu, \"kernel\": %zu, \"offset\": %.17g}",
             sizes->white_blocks, sizes->white_dim, sizes->expansion, sizes->kernel, sizes->white_offset);
    TRY(flow_build("scale", options, (flow_dims){sizes->hop, sizes->n_mels}, &model->params, "whiten.", &parts[1],
                   error));
    parts += FRAMEFLOW_FRONT + gap;
    for (size_t k = 0; k < sizes->n_flows; k++) TRY(build_step(model, k, parts + 2 * k, error));
    return VOCODE_OK;
}

vocode_status frameflow_join(vocode_model *model, vocode_status built, flow **parts, size_t count,
                             vocode_error *error) {
    if (built == VOCODE_OK) return sequence_new(parts, count, &model->chain, error);
    for (size_t i = 0; i < count; i++) flow_free(parts[i]);
    return built;
}

static vocode_status build(vocode_model *model, bool normed, vocode_error *error) {
    (void)normed; /* no weight norm in these networks */
    const frameflow_sizes *sizes = model->sizes;
    size_t count = FRAMEFLOW_FRONT + 2 * sizes->n_flows;
    flow **parts = calloc(count, sizeof *parts);
    if (!parts) return failed(error, VOCODE_MEMORY, "cannot allocate a chain of %zu flows", count);
    vocode_status status = frameflow_build_parts(model, 0, parts, error);
    status = frameflow_join(model, status, parts, count, error);
    free(parts);
    return status;
}

void frameflow_condition(const vocode_model *model, compute *work, size_t batch, size_t frames, const real *mel,
                         size_t columns, real *cond) {
    const frameflow_sizes *sizes = model->sizes;
    if (measuring(work)) return;
    for (size_t b = 0; b < batch; b++) {
        const real *from = mel + b * frames * sizes->n_mels;
        real *to = cond + b * columns * sizes->n_mels;
        for (size_t i = 0; i < columns * sizes->n_mels; i++)
            to[i] = (from[i] - (real)sizes->mel_mean) / (real)sizes->mel_deviation;
    }
}

const vocoder_class frameflow_class = {
    .kind = "frameflow",
    .summary = "coupling flow over MDCT columns, one a mel frame",
    .keys = keys,
    .key_count = sizeof keys / sizeof *keys,
    .sizes_size = sizeof(frameflow_sizes),
    .build = build,
    .condition = frameflow_condition,
};
