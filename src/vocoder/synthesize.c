/* Mel to audio: noise -> inverse of the chain -> mel-consistency passes -> phase refinement -> bias removal -> shift
 * and gain. */
#include <math.h>
#include <string.h>

#include "core/arena.h"
#include "core/rng.h"
#include "dsp/denoise.h"
#include "dsp/mel_convert.h"
#include "dsp/mel_inspect.h"
#include "dsp/mel_match.h"
#include "vocoder/arrays.h"

enum { BIAS_FRAMES = 88 }; /* of silence, long enough for every receptive field of the published models */

size_t vocode_latent_columns(const vocode_model *model, size_t frames) {
    return frames * model->hop / model->group;
}

/* One synthesis: the arrays it works on, in the blocks' layout. */
typedef struct job {
    const vocode_model *model;
    const vocode_synthesis *options;
    block_shape shape;
    const mel_convention *input; /* what the mel is in; NULL where the model does not say */
    real *mel;                   /* [frames, n_mels], the model's convention */
    real *z;                     /* [columns, latent_channels] */
    real *block;                 /* [columns * group] */
    real *audio;                 /* [frames * hop], sample 0 at frame 0's centre */
    void *memory;
} job;

static vocode_status job_memory(job *work, vocode_error *error) {
    const vocode_model *model = work->model;
    arena layout = arena_over(NULL, 0);
    for (int pass = 0; pass < 2; pass++) {
        work->mel = arena_reals(&layout, work->shape.frames * model->n_mels);
        work->z = arena_reals(&layout, work->shape.columns * model->latent_channels);
        work->block = arena_reals(&layout, work->shape.columns * model->group);
        work->audio = arena_reals(&layout, work->shape.frames * model->hop);
        if (pass) break;
        work->memory = aligned_new(layout.peak, 1);
        if (!work->memory)
            return failed(error, VOCODE_MEMORY, "cannot allocate the %zu MB that %zu frames need", layout.peak >> 20,
                          work->shape.frames);
        layout = arena_over(work->memory, layout.peak);
    }
    return VOCODE_OK;
}

static vocode_status check_options(const job *work, vocode_error *error) {
    const vocode_synthesis *options = work->options;
    if (!isfinite(options->sigma) || options->sigma < 0)
        return failed(error, VOCODE_ARGUMENT, "expected a sigma of zero or more, found %g", options->sigma);
    if (!isfinite(options->denoise) || options->denoise < 0)
        return failed(error, VOCODE_ARGUMENT, "expected a denoise strength of zero or more, found %g",
                      options->denoise);
    if (!isfinite(options->gain_db))
        return failed(error, VOCODE_ARGUMENT, "expected a finite gain, found %g dB", options->gain_db);
    if (options->noise && options->noise_columns != work->shape.columns)
        return failed(error, VOCODE_SHAPE, "a mel of %zu frames takes a latent of %zu columns, found %zu",
                      work->shape.frames, work->shape.columns, options->noise_columns);
    return VOCODE_OK;
}

/* Which convention the mel is in, and whether it can serve this model. */
static vocode_status find_convention(job *work, vocode_error *error) {
    const vocode_model *model = work->model;
    const char *name = work->options->mel_preset;
    work->input = model->has_mel ? &model->mel : NULL;
    if (!name) return VOCODE_OK;
    TRY(model_mel(model, &work->input, error));
    TRY(mel_preset_require(name, &work->input, error));
    return mel_convertible(work->input, &model->mel, error);
}

