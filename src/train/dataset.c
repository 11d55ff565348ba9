#include "train/dataset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/rng.h"
#include "train/corpus.h"
#include "train/sampler.h"
#include "train/segment.h"

#define FIELD(member) .name = #member, .offset = offsetof(dataset_settings, member)
#define MOST_MB (((double)((size_t)1 << 40)))

const config_key dataset_keys[] = {
    {FIELD(valid), .type = CONFIG_TEXT, .doc = "file of names, one a line, of the recordings that are held out"},
    {FIELD(exclude), .type = CONFIG_TEXT, .doc = "file of names of recordings that are not used"},
    {FIELD(valid_share), .type = CONFIG_REAL, .default_value = 0.02, .least = 0, .most = 0.9,
     .doc = "of the recordings, held out for validation where no list says which"},
    {FIELD(level_rms), .type = CONFIG_REAL, .least = 0, .most = 1,
     .doc = "RMS of full scale to which each recording is scaled, such as 0.06; 0: as it is"},
    {FIELD(level_gain), .type = CONFIG_REAL, .least = 0, .most = 60,
     .doc = "dB, either way, of the random gain of each training segment"},
    {FIELD(dither), .type = CONFIG_BOOL, .default_value = 1,
     .doc = "half a step of uniform noise, since integers have no density"},
    {FIELD(pairs), .type = CONFIG_BOOL, .doc = "X.npy beside X.wav is the mel to train with"},
    {FIELD(shortest), .type = CONFIG_REAL, .default_value = 0.5, .least = 0, .most = 1e6,
     .doc = "seconds; shorter recordings are skipped"},
    {FIELD(silence), .type = CONFIG_REAL, .default_value = -70, .least = -300, .most = 0,
     .doc = "dB of full scale; recordings of a lower RMS are skipped"},
    {FIELD(cache_mb), .type = CONFIG_INT, .default_value = 512, .least = 0, .most = MOST_MB,
     .doc = "MB of recordings kept in memory; others are read again for each segment"},
    {FIELD(ahead), .type = CONFIG_INT, .default_value = 3, .least = 2, .most = 1024,
     .doc = "batches in memory, prepared ahead"},
    {FIELD(loaders), .type = CONFIG_INT, .default_value = 1, .least = 1, .most = 256,
     .doc = "threads that prepare batches"},
};
const size_t dataset_key_count = sizeof dataset_keys / sizeof *dataset_keys;

/* What is drawn, each with a key of its own, so that no number serves twice. */
enum { DRAW_PLACE = 1, DRAW_GAIN, DRAW_DITHER, DRAW_VALID_ORDER, DRAW_VALID_DITHER };

struct dataset {
    corpus corpus;
    dataset_settings settings;
    mel_frontend *frontend;
    segment_form form;
    block_shape shape;
    uint64_t seed;
    size_t *ends;       /* [corpus.training]: samples of the training recordings up to and with this one */
    uint64_t slots;     /* segments an epoch */
    size_t *valid_ends; /* [corpus.count - corpus.training]: held-out segments up to and with those of this one */
    size_t valid_count; /* held-out segments */
};

static uint64_t key_of(uint64_t seed, uint64_t purpose) {
    const uint32_t counter[4] = {(uint32_t)purpose, 0, 0, 0}, key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t out[4];
    philox(counter, key, out);
    return (uint64_t)out[0] << 32 | out[1];
}

/* Held-out segments of a recording: one after the other, or the padded one. */
static size_t valid_segments(const segment_form *form, const recording *from) {
    size_t whole = from->mel ? from->mel_frames / form->frames : from->samples / form->samples;
    return whole ? whole : 1;
}

static vocode_status index_segments(dataset *self, vocode_error *error) {
    const corpus *all = &self->corpus;
    size_t held_out = all->count - all->training, samples = 0;
    self->ends = calloc(all->training, sizeof *self->ends);
    self->valid_ends = calloc(held_out + 1, sizeof *self->valid_ends);
    if (!self->ends || !self->valid_ends)
        return failed(error, VOCODE_MEMORY, "no memory for an index of %zu recordings", all->count);
    for (size_t i = 0; i < all->training; i++) self->ends[i] = samples += all->items[i].samples;
    for (size_t i = 0; i < held_out; i++)
        self->valid_ends[i] = self->valid_count += valid_segments(&self->form, &all->items[all->training + i]);
    self->slots = samples / self->form.samples ? samples / self->form.samples : 1;
    return VOCODE_OK;
}

