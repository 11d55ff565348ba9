#include "dsp/mel_match.h"

#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/fail.h"
#include "dsp/stft_pass.h"

#define LOG_RATIO_MOST 2.0 /* a pass corrects a magnitude by at most e^2 */
#define COVER_LEAST 1e-6   /* keeps the quotient finite where a band only touches a bin */
/* What a convention without a floor counts as silence. */
#define MAGNITUDE_LEAST 1e-5
#define POWER_LEAST 1e-10

vocode_status mel_matcher_new(const mel_convention *convention, mel_matcher **result, vocode_error *error) {
    *result = NULL;
    TRY(mel_convention_check(convention, error));
    mel_matcher *matcher = calloc(1, sizeof *matcher);
    if (!matcher) return failed(error, VOCODE_MEMORY, "out of memory for the mel matcher");
    matcher->convention = *convention;
    stft_padding padding = convention->pad_mode == MEL_PAD_CONSTANT ? STFT_ZERO : STFT_REFLECT;
    vocode_status status = stft_init(&matcher->transform, convention->n_fft, convention->hop, convention->win,
                                     mel_pad(convention), padding, error);
    if (!status) status = filterbank_init(&matcher->bank, convention, error);
    if (status) {
        mel_matcher_free(matcher);
        return status;
    }
    *result = matcher;
    return VOCODE_OK;
}

void mel_matcher_free(mel_matcher *matcher) {
    if (!matcher) return;
    stft_free(&matcher->transform);
    filterbank_free(&matcher->bank);
    free(matcher);
}

match_work match_work_take(const mel_matcher *matcher, arena *memory) {
    size_t bins = matcher->bank.bins, bands = matcher->bank.bands;
    match_work work = {.frame = stft_work_take(&matcher->transform, memory)};
    work.magnitude = arena_take(memory, bins, sizeof(double));
    work.gain = arena_take(memory, bins, sizeof(double));
    work.bands = arena_take(memory, bands, sizeof(double));
    return work;
}

vocode_status match_work_new(const mel_matcher *matcher, match_work work[STFT_SLOTS], void **memory,
                             vocode_error *error) {
    arena area = arena_over(NULL, 0);
    for (size_t i = 0; i < STFT_SLOTS; i++) match_work_take(matcher, &area);
    *memory = aligned_new(area.peak, 1);
    if (!*memory) return failed(error, VOCODE_MEMORY, "out of memory for the mel matcher");
    area = arena_over(*memory, area.peak);
    for (size_t i = 0; i < STFT_SLOTS; i++) work[i] = match_work_take(matcher, &area);
    return VOCODE_OK;
}

const double *mel_match_frame(const mel_matcher *matcher, const real *mel, const double *span, const match_work *work) {
    const mel_convention *c = &matcher->convention;
    const filterbank *bank = &matcher->bank;
    double least = c->floor > 0 ? c->floor : c->power == 2 ? POWER_LEAST : MAGNITUDE_LEAST;
    double *parts = (double *)work->frame.spectrum;
    stft_analyse(&matcher->transform, span, &work->frame);
    for (size_t k = 0; k < bank->bins; k++)
        work->magnitude[k] = parts[2 * k] * parts[2 * k] + parts[2 * k + 1] * parts[2 * k + 1] + c->mag_eps;
    if (c->power == 1)
        for (size_t k = 0; k < bank->bins; k++) work->magnitude[k] = sqrt(work->magnitude[k]);
    filterbank_apply(bank, work->magnitude, work->bands);
    for (size_t m = 0; m < bank->bands; m++) {
        double want = fmax(mel_linear_of(c, (double)mel[m]), least), found = fmax(work->bands[m], least);
        double ratio = log(want / found) / (double)c->power;
        work->bands[m] = exp(fmin(fmax(ratio, -LOG_RATIO_MOST), LOG_RATIO_MOST));
    }
    filterbank_spread(bank, work->bands, work->gain);
    for (size_t k = 0; k < bank->bins; k++) {
        if (bank->cover[k] == 0) continue;
        double gain = work->gain[k] / (bank->cover[k] + COVER_LEAST);
        parts[2 * k] *= gain;
        parts[2 * k + 1] *= gain;
    }
    stft_synthesise(&matcher->transform, &work->frame);
    return work->frame.frame;
}

/* The frames of one pass over a whole signal. */
typedef struct whole_pass {
    const mel_matcher *matcher;
    const real *mel;
    size_t frames;
    match_work work[STFT_SLOTS];
} whole_pass;

static const double *match_one(void *context, size_t t, size_t slot, const double *span) {
    const whole_pass *pass = context;
    if (t >= pass->frames) return NULL;
    return mel_match_frame(pass->matcher, pass->mel + t * pass->matcher->bank.bands, span, &pass->work[slot]);
}

static vocode_status run_pass(whole_pass *pass, double *signal, size_t n, vocode_error *error) {
    stft_pass *run;
    size_t count;
    TRY(stft_pass_new(&pass->matcher->transform, n, 1, match_one, pass, &run, error));
    const double *done = stft_pass_push(run, signal, n, true, &count);
    memcpy(signal, done, count * sizeof *signal);
    stft_pass_free(run);
    return VOCODE_OK;
}

vocode_status mel_match(const mel_matcher *matcher, real *audio, const real *mel, size_t frames, size_t passes,
                        vocode_error *error) {
    size_t n;
    if (frames == 0 || passes == 0) return VOCODE_OK;
    bool bad = __builtin_mul_overflow(frames, matcher->transform.hop, &n);
    double *signal = bad ? NULL : aligned_new(n, sizeof *signal);
    if (!signal) return failed(error, VOCODE_MEMORY, "out of memory to match %zu frames", frames);
    void *memory;
    whole_pass pass = {.matcher = matcher, .mel = mel, .frames = frames};
    vocode_status status = match_work_new(matcher, pass.work, &memory, error);
    for (size_t i = 0; i < n; i++) signal[i] = (double)audio[i];
    for (size_t i = 0; status == VOCODE_OK && i < passes; i++) status = run_pass(&pass, signal, n, error);
    for (size_t i = 0; status == VOCODE_OK && i < n; i++) audio[i] = (real)signal[i];
    aligned_free(signal);
    aligned_free(memory);
    return status;
}
