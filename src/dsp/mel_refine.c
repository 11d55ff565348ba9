#include "dsp/mel_refine.h"

#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/fail.h"

#define INVERSIONS 30      /* multiplicative updates of a frame's magnitudes */
#define MAGNITUDE_ADD 1e-6 /* a silent bin must not stay silent for ever */
#define QUOTIENT_ADD 1e-8
#define PHASE_ADD 1e-9
#define MOMENTUM 0.99

/* What a frame takes from one iteration to the next. */
typedef struct frame_record {
    double *magnitude; /* [bins] */
    double *last;      /* [2 bins] the spectrum of the iteration before */
} frame_record;

struct mel_refiner {
    const mel_matcher *matcher;
    wanted_mel_fn *wanted;
    stft_sink_fn *sink;
    void *context;
    stft_line *line;
    double *records; /* [room, 3 bins]: of the frames between the first pass and the last, by number modulo room */
    size_t room;
    double *tail;      /* [held]: the end of the signal so far, which stays as it is if no more comes */
    size_t held, keep; /* keep: how much of it stays so */
    match_work work[STFT_SLOTS];
    void *memory; /* of work */
};

static frame_record record_of(const mel_refiner *self, size_t t) {
    size_t bins = self->matcher->transform.bins;
    double *at = self->records + t % self->room * 3 * bins;
    return (frame_record){at, at + bins};
}

/* One frame's quantity (magnitude or power) [bins] moved towards the wanted mel by Lee and Seung's rule, in place. want
 * is spread once; bins that no band covers stay. */
static void invert(const mel_matcher *matcher, const real *mel, double *quantity, const match_work *work) {
    const filterbank *bank = &matcher->bank;
    double *wanted = work->gain, *found = work->magnitude;
    for (size_t m = 0; m < bank->bands; m++) work->bands[m] = mel_linear_of(&matcher->convention, (double)mel[m]);
    filterbank_spread(bank, work->bands, wanted);
    for (size_t i = 0; i < INVERSIONS; i++) {
        filterbank_apply(bank, quantity, work->bands);
        filterbank_spread(bank, work->bands, found);
        for (size_t k = 0; k < bank->used; k++)
            quantity[k] *= bank->cover[k] > 0 ? wanted[k] / (found[k] + QUOTIENT_ADD) : 1;
    }
}

static double size_of(const double *part) {
    return sqrt(part[0] * part[0] + part[1] * part[1]);
}

/* Magnitudes [bins] with the phases of the spectrum in work -> the frame. */
static const double *with_magnitudes(const stft *transform, const double *magnitude, const match_work *work) {
    double *parts = (double *)work->frame.spectrum;
    for (size_t k = 0; k < transform->bins; k++) {
        double scale = magnitude[k] / (size_of(parts + 2 * k) + PHASE_ADD);
        parts[2 * k] *= scale;
        parts[2 * k + 1] *= scale;
    }
    stft_synthesise(transform, &work->frame);
    return work->frame.frame;
}

static const double *first_pass(void *context, size_t t, size_t slot, const double *span) {
    const mel_refiner *self = context;
    const stft *transform = &self->matcher->transform;
    const match_work *work = &self->work[slot];
    const double *parts = (const double *)work->frame.spectrum;
    frame_record record = record_of(self, t);
    stft_analyse(transform, span, &work->frame);
    for (size_t k = 0; k < transform->bins; k++) record.magnitude[k] = size_of(parts + 2 * k) + MAGNITUDE_ADD;
    int power = self->matcher->convention.power == 2;
    if (power)
        for (size_t k = 0; k < transform->bins; k++) record.magnitude[k] *= record.magnitude[k];
    invert(self->matcher, self->wanted(self->context, t), record.magnitude, work);
    if (power)
        for (size_t k = 0; k < transform->bins; k++) record.magnitude[k] = sqrt(record.magnitude[k]);
    memset(record.last, 0, 2 * transform->bins * sizeof *record.last);
    return with_magnitudes(transform, record.magnitude, work);
}

static const double *iteration(void *context, size_t t, size_t slot, const double *span) {
    const mel_refiner *self = context;
    const stft *transform = &self->matcher->transform;
    const match_work *work = &self->work[slot];
    double *parts = (double *)work->frame.spectrum;
    frame_record record = record_of(self, t);
    stft_analyse(transform, span, &work->frame);
    for (size_t k = 0; k < 2 * transform->bins; k++) {
        double now = parts[k];
        parts[k] = now - MOMENTUM / (1 + MOMENTUM) * record.last[k];
        record.last[k] = now;
    }
    return with_magnitudes(transform, record.magnitude, work);
}

static vocode_status take_refined(void *context, const double *samples, size_t n, bool last, vocode_error *error) {
    const mel_refiner *self = context;
    (void)last; /* the tail follows */
    return n ? self->sink(self->context, samples, n, false, error) : VOCODE_OK;
}

/* A pass lags less than a frame behind what it is given, and holds back less than a piece and a hop besides. */
static size_t frames_between(const stft *transform, size_t passes) {
    return (passes + 1) * ((transform->n_fft + STFT_PIECE) / transform->hop + 2);
}

