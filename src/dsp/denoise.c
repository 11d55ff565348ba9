#include "dsp/denoise.h"

#include <math.h>
#include <string.h>

#include "core/arena.h"
#include "core/fail.h"
#include "dsp/stft_pass.h"

static vocode_status open_signal(const real *audio, size_t n, const stft *transform, double **padded,
                                 vocode_error *error) {
    size_t size;
    if (n == 0) return failed(error, VOCODE_VALUE, "the audio to denoise has no samples");
    *padded = __builtin_add_overflow(n, 2 * transform->pad, &size) ? NULL : aligned_new(size, sizeof(double));
    if (!*padded) return failed(error, VOCODE_MEMORY, "out of memory for %zu samples", n);
    for (size_t i = 0; i < n; i++) (*padded)[transform->pad + i] = (double)audio[i];
    stft_fill_ends(transform, *padded, n);
    return VOCODE_OK;
}

static double magnitude(double complex z) {
    return sqrt(creal(z) * creal(z) + cimag(z) * cimag(z));
}

vocode_status denoise_bias(const real *bias_audio, size_t n, size_t n_fft, size_t hop, double *bias,
                           vocode_error *error) {
    stft transform;
    TRY(stft_init(&transform, n_fft, hop, n_fft, n_fft / 2, STFT_REFLECT, error));
    arena memory = arena_over(NULL, 0);
    stft_work_take(&transform, &memory);
    void *scratch = aligned_new(memory.peak, 1);
    double *padded = NULL;
    vocode_status status = scratch ? open_signal(bias_audio, n, &transform, &padded, error)
                                   : failed(error, VOCODE_MEMORY, "out of memory for the denoiser");
    if (!status) {
        memory = arena_over(scratch, memory.peak);
        stft_work work = stft_work_take(&transform, &memory);
        stft_analyse(&transform, padded, &work);
        for (size_t k = 0; k < transform.bins; k++) bias[k] = magnitude(work.spectrum[k]);
    }
    aligned_free(padded);
    aligned_free(scratch);
    stft_free(&transform);
    return status;
}

const double *denoise_frame(const stft *transform, const double *bias, double strength, const double *span,
                            const stft_work *work) {
    stft_analyse(transform, span, work);
    for (size_t k = 0; k < transform->bins; k++) {
        double found = magnitude(work->spectrum[k]), kept = fmax(0, found - strength * bias[k]);
        work->spectrum[k] *= found > 0 ? kept / found : 0;
    }
    stft_synthesise(transform, work);
    return work->frame;
}

/* The frames of a whole signal. */
typedef struct subtraction {
    const stft *transform;
    const double *bias;
    double strength;
    stft_work work[STFT_SLOTS];
} subtraction;

static const double *subtract(void *context, size_t t, size_t slot, const double *span) {
    (void)t;
    const subtraction *job = context;
    return denoise_frame(job->transform, job->bias, job->strength, span, &job->work[slot]);
}

static vocode_status run_subtraction(subtraction *job, double *signal, size_t n, real *audio, vocode_error *error) {
    stft_pass *pass = NULL;
    void *memory;
    TRY(stft_works_new(job->transform, job->work, &memory, error));
    vocode_status status = stft_pass_new(job->transform, n, 1, subtract, job, &pass, error);
    if (status == VOCODE_OK) {
        size_t count;
        const double *done = stft_pass_push(pass, signal, n, true, &count);
        for (size_t i = 0; i < count; i++) audio[i] = (real)done[i];
    }
    stft_pass_free(pass);
    aligned_free(memory);
    return status;
}

vocode_status denoise(real *audio, size_t n, size_t n_fft, size_t hop, const double *bias, double strength,
                      vocode_error *error) {
    stft transform;
    if (n == 0) return failed(error, VOCODE_VALUE, "the audio to denoise has no samples");
    TRY(stft_init(&transform, n_fft, hop, n_fft, n_fft / 2, STFT_REFLECT, error));
    subtraction job = {.transform = &transform, .bias = bias, .strength = strength};
    double *signal = aligned_new(n, sizeof *signal);
    for (size_t i = 0; signal && i < n; i++) signal[i] = (double)audio[i];
    vocode_status status = signal ? run_subtraction(&job, signal, n, audio, error)
                                  : failed(error, VOCODE_MEMORY, "out of memory to denoise %zu samples", n);
    aligned_free(signal);
    stft_free(&transform);
    return status;
}
