#include "train/feed.h"

#include <stdlib.h>

#include "core/arena.h"
#include "train/loader.h"

struct train_feed {
    dataset *set;
    loader *ahead; /* NULL until the first batch's number is known */
    loader_options options;
    real *mel, *x; /* of validation */
    size_t held_out;
};

static vocode_status fill(train_feed *self, const dataset_options *options, const warning_sink *warnings,
                          size_t most_held_out, vocode_error *error) {
    TRY(dataset_open(options, warnings, &self->set, error));
    block_shape shape = dataset_shape(self->set);
    size_t count = dataset_valid_count(self->set);
    self->held_out = count < most_held_out ? count : most_held_out;
    self->mel = aligned_new(shape.batch * shape.frames * dataset_bands(self->set), sizeof(real));
    self->x = aligned_new(shape.batch * dataset_block(self->set), sizeof(real));
    if (!self->mel || !self->x) return failed(error, VOCODE_MEMORY, "cannot allocate a batch of validation");
    return VOCODE_OK;
}

vocode_status feed_open(const char *const *paths, size_t count, const vocode_model *model, const train_config *config,
                        const warning_sink *warnings, train_feed **out, vocode_error *error) {
    const train_settings *settings = &config->settings;
    const dataset_options options = {.paths = paths,
                                     .path_count = count,
                                     .model = model,
                                     .batch = settings->batch,
                                     .segment = settings->segment,
                                     .seed = settings->seed,
                                     .settings = config->data};
    *out = NULL;
    train_feed *self = calloc(1, sizeof *self);
    if (!self) return failed(error, VOCODE_MEMORY, "cannot allocate the batches");
    self->options = (loader_options){.depth = config->data.ahead, .threads = config->data.loaders};
    vocode_status status = fill(self, &options, warnings, settings->validate_batches, error);
    if (status == VOCODE_OK)
        *out = self;
    else
        feed_close(self);
    return status;
}

void feed_describe(const train_feed *self, char *text, size_t size) {
    dataset_describe(self->set, text, size);
}

vocode_status feed_seek(train_feed *self, uint64_t batch, uint64_t stride, vocode_error *error) {
    loader_close(self->ahead);
    self->ahead = NULL;
    self->options.first = batch;
    self->options.stride = stride;
    return loader_open(self->set, &self->options, &self->ahead, error);
}

vocode_status feed_next(train_feed *self, train_batch *out, vocode_error *error) {
    return loader_next(self->ahead, &out->mel, &out->x, error);
}

size_t feed_held_out(const train_feed *self) {
    return self->held_out;
}

vocode_status feed_validation(train_feed *self, size_t index, train_batch *out, vocode_error *error) {
    size_t count = dataset_valid_count(self->set), spread = index * count / self->held_out;
    TRY(dataset_valid_batch(self->set, spread, self->mel, self->x, error));
    *out = (train_batch){self->mel, self->x};
    return VOCODE_OK;
}

const dataset *feed_data(const train_feed *self) {
    return self->set;
}

void feed_close(train_feed *self) {
    if (!self) return;
    loader_close(self->ahead);
    dataset_close(self->set);
    aligned_free(self->mel);
    aligned_free(self->x);
    free(self);
}
