#include "vocoder/stream.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "dsp/mel_convert.h"
#include "flows/stream.h"
#include "vocoder/blocks.h"
#include "vocoder/options.h"
#include "vocoder/outlet.h"

enum { MOST_STEPS = 1000 };  /* as in configurations */
enum { TILE_COLUMNS = 192 }; /* latent columns that go through the whole chain at once, while they are in cache */

struct vocode_stream {
    const vocode_model *model;
    vocode_synthesis options;
    const mel_convention *input; /* what the mels are in; NULL where the model does not say */
    double sigma;
    size_t most;    /* frames of a tile */
    row_queue mel;  /* frames as the networks take them, and those before that conditioning looks back on */
    row_queue cond; /* conditioning by column */
    real *z;        /* [columns of a tile, latent_channels] */
    size_t frames;  /* so far */
    size_t columns; /* so far */
    compute work;
    void *memory; /* of work's scratch */
    flow_stream *chain;
    outlet *end;
    size_t head; /* samples before sample 0 that are still to come: blocks begin half a hop early */
    real *first; /* [head]: those samples */
    bool finished;
    real *kept; /* where the hop is no whole number of columns, frames wait for the end: [kept_room, n_mels] */
    size_t kept_room;
    vocode_error *error; /* of the call that is under way */
};

/* Whether the chain can run as frames arrive: a frame is a whole number of columns. */
static bool runs_on_arrival(const vocode_model *model) {
    return model->hop % model->group == 0;
}

static size_t columns_per_frame(const vocode_model *model) {
    return model->hop / model->group;
}

static vocode_status check_options(const vocode_synthesis *options, vocode_error *error) {
    if (!isfinite(options->sigma) || options->sigma < 0)
        return failed(error, VOCODE_ARGUMENT, "expected a sigma of zero or more, found %g", options->sigma);
    if (!isfinite(options->denoise) || options->denoise < 0)
        return failed(error, VOCODE_ARGUMENT, "expected a denoise strength of zero or more, found %g",
                      options->denoise);
    if (options->steps < 0 || options->steps > MOST_STEPS)
        return failed(error, VOCODE_ARGUMENT, "expected 0 to %d steps, found %d", MOST_STEPS, options->steps);
    if (!isfinite(options->gain_db))
        return failed(error, VOCODE_ARGUMENT, "expected a finite gain, found %g dB", options->gain_db);
    return VOCODE_OK;
}

/* Only continuous flows have steps. */
static vocode_status check_steps(const vocode_stream *self, vocode_error *error) {
    if (self->options.steps && !self->model->type->reach)
        return failed(error, VOCODE_UNSUPPORTED, "a %s has no continuous flow: expected no steps, found %d",
                      self->model->type->kind, self->options.steps);
    return VOCODE_OK;
}

static vocode_status find_convention(vocode_stream *self, vocode_error *error) {
    const vocode_model *model = self->model;
    self->input = model->has_mel ? &model->mel : NULL;
    if (!self->options.mel_preset) return VOCODE_OK;
    TRY(model_mel(model, &self->input, error));
    TRY(mel_preset_require(self->options.mel_preset, &self->input, error));
    return mel_convertible(self->input, &model->mel, error);
}

static vocode_status open_end(vocode_stream *self, vocode_error *error) {
    const vocode_model *model = self->model;
    const vocode_synthesis *options = &self->options;
    const after_chain after = options_after_chain(model, options);
    const outlet_options end = {
        .model = model,
        .passes = after.passes,
        .refine = after.iterations,
        .closing = after.closing,
        .denoise = options->denoise,
        .threads = block_threads(options->threads),
        .delay = self->input ? mel_convert_delay(self->input, &model->mel) : 0,
        .gain = pow(10, options->gain_db / 20),
    };
    return outlet_new(&end, &self->end, error);
}

/* Conditioning that is held: what the slowest flow still wants, and what a tile brings. */
static bool open_queues(vocode_stream *self) {
    const vocode_model *model = self->model;
    size_t history = model->type->history ? model->type->history(model) : 0, rate = columns_per_frame(model);
    size_t reach = model_reach(model, (size_t)self->options.steps), tile = self->most * rate;
    size_t held = (reach + 4 * tile) / model->columns_per_cond + 4;
    if (!row_queue_new(&self->mel, model->n_mels, history + 2 * self->most, -(ptrdiff_t)history)) return false;
    row_queue_push_zeros(&self->mel, history);
    if (!row_queue_new(&self->cond, model->cond_channels, held, 0)) return false;
    self->head = model->frame_blocks ? model->hop / 2 : 0;
    self->z = aligned_new(tile, model->latent_channels * sizeof *self->z);
    self->first = aligned_new(self->head + 1, sizeof *self->first);
    return self->z && self->first;
}