static vocode_status take_mel(job *work, const float *mel, size_t n_mels, vocode_error *error) {
    const vocode_model *model = work->model;
    size_t frames = work->shape.frames;
    const warning_sink warnings = {work->options->warning, work->options->context};
    if (work->input)
        TRY(mel_inspect(mel, frames, n_mels, work->input, &warnings, error));
    else
        TRY(check_mel(mel, frames, n_mels, error));
    if (n_mels != model->n_mels)
        return failed(error, VOCODE_SHAPE, "the model takes %zu mel bands, found %zu", model->n_mels, n_mels);
    float row[4096]; /* the most bands that a model may have */
    for (size_t t = 0; t < frames; t++) {
        memcpy(row, mel + t * n_mels, n_mels * sizeof *row);
        if (work->input) mel_convert(work->input, &model->mel, row, n_mels);
        for (size_t m = 0; m < n_mels; m++) work->mel[t * n_mels + m] = (real)row[m];
    }
    return VOCODE_OK;
}

static vocode_status take_latent(job *work, vocode_error *error) {
    const vocode_model *model = work->model;
    const vocode_synthesis *options = work->options;
    size_t columns = work->shape.columns, channels = model->latent_channels;
    if (options->noise) {
        for (size_t i = 0; i < columns * channels; i++)
            if (!isfinite(options->noise[i]))
                return failed(error, VOCODE_VALUE, "the latent has %s at channel %zu of column %zu",
                              isnan(options->noise[i]) ? "NaN" : "an infinity", i / columns, i % columns);
        latent_to_rows(options->noise, channels, columns, work->z);
        return VOCODE_OK;
    }
    double sigma = options->silent_latent ? 0 : options->sigma > 0 ? options->sigma : model->settings.sigma;
    if (sigma > 0) rng_fill_normal(work->z, columns, channels, options->seed, 0, sigma); /* else zero as it is */
    return VOCODE_OK;
}

/* The block without its first half hop, where blocks are centred on frames; what is missing at the end is zero. */
static void cut_block(const vocode_model *model, const real *block, size_t count, real *audio, size_t total) {
    size_t start = model->frame_blocks ? model->hop / 2 : 0;
    for (size_t i = 0; i < total; i++) audio[i] = start + i < count ? block[start + i] : 0;
}

static vocode_status report(const job *work, double done, vocode_error *error) {
    const vocode_synthesis *options = work->options;
    if (options->progress && options->progress(options->context, done))
        return failed(error, VOCODE_CANCELLED, "synthesis was cancelled");
    return VOCODE_OK;
}

/* A setting: 0 asks for the model's own, negative for none. */
static size_t setting(int option, size_t fallback) {
    return option == 0 ? fallback : option < 0 ? 0 : (size_t)option;
}

static vocode_status match(job *work, vocode_error *error) {
    const vocode_model *model = work->model;
    size_t passes = setting(work->options->mel_match, model->settings.mel_match);
    size_t iterations = setting(work->options->refine, model->settings.refine);
    if (passes == 0 && iterations == 0) return VOCODE_OK;
    const mel_convention *convention;
    TRY(model_mel(model, &convention, error));
    mel_matcher *matcher;
    TRY(mel_matcher_new(convention, &matcher, error));
    vocode_status status = mel_match(matcher, work->audio, work->mel, work->shape.frames, passes, error);
    if (status == VOCODE_OK)
        status = mel_refine(matcher, work->audio, work->mel, work->shape.frames, iterations, error);
    mel_matcher_free(matcher);
    return status;
}

/* What the model makes of silence with z = 0. WaveGlow's denoiser takes an all-zero mel; a frame-rate model's silence
 * is its convention's floor. */
static vocode_status bias_spectrum(const vocode_model *model, int threads, size_t n_fft, size_t hop, double *bias,
                                   vocode_error *error) {
    block_shape shape = {1, BIAS_FRAMES, vocode_latent_columns(model, BIAS_FRAMES)};
    size_t samples = shape.columns * model->group;
    real *mel = aligned_new(BIAS_FRAMES * model->n_mels, sizeof *mel);
    real *z = aligned_new(samples, sizeof *z), *block = aligned_new(samples, sizeof *block);
    real *audio = aligned_new(samples, sizeof *audio);
    vocode_status status =
        mel && z && block && audio ? VOCODE_OK : failed(error, VOCODE_MEMORY, "cannot allocate the model's bias");
    if (status == VOCODE_OK && model->frame_blocks && model->has_mel)
        for (size_t i = 0; i < BIAS_FRAMES * model->n_mels; i++)
            mel[i] = (real)mel_value_of(&model->mel, model->mel.floor);
    if (status == VOCODE_OK) status = blocks_inverse(model, shape, threads, mel, z, block, error);
    if (status == VOCODE_OK) {
        cut_block(model, block, samples, audio, samples);
        status = denoise_bias(audio, samples, n_fft, hop, bias, error);
    }
    aligned_free(mel);
    aligned_free(z);
    aligned_free(block);
    aligned_free(audio);
    return status;
}

