/* Audio to latent and back, and the exact likelihood.
 *
 * N = min(floor(n / hop), frames) hop samples are used. Groups of samples: the latent has N / group columns and the
 * mel's first N / hop frames condition it. Frame blocks: N / hop + 1 columns, since the block starts half a hop before
 * sample 0 and ends half a hop or more after sample N; where the mel has one frame less, its last one is repeated. So
 * the number of columns alone tells N, and decode needs nothing else. */
#include <math.h>
#include <string.h>

#include "core/arena.h"
#include "vocoder/arrays.h"

static const double half_log_two_pi = 0.91893853320467274178; /* log(sqrt(2 pi)) */

void vocode_encode_size(const vocode_model *model, size_t samples, size_t frames, size_t *used_samples,
                        size_t *columns) {
    size_t used = samples / model->hop < frames ? samples / model->hop : frames;
    *used_samples = used * model->hop;
    if (model->frame_blocks)
        *columns = used ? used + 1 : 0;
    else
        *columns = *used_samples / model->group;
}

size_t vocode_decode_size(const vocode_model *model, size_t columns) {
    if (model->frame_blocks) return columns ? (columns - 1) * model->hop : 0;
    return columns * model->group;
}

/* A clip in the blocks' layout. */
typedef struct clip {
    block_shape shape;
    real *mel; /* [shape.frames, n_mels] */
    real *x;   /* [columns * group] */
    real *z;   /* [columns, latent_channels] */
    void *memory;
} clip;

static vocode_status clip_new(const vocode_model *model, size_t columns, const float *mel, size_t frames, clip *out,
                              vocode_error *error) {
    TRY(check_mel(mel, frames, model->n_mels, error));
    size_t rate = model->hop / model->group ? model->hop / model->group : 1; /* columns a frame */
    size_t wanted = model->frame_blocks ? columns : (columns + rate - 1) / rate;
    if (wanted > frames + (model->frame_blocks ? 1 : 0))
        return failed(error, VOCODE_SHAPE, "a latent of %zu columns needs a mel of %zu frames, found %zu", columns,
                      wanted, frames);
    *out = (clip){.shape = {1, wanted, columns}};
    arena layout = arena_over(NULL, 0);
    for (int pass = 0; pass < 2; pass++) {
        out->mel = arena_reals(&layout, wanted * model->n_mels);
        out->x = arena_reals(&layout, columns * model->group);
        out->z = arena_reals(&layout, columns * model->latent_channels);
        if (pass) break;
        out->memory = aligned_new(layout.peak, 1);
        if (!out->memory) return failed(error, VOCODE_MEMORY, "cannot allocate a clip of %zu columns", columns);
        layout = arena_over(out->memory, layout.peak);
    }
    mel_to_frames(mel, frames, model->n_mels, wanted, out->mel);
    return VOCODE_OK;
}

/* The clip's z from audio, and its log-determinant. */
static vocode_status encode(const vocode_model *model, const float *audio, size_t samples, const float *mel,
                            size_t frames, int threads, clip *out, double *log_determinant, vocode_error *error) {
    size_t used, columns;
    *out = (clip){0};
    vocode_encode_size(model, samples, frames, &used, &columns);
    if (columns == 0)
        return failed(error, VOCODE_SHAPE,
                      "too short: expected at least one hop (%zu samples) and one mel frame, found "
                      "%zu samples and %zu frames",
                      model->hop, samples, frames);
    for (size_t i = 0; i < used; i++)
        if (!isfinite(audio[i]))
            return failed(error, VOCODE_VALUE, "sample %zu is %s", i, isnan(audio[i]) ? "NaN" : "infinite");
    TRY(clip_new(model, columns, mel, frames, out, error));
    size_t start = model->frame_blocks ? model->hop / 2 : 0, total = columns * model->group;
    for (size_t i = 0; i < used && start + i < total; i++) out->x[start + i] = (real)audio[i];
    return blocks_forward(model, out->shape, threads, out->mel, out->x, out->z, log_determinant, NULL, error);
}

vocode_status vocode_encode(const vocode_model *model, const float *audio, size_t samples, const float *mel,
                            size_t frames, int threads, float *latent, double *log_determinant, vocode_error *error) {
    clip made;
    double logdet;
    vocode_status status = encode(model, audio, samples, mel, frames, threads, &made, &logdet, error);
    if (status == VOCODE_OK) {
        latent_from_rows(made.z, model->latent_channels, made.shape.columns, latent);
        if (log_determinant) *log_determinant = logdet;
    }
    aligned_free(made.memory);
    return status;
}

vocode_status vocode_decode(const vocode_model *model, const float *latent, size_t columns, const float *mel,
                            size_t frames, int threads, float *audio, vocode_error *error) {
    if (vocode_decode_size(model, columns) == 0)
        return failed(error, VOCODE_SHAPE, "a latent of %zu columns stands for no samples", columns);
    TRY(check_latent(latent, model->latent_channels, columns, error));
    clip made = {0};
    vocode_status status = clip_new(model, columns, mel, frames, &made, error);
    if (status == VOCODE_OK) {
        latent_to_rows(latent, model->latent_channels, columns, made.z);
        status = blocks_inverse(model, made.shape, threads, made.mel, made.z, made.x, error);
    }
    if (status == VOCODE_OK) {
        size_t start = model->frame_blocks ? model->hop / 2 : 0, samples = vocode_decode_size(model, columns);
        for (size_t i = 0; i < samples; i++) audio[i] = (float)made.x[start + i];
    }
    aligned_free(made.memory);
    return status;
}

vocode_status vocode_score(const vocode_model *model, const float *audio, size_t samples, const float *mel,
                           size_t frames, double sigma, int threads, vocode_likelihood *likelihood,
                           vocode_error *error) {
    if (sigma == 0) sigma = model->settings.train_sigma;
    if (!(sigma > 0) || !isfinite(sigma))
        return failed(error, VOCODE_ARGUMENT, "expected a sigma above zero, found %g", sigma);
    clip made;
    double logdet;
    vocode_status status = encode(model, audio, samples, mel, frames, threads, &made, &logdet, error);
    if (status == VOCODE_OK) {
        size_t count = made.shape.columns * model->latent_channels;
        double square = 0, numbers = (double)count;
        for (size_t i = 0; i < count; i++) square += (double)made.z[i] * (double)made.z[i];
        double nats = (square / (2 * sigma * sigma) - logdet) / numbers + log(sigma) + half_log_two_pi;
        *likelihood = (vocode_likelihood){nats, nats / log(2), sigma, logdet, count};
    }
    aligned_free(made.memory);
    return status;
}