static vocode_status set_form(dataset *self, const dataset_options *options, const mel_convention *convention,
                              vocode_error *error) {
    const vocode_model *model = options->model;
    if (options->segment == 0 || options->segment % model->hop || options->batch == 0)
        return failed(error, VOCODE_ARGUMENT,
                      "expected batches of at least one segment of a multiple of the hop, %zu samples, found %zu of "
                      "%zu",
                      model->hop, options->batch, options->segment);
    if (convention->hop != model->hop)
        return failed(error, VOCODE_CONVENTION, "the mel's hop is %zu samples, the model's %zu", convention->hop,
                      model->hop);
    TRY(mel_frontend_new(convention, &self->frontend, error));
    self->form = (segment_form){.frontend = self->frontend,
                                .convention = mel_frontend_convention(self->frontend),
                                .hop = model->hop,
                                .frames = options->segment / model->hop,
                                .samples = options->segment,
                                .lead = model->frame_blocks ? model->hop / 2 : 0};
    self->shape = (block_shape){options->batch, self->form.frames, options->segment / model->group};
    return VOCODE_OK;
}

static vocode_status open_inside(dataset *self, const dataset_options *options, const warning_sink *warnings,
                                 vocode_error *error) {
    const mel_convention *convention;
    TRY(model_mel(options->model, &convention, error));
    TRY(set_form(self, options, convention, error));
    self->settings = options->settings;
    self->seed = options->seed;
    TRY(corpus_open(options, convention, warnings, &self->corpus, error));
    return index_segments(self, error);
}

vocode_status dataset_open(const dataset_options *options, const warning_sink *warnings, dataset **out,
                           vocode_error *error) {
    *out = NULL;
    dataset *self = calloc(1, sizeof *self);
    if (!self) return failed(error, VOCODE_MEMORY, "out of memory for a data set");
    vocode_status status = open_inside(self, options, warnings, error);
    if (status == VOCODE_OK)
        *out = self;
    else
        dataset_close(self);
    return status;
}

void dataset_close(dataset *self) {
    if (!self) return;
    corpus_close(&self->corpus);
    mel_frontend_free(self->frontend);
    free(self->ends);
    free(self->valid_ends);
    free(self);
}

block_shape dataset_shape(const dataset *self) {
    return self->shape;
}

size_t dataset_bands(const dataset *self) {
    return self->form.convention->n_mels;
}

size_t dataset_block(const dataset *self) {
    return self->form.samples;
}

size_t dataset_valid_count(const dataset *self) {
    size_t whole = self->valid_count / self->shape.batch;
    return whole || self->valid_count == 0 ? whole : 1;
}

dataset_facts dataset_about(const dataset *self) {
    return self->corpus.facts;
}

/* The first of ends [count] that is above value. */
static size_t find_end(const size_t *ends, size_t count, size_t value) {
    size_t low = 0, high = count;
    while (low + 1 < high) {
        size_t middle = low + (high - low) / 2;
        if (ends[middle - 1] <= value)
            low = middle;
        else
            high = middle;
    }
    return low;
}

static double level_of(const dataset *self, const recording *from) {
    return self->settings.level_rms > 0 ? self->settings.level_rms / from->rms : 1;
}

/* Where training segment number is, and how loud. */
static segment_place draw(const dataset *self, uint64_t number) {
    const corpus *all = &self->corpus;
    size_t total = self->ends[all->training - 1];
    double point = sampler_point(key_of(self->seed, DRAW_PLACE), number, self->slots) * (double)total;
    size_t index = find_end(self->ends, all->training, point < (double)total ? (size_t)point : total - 1);
    const recording *from = &all->items[index];
    double inside = (point - (double)(self->ends[index] - from->samples)) / (double)from->samples;
    size_t starts = segment_starts(&self->form, from), start = (size_t)(inside * (double)starts);
    if (start >= starts) start = starts - 1;
    double decibels = self->settings.level_gain * (2 * rng_uniform(key_of(self->seed, DRAW_GAIN), 0, number) - 1);
    return (segment_place){.from = from,
                           .start = from->mel ? start * self->form.hop : start,
                           .gain = level_of(self, from) * pow(10, decibels / 20),
                           .dither = self->settings.dither,
                           .seed = key_of(self->seed, DRAW_DITHER),
                           .number = number};
}

