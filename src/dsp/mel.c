#include "dsp/mel.h"

#include <math.h>
#include <stdlib.h>

#include "core/arena.h"
#include "core/fail.h"
#include "dsp/filterbank.h"
#include "dsp/stft.h"

#define BLOCK_FRAMES                                                                                 \
    16 /* frames read at once: each sample is converted to double once, and the block stays in cache \
        */

struct mel_frontend {
    mel_convention convention;
    stft transform;
    filterbank bank;
};

size_t mel_pad(const mel_convention *convention) {
    return convention->center ? convention->n_fft / 2 : (convention->n_fft - convention->hop) / 2;
}

size_t mel_frames(const mel_convention *convention, size_t samples) {
    size_t whole = samples + 2 * mel_pad(convention);
    return samples == 0 || whole < convention->n_fft ? 0 : (whole - convention->n_fft) / convention->hop + 1;
}

double mel_value_of(const mel_convention *convention, double linear) {
    double v = fmax(linear, convention->floor);
    switch (convention->log) {
    case MEL_LOG_LN: v = log(v); break;
    case MEL_LOG_10: v = log10(v); break;
    case MEL_LOG_DB20: v = 20 * log10(v); break;
    default: break;
    }
    if (!convention->affine) return v;
    v = v * convention->affine_scale + convention->affine_offset;
    return fmin(fmax(v, convention->affine_low), convention->affine_high);
}

double mel_linear_of(const mel_convention *convention, double value) {
    double v = convention->affine ? (value - convention->affine_offset) / convention->affine_scale : value;
    switch (convention->log) {
    case MEL_LOG_LN: return exp(v);
    case MEL_LOG_10: return pow(10, v);
    case MEL_LOG_DB20: return pow(10, v / 20);
    default: return v;
    }
}

vocode_status mel_frontend_new(const mel_convention *convention, mel_frontend **result, vocode_error *error) {
    *result = NULL;
    TRY(mel_convention_check(convention, error));
    mel_frontend *frontend = calloc(1, sizeof *frontend);
    if (!frontend) return failed(error, VOCODE_MEMORY, "out of memory for a mel front end");
    frontend->convention = *convention;
    stft_padding padding = convention->pad_mode == MEL_PAD_CONSTANT ? STFT_ZERO : STFT_REFLECT;
    vocode_status status = stft_init(&frontend->transform, convention->n_fft, convention->hop, convention->win,
                                     mel_pad(convention), padding, error);
    if (!status) status = filterbank_init(&frontend->bank, convention, error);
    if (status) {
        mel_frontend_free(frontend);
        return status;
    }
    *result = frontend;
    return VOCODE_OK;
}

void mel_frontend_free(mel_frontend *frontend) {
    if (!frontend) return;
    stft_free(&frontend->transform);
    filterbank_free(&frontend->bank);
    free(frontend);
}

const mel_convention *mel_frontend_convention(const mel_frontend *frontend) {
    return &frontend->convention;
}

typedef struct mel_work {
    double *span; /* [(BLOCK_FRAMES - 1) * hop + n_fft] */
    stft_work frame;
    double *magnitude; /* [bins] */
    double *bands;     /* [n_mels] */
} mel_work;

static mel_work work_take(const mel_frontend *frontend, arena *memory) {
    const stft *s = &frontend->transform;
    mel_work work;
    work.span = arena_take(memory, (BLOCK_FRAMES - 1) * s->hop + s->n_fft, sizeof(double));
    work.frame = stft_work_take(s, memory);
    work.magnitude = arena_take(memory, s->bins, sizeof(double));
    work.bands = arena_take(memory, frontend->bank.bands, sizeof(double));
    return work;
}

/* span [n_fft] of the padded signal -> out [n_mels] */
static void one_frame(const mel_frontend *frontend, const double *span, const mel_work *work, float *out) {
    const mel_convention *c = &frontend->convention;
    const double *parts = (const double *)work->frame.spectrum;
    size_t used = frontend->bank.used;
    stft_analyse(&frontend->transform, span, &work->frame);
    for (size_t k = 0; k < used; k++)
        work->magnitude[k] = parts[2 * k] * parts[2 * k] + parts[2 * k + 1] * parts[2 * k + 1] + c->mag_eps;
    if (c->power == 1)
        for (size_t k = 0; k < used; k++) work->magnitude[k] = sqrt(work->magnitude[k]);
    filterbank_apply(&frontend->bank, work->magnitude, work->bands);
    for (size_t m = 0; m < c->n_mels; m++) out[m] = (float)mel_value_of(c, work->bands[m]);
}

static vocode_status check_samples(const mel_convention *c, const float *samples, size_t n, vocode_error *error) {
    if (mel_frames(c, n) == 0) {
        size_t least = c->n_fft - 2 * mel_pad(c);
        return failed(error, VOCODE_VALUE, "the audio has %zu samples, a mel frame needs at least %zu", n,
                      least ? least : 1);
    }
    for (size_t i = 0; i < n; i++)
        if (!isfinite(samples[i]))
            return failed(error, VOCODE_VALUE, "sample %zu of %zu is %s, expected finite audio", i, n,
                          isnan(samples[i]) ? "NaN" : "infinite");
    return VOCODE_OK;
}

vocode_status mel_compute(const mel_frontend *frontend, const float *samples, size_t n, float *out,
                          vocode_error *error) {
    const mel_convention *c = &frontend->convention;
    TRY(check_samples(c, samples, n, error));
    arena memory = arena_over(NULL, 0);
    work_take(frontend, &memory);
    void *scratch = aligned_new(memory.peak, 1);
    if (!scratch) return failed(error, VOCODE_MEMORY, "out of memory for a mel spectrogram");
    memory = arena_over(scratch, memory.peak);
    mel_work work = work_take(frontend, &memory);
    size_t frames = mel_frames(c, n);
    for (size_t t = 0; t < frames; t += BLOCK_FRAMES) {
        size_t block = frames - t < BLOCK_FRAMES ? frames - t : BLOCK_FRAMES;
        stft_span(&frontend->transform, samples, n, t * c->hop, (block - 1) * c->hop + c->n_fft, work.span);
        for (size_t i = 0; i < block; i++)
            one_frame(frontend, work.span + i * c->hop, &work, out + (t + i) * c->n_mels);
    }
    aligned_free(scratch);
    return VOCODE_OK;
}
