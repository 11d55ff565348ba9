#include "train/corpus.h"

#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "train/files.h"
#include "train/names.h"

static const size_t bytes_a_mb = (size_t)1 << 20;

/* Recordings by the hash of their samples: open addressing over a power of two. */
typedef struct hash_table {
    size_t *slots; /* index + 1, or 0 */
    size_t mask;
} hash_table;

typedef struct scan {
    const dataset_options *options;
    const mel_convention *convention;
    const warning_sink *warnings;
    file_list files;
    name_list valid, exclude;
    hash_table hashes;
    corpus *to;
} scan;

static vocode_status prepare(scan *self, vocode_error *error) {
    const dataset_options *options = self->options;
    if (sodium_init() < 0) return failed(error, VOCODE_INTERNAL, "libsodium cannot be used");
    for (size_t i = 0; i < options->path_count; i++)
        TRY(files_collect(&self->files, options->paths[i], self->warnings, error));
    const dataset_settings *settings = &options->settings;
    if (settings->valid[0]) TRY(names_read(settings->valid, &self->valid, error));
    if (settings->exclude[0]) TRY(names_read(settings->exclude, &self->exclude, error));
    size_t count = self->files.count, slots = 16;
    while (slots < 2 * count) slots *= 2;
    self->hashes = (hash_table){calloc(slots, sizeof *self->hashes.slots), slots - 1};
    self->to->items = calloc(count + 1, sizeof *self->to->items);
    if (!self->hashes.slots || !self->to->items)
        return failed(error, VOCODE_MEMORY, "no memory for a list of %zu recordings", count);
    self->to->facts.found = count + self->files.missing;
    self->to->facts.unusable = self->files.missing;
    return VOCODE_OK;
}

/* The recording of the same samples, or NULL; then item is put in. */
static recording *find_same(scan *self, const recording *item, size_t index) {
    size_t slot;
    memcpy(&slot, item->hash, sizeof slot);
    for (;; slot++) {
        size_t *held = &self->hashes.slots[slot & self->hashes.mask];
        if (*held == 0) {
            *held = index + 1;
            return NULL;
        }
        recording *other = &self->to->items[*held - 1];
        if (other->samples == item->samples && memcmp(other->hash, item->hash, RECORDING_HASH) == 0) return other;
    }
}

static void count_source(scan *self, const recording *item, size_t segment) {
    dataset_facts *facts = &self->to->facts;
    facts->resampled += item->source.sample_rate != self->convention->sample_rate;
    facts->mixed += item->source.channels != 1;
    facts->padded += item->samples < segment;
    facts->paired += item->mel != NULL;
}

static vocode_status keep(scan *self, recording *item, audio *sound, vocode_error *error) {
    dataset_facts *facts = &self->to->facts;
    size_t size = recording_size(item, sound), budget = self->options->settings.cache_mb * bytes_a_mb;
    if (facts->cached_bytes + size > budget) return VOCODE_OK;
    TRY(recording_keep(item, sound, error));
    facts->cached++;
    facts->cached_bytes += size;
    return VOCODE_OK;
}

/* What recording_open does not look at. */
static vocode_status check(scan *self, recording *item, vocode_error *error) {
    const dataset_settings *settings = &self->options->settings;
    double seconds = (double)item->samples / (double)self->convention->sample_rate;
    bool found;
    if (seconds < settings->shortest)
        return failed(error, VOCODE_VALUE, "%s: too short: %.3f s, at least %g s are wanted", item->path, seconds,
                      settings->shortest);
    return settings->pairs ? recording_pair(item, self->convention, &found, error) : VOCODE_OK;
}

/* Adds a recording that was read, or says why not; sound is the caller's. */
static vocode_status add(scan *self, recording *item, audio *sound, vocode_error *error) {
    corpus *to = self->to;
    vocode_error why;
    vocode_status status = check(self, item, &why);
    if (status == VOCODE_MEMORY) return failed(error, status, "%s", why.message);
    recording *same = status == VOCODE_OK ? find_same(self, item, to->count) : NULL;
    if (status != VOCODE_OK) {
        to->facts.unusable++;
        warn_caller(self->warnings, "skipped: %s", why.message);
    } else if (same) {
        to->facts.duplicate++;
        same->held_out |= item->held_out; /* what is held out by one name is not trained on by another */
        warn_caller(self->warnings, "skipped: %s: the same audio as %s", item->path, same->path);
    } else {
        TRY(keep(self, item, sound, error));
        count_source(self, item, self->options->segment);
        to->items[to->count++] = *item;
        *item = (recording){0};
    }
    return VOCODE_OK;
}

static vocode_status take(scan *self, const char *path, vocode_error *error) {
    recording item;
    audio sound;
    vocode_error why;
    if (names_match(&self->exclude, path)) {
        self->to->facts.excluded++;
        return VOCODE_OK;
    }
    bool held_out = names_match(&self->valid, path);
    vocode_status status = recording_open(path, (unsigned)self->convention->sample_rate,
                                          self->options->settings.silence, &item, &sound, &why);
    if (status == VOCODE_MEMORY) return failed(error, status, "%s", why.message);
    if (status != VOCODE_OK) {
        self->to->facts.unusable++;
        warn_caller(self->warnings, "skipped: %s", why.message);
        return VOCODE_OK;
    }
    item.held_out = held_out;
    status = add(self, &item, &sound, error);
    recording_free(&item);
    audio_free(&sound);
    return status;
}