static segment_place valid_place(const dataset *self, uint64_t number) {
    const corpus *all = &self->corpus;
    uint64_t order = key_of(0, DRAW_VALID_ORDER);
    size_t chosen = (size_t)sampler_permute(order, 0, number % self->valid_count, self->valid_count);
    size_t index = find_end(self->valid_ends, all->count - all->training, chosen);
    const recording *from = &all->items[all->training + index];
    size_t inside = chosen - (self->valid_ends[index] - valid_segments(&self->form, from));
    return (segment_place){.from = from,
                           .start = inside * self->form.samples,
                           .gain = level_of(self, from),
                           .dither = self->settings.dither,
                           .seed = key_of(0, DRAW_VALID_DITHER),
                           .number = chosen};
}

static vocode_status cut_batch(const dataset *self, segment_place (*place)(const dataset *, uint64_t), uint64_t index,
                               real *mel, real *x, vocode_error *error) {
    for (size_t b = 0; b < self->shape.batch; b++) {
        segment_place where = place(self, index * self->shape.batch + b);
        TRY(segment_cut(&self->form, &where, mel + b * self->form.frames * dataset_bands(self),
                        x + b * self->form.samples, error));
    }
    return VOCODE_OK;
}

vocode_status dataset_batch(const dataset *self, uint64_t index, real *mel, real *x, vocode_error *error) {
    return cut_batch(self, draw, index, mel, x, error);
}

vocode_status dataset_valid_batch(const dataset *self, size_t index, real *mel, real *x, vocode_error *error) {
    if (index >= dataset_valid_count(self))
        return failed(error, VOCODE_ARGUMENT, "validation batch %zu of %zu was asked for", index,
                      dataset_valid_count(self));
    return cut_batch(self, valid_place, index, mel, x, error);
}

size_t dataset_held_out(const dataset *self) {
    return self->corpus.count - self->corpus.training;
}

/* The form of a clip of a recording, and where it begins. */
static segment_place middle_of(const dataset *self, const recording *from, size_t most_frames, segment_form *form) {
    size_t hop = self->form.hop, frames = from->samples / hop;
    if (from->mel && from->mel_frames < frames) frames = from->mel_frames;
    if (frames > most_frames) frames = most_frames;
    if (frames == 0) frames = 1;
    *form = self->form;
    form->frames = frames;
    form->samples = frames * hop;
    form->lead = 0;
    size_t middle = (segment_starts(form, from) - 1) / 2;
    return (segment_place){
        .from = from, .start = from->mel ? middle * hop : middle / hop * hop, .gain = level_of(self, from)};
}

vocode_status dataset_clip_cut(const dataset *self, size_t index, size_t most_frames, dataset_clip *out,
                               vocode_error *error) {
    segment_form form;
    const recording *from = &self->corpus.items[self->corpus.training + index];
    segment_place place = middle_of(self, from, most_frames, &form);
    size_t values = form.frames * dataset_bands(self);
    *out = (dataset_clip){.path = from->path, .frames = form.frames, .samples = form.samples};
    real *mel = calloc(values, sizeof *mel), *x = calloc(form.samples, sizeof *x);
    out->mel = calloc(values, sizeof *out->mel);
    out->audio = calloc(form.samples, sizeof *out->audio);
    vocode_status status = mel && x && out->mel && out->audio
                               ? segment_cut(&form, &place, mel, x, error)
                               : failed(error, VOCODE_MEMORY, "no memory for a clip of %zu samples", form.samples);
    for (size_t i = 0; status == VOCODE_OK && i < values; i++) out->mel[i] = (float)mel[i];
    for (size_t i = 0; status == VOCODE_OK && i < form.samples; i++) out->audio[i] = (float)x[i];
    free(mel);
    free(x);
    return status;
}

void dataset_clip_free(dataset_clip *clip) {
    free(clip->mel);
    free(clip->audio);
    *clip = (dataset_clip){0};
}

void dataset_describe(const dataset *self, char *text, size_t size) {
    const dataset_facts *facts = &self->corpus.facts;
    snprintf(text, size,
             "%zu recordings, %.1f minutes, to train on; %zu, %.1f minutes, held out; skipped: %zu unusable, %zu "
             "duplicates, %zu excluded; %.0f MB in memory",
             facts->training, facts->training_seconds / 60, facts->held_out, facts->held_out_seconds / 60,
             facts->unusable, facts->duplicate, facts->excluded, (double)facts->cached_bytes / 0x1p20);
}
