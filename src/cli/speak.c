#include "cli/speak.h"

#include <stdlib.h>
#include <string.h>

#include <vocode/stream.h>

#include "cli/interrupt.h"
#include "cli/sound.h"
#include "dsp/mel_inspect.h"
#include "io/audio.h"

enum {
    PIECE = 4096, /* samples that go from the stream to the file at once */
    ARRIVED_MOST =
        64, /* frames of a pipe that are pushed at once where --chunk does not say: more would be heard late */
    INSPECT_LEAST = 100 /* frames of a pipe that are waited for before their convention is judged */
};

typedef struct talk {
    const speech *about;
    mel_source *source;
    const char *name, *path;
    progress *bar;
    vocode_stream *stream;
    audio_writer *writer;   /* NULL until the first frames were taken: a failure before leaves a pipe untouched */
    size_t pushed, pushing; /* frames */
    float *early;           /* [early_frames, bands]: of a pipe, until they are enough to be judged */
    size_t early_frames;
    bool judged;
} talk;

static double seconds_of(const talk *self, size_t frames) {
    const vocode_model_info *info = &self->about->model->info;
    return (double)frames * (double)info->hop / info->sample_rate;
}

static int on_progress(void *context, double done) {
    const talk *self = context;
    size_t total = mel_source_frames(self->source);
    double frames = (double)self->pushed + done * (double)self->pushing;
    if (total)
        progress_fraction(self->bar, frames / (double)total);
    else
        progress_endless(self->bar, seconds_of(self, self->pushed));
    return interrupt_waiting();
}

static vocode_status judge(talk *self, vocode_error *error) {
    const warning_sink warnings = {progress_warning, self->bar};
    if (self->judged || !self->early_frames) return VOCODE_OK;
    self->judged = true;
    const mel_convention *expected = self->about->convention;
    return mel_inspect(self->early, self->early_frames, expected->n_mels, expected, &warnings, error);
}

/* Frames that came from a pipe: enough of them are kept to be judged together. */
static vocode_status listen(talk *self, const float *frames, size_t count, vocode_error *error) {
    if (!mel_source_live(self->source) || self->judged || !self->about->convention) return VOCODE_OK;
    size_t bands = self->about->convention->n_mels;
    if (!self->early) self->early = malloc((INSPECT_LEAST + MEL_BLOCK) * bands * sizeof *self->early);
    if (!self->early) return failed(error, VOCODE_MEMORY, "no memory for %d frames", INSPECT_LEAST + MEL_BLOCK);
    memcpy(self->early + self->early_frames * bands, frames, count * bands * sizeof *frames);
    self->early_frames += count;
    return self->early_frames < INSPECT_LEAST ? VOCODE_OK : judge(self, error);
}

/* Writes what is ready, and lets a listener have it. */
static vocode_status deliver(talk *self, vocode_error *error) {
    float samples[PIECE];
    unsigned rate = self->about->model->info.sample_rate;
    if (!self->writer) TRY(sound_open(self->about->given, self->path, rate, &self->writer, error));
    for (size_t count; (count = vocode_stream_pull(self->stream, samples, PIECE)) > 0;)
        TRY(audio_writer_write(self->writer, samples, count, error));
    return audio_writer_flush(self->writer, error);
}

static vocode_status named(const talk *self, vocode_status status, vocode_error *error) {
    return status == VOCODE_OK ? VOCODE_OK : failed_in(error, status, self->name);
}

static vocode_status push(talk *self, const float *frames, size_t count, vocode_error *error) {
    self->pushing = count;
    TRY(named(self, listen(self, frames, count, error), error));
    TRY(named(self, vocode_stream_push(self->stream, frames, count, error), error));
    self->pushed += count;
    self->pushing = 0;
    return deliver(self, error);
}

static vocode_status push_all(talk *self, vocode_error *error) {
    size_t chunk = self->about->chunk, most = mel_source_live(self->source) ? ARRIVED_MOST : MEL_BLOCK;
    const float *frames;
    for (;;) {
        size_t count;
        TRY(mel_source_next(self->source, chunk ? chunk : 1, chunk ? chunk : most, &frames, &count, error));
        if (count == 0) return VOCODE_OK;
        TRY(push(self, frames, count, error));
    }
}

static vocode_status finish(talk *self, vocode_error *error) {
    TRY(judge(self, error));
    TRY(named(self, vocode_stream_finish(self->stream, error), error));
    return deliver(self, error);
}

static vocode_status run(talk *self, vocode_error *error) {
    vocode_synthesis settings = self->about->settings;
    vocode_error later;
    settings.progress = on_progress;
    settings.context = self;
    TRY(named(self, vocode_stream_open(self->about->model->model, &settings, &self->stream, error), error));
    vocode_status status = push_all(self, error);
    /* What came before a pipe broke off is still spoken where it can be heard. */
    bool broke_off = status == VOCODE_FORMAT && self->writer && !output_is_held(self->path);
    if (broke_off && finish(self, &later) == VOCODE_OK) {
        (void)sound_close(self->writer, self->path, self->about->say, &later);
        self->writer = NULL;
    }
    TRY(status);
    TRY(finish(self, error));
    return mel_source_end(self->source, error);
}

static vocode_status run_and_close(talk *self, vocode_error *error) {
    const speech *about = self->about;
    vocode_status status = run(self, error);
    if (status == VOCODE_OK)
        status = sound_close(self->writer, self->path, about->say, error);
    else
        audio_writer_abort(self->writer);
    progress_item_length(self->bar, seconds_of(self, self->pushed));
    vocode_stream_free(self->stream);
    free(self->early);
    return status;
}

vocode_status speak(const speech *about, mel_source *source, const char *name, const char *path, progress *bar,
                    vocode_error *error) {
    talk self = {.about = about, .source = source, .name = name, .path = path, .bar = bar};
    const warning_sink warnings = {progress_warning, bar};
    progress_item_length(bar, seconds_of(&self, mel_source_frames(source)));
    TRY(mel_source_inspect(source, about->convention, &warnings, error));
    interrupt_hold(path);
    vocode_status status = run_and_close(&self, error);
    interrupt_release();
    return status;
}
