/* The batches of a run: training ones by their number, and a fixed set of held-out ones. */
#ifndef TRAIN_FEED_H
#define TRAIN_FEED_H

#include "train/trainer.h"

typedef struct train_feed train_feed;

/* paths [count]; the model says rate, mel and blocks, config the shapes and the seed. */
vocode_status feed_open(const char *const *paths, size_t count, const vocode_model *model, const train_config *config,
                        const warning_sink *warnings, train_feed **out, vocode_error *error);

/* What there is, in a sentence or two. */
void feed_describe(const train_feed *feed, char *text, size_t size);

/* The number of the training batch that comes next, and how many further on the one after it is; call it before the
 * first one. */
vocode_status feed_seek(train_feed *feed, uint64_t batch, uint64_t stride, vocode_error *error);

/* The next training batch, valid until the next call. */
vocode_status feed_next(train_feed *feed, train_batch *out, vocode_error *error);

size_t feed_held_out(const train_feed *feed); /* held-out batches that there are; 0: no validation */
vocode_status feed_validation(train_feed *feed, size_t index, train_batch *out, vocode_error *error);

const dataset *feed_data(const train_feed *feed);

void feed_close(train_feed *feed); /* NULL is fine */

#endif
