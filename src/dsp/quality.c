#include "dsp/quality.h"

#include <math.h>
#include <stdlib.h>

#include "core/arena.h"
#include "core/fail.h"
#include "dsp/mel.h"
#include "dsp/stft.h"

#define RESOLUTIONS 3
static const size_t resolutions[RESOLUTIONS] = {512, 1024, 2048};
#define HOPS_A_FRAME 4
#define FLOOR_SHARE 1e-5 /* of the reference's largest magnitude: 100 dB down */
#define CEPSTRUM 13      /* coefficients 1..13 */
#define HOP 256          /* of the periodicity */
#define VOICED 0.6
#define CENTS_MOST 600.0 /* an octave error counts as half an octave */

static vocode_status no_memory(vocode_error *error) {
    return failed(error, VOCODE_MEMORY, "out of memory to compare two signals");
}

/* |STFT| of samples [n] -> magnitude [frames, bins]; returns the largest. */
static double magnitudes(const stft *s, const float *samples, size_t n, size_t frames, double *span,
                         const stft_work *work, double *magnitude) {
    double largest = 0;
    for (size_t t = 0; t < frames; t++) {
        stft_span(s, samples, n, t * s->hop, s->n_fft, span);
        stft_analyse(s, span, work);
        for (size_t k = 0; k < s->bins; k++) {
            double re = creal(work->spectrum[k]), im = cimag(work->spectrum[k]);
            double size = sqrt(re * re + im * im);
            magnitude[t * s->bins + k] = size;
            largest = fmax(largest, size);
        }
    }
    return largest;
}

static double log_distance(const double *a, const double *b, size_t count, double least) {
    double sum = 0;
    if (!(least > 0)) return NAN;
    for (size_t i = 0; i < count; i++) sum += fabs(log10(fmax(a[i], least) / fmax(b[i], least)));
    return sum / (double)count;
}

static vocode_status one_resolution(const float *a, const float *b, size_t n, size_t n_fft, double *distance,
                                    vocode_error *error) {
    stft s;
    TRY(stft_init(&s, n_fft, n_fft / HOPS_A_FRAME, n_fft, n_fft / 2, STFT_REFLECT, error));
    size_t frames = stft_frames(&s, n), cells = 0;
    arena memory = arena_over(NULL, 0);
    stft_work_take(&s, &memory);
    arena_take(&memory, n_fft, sizeof(double));
    int bad = __builtin_mul_overflow(frames, s.bins, &cells);
    double *spectra = bad ? NULL : aligned_new(cells, 2 * sizeof(double));
    void *scratch = aligned_new(memory.peak, 1);
    if (spectra && scratch) {
        memory = arena_over(scratch, memory.peak);
        stft_work work = stft_work_take(&s, &memory);
        double *span = arena_take(&memory, n_fft, sizeof(double));
        double largest = magnitudes(&s, a, n, frames, span, &work, spectra);
        magnitudes(&s, b, n, frames, span, &work, spectra + cells);
        *distance = log_distance(spectra, spectra + cells, cells, largest * FLOOR_SHARE);
    }
    bad = !spectra || !scratch;
    aligned_free(spectra);
    aligned_free(scratch);
    stft_free(&s);
    return bad ? no_memory(error) : VOCODE_OK;
}

/* Coefficient index of the orthonormal DCT-II of mel [bands]. */
static double cepstrum(const float *mel, size_t bands, size_t index) {
    double sum = 0;
    for (size_t m = 0; m < bands; m++)
        sum += (double)mel[m] * cos(M_PI * (double)index * ((double)m + 0.5) / (double)bands);
    return sum * sqrt(2 / (double)bands);
}

static void compare_mels(const float *a, const float *b, size_t frames, size_t bands, quality *result) {
    double distortion = 0, difference = 0;
    float *gap = malloc(bands * sizeof *gap);
    for (size_t t = 0; t < frames && gap; t++) {
        double square = 0;
        for (size_t m = 0; m < bands; m++) {
            gap[m] = a[t * bands + m] - b[t * bands + m];
            difference += fabs((double)gap[m]);
        }
        for (size_t i = 1; i <= CEPSTRUM; i++) {
            double c = cepstrum(gap, bands, i);
            square += c * c;
        }
        distortion += sqrt(square);
    }
    free(gap);
    result->mcd = 10 / log(10) * sqrt(2) * distortion / (double)frames;
    result->mel = difference / (double)(frames * bands);
}

static vocode_status measure_mels(const float *a, const float *b, size_t n, quality *result, vocode_error *error) {
    const mel_convention *convention = mel_preset_find("tacotron2");
    mel_frontend *frontend;
    TRY(mel_frontend_new(convention, &frontend, error));
    size_t frames = mel_frames(convention, n), bands = convention->n_mels;
    float *mels = malloc(2 * frames * bands * sizeof *mels);
    vocode_status status = mels ? mel_compute(frontend, a, n, mels, error) : no_memory(error);
    if (!status) status = mel_compute(frontend, b, n, mels + frames * bands, error);
    if (!status) compare_mels(mels, mels + frames * bands, frames, bands, result);
    free(mels);
    mel_frontend_free(frontend);
    return status;
}

/* pitch: periodicity and F0 of the reference, then of the other, [frames] each. */
static void compare_pitch(const double *pitch, size_t frames, quality *result) {
    const double *pa = pitch, *fa = pitch + frames, *pb = pitch + 2 * frames, *fb = pitch + 3 * frames;
    double gap = 0, cents = 0;
    size_t voiced = 0, found = 0, both = 0;
    for (size_t t = 0; t < frames; t++) {
        int a = pa[t] > VOICED, b = pb[t] > VOICED;
        voiced += (size_t)a;
        found += (size_t)b;
        if (a) gap += (pa[t] - pb[t]) * (pa[t] - pb[t]);
        if (!a || !b) continue;
        double c = fmin(fabs(1200 * log2(fb[t] / fa[t])), CENTS_MOST);
        both++;
        cents += c * c;
    }
    result->per = voiced ? sqrt(gap / (double)voiced) : NAN;
    result->vuv = voiced ? 2 * (double)both / (double)(voiced + found) : NAN;
    result->f0 = both ? sqrt(cents / (double)both) : NAN;
}

static vocode_status measure_pitch(const float *a, const float *b, size_t n, quality *result, vocode_error *error) {
    size_t frames = n / HOP;
    double *pitch = malloc((4 * frames + 1) * sizeof *pitch);
    if (!pitch) return no_memory(error);
    vocode_status status = quality_periodicity(a, n, pitch, pitch + frames, error);
    if (!status) status = quality_periodicity(b, n, pitch + 2 * frames, pitch + 3 * frames, error);
    if (!status) compare_pitch(pitch, frames, result);
    free(pitch);
    return status;
}

vocode_status quality_measure(const float *reference, size_t n, const float *generated, size_t m, quality *result,
                              vocode_error *error) {
    size_t common = n < m ? n : m;
    if (common == 0)
        return failed(error, VOCODE_VALUE, "two signals of %zu and %zu samples have nothing to compare", n, m);
    *result = (quality){0};
    TRY(measure_mels(reference, generated, common, result, error));
    for (size_t i = 0; i < RESOLUTIONS; i++) {
        double distance;
        TRY(one_resolution(reference, generated, common, resolutions[i], &distance, error));
        result->mrstft += distance / RESOLUTIONS;
    }
    return measure_pitch(reference, generated, common, result, error);
}