static vocode_status open_chain(vocode_stream *self, vocode_error *error) {
    const vocode_model *model = self->model;
    const stream_setting part = {.most = self->most * columns_per_frame(model),
                                 .threads = block_threads(self->options.threads),
                                 .repeat = model->columns_per_cond,
                                 .cond = &self->cond,
                                 .steps = (size_t)self->options.steps};
    if (!open_queues(self)) return failed(error, VOCODE_MEMORY, "cannot allocate a stream");
    TRY(flow_stream_new(model->chain, &part, &self->chain, error));
    size_t scratch = self->chain->scratch ? self->chain->scratch : 1;
    self->memory = aligned_new(scratch, 1);
    if (!self->memory) return failed(error, VOCODE_MEMORY, "cannot allocate a stream's scratch");
    self->work =
        (compute){.scratch = arena_over(self->memory, scratch), .threads = block_threads(self->options.threads)};
    return VOCODE_OK;
}

static vocode_status open_stream(vocode_stream *self, vocode_error *error) {
    const vocode_model *model = self->model;
    TRY(check_options(&self->options, error));
    TRY(check_steps(self, error));
    TRY(find_convention(self, error));
    size_t rate = runs_on_arrival(model) ? columns_per_frame(model) : 1;
    self->most = rate < TILE_COLUMNS ? TILE_COLUMNS / rate : 1;
    self->sigma = self->options.silent_latent ? 0
                  : self->options.sigma > 0   ? self->options.sigma
                                              : model->settings.sigma;
    if (runs_on_arrival(model)) TRY(open_chain(self, error));
    return open_end(self, error);
}

vocode_status stream_open(const vocode_model *model, const vocode_synthesis *options, vocode_stream **out,
                          vocode_error *error) {
    vocode_stream *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self) return failed(error, VOCODE_MEMORY, "cannot allocate a stream");
    self->model = model;
    vocode_status status = options_read(options, &self->options, error);
    if (status == VOCODE_OK) status = open_stream(self, error);
    if (status != VOCODE_OK) {
        vocode_stream_free(self);
        return status;
    }
    *out = self;
    return VOCODE_OK;
}

vocode_status vocode_stream_open(const vocode_model *model, const vocode_synthesis *options, vocode_stream **stream,
                                 vocode_error *error) {
    *stream = NULL;
    if (options && options->noise)
        return failed(error, VOCODE_ARGUMENT, "a stream draws its own noise: expected options.noise to be NULL");
    return stream_open(model, options, stream, error);
}

void vocode_stream_free(vocode_stream *stream) {
    if (!stream) return;
    flow_stream_free(stream->chain);
    outlet_free(stream->end);
    row_queue_free(&stream->mel);
    row_queue_free(&stream->cond);
    aligned_free(stream->z);
    aligned_free(stream->first);
    aligned_free(stream->memory);
    free(stream->kept);
    free(stream);
}

/* Block samples from the chain: the first half hop of frame blocks lies before sample 0. */
static vocode_status take_block(void *context, const real *rows, size_t count, bool last) {
    vocode_stream *self = context;
    size_t total = self->model->frame_blocks ? self->model->hop / 2 : 0;
    size_t early = count < self->head ? count : self->head;
    for (size_t i = 0; i < early; i++) self->first[total - self->head + i] = rows[i];
    self->head -= early;
    if (early && self->head == 0) outlet_head(self->end, self->first, total);
    return outlet_push(self->end, rows + early, count - early, last, self->error);
}

/* Frames in the input's convention to rows in the model's. */
static vocode_status convert_mel(const vocode_stream *self, const float *mel, size_t frames, real *rows) {
    size_t n = self->model->n_mels;
    float row[4096]; /* the most bands that a model may have */
    for (size_t t = 0; t < frames; t++) {
        for (size_t m = 0; m < n; m++) {
            row[m] = mel[t * n + m];
            if (!isfinite(row[m]))
                return failed(self->error, VOCODE_VALUE,
                              "the mel has %s at band %zu of frame %zu: expected finite numbers",
                              isnan(row[m]) ? "NaN" : "an infinity", m, self->frames + t);
        }
        if (self->input) mel_convert(self->input, &self->model->mel, row, n);
        for (size_t m = 0; m < n; m++) rows[t * n + m] = (real)row[m];
    }
    return VOCODE_OK;
}

/* One tile of frames to rows of mel and of conditioning. */
static vocode_status take_mel(vocode_stream *self, const float *mel, size_t frames) {
    const vocode_model *model = self->model;
    size_t cond_rows = frames * columns_per_frame(model) / model->columns_per_cond;
    size_t history = model->type->history ? model->type->history(model) : 0;
    ptrdiff_t position = row_queue_end(&self->mel);
    row_queue_drop(&self->mel, position - (ptrdiff_t)history);
    real *rows = row_queue_push(&self->mel, frames);
    TRY(convert_mel(self, mel, frames, rows));
    real *cond = row_queue_push(&self->cond, cond_rows);
    if (model->type->condition_window)
        model->type->condition_window(model, &self->work, frames, rows, cond);
    else
        model->type->condition(model, &self->work, 1, frames, rows, frames * columns_per_frame(model), cond);
    return outlet_mel(self->end, rows, frames, self->error);
}

enum { COST_OF_NOISE = 50 }; /* multiply-adds of the same time */

typedef struct noise_job {
    const vocode_stream *stream;
    real *z;
} noise_job;

