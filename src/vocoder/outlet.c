#include "vocoder/outlet.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "dsp/denoise.h"
#include "dsp/stft_pass.h"
#include "vocoder/bias.h"

enum { PIECE = 1024 }; /* samples that go through the passes at once */

/* Numbers that come and go at the ends; memory follows what is held. */
typedef struct fifo {
    double *values;
    size_t capacity, start, count;
} fifo;

static bool fifo_append(fifo *queue, const double *values, size_t count) {
    if (count == 0) return true;
    if (queue->start + queue->count + count > queue->capacity) {
        if (queue->start) memmove(queue->values, queue->values + queue->start, queue->count * sizeof *queue->values);
        queue->start = 0;
        if (queue->count + count > queue->capacity) {
            size_t capacity = 2 * (queue->count + count);
            double *grown = realloc(queue->values, capacity * sizeof *grown);
            if (!grown) return false;
            queue->values = grown;
            queue->capacity = capacity;
        }
    }
    double *end = queue->values + queue->start + queue->count;
    if (values)
        memcpy(end, values, count * sizeof *end);
    else
        memset(end, 0, count * sizeof *end);
    queue->count += count;
    return true;
}

static void fifo_drop(fifo *queue, size_t count) {
    queue->start += count;
    queue->count -= count;
}

/* One STFT pass of the line: mel consistency, or bias removal. */
typedef struct station {
    outlet *whole;
    stft_pass *pass;
} station;

struct outlet {
    outlet_options options;
    size_t hop, n_mels;
    mel_matcher *matcher; /* NULL without passes and refinement */
    match_work work;
    stft denoiser;
    double *bias;
    void *memory;      /* of work */
    fifo mel;          /* frames that a pass may still want, or all of them */
    size_t mel_first;  /* frame at its front */
    size_t mel_frames; /* so far */
    fifo audio;        /* refinement: the whole signal */
    fifo out;          /* done */
    size_t received;   /* samples pushed */
    ptrdiff_t skip;    /* samples still to be dropped at the front */
    size_t given;      /* samples that entered out so far */
    size_t stations;
    station station[];
};

static bool match_frame(void *context, size_t t, const double *span, const stft_work *frame) {
    const station *self = context;
    outlet *whole = self->whole;
    if (t >= whole->mel_frames) return false;
    real row[4096]; /* the most bands that a model may have */
    const double *from = whole->mel.values + whole->mel.start + (t - whole->mel_first) * whole->n_mels;
    for (size_t m = 0; m < whole->n_mels; m++) row[m] = (real)from[m];
    whole->work.frame = *frame;
    mel_match_frame(whole->matcher, row, span, &whole->work);
    return true;
}

static bool denoise_one(void *context, size_t t, const double *span, const stft_work *frame) {
    (void)t;
    const outlet *whole = ((const station *)context)->whole;
    denoise_frame(&whole->denoiser, whole->bias, whole->options.denoise, span, frame);
    return true;
}

static vocode_status open_matcher(outlet *self, vocode_error *error) {
    const outlet_options *options = &self->options;
    const mel_convention *convention;
    if (!options->passes && !options->refine) return VOCODE_OK;
    TRY(model_mel(options->model, &convention, error));
    TRY(mel_matcher_new(convention, &self->matcher, error));
    arena memory = arena_over(NULL, 0);
    match_work_take(self->matcher, &memory);
    self->memory = aligned_new(memory.peak, 1);
    if (!self->memory) return failed(error, VOCODE_MEMORY, "cannot allocate the mel-consistency passes");
    memory = arena_over(self->memory, memory.peak);
    self->work = match_work_take(self->matcher, &memory);
    return VOCODE_OK;
}

static vocode_status open_denoiser(outlet *self, vocode_error *error) {
    const outlet_options *options = &self->options;
    if (options->denoise == 0) return VOCODE_OK;
    size_t n_fft, hop;
    bias_sizes(options->model, &n_fft, &hop);
    TRY(stft_init(&self->denoiser, n_fft, hop, n_fft, n_fft / 2, STFT_REFLECT, error));
    self->bias = aligned_new(self->denoiser.bins, sizeof *self->bias);
    if (!self->bias) return failed(error, VOCODE_MEMORY, "cannot allocate the model's bias");
    return bias_spectrum(options->model, options->threads, self->bias, error);
}

