#include <complex.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/fail.h"
#include "dsp/mel_match.h"

#define INVERSIONS 30      /* multiplicative updates of a frame's magnitudes */
#define MAGNITUDE_ADD 1e-6 /* a silent bin must not stay silent for ever */
#define QUOTIENT_ADD 1e-8
#define PHASE_ADD 1e-9
#define MOMENTUM 0.99

/* Everything a run needs, in one piece of memory. */
typedef struct refinement {
    const mel_matcher *matcher;
    size_t frames, n;     /* n samples, which have that many frames: (frames - 1) * hop when centred */
    double *from, *to;    /* [pad + n + pad] */
    double *magnitude;    /* [frames, bins] */
    double complex *last; /* [frames, bins] the spectra of the iteration before */
    match_work work;
} refinement;

static refinement layout(const mel_matcher *matcher, size_t frames, size_t n, arena *memory) {
    const stft *s = &matcher->transform;
    size_t cells = 0;
    if (__builtin_mul_overflow(frames, s->bins, &cells)) cells = SIZE_MAX;
    refinement r = {.matcher = matcher, .frames = frames, .n = n};
    r.from = arena_take(memory, n + 2 * s->pad, sizeof(double));
    r.to = arena_take(memory, n + 2 * s->pad, sizeof(double));
    r.magnitude = arena_take(memory, cells, sizeof(double));
    r.last = arena_take(memory, cells, sizeof(double complex));
    r.work = match_work_take(matcher, memory);
    return r;
}

/* One frame's quantity (magnitude or power) [bins] moved towards the wanted mel by Lee and Seung's rule, in place. want
 * is spread once; bins that no band covers stay. */
static void invert(const refinement *r, const real *mel, double *quantity) {
    const filterbank *bank = &r->matcher->bank;
    double *wanted = r->work.gain, *found = r->work.magnitude;
    for (size_t m = 0; m < bank->bands; m++) r->work.bands[m] = mel_linear_of(&r->matcher->convention, (double)mel[m]);
    filterbank_spread(bank, r->work.bands, wanted);
    for (size_t i = 0; i < INVERSIONS; i++) {
        filterbank_apply(bank, quantity, r->work.bands);
        filterbank_spread(bank, r->work.bands, found);
        for (size_t k = 0; k < bank->bins; k++)
            if (bank->cover[k] > 0) quantity[k] *= wanted[k] / (found[k] + QUOTIENT_ADD);
    }
}

static double size_of(const double *part) {
    return sqrt(part[0] * part[0] + part[1] * part[1]);
}

/* The frame's magnitudes with the spectrum's phase, where the spectrum is in work, back into the signal r->to. */
static void put_back(const refinement *r, size_t t) {
    const stft *s = &r->matcher->transform;
    const double *magnitude = r->magnitude + t * s->bins;
    double *parts = (double *)r->work.frame.spectrum;
    for (size_t k = 0; k < s->bins; k++) {
        double scale = magnitude[k] / (size_of(parts + 2 * k) + PHASE_ADD);
        parts[2 * k] *= scale;
        parts[2 * k + 1] *= scale;
    }
    stft_synthesise(s, &r->work.frame);
    stft_add(s, r->work.frame.frame, r->to + t * s->hop);
}

static void start_frame(const refinement *r, const real *mel, size_t t) {
    const stft *s = &r->matcher->transform;
    double *magnitude = r->magnitude + t * s->bins;
    const double *parts = (const double *)r->work.frame.spectrum;
    stft_analyse(s, r->from + t * s->hop, &r->work.frame);
    for (size_t k = 0; k < s->bins; k++) magnitude[k] = size_of(parts + 2 * k) + MAGNITUDE_ADD;
    int power = r->matcher->convention.power == 2;
    if (power)
        for (size_t k = 0; k < s->bins; k++) magnitude[k] *= magnitude[k];
    invert(r, mel + t * r->matcher->bank.bands, magnitude);
    if (power)
        for (size_t k = 0; k < s->bins; k++) magnitude[k] = sqrt(magnitude[k]);
    put_back(r, t);
}

static void iterate_frame(const refinement *r, size_t t) {
    const stft *s = &r->matcher->transform;
    double *parts = (double *)r->work.frame.spectrum, *last = (double *)(r->last + t * s->bins);
    stft_analyse(s, r->from + t * s->hop, &r->work.frame);
    for (size_t k = 0; k < 2 * s->bins; k++) {
        double now = parts[k];
        parts[k] = now - MOMENTUM / (1 + MOMENTUM) * last[k];
        last[k] = now;
    }
    put_back(r, t);
}

static void finish_round(refinement *r) {
    const stft *s = &r->matcher->transform;
    stft_normalise(s, r->to, r->n, r->frames);
    stft_fill_ends(s, r->to, r->n);
    double *swap = r->from;
    r->from = r->to;
    r->to = swap;
    memset(r->to, 0, (r->n + 2 * s->pad) * sizeof *r->to);
}

vocode_status mel_refine(const mel_matcher *matcher, real *audio, const real *mel, size_t frames, size_t iterations,
                         vocode_error *error) {
    const stft *s = &matcher->transform;
    if (frames == 0 || iterations == 0) return VOCODE_OK;
    size_t n = (matcher->convention.center ? frames - 1 : frames) * s->hop;
    if (n == 0) return VOCODE_OK;
    arena memory = arena_over(NULL, 0);
    layout(matcher, frames, n, &memory);
    void *scratch = aligned_new(memory.peak, 1);
    if (!scratch) return failed(error, VOCODE_MEMORY, "out of memory to refine %zu frames", frames);
    memory = arena_over(scratch, memory.peak);
    refinement r = layout(matcher, frames, n, &memory);
    for (size_t i = 0; i < n; i++) r.from[s->pad + i] = (double)audio[i];
    stft_fill_ends(s, r.from, n);
    for (size_t t = 0; t < frames; t++) start_frame(&r, mel, t);
    finish_round(&r);
    for (size_t i = 0; i < iterations; i++) {
        for (size_t t = 0; t < frames; t++) iterate_frame(&r, t);
        finish_round(&r);
    }
    for (size_t i = 0; i < n; i++) audio[i] = (real)r.from[s->pad + i];
    aligned_free(scratch);
    return VOCODE_OK;
}