static void draw_noise(void *context, size_t first, size_t count) {
    const noise_job *job = context;
    const vocode_stream *self = job->stream;
    size_t channels = self->model->latent_channels;
    kernels()->normals(count, channels, self->options.seed, self->columns + first, self->sigma,
                       job->z + first * channels);
}

/* Columns [columns, columns + count) of the latent into z, which is zero. */
static void take_latent(const vocode_stream *self, size_t count, real *z) {
    size_t channels = self->model->latent_channels, all = self->options.noise_columns;
    const float *noise = self->options.noise;
    for (size_t t = 0; noise && t < count; t++)
        for (size_t c = 0; c < channels; c++) z[t * channels + c] = (real)noise[c * all + self->columns + t];
    if (noise || !(self->sigma > 0)) return;
    const compute run = {.scratch = arena_over(z, 0), .threads = block_threads(self->options.threads)};
    run_parts(&run, count, channels * COST_OF_NOISE, draw_noise, &(noise_job){self, z});
}

static vocode_status push_tile(vocode_stream *self, const float *mel, size_t frames) {
    const vocode_model *model = self->model;
    size_t count = frames * columns_per_frame(model);
    TRY(take_mel(self, mel, frames));
    take_latent(self, count, self->z);
    self->frames += frames;
    TRY(flow_stream_push(self->chain, &self->work, self->z, count, false, (row_sink){take_block, self}));
    self->columns += count;
    row_queue_drop(&self->cond, flow_stream_wants(self->chain, (ptrdiff_t)self->columns));
    return VOCODE_OK;
}

static vocode_status keep_frames(vocode_stream *self, const float *mel, size_t frames) {
    size_t n = self->model->n_mels, wanted = self->frames + frames;
    if (wanted > self->kept_room) {
        real *grown = realloc(self->kept, 2 * wanted * n * sizeof *grown);
        if (!grown) return failed(self->error, VOCODE_MEMORY, "cannot hold %zu mel frames", wanted);
        self->kept = grown;
        self->kept_room = 2 * wanted;
    }
    real *rows = self->kept + self->frames * n;
    TRY(convert_mel(self, mel, frames, rows));
    self->frames = wanted;
    return outlet_mel(self->end, rows, frames, self->error);
}

/* The whole chain at once, on the frames that were kept. */
static vocode_status run_kept(vocode_stream *self) {
    const vocode_model *model = self->model;
    const block_shape shape = {1, self->frames, vocode_latent_columns(model, self->frames)};
    size_t samples = shape.columns * model->group;
    real *z = aligned_new(samples, sizeof *z), *block = aligned_new(samples, sizeof *block);
    vocode_status status =
        z && block ? VOCODE_OK : failed(self->error, VOCODE_MEMORY, "cannot allocate %zu samples", samples);
    if (status == VOCODE_OK) {
        take_latent(self, shape.columns, z);
        status = blocks_inverse(model, shape, self->options.threads, self->kept, z, block, self->error);
    }
    if (status == VOCODE_OK) status = take_block(self, block, samples, true);
    aligned_free(z);
    aligned_free(block);
    return status;
}

static vocode_status cancelled(const vocode_stream *self, double done) {
    const vocode_synthesis *options = &self->options;
    if (options->progress && options->progress(options->context, done))
        return failed(self->error, VOCODE_CANCELLED, "synthesis was cancelled");
    return VOCODE_OK;
}

vocode_status vocode_stream_push(vocode_stream *stream, const float *mel, size_t frames, vocode_error *error) {
    if (stream->finished) return failed(error, VOCODE_ARGUMENT, "the stream is finished: no frame can follow");
    stream->error = error;
    for (size_t done = 0; done < frames;) {
        size_t count = frames - done < stream->most ? frames - done : stream->most;
        const float *from = mel + done * stream->model->n_mels;
        TRY(stream->chain ? push_tile(stream, from, count) : keep_frames(stream, from, count));
        done += count;
        TRY(cancelled(stream, (double)done / (double)frames));
    }
    return VOCODE_OK;
}

vocode_status vocode_stream_finish(vocode_stream *stream, vocode_error *error) {
    if (stream->finished) return VOCODE_OK;
    stream->finished = true;
    stream->error = error;
    if (stream->frames == 0) return failed(error, VOCODE_SHAPE, "the mel has zero frames: expected at least one");
    if (!stream->chain) return run_kept(stream);
    return flow_stream_push(stream->chain, &stream->work, stream->z, 0, true, (row_sink){take_block, stream});
}

size_t vocode_stream_available(const vocode_stream *stream) {
    return outlet_available(stream->end);
}

size_t vocode_stream_pull(vocode_stream *stream, float *samples, size_t most) {
    return outlet_pull(stream->end, samples, most);
}

size_t vocode_stream_look_ahead(const vocode_stream *stream) {
    const vocode_model *model = stream->model;
    size_t samples = model_reach(model, (size_t)stream->options.steps) * model->group + outlet_look_ahead(stream->end);
    return (samples + model->hop - 1) / model->hop;
}