static vocode_status remove_bias(const vocode_model *model, int threads, real *audio, size_t samples, double strength,
                                 vocode_error *error) {
    if (strength == 0) return VOCODE_OK;
    size_t n_fft = model->has_mel ? model->mel.n_fft : DENOISE_N_FFT;
    size_t hop = model->has_mel ? model->mel.hop : DENOISE_HOP;
    double *bias = aligned_new(n_fft / 2 + 1, sizeof *bias);
    if (!bias) return failed(error, VOCODE_MEMORY, "cannot allocate the model's bias");
    vocode_status status = bias_spectrum(model, threads, n_fft, hop, bias, error);
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

/* The output: delayed to where the input convention has its frames (frame blocks begin early enough to fill the gap),
 * then scaled. */
static void deliver(const job *work, float *audio) {
    const vocode_model *model = work->model;
    ptrdiff_t total = (ptrdiff_t)(work->shape.frames * model->hop), half = (ptrdiff_t)(model->hop / 2);
    ptrdiff_t delay = work->input ? mel_convert_delay(work->input, &model->mel) : 0;
    double gain = pow(10, work->options->gain_db / 20);
    for (ptrdiff_t i = 0; i < total; i++) {
        ptrdiff_t from = i - delay;
        double value = 0;
        if (from >= 0 && from < total)
            value = (double)work->audio[from];
        else if (from < 0 && model->frame_blocks && from + half >= 0)
            value = (double)work->block[from + half];
        audio[i] = (float)(gain * value);
    }
}

static vocode_status synthesize(job *work, const float *mel, size_t n_mels, float *audio, vocode_error *error) {
    const vocode_model *model = work->model;
    size_t total = work->shape.frames * model->hop;
    TRY(check_options(work, error));
    TRY(find_convention(work, error));
    TRY(job_memory(work, error));
    TRY(take_mel(work, mel, n_mels, error));
    TRY(take_latent(work, error));
    TRY(report(work, 0, error));
    TRY(blocks_inverse(model, work->shape, work->options->threads, work->mel, work->z, work->block, error));
    TRY(report(work, 0.8, error)); /* the chain's usual share of the work */
    cut_block(model, work->block, work->shape.columns * model->group, work->audio, total);
    TRY(match(work, error));
    TRY(report(work, 0.95, error));
    TRY(remove_bias(model, work->options->threads, work->audio, total, work->options->denoise, error));
    deliver(work, audio);
    return report(work, 1, error);
}

vocode_status vocode_synthesize(const vocode_model *model, const float *mel, size_t frames, size_t n_mels,
                                const vocode_synthesis *options, float *audio, vocode_error *error) {
    static const vocode_synthesis defaults;
    if (frames == 0) return failed(error, VOCODE_SHAPE, "the mel has zero frames: expected at least one");
    size_t limit = SIZE_MAX / sizeof(real) / 64 / (model->hop + model->n_mels);
    if (frames > limit) return failed(error, VOCODE_SHAPE, "a mel of %zu frames is too long", frames);
    job work = {.model = model, .options = options ? options : &defaults};
    work.shape = (block_shape){1, frames, vocode_latent_columns(model, frames)};
    vocode_status status = synthesize(&work, mel, n_mels, audio, error);
    aligned_free(work.memory);
    return status;
}
