/* Batches prepared ahead by threads of their own. What comes is bit for bit what dataset_batch makes, in order. */
#ifndef TRAIN_LOADER_H
#define TRAIN_LOADER_H

#include "train/dataset.h"

typedef struct loader loader;

typedef struct loader_options {
    uint64_t first, stride; /* batches first, first + stride, ...; one of N processes takes first = rank, stride = N */
    size_t depth;           /* batches in memory, the one that is handed out among them: at least 2 */
    size_t threads;         /* at least 1 */
} loader_options;

/* set outlives the loader. VOCODE_ARGUMENT for options out of range, VOCODE_MEMORY. */
vocode_status loader_open(const dataset *set, const loader_options *options, loader **out, vocode_error *error);

/* The next batch, valid until the next call: mel [batch, frames, n_mels], x [batch, columns * group]. Where
 * dataset_batch failed twice, its error; calling again tries the same batch once more. */
vocode_status loader_next(loader *self, const real **mel, const real **x, vocode_error *error);

double loader_waited(const loader *self); /* seconds that loader_next has waited so far */

void loader_close(loader *self); /* waits for the batches that are being made; NULL is fine */

#endif
