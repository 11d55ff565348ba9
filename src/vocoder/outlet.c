#include "vocoder/outlet.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "dsp/denoise.h"
#include "vocoder/bias.h"

/* Items that come and go at the ends; memory follows what is held. */
typedef struct fifo {
    char *bytes;
    size_t size; /* of an item */
    size_t capacity, start, count;
} fifo;

static void *fifo_at(const fifo *queue, size_t i) {
    return queue->bytes + (queue->start + i) * queue->size;
}

/* Appends items, or zeros where there are none. */
static bool fifo_append(fifo *queue, const void *items, size_t count) {
    if (count == 0) return true;
    if (queue->start + queue->count + count > queue->capacity) {
        if (queue->start) memmove(queue->bytes, fifo_at(queue, 0), queue->count * queue->size);
        queue->start = 0;
        if (queue->count + count > queue->capacity) {
            size_t capacity = 2 * (queue->count + count);
            char *grown = realloc(queue->bytes, capacity * queue->size);
            if (!grown) return false;
            queue->bytes = grown;
            queue->capacity = capacity;
        }
    }
    void *end = fifo_at(queue, queue->count);
    if (items)
        memcpy(end, items, count * queue->size);
    else
        memset(end, 0, count * queue->size);
    queue->count += count;
    return true;
}

static void fifo_drop(fifo *queue, size_t count) {
    queue->start += count;
    queue->count -= count;
}

struct outlet {
    outlet_options options;
    size_t hop, n_mels;
    mel_matcher *matcher; /* NULL without passes and refinement */
    match_work work[STFT_SLOTS];
    stft denoiser;
    double *bias; /* NULL where none is removed */
    stft_work denoising[STFT_SLOTS];
    void *memory[2];      /* of work and denoising */
    stft_line *before;    /* passes */
    mel_refiner *refiner; /* NULL: none */
    stft_line *after;     /* closing passes and bias removal */
    fifo mel;             /* [n_mels] each: frames that a pass may still want */
    size_t mel_first;     /* frame at its front */
    size_t mel_frames;    /* so far */
    fifo out;             /* double: done */
    size_t received;      /* samples pushed */
    ptrdiff_t skip;       /* samples still to be dropped at the front */
    size_t given;         /* samples that entered out so far */
};

static const real *mel_row(void *context, size_t t) {
    const outlet *self = context;
    return fifo_at(&self->mel, t - self->mel_first);
}

static const double *match_frame(void *context, size_t t, size_t slot, const double *span) {
    const outlet *self = context;
    if (t >= self->mel_frames) return NULL;
    return mel_match_frame(self->matcher, mel_row(context, t), span, &self->work[slot]);
}

static const double *denoise_one(void *context, size_t t, size_t slot, const double *span) {
    (void)t;
    const outlet *self = context;
    return denoise_frame(&self->denoiser, self->bias, self->options.denoise, span, &self->denoising[slot]);
}

/* To the caller's queue: front dropped, gain applied, never more than the frames so far stand for. */
static vocode_status deliver(outlet *self, const double *samples, size_t count, vocode_error *error) {
    size_t dropped = (size_t)self->skip < count ? (size_t)self->skip : count;
    self->skip -= (ptrdiff_t)dropped;
    count -= dropped;
    if (count == 0) return VOCODE_OK;
    samples += dropped;
    if (!fifo_append(&self->out, samples, count)) return failed(error, VOCODE_MEMORY, "cannot hold the samples made");
    double *fresh = fifo_at(&self->out, self->out.count - count);
    for (size_t i = 0; i < count; i++) fresh[i] *= self->options.gain;
    self->given += count;
    return VOCODE_OK;
}

static vocode_status give(void *context, const double *samples, size_t n, bool last, vocode_error *error) {
    (void)last;
    return deliver(context, samples, n, error);
}

static vocode_status leave_refinement(void *context, const double *samples, size_t n, bool last, vocode_error *error) {
    const outlet *self = context;
    return stft_line_push(self->after, samples, n, last, error);
}

static vocode_status leave_passes(void *context, const double *samples, size_t n, bool last, vocode_error *error) {
    const outlet *self = context;
    return self->refiner ? mel_refiner_push(self->refiner, samples, n, last, error)
                         : stft_line_push(self->after, samples, n, last, error);
}

static vocode_status add_passes(outlet *self, stft_line *line, size_t count, vocode_error *error) {
    for (size_t i = 0; i < count; i++)
        TRY(stft_line_add(line, &self->matcher->transform, self->options.threads, match_frame, self, error));
    return VOCODE_OK;
}

static vocode_status open_matching(outlet *self, vocode_error *error) {
    const outlet_options *options = &self->options;
    const mel_convention *convention;
    if (!options->passes && !options->refine) return VOCODE_OK;
    TRY(model_mel(options->model, &convention, error));
    TRY(mel_matcher_new(convention, &self->matcher, error));
    TRY(match_work_new(self->matcher, self->work, &self->memory[0], error));
    TRY(add_passes(self, self->before, options->passes, error));
    if (!options->refine) return VOCODE_OK;
    TRY(mel_refiner_new(self->matcher, options->refine, options->threads, mel_row, leave_refinement, self,
                        &self->refiner, error));
    return add_passes(self, self->after, options->closing, error);
}