/* What a pass may hand on at once: what it was given and all that it held back. */
static size_t grown(const stft *transform, size_t most) {
    return most + 2 * transform->n_fft + 2 * transform->hop;
}

static vocode_status open_stations(outlet *self, vocode_error *error) {
    size_t most = PIECE;
    for (size_t i = 0; i < self->options.passes; i++) {
        station *next = &self->station[self->stations++];
        next->whole = self;
        TRY(stft_pass_new(&self->matcher->transform, most, match_frame, next, &next->pass, error));
        most = grown(&self->matcher->transform, most);
    }
    if (!self->bias || self->options.refine) return VOCODE_OK; /* refinement comes before it, and at the end */
    station *next = &self->station[self->stations++];
    next->whole = self;
    return stft_pass_new(&self->denoiser, most, denoise_one, next, &next->pass, error);
}

vocode_status outlet_new(const outlet_options *options, outlet **out, vocode_error *error) {
    outlet *self = calloc(1, sizeof *self + (options->passes + 1) * sizeof *self->station);
    *out = NULL;
    if (!self) return failed(error, VOCODE_MEMORY, "cannot allocate a stream");
    self->options = *options;
    self->hop = options->model->hop;
    self->n_mels = options->model->n_mels;
    self->skip = options->delay < 0 ? -options->delay : 0;
    vocode_status status = open_matcher(self, error);
    if (status == VOCODE_OK) status = open_denoiser(self, error);
    if (status == VOCODE_OK) status = open_stations(self, error);
    if (status == VOCODE_OK && options->delay > 0) {
        if (fifo_append(&self->out, NULL, (size_t)options->delay))
            self->given = (size_t)options->delay;
        else
            status = failed(error, VOCODE_MEMORY, "cannot allocate a stream");
    }
    if (status != VOCODE_OK) {
        outlet_free(self);
        return status;
    }
    *out = self;
    return VOCODE_OK;
}

void outlet_free(outlet *self) {
    if (!self) return;
    for (size_t i = 0; i < self->stations; i++) stft_pass_free(self->station[i].pass);
    mel_matcher_free(self->matcher);
    stft_free(&self->denoiser);
    aligned_free(self->bias);
    aligned_free(self->memory);
    free(self->mel.values);
    free(self->audio.values);
    free(self->out.values);
    free(self);
}

vocode_status outlet_mel(outlet *self, const real *rows, size_t frames, vocode_error *error) {
    self->mel_frames += frames;
    if (!self->matcher) return VOCODE_OK;
    size_t count = frames * self->n_mels;
    if (!fifo_append(&self->mel, NULL, count))
        return failed(error, VOCODE_MEMORY, "cannot hold %zu mel frames", self->mel_frames);
    double *to = self->mel.values + self->mel.start + self->mel.count - count;
    for (size_t i = 0; i < count; i++) to[i] = (double)rows[i];
    return VOCODE_OK;
}

void outlet_head(outlet *self, const real *samples, size_t count) {
    size_t delay = self->options.delay > 0 ? (size_t)self->options.delay : 0, used = delay < count ? delay : count;
    if (!used || self->given != delay || self->out.count != delay) return;
    double *to = self->out.values + self->out.start + delay - used;
    for (size_t i = 0; i < used; i++) to[i] = self->options.gain * (double)samples[count - used + i];
}

/* To the caller's queue: front dropped, gain applied, never more than the frames so far stand for. */
static vocode_status deliver(outlet *self, const double *samples, size_t count, vocode_error *error) {
    size_t dropped = (size_t)self->skip < count ? (size_t)self->skip : count;
    self->skip -= (ptrdiff_t)dropped;
    count -= dropped;
    if (count == 0) return VOCODE_OK;
    samples += dropped;
    if (!fifo_append(&self->out, samples, count)) return failed(error, VOCODE_MEMORY, "cannot hold the samples made");
    double *fresh = self->out.values + self->out.start + self->out.count - count;
    for (size_t i = 0; i < count; i++) fresh[i] *= self->options.gain;
    self->given += count;
    return VOCODE_OK;
}

static vocode_status push_station(outlet *self, size_t i, const double *samples, size_t n, bool last,
                                  vocode_error *error) {
    if (i < self->stations) {
        size_t count;
        const double *done = stft_pass_push(self->station[i].pass, samples, n, last, &count);
        return push_station(self, i + 1, done, count, last, error);
    }
    if (!self->options.refine) return deliver(self, samples, n, error);
    return fifo_append(&self->audio, samples, n) ? VOCODE_OK
                                                 : failed(error, VOCODE_MEMORY, "cannot hold the whole signal");
}

