#include "train/samples.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/audio.h"
#include "train/folder.h"

enum { NAME_MOST = 100, TAG_ROOM = NAME_MOST + 32 };

typedef struct sample_clip {
    char name[NAME_MOST + 24]; /* of its files, without the ending */
    dataset_clip sound;
} sample_clip;

struct train_samples {
    char *folder;       /* RUN/samples */
    sample_clip *clips; /* [count] */
    size_t count, longest;
    unsigned sample_rate;
    bool recorded; /* the recordings are in place */
};

/* The recording's base name without its ending, as text that file systems and TensorBoard take. */
static void base_of(const char *path, char *name) {
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path, *dot = strrchr(base, '.');
    size_t length = dot && dot != base ? (size_t)(dot - base) : strlen(base);
    if (length > NAME_MOST) length = NAME_MOST;
    while (length && length < strlen(base) && ((unsigned char)base[length] & 0xc0) == 0x80)
        length--; /* whole letters */
    memcpy(name, base, length);
    name[length] = 0;
    json_t *text = json_string(name);
    for (char *letter = name; !text && *letter; letter++)
        if ((unsigned char)*letter >= 0x80) *letter = '_';
    json_decref(text);
}

static bool taken(const train_samples *self, const char *name) {
    for (size_t i = 0; i < self->count; i++)
        if (strcmp(self->clips[i].name, name) == 0) return true;
    return false;
}

/* Recordings of different folders may be called the same. */
static void name_clip(const train_samples *self, sample_clip *clip) {
    char base[NAME_MOST + 1];
    base_of(clip->sound.path, base);
    snprintf(clip->name, sizeof clip->name, "%s", base);
    for (size_t i = 2; taken(self, clip->name); i++) snprintf(clip->name, sizeof clip->name, "%s-%zu", base, i);
}

static vocode_status fill(train_samples *self, const char *folder, const dataset *set, const train_settings *settings,
                          const vocode_model *model, vocode_error *error) {
    size_t held_out = dataset_held_out(set), count = held_out < settings->samples ? held_out : settings->samples;
    double frames = ceil(settings->sample_seconds * (double)model->settings.sample_rate / (double)model->hop);
    self->sample_rate = (unsigned)model->settings.sample_rate;
    self->folder = folder_file(folder, "samples");
    self->clips = calloc(count + 1, sizeof *self->clips);
    if (!self->folder || !self->clips) return failed(error, VOCODE_MEMORY, "%s: out of memory for samples", folder);
    for (size_t i = 0; i < count; i++) {
        sample_clip *clip = &self->clips[i];
        vocode_status status = dataset_clip_cut(set, i * held_out / count, (size_t)frames, &clip->sound, error);
        if (status == VOCODE_OK) name_clip(self, clip);
        self->count++;
        if (clip->sound.samples > self->longest) self->longest = clip->sound.samples;
        TRY(status);
    }
    return VOCODE_OK;
}

vocode_status train_samples_open(const char *folder, const dataset *set, const train_settings *settings,
                                 const vocode_model *model, train_samples **out, vocode_error *error) {
    *out = NULL;
    train_samples *self = calloc(1, sizeof *self);
    if (!self) return failed(error, VOCODE_MEMORY, "%s: out of memory for samples", folder);
    vocode_status status = fill(self, folder, set, settings, model, error);
    if (status == VOCODE_OK)
        *out = self;
    else
        train_samples_free(self);
    return status;
}

size_t train_samples_count(const train_samples *self) {
    return self->count;
}

void train_samples_free(train_samples *self) {
    if (!self) return;
    for (size_t i = 0; i < self->count; i++) dataset_clip_free(&self->clips[i].sound);
    free(self->clips);
    free(self->folder);
    free(self);
}

static vocode_status make_folder(const char *path, vocode_error *error) {
    if (mkdir(path, 0777) == 0 || errno == EEXIST) return VOCODE_OK;
    return failed_errno(error, VOCODE_IO, "cannot make the folder %s", path);
}

/* folder/NAME.wav, and on the board "what/NAME". */
static vocode_status put_clip(const train_samples *self, const sample_clip *clip, const char *folder, const char *what,
                              const float *mono, uint64_t step, train_board *board, vocode_error *error) {
    char tag[TAG_ROOM + 24], *path = NULL;
    if (asprintf(&path, "%s/%s.wav", folder, clip->name) < 0)
        return failed(error, VOCODE_MEMORY, "%s: out of memory for samples", folder);
    vocode_status status = audio_write(path, mono, clip->sound.samples, self->sample_rate, AUDIO_PCM16, NULL, error);
    free(path);
    TRY(status);
    snprintf(tag, sizeof tag, "%s/%s", what, clip->name);
    board_clip(board, step, tag, mono, clip->sound.samples, self->sample_rate);
    return VOCODE_OK;
}

static vocode_status put_recordings(train_samples *self, const char *folder, uint64_t step, train_board *board,
                                    vocode_error *error) {
    TRY(make_folder(folder, error));
    for (size_t i = 0; i < self->count; i++)
        TRY(put_clip(self, &self->clips[i], folder, "recording", self->clips[i].sound.audio, step, board, error));
    self->recorded = true;
    return VOCODE_OK;
}

static int asks_to_stop(void *context, double done) {
    const sample_order *order = context;
    (void)done;
    return order->stop && order->stop(order->context);
}

/* mono: room for the longest clip. */
static vocode_status put_samples(const train_samples *self, const sample_order *order, const char *folder, float *mono,
                                 train_board *board, vocode_error *error) {
    const vocode_synthesis options = {.size = sizeof options,
                                      .seed = order->seed,
                                      .threads = order->threads,
                                      .progress = asks_to_stop,
                                      .context = (void *)(uintptr_t)order};
    TRY(make_folder(folder, error));
    for (size_t i = 0; i < self->count; i++) {
        const sample_clip *clip = &self->clips[i];
        TRY(vocode_synthesize(order->model, clip->sound.mel, clip->sound.frames, order->model->n_mels, &options, mono,
                              error));
        TRY(put_clip(self, clip, folder, "generated", mono, order->step, board, error));
    }
    return VOCODE_OK;
}

vocode_status train_samples_make(train_samples *self, const sample_order *order, train_board *board,
                                 vocode_error *error) {
    if (self->count == 0) return VOCODE_OK;
    char step[32];
    snprintf(step, sizeof step, "%llu", (unsigned long long)order->step);
    char *recordings = folder_file(self->folder, "recording"), *generated = folder_file(self->folder, step);
    float *mono = calloc(self->longest, sizeof *mono);
    vocode_status status = recordings && generated && mono
                               ? make_folder(self->folder, error)
                               : failed(error, VOCODE_MEMORY, "%s: out of memory for samples", self->folder);
    if (status == VOCODE_OK && !self->recorded) status = put_recordings(self, recordings, order->step, board, error);
    if (status == VOCODE_OK) {
        status = put_samples(self, order, generated, mono, board, error);
        if (status != VOCODE_OK) rmdir(generated); /* where nothing is in it */
    }
    free(mono);
    free(generated);
    free(recordings);
    return status;
}
