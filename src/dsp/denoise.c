#include "dsp/denoise.h"

#include <math.h>
#include <string.h>

#include "core/arena.h"
#include "core/fail.h"
#include "dsp/stft.h"

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

static void subtract(const stft *transform, const double *bias, double strength, double complex *spectrum) {
    for (size_t k = 0; k < transform->bins; k++) {
        double found = magnitude(spectrum[k]), kept = fmax(0, found - strength * bias[k]);
        spectrum[k] *= found > 0 ? kept / found : 0;
    }
}

vocode_status denoise(real *audio, size_t n, size_t n_fft, size_t hop, const double *bias, double strength,
                      vocode_error *error) {
    stft transform;
    TRY(stft_init(&transform, n_fft, hop, n_fft, n_fft / 2, STFT_REFLECT, error));
    arena memory = arena_over(NULL, 0);
    stft_work_take(&transform, &memory);
    size_t frames = stft_frames(&transform, n);
    void *scratch = aligned_new(memory.peak, 1);
    double *padded = NULL, *sum = scratch ? aligned_new(n + 2 * transform.pad, sizeof *sum) : NULL;
    vocode_status status = sum ? open_signal(audio, n, &transform, &padded, error)
                               : failed(error, VOCODE_MEMORY, "out of memory to denoise %zu samples", n);
    if (!status) {
        memory = arena_over(scratch, memory.peak);
        stft_work work = stft_work_take(&transform, &memory);
        for (size_t t = 0; t < frames; t++) {
            stft_analyse(&transform, padded + t * hop, &work);
            subtract(&transform, bias, strength, work.spectrum);
            stft_synthesise(&transform, &work);
            stft_add(&transform, work.frame, sum + t * hop);
        }
        stft_normalise(&transform, sum, n, frames);
        for (size_t i = 0; i < n; i++) audio[i] = (real)sum[transform.pad + i];
    }
    aligned_free(padded);
    aligned_free(sum);
    aligned_free(scratch);
    stft_free(&transform);
    return status;
}