/* Refinement and what comes after it, on the whole signal. */
static vocode_status refine_all(outlet *self, vocode_error *error) {
    size_t n = self->audio.count, count = self->mel_frames * self->n_mels;
    real *audio = aligned_new(n, sizeof *audio), *mel = aligned_new(count, sizeof *mel);
    vocode_status status =
        audio && mel ? VOCODE_OK : failed(error, VOCODE_MEMORY, "cannot allocate %zu samples to refine", n);
    for (size_t i = 0; status == VOCODE_OK && i < n; i++) audio[i] = (real)self->audio.values[self->audio.start + i];
    for (size_t i = 0; status == VOCODE_OK && i < count; i++) mel[i] = (real)self->mel.values[self->mel.start + i];
    if (status == VOCODE_OK)
        status = mel_refine(self->matcher, audio, mel, self->mel_frames, self->options.refine, error);
    if (status == VOCODE_OK && self->bias)
        status = denoise(audio, n, self->denoiser.n_fft, self->denoiser.hop, self->bias, self->options.denoise, error);
    for (size_t i = 0; status == VOCODE_OK && i < n; i++) {
        double sample = (double)audio[i];
        status = deliver(self, &sample, 1, error);
    }
    aligned_free(audio);
    aligned_free(mel);
    return status;
}

/* Frames that no pass will ask for again: those that the last pass has done. */
static void forget_mel(outlet *self, bool last) {
    if (!self->matcher || self->options.refine || last) return;
    size_t lag = outlet_look_ahead(self) + PIECE, done = self->received > lag ? self->received - lag : 0;
    size_t frame = done / self->hop;
    if (frame <= self->mel_first) return;
    fifo_drop(&self->mel, (frame - self->mel_first) * self->n_mels);
    self->mel_first = frame;
}

/* Through the passes, in pieces; last: the signal ends after them. */
static vocode_status push_pieces(outlet *self, const real *samples, size_t n, bool last, vocode_error *error) {
    double piece[PIECE];
    size_t done = 0;
    do {
        size_t count = n - done < PIECE ? n - done : PIECE;
        for (size_t i = 0; i < count; i++) piece[i] = samples ? (double)samples[done + i] : 0;
        done += count;
        TRY(push_station(self, 0, piece, count, last && done == n, error));
    } while (done < n);
    self->received += n;
    return VOCODE_OK;
}

/* What an advance leaves open at the end is silence, what a delay pushes past it is cut. */
static vocode_status fit_length(outlet *self, size_t total, vocode_error *error) {
    while (self->given < total) {
        double silence = 0;
        TRY(deliver(self, &silence, 1, error));
    }
    self->out.count -= self->given - total;
    self->given = total;
    return VOCODE_OK;
}

vocode_status outlet_push(outlet *self, const real *samples, size_t n, bool last, vocode_error *error) {
    size_t total = self->mel_frames * self->hop, missing = last ? total - self->received - n : 0;
    TRY(push_pieces(self, samples, n, last && !missing, error));
    if (missing) TRY(push_pieces(self, NULL, missing, true, error)); /* what the model does not make */
    if (last && self->options.refine) TRY(refine_all(self, error));
    if (last) TRY(fit_length(self, total, error));
    forget_mel(self, last);
    return VOCODE_OK;
}

/* A delay may push samples past the frames so far; they are not there before their frame is. */
size_t outlet_available(const outlet *self) {
    size_t total = self->mel_frames * self->hop, early = self->given > total ? self->given - total : 0;
    return self->out.count > early ? self->out.count - early : 0;
}

size_t outlet_pull(outlet *self, float *samples, size_t most) {
    size_t count = outlet_available(self);
    if (count > most) count = most;
    for (size_t i = 0; i < count; i++) samples[i] = (float)self->out.values[self->out.start + i];
    fifo_drop(&self->out, count);
    return count;
}

size_t outlet_look_ahead(const outlet *self) {
    size_t sum = 0;
    for (size_t i = 0; i < self->stations; i++) {
        const stft *s = i < self->options.passes ? &self->matcher->transform : &self->denoiser;
        sum += s->n_fft;
    }
    return sum;
}