static vocode_status open_line(mel_refiner *self, size_t iterations, int threads, vocode_error *error) {
    const stft *transform = &self->matcher->transform;
    TRY(stft_line_new(iterations + 1, take_refined, self, &self->line, error));
    TRY(stft_line_add(self->line, transform, threads, first_pass, self, error));
    for (size_t i = 0; i < iterations; i++) TRY(stft_line_add(self->line, transform, threads, iteration, self, error));
    return match_work_new(self->matcher, self->work, &self->memory, error);
}

vocode_status mel_refiner_new(const mel_matcher *matcher, size_t iterations, int threads, wanted_mel_fn *wanted,
                              stft_sink_fn *sink, void *context, mel_refiner **out, vocode_error *error) {
    mel_refiner *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self) return failed(error, VOCODE_MEMORY, "out of memory for phase refinement");
    size_t room = frames_between(&matcher->transform, iterations + 1);
    *self = (mel_refiner){.matcher = matcher,
                          .wanted = wanted,
                          .sink = sink,
                          .context = context,
                          .records = aligned_new(room, 3 * matcher->transform.bins * sizeof *self->records),
                          .room = room,
                          .keep = matcher->convention.center ? matcher->transform.hop : 0};
    self->tail = aligned_new(self->keep + STFT_PIECE, sizeof *self->tail);
    vocode_status status = self->records && self->tail
                               ? open_line(self, iterations, threads, error)
                               : failed(error, VOCODE_MEMORY, "out of memory for %zu phase refinements", iterations);
    if (status != VOCODE_OK) {
        mel_refiner_free(self);
        return status;
    }
    *out = self;
    return VOCODE_OK;
}

void mel_refiner_free(mel_refiner *refiner) {
    if (!refiner) return;
    stft_line_free(refiner->line);
    aligned_free(refiner->records);
    aligned_free(refiner->tail);
    aligned_free(refiner->memory);
    free(refiner);
}

/* Behind the samples that are held come at most STFT_PIECE more; all but the last `keep` go on. */
static vocode_status push_piece(mel_refiner *self, const double *samples, size_t n, bool last, vocode_error *error) {
    if (n) memcpy(self->tail + self->held, samples, n * sizeof *samples);
    self->held += n;
    size_t on = self->held > self->keep ? self->held - self->keep : 0;
    if (on || last) TRY(stft_line_push(self->line, self->tail, on, last, error));
    self->held -= on;
    memmove(self->tail, self->tail + on, self->held * sizeof *self->tail);
    return last ? self->sink(self->context, self->tail, self->held, true, error) : VOCODE_OK;
}

vocode_status mel_refiner_push(mel_refiner *refiner, const double *samples, size_t n, bool last, vocode_error *error) {
    size_t done = 0;
    do {
        size_t count = n - done < STFT_PIECE ? n - done : STFT_PIECE;
        TRY(push_piece(refiner, samples + done, count, last && done + count == n, error));
        done += count;
    } while (done < n);
    return VOCODE_OK;
}

size_t mel_refiner_look_ahead(const mel_refiner *refiner) {
    return stft_line_look_ahead(refiner->line) + refiner->keep;
}

/* A whole signal, refined in place: what comes out lies before what is read next. */
typedef struct whole_signal {
    const real *mel;
    size_t bands, done;
    double *samples;
} whole_signal;

static const real *mel_of_whole(void *context, size_t frame) {
    const whole_signal *whole = context;
    return whole->mel + frame * whole->bands;
}

static vocode_status put_into_whole(void *context, const double *samples, size_t n, bool last, vocode_error *error) {
    whole_signal *whole = context;
    (void)last;
    (void)error;
    if (n) memcpy(whole->samples + whole->done, samples, n * sizeof *samples);
    whole->done += n;
    return VOCODE_OK;
}

vocode_status mel_refine(const mel_matcher *matcher, real *audio, const real *mel, size_t frames, size_t iterations,
                         vocode_error *error) {
    size_t n;
    if (frames == 0 || iterations == 0) return VOCODE_OK;
    bool bad = __builtin_mul_overflow(frames, matcher->transform.hop, &n);
    double *samples = bad ? NULL : aligned_new(n, sizeof *samples);
    if (!samples) return failed(error, VOCODE_MEMORY, "out of memory to refine %zu frames", frames);
    whole_signal whole = {.mel = mel, .bands = matcher->bank.bands, .samples = samples};
    mel_refiner *refiner;
    vocode_status status =
        mel_refiner_new(matcher, iterations, 1, mel_of_whole, put_into_whole, &whole, &refiner, error);
    for (size_t i = 0; i < n; i++) samples[i] = (double)audio[i];
    if (status == VOCODE_OK) status = mel_refiner_push(refiner, samples, n, true, error);
    for (size_t i = 0; status == VOCODE_OK && i < n; i++) audio[i] = (real)samples[i];
    mel_refiner_free(refiner);
    aligned_free(samples);
    return status;
}
