/* Checkpoints: ordinary model files (docs/MODELS.md) whose tensors are the averaged weights, so that every command
 * opens them, with what training needs to go on beside them:
 *
 *     tensors   NAME                     averaged weights and running statistics
 *               train.weight.NAME        the weights that are being trained
 *               train.moment1.NAME       AdamW's moments
 *               train.moment2.NAME
 *     metadata  train                    the state below, as JSON
 *               train_checksum           BLAKE2b of the metadata "config" and "train" and of every tensor's name and
 * bytes
 *
 * Written whole or not at all and synced (io/atomic.h). What is drawn in training is a function of the seed and the
 * step, so the state has no generator of its own. */
#ifndef TRAIN_CHECKPOINT_H
#define TRAIN_CHECKPOINT_H

#include "train/optimizer.h"
#include "vocoder/model.h"

typedef struct train_state {
    uint64_t step;           /* steps done, skipped ones included: the next step has this number */
    uint64_t batches;        /* of data taken so far, by all ranks: the place in the data */
    uint64_t skipped;        /* steps with numbers that are not finite */
    uint64_t skipped_in_row; /* up to now */
    uint64_t undone;         /* updates of matrices taken back because they came near to singular */
    uint64_t best_step;
    double best; /* the best validation's loss, that of samples included; infinite while there is none */
    double last_validation;
    double seconds; /* spent in training */
} train_state;

/* config: the model's configuration as JSON text. */
vocode_status checkpoint_save(const char *path, const char *config, const optimizer *arrays, const train_state *state,
                              vocode_error *error);

/* Fills arrays and state, the model's parameters included, from a file that checkpoint_save wrote; VOCODE_FORMAT where
 * the file is not one, is damaged (the checksum) or lacks a tensor, which is named. On failure nothing has changed but
 * where a tensor lacks. */
vocode_status checkpoint_read(const char *path, optimizer *arrays, train_state *state, vocode_error *error);

/* Makes `to` the same file as `from`, at once and whole: a hard link, or a copy where the file system has none. */
vocode_status checkpoint_alias(const char *from, const char *to, vocode_error *error);

#endif
