#include "dsp/spectral_energy.h"

#include <math.h>
#include <stdlib.h>

#include "core/fail.h"
#include "dsp/stft.h"

enum { RESOLUTIONS = 3, SIGNALS = 3, HOPS_A_WINDOW = 4 };
static const size_t sizes[RESOLUTIONS] = {512, 1024, SPECTRAL_LONGEST};
static const double least = 3e-5; /* of a magnitude, full scale 1: below a 16-bit recording's noise */

struct spectral_energy {
    stft transforms[RESOLUTIONS];
    double scale[RESOLUTIONS]; /* makes the magnitude of noise its deviation */
};

vocode_status spectral_energy_new(spectral_energy **out, vocode_error *error) {
    spectral_energy *self = *out = calloc(1, sizeof *self);
    if (!self) return failed(error, VOCODE_MEMORY, "cannot allocate a spectral distance");
    vocode_status status = VOCODE_OK;
    for (size_t r = 0; status == VOCODE_OK && r < RESOLUTIONS; r++) {
        double square = 0;
        status = stft_init(&self->transforms[r], sizes[r], sizes[r] / HOPS_A_WINDOW, sizes[r], 0, STFT_ZERO, error);
        for (size_t i = 0; status == VOCODE_OK && i < sizes[r]; i++)
            square += self->transforms[r].window[i] * self->transforms[r].window[i];
        self->scale[r] = 1 / sqrt(square);
    }
    if (status != VOCODE_OK) {
        spectral_energy_free(self);
        *out = NULL;
    }
    return status;
}

void spectral_energy_free(spectral_energy *self) {
    for (size_t r = 0; self && r < RESOLUTIONS; r++) stft_free(&self->transforms[r]);
    free(self);
}

/* One frame of the three signals: x, y and the twin. */
typedef struct frame {
    const stft *transform;
    double scale;
    double *span;
    stft_work work[SIGNALS];
    double *magnitude[SIGNALS], *logarithm[SIGNALS], *slope[SIGNALS]; /* slope: of E by the magnitude */
} frame;

static frame take_frame(const stft *transform, double scale, arena *memory) {
    frame f = {.transform = transform, .scale = scale, .span = arena_take(memory, transform->n_fft, sizeof(double))};
    for (size_t s = 0; s < SIGNALS; s++) {
        f.work[s] = stft_work_take(transform, memory);
        f.magnitude[s] = arena_take(memory, transform->bins, sizeof(double));
        f.logarithm[s] = arena_take(memory, transform->bins, sizeof(double));
        f.slope[s] = arena_take(memory, transform->bins, sizeof(double));
    }
    return f;
}

static void analyse(frame *f, size_t s, const real *from) {
    for (size_t i = 0; i < f->transform->n_fft; i++) f->span[i] = f->scale * (double)from[i];
    stft_analyse(f->transform, f->span, &f->work[s]);
    for (size_t k = 0; k < f->transform->bins; k++) {
        double re = creal(f->work[s].spectrum[k]), im = cimag(f->work[s].spectrum[k]);
        f->magnitude[s][k] = sqrt(re * re + im * im + least * least);
        f->logarithm[s][k] = log(f->magnitude[s][k]);
        f->slope[s][k] = 0;
    }
}

/* sign * d(a, b) of the frame; its slopes gain. relative: over the sum of x's magnitudes. */
static double compare(frame *f, size_t a, size_t b, double sign, double relative) {
    size_t bins = f->transform->bins;
    double linear = 0, square = 1e-12;
    for (size_t k = 0; k < bins; k++) {
        double difference = f->logarithm[a][k] - f->logarithm[b][k];
        linear += fabs(f->magnitude[a][k] - f->magnitude[b][k]);
        square += difference * difference / (double)bins;
    }
    double root = sqrt(square);
    for (size_t k = 0; k < bins; k++) {
        double difference = (f->logarithm[a][k] - f->logarithm[b][k]) / (root * (double)bins);
        double side = f->magnitude[a][k] > f->magnitude[b][k] ? relative : -relative;
        f->slope[a][k] += sign * (side + difference / f->magnitude[a][k]);
        f->slope[b][k] -= sign * (side + difference / f->magnitude[b][k]);
    }
    return sign * (linear * relative + root);
}

/* to [n_fft] += weight * the gradient of a signal: the transpose of analyse. */
static void give_back(frame *f, size_t s, double weight, real *to) {
    size_t n = f->transform->n_fft, bins = f->transform->bins;
    for (size_t k = 0; k < bins; k++) {
        double share = k == 0 || k + 1 == bins ? 1 : 0.5; /* the inverse counts the others twice */
        f->work[s].spectrum[k] *= share * f->slope[s][k] / f->magnitude[s][k];
    }
    fft_real_inverse(f->transform->inverse, f->work[s].spectrum, f->work[s].frame);
    for (size_t i = 0; i < n; i++) to[i] += (real)(weight * f->scale * f->transform->window[i] * f->work[s].frame[i]);
}

static double run_resolution(const stft *transform, double scale, size_t samples, const real *const signals[SIGNALS],
                             double repulsion, double weight, real *const gradients[SIGNALS], arena *memory) {
    size_t mark = memory->used, frames = stft_frames(transform, samples);
    frame f = take_frame(transform, scale, memory);
    double sum = 0;
    for (size_t t = 0; f.span && t < frames; t++) {
        size_t at = t * transform->hop;
        double all = 0;
        for (size_t s = 0; s < SIGNALS; s++) analyse(&f, s, signals[s] + at);
        for (size_t k = 0; k < transform->bins; k++) all += f.magnitude[0][k];
        sum += compare(&f, 0, 1, 1, 1 / all) + compare(&f, 0, 2, 1, 1 / all) + compare(&f, 1, 2, -repulsion, 1 / all);
        for (size_t s = 1; s < SIGNALS; s++)
            if (gradients[s]) give_back(&f, s, weight / (double)frames, gradients[s] + at);
    }
    arena_release(memory, mark);
    return frames ? sum / (double)frames : 0;
}

double spectral_energy_run(const spectral_energy *self, size_t samples, const real *x, const real *y, const real *twin,
                           double repulsion, double weight, real *dy, real *dtwin, arena *memory) {
    const real *const signals[SIGNALS] = {x, y, twin};
    real *const gradients[SIGNALS] = {NULL, dy, dtwin};
    double sum = 0;
    for (size_t r = 0; r < RESOLUTIONS; r++)
        sum += run_resolution(&self->transforms[r], self->scale[r], samples, signals, repulsion, weight / RESOLUTIONS,
                              gradients, memory) /
               RESOLUTIONS;
    return sum;
}
