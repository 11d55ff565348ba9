/* Mel to audio: a stream with one long push. */
#include <math.h>

#include "core/arena.h"
#include "dsp/denoise.h"
#include "dsp/mel_inspect.h"
#include "vocoder/arrays.h"
#include "vocoder/bias.h"
#include "vocoder/options.h"
#include "vocoder/stream.h"

size_t vocode_latent_columns(const vocode_model *model, size_t frames) {
    return frames * model->hop / model->group;
}

static vocode_status check_noise(const vocode_model *model, const vocode_synthesis *options, size_t frames,
                                 vocode_error *error) {
    size_t columns = vocode_latent_columns(model, frames);
    if (!options->noise) return VOCODE_OK;
    if (options->noise_columns != columns)
        return failed(error, VOCODE_SHAPE, "a mel of %zu frames takes a latent of %zu columns, found %zu", frames,
                      columns, options->noise_columns);
    return check_latent(options->noise, model->latent_channels, columns, error);
}

/* Bands, frames and values; what looks like another convention is warned of. */
static vocode_status check_input(const vocode_model *model, const vocode_synthesis *options, const float *mel,
                                 size_t frames, size_t n_mels, vocode_error *error) {
    const mel_convention *input = model->has_mel ? &model->mel : NULL;
    const warning_sink warnings = {options->warning, options->context};
    if (frames == 0) return failed(error, VOCODE_SHAPE, "the mel has zero frames: expected at least one");
    if (input && options->mel_preset) TRY(mel_preset_require(options->mel_preset, &input, error));
    if (input)
        TRY(mel_inspect(mel, frames, n_mels, input, &warnings, error));
    else if (n_mels == model->n_mels)
        TRY(check_mel(mel, frames, n_mels, error));
    if (n_mels != model->n_mels)
        return failed(error, VOCODE_SHAPE, "the model takes %zu mel bands, found %zu", model->n_mels, n_mels);
    return VOCODE_OK;
}

vocode_status vocode_synthesize(const vocode_model *model, const float *mel, size_t frames, size_t n_mels,
                                const vocode_synthesis *options, float *audio, vocode_error *error) {
    vocode_synthesis known;
    TRY(options_read(options, &known, error));
    TRY(check_input(model, &known, mel, frames, n_mels, error));
    TRY(check_noise(model, &known, frames, error));
    vocode_stream *stream;
    TRY(stream_open(model, &known, &stream, error));
    vocode_status status = vocode_stream_push(stream, mel, frames, error);
    if (status == VOCODE_OK) status = vocode_stream_finish(stream, error);
    if (status == VOCODE_OK) vocode_stream_pull(stream, audio, frames * model->hop);
    vocode_stream_free(stream);
    return status;
}

static vocode_status remove_bias(const vocode_model *model, int threads, real *audio, size_t samples, double strength,
                                 vocode_error *error) {
    size_t n_fft, hop;
    bias_sizes(model, &n_fft, &hop);
    double *bias = aligned_new(n_fft / 2 + 1, sizeof *bias);
    if (!bias) return failed(error, VOCODE_MEMORY, "cannot allocate the model's bias");
    vocode_status status = bias_spectrum(model, threads, bias, error);
    if (status == VOCODE_OK) status = denoise(audio, samples, n_fft, hop, bias, strength, error);
    aligned_free(bias);
    return status;
}

vocode_status vocode_denoise(const vocode_model *model, float *audio, size_t samples, double strength, int threads,
                             vocode_error *error) {
    if (!isfinite(strength) || strength < 0)
        return failed(error, VOCODE_ARGUMENT, "expected a denoise strength of zero or more, found %g", strength);
    real *values = aligned_new(samples, sizeof *values);
    if (!values) return failed(error, VOCODE_MEMORY, "cannot allocate %zu samples", samples);
    for (size_t i = 0; i < samples; i++) values[i] = (real)audio[i];
    vocode_status status = remove_bias(model, threads, values, samples, strength, error);
    for (size_t i = 0; status == VOCODE_OK && i < samples; i++) audio[i] = (float)values[i];
    aligned_free(values);
    return status;
}