typedef struct ranked {
    const unsigned char *hash;
    size_t index;
} ranked;

static int by_hash(const void *a, const void *b) {
    return memcmp(((const ranked *)a)->hash, ((const ranked *)b)->hash, RECORDING_HASH);
}

/* Without a list: those of the lowest hashes, which further recordings do not change much. */
static vocode_status hold_out_share(scan *self, vocode_error *error) {
    corpus *to = self->to;
    const dataset_settings *settings = &self->options->settings;
    double share = settings->valid_share;
    if (settings->valid[0] || share <= 0 || to->count < 2) return VOCODE_OK;
    size_t wanted = (size_t)ceil(share * (double)to->count);
    if (wanted >= to->count) wanted = to->count - 1;
    ranked *order = malloc(to->count * sizeof *order);
    if (!order) return failed(error, VOCODE_MEMORY, "no memory for a list of %zu recordings", to->count);
    for (size_t i = 0; i < to->count; i++) order[i] = (ranked){to->items[i].hash, i};
    qsort(order, to->count, sizeof *order, by_hash);
    for (size_t i = 0; i < wanted; i++) to->items[order[i].index].held_out = true;
    free(order);
    return VOCODE_OK;
}

/* The training ones first, both in their order. */
static vocode_status part(scan *self, vocode_error *error) {
    corpus *to = self->to;
    recording *sorted = calloc(to->count + 1, sizeof *sorted);
    if (!sorted) return failed(error, VOCODE_MEMORY, "no memory for a list of %zu recordings", to->count);
    size_t samples[2] = {0};
    for (int held_out = 0, next = 0; held_out < 2; held_out++) {
        for (size_t i = 0; i < to->count; i++) {
            if (to->items[i].held_out != (bool)held_out) continue;
            sorted[next++] = to->items[i];
            samples[held_out] += to->items[i].samples;
        }
        if (!held_out) to->training = (size_t)next;
    }
    free(to->items);
    to->items = sorted;
    dataset_facts *facts = &to->facts;
    facts->training = to->training;
    facts->held_out = to->count - to->training;
    facts->training_seconds = (double)samples[0] / (double)self->convention->sample_rate;
    facts->held_out_seconds = (double)samples[1] / (double)self->convention->sample_rate;
    return VOCODE_OK;
}

static void say_unmet(const scan *self, const name_list *list, const char *path) {
    const char *first;
    size_t unmet = names_unmet(list, &first);
    if (unmet)
        warn_caller(self->warnings, "%s: %zu of its %zu names are of no recording, such as %s", path, unmet,
                    list->count, first);
}

/* What is said once a run. */
static vocode_status conclude(const scan *self, vocode_error *error) {
    const dataset_facts *facts = &self->to->facts;
    if (facts->training == 0)
        return failed(error, VOCODE_VALUE,
                      "no recording to train on: of %zu found, %zu are unusable, %zu duplicates, %zu excluded and %zu "
                      "held out",
                      facts->found, facts->unusable, facts->duplicate, facts->excluded, facts->held_out);
    say_unmet(self, &self->valid, self->options->settings.valid);
    say_unmet(self, &self->exclude, self->options->settings.exclude);
    size_t used = facts->training + facts->held_out;
    if (facts->resampled)
        warn_caller(self->warnings, "%zu of %zu recordings are resampled to %zu Hz", facts->resampled, used,
                    self->convention->sample_rate);
    if (facts->mixed)
        warn_caller(self->warnings, "%zu of %zu recordings have several channels, which are averaged", facts->mixed,
                    used);
    if (facts->cached < used)
        warn_caller(self->warnings,
                    "%zu of %zu recordings do not fit in cache_mb = %zu and are read from their files for each segment",
                    used - facts->cached, used, self->options->settings.cache_mb);
    return VOCODE_OK;
}

vocode_status corpus_open(const dataset_options *options, const mel_convention *convention,
                          const warning_sink *warnings, corpus *out, vocode_error *error) {
    *out = (corpus){0};
    scan self = {.options = options, .convention = convention, .warnings = warnings, .to = out};
    vocode_status status = prepare(&self, error);
    for (size_t i = 0; status == VOCODE_OK && i < self.files.count; i++)
        status = take(&self, self.files.paths[i], error);
    if (status == VOCODE_OK) status = hold_out_share(&self, error);
    if (status == VOCODE_OK) status = part(&self, error);
    if (status == VOCODE_OK) status = conclude(&self, error);
    files_free(&self.files);
    names_free(&self.valid);
    names_free(&self.exclude);
    free(self.hashes.slots);
    if (status != VOCODE_OK) corpus_close(out);
    return status;
}

void corpus_close(corpus *self) {
    for (size_t i = 0; i < self->count; i++) recording_free(&self->items[i]);
    free(self->items);
    *self = (corpus){0};
}