static vocode_status open_denoiser(outlet *self, vocode_error *error) {
    const outlet_options *options = &self->options;
    if (options->denoise == 0) return VOCODE_OK;
    size_t n_fft, hop;
    bias_sizes(options->model, &n_fft, &hop);
    TRY(stft_init(&self->denoiser, n_fft, hop, n_fft, n_fft / 2, STFT_REFLECT, error));
    TRY(stft_works_new(&self->denoiser, self->denoising, &self->memory[1], error));
    self->bias = aligned_new(self->denoiser.bins, sizeof *self->bias);
    if (!self->bias) return failed(error, VOCODE_MEMORY, "cannot allocate the model's bias");
    TRY(bias_spectrum(options->model, options->threads, self->bias, error));
    return stft_line_add(self->after, &self->denoiser, options->threads, denoise_one, self, error);
}

static vocode_status open_line(outlet *self, vocode_error *error) {
    ptrdiff_t delay = self->options.delay;
    TRY(stft_line_new(self->options.passes, leave_passes, self, &self->before, error));
    TRY(stft_line_new(self->options.closing + 1, give, self, &self->after, error));
    TRY(open_matching(self, error));
    TRY(open_denoiser(self, error));
    if (delay <= 0) return VOCODE_OK;
    if (!fifo_append(&self->out, NULL, (size_t)delay)) return failed(error, VOCODE_MEMORY, "cannot allocate a stream");
    self->given = (size_t)delay;
    return VOCODE_OK;
}

vocode_status outlet_new(const outlet_options *options, outlet **out, vocode_error *error) {
    outlet *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self) return failed(error, VOCODE_MEMORY, "cannot allocate a stream");
    self->options = *options;
    self->hop = options->model->hop;
    self->n_mels = options->model->n_mels;
    self->mel.size = self->n_mels * sizeof(real);
    self->out.size = sizeof(double);
    self->skip = options->delay < 0 ? -options->delay : 0;
    vocode_status status = open_line(self, error);
    if (status != VOCODE_OK) {
        outlet_free(self);
        return status;
    }
    *out = self;
    return VOCODE_OK;
}

void outlet_free(outlet *self) {
    if (!self) return;
    stft_line_free(self->before);
    mel_refiner_free(self->refiner);
    stft_line_free(self->after);
    mel_matcher_free(self->matcher);
    stft_free(&self->denoiser);
    aligned_free(self->bias);
    for (size_t i = 0; i < 2; i++) aligned_free(self->memory[i]);
    free(self->mel.bytes);
    free(self->out.bytes);
    free(self);
}

vocode_status outlet_mel(outlet *self, const real *rows, size_t frames, vocode_error *error) {
    self->mel_frames += frames;
    if (!self->matcher || fifo_append(&self->mel, rows, frames)) return VOCODE_OK;
    return failed(error, VOCODE_MEMORY, "cannot hold %zu mel frames", self->mel_frames);
}

void outlet_head(outlet *self, const real *samples, size_t count) {
    size_t delay = self->options.delay > 0 ? (size_t)self->options.delay : 0, used = delay < count ? delay : count;
    if (!used || self->given != delay || self->out.count != delay) return;
    double *to = fifo_at(&self->out, delay - used);
    for (size_t i = 0; i < used; i++) to[i] = self->options.gain * (double)samples[count - used + i];
}

/* Frames that no pass will ask for again: those that the last pass has done. */
static void forget_mel(outlet *self) {
    if (!self->matcher) return;
    size_t lag = outlet_look_ahead(self) + STFT_PIECE, done = self->received > lag ? self->received - lag : 0;
    size_t frame = done / self->hop;
    if (frame <= self->mel_first) return;
    fifo_drop(&self->mel, frame - self->mel_first);
    self->mel_first = frame;
}

/* Through the passes, in pieces; last: the signal ends after them. */
static vocode_status push_pieces(outlet *self, const real *samples, size_t n, bool last, vocode_error *error) {
    double piece[STFT_PIECE];
    size_t done = 0;
    do {
        size_t count = n - done < STFT_PIECE ? n - done : STFT_PIECE;
        for (size_t i = 0; i < count; i++) piece[i] = samples ? (double)samples[done + i] : 0;
        done += count;
        TRY(stft_line_push(self->before, piece, count, last && done == n, error));
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
    if (last) return fit_length(self, total, error);
    forget_mel(self);
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
    if (count == 0) return 0;
    const double *from = fifo_at(&self->out, 0);
    for (size_t i = 0; i < count; i++) samples[i] = (float)from[i];
    fifo_drop(&self->out, count);
    return count;
}

size_t outlet_look_ahead(const outlet *self) {
    return stft_line_look_ahead(self->before) + (self->refiner ? mel_refiner_look_ahead(self->refiner) : 0) +
           stft_line_look_ahead(self->after);
}
