#include "dsp/mel_distance.h"

#include <math.h>
#include <stdlib.h>

#include "core/fail.h"
#include "dsp/filterbank.h"
#include "dsp/stft.h"

enum { SIDES = 2 };               /* x and y */
static const double least = 1e-9; /* of a magnitude and of a band, where the convention says less */

struct mel_distance {
    stft transform;
    filterbank bank;
    double floor, power;
};

vocode_status mel_distance_new(const mel_convention *convention, mel_distance **out, vocode_error *error) {
    mel_distance *self = *out = calloc(1, sizeof *self);
    if (!self) return failed(error, VOCODE_MEMORY, "cannot allocate a mel distance");
    self->floor = fmax(convention->floor, least);
    self->power = (double)convention->power;
    vocode_status status =
        stft_init(&self->transform, convention->n_fft, convention->hop, convention->win, 0, STFT_ZERO, error);
    if (status == VOCODE_OK) status = filterbank_init(&self->bank, convention, error);
    if (status != VOCODE_OK) {
        mel_distance_free(self);
        *out = NULL;
    }
    return status;
}

void mel_distance_free(mel_distance *self) {
    if (!self) return;
    stft_free(&self->transform);
    filterbank_free(&self->bank);
    free(self);
}

/* One frame of both signals. */
typedef struct frame {
    double *span, *spread;                     /* [n_fft], [bins] */
    stft_work work;                            /* y's, when both are done */
    double *magnitude, *powers, *bands[SIDES]; /* [bins], [bins], [bands] */
} frame;

static frame take_frame(const mel_distance *self, arena *memory) {
    size_t bins = self->transform.bins;
    frame f = {.span = arena_take(memory, self->transform.n_fft, sizeof(double)),
               .spread = arena_take(memory, bins, sizeof(double)),
               .work = stft_work_take(&self->transform, memory),
               .magnitude = arena_take(memory, bins, sizeof(double)),
               .powers = arena_take(memory, bins, sizeof(double))};
    for (size_t s = 0; s < SIDES; s++) f.bands[s] = arena_take(memory, self->bank.bands, sizeof(double));
    return f;
}

static void analyse(const mel_distance *self, frame *f, size_t side, const real *from) {
    for (size_t i = 0; i < self->transform.n_fft; i++) f->span[i] = (double)from[i];
    stft_analyse(&self->transform, f->span, &f->work);
    for (size_t k = 0; k < self->transform.bins; k++) {
        double re = creal(f->work.spectrum[k]), im = cimag(f->work.spectrum[k]);
        f->magnitude[k] = sqrt(re * re + im * im + least * least);
        f->powers[k] = self->power > 1 ? f->magnitude[k] * f->magnitude[k] : f->magnitude[k];
    }
    filterbank_apply(&self->bank, f->powers, f->bands[side]);
}

/* The sum over bands of the frame's distances; y's bands become their slopes. */
static double compare(const mel_distance *self, frame *f) {
    double sum = 0;
    for (size_t b = 0; b < self->bank.bands; b++) {
        double x = f->bands[0][b] + self->floor, y = f->bands[1][b] + self->floor, difference = log(y / x);
        sum += fabs(difference);
        f->bands[1][b] = (difference > 0 ? 1 : -1) / y;
    }
    return sum;
}

/* to [n_fft] += weight * the gradient of y's frame. */
static void give_back(const mel_distance *self, frame *f, double weight, real *to) {
    size_t n = self->transform.n_fft, bins = self->transform.bins;
    filterbank_spread(&self->bank, f->bands[1], f->spread);
    for (size_t k = 0; k < bins; k++) {
        double share = k == 0 || k + 1 == bins ? 1 : 0.5; /* the inverse counts the others twice */
        double slope = self->power > 1 ? 2 : 1 / f->magnitude[k];
        f->work.spectrum[k] *= share * slope * f->spread[k];
    }
    fft_real_inverse(self->transform.inverse, f->work.spectrum, f->work.frame);
    for (size_t i = 0; i < n; i++) to[i] += (real)(weight * self->transform.window[i] * f->work.frame[i]);
}

double mel_distance_run(const mel_distance *self, size_t samples, const real *x, const real *y, double weight, real *dy,
                        arena *memory) {
    size_t mark = memory->used, frames = stft_frames(&self->transform, samples), hop = self->transform.hop;
    double sum = 0, numbers = (double)frames * (double)self->bank.bands;
    frame f = take_frame(self, memory);
    for (size_t t = 0; f.span && t < frames; t++) {
        analyse(self, &f, 0, x + t * hop);
        analyse(self, &f, 1, y + t * hop);
        sum += compare(self, &f);
        if (dy) give_back(self, &f, weight / numbers, dy + t * hop);
    }
    arena_release(memory, mark);
    return frames ? sum / numbers : 0;
}
