/* Steps of training: gradients of batches, the guards, the update. What feeds and watches them is run.h. */
#ifndef TRAIN_TRAINER_H
#define TRAIN_TRAINER_H

#include "nn/batch_norm.h"
#include "train/checkpoint.h"
#include "train/sharing.h"
#include "vocoder/blocks.h"

typedef struct trainer {
    vocode_model *model;
    const train_settings *settings;
    block_shape shape;
    int threads;
    block_trainer *blocks;
    optimizer arrays;
    train_state state;
    norm_batch norm; /* how batch norm sees a batch; recent is NULL where it has running statistics alone */
    const train_team *team;
    gradient_sharing *sharing; /* NULL: alone and not traced */
    size_t gathered;           /* batches that the step has */
    real *kept;                /* the invertible matrices as they were before an update, one after the other */
} trainer;

typedef struct train_batch {
    const real *mel; /* [batch, frames, n_mels] */
    const real *x;   /* audio blocks [batch, columns * group] */
} train_batch;

/* What became of a step. */
typedef struct train_outcome {
    double loss; /* mean of its batches, as the model's objective gives it */
    double norm; /* of the gradient, before clipping */
    double rate;
    bool skipped; /* for numbers that are not finite */
    bool undone;  /* the update of the invertible matrices was taken back */
} train_outcome;

/* The model is model_create's, warm-started or not, and belongs to the trainer from now on, also after a failure.
 * config outlives the trainer. */
vocode_status trainer_new(vocode_model *model, const train_config *config, trainer **out, vocode_error *error);
void trainer_free(trainer *self); /* NULL is fine */

/* From now on steps are taken together with the other ranks, and the first ones are traced; each may be NULL, both
 * outlive the trainer. All ranks take over the weights and the state of rank 0. */
vocode_status trainer_join(trainer *self, const train_team *team, train_trace *trace, vocode_error *error);

/* One batch's gradient, added to what the step has. Deterministic in the weights, the batch and state.batches, which
 * advances. */
vocode_status trainer_gradient(trainer *self, const train_batch *batch, double *loss, vocode_error *error);

/* Ends a step whose batches had that mean loss: clips and updates, or skips. In a team loss and gradient are means over
 * the ranks, and what becomes of the step is the same in each. Fails after settings.most_skipped skipped steps in a
 * row. */
vocode_status trainer_update(trainer *self, double loss, train_outcome *outcome, vocode_error *error);

/* Exchanges the weights with their averages and prepares the model: the model is the averaged one until the next call.
 */
vocode_status trainer_exchange(trainer *self, vocode_error *error);

/* The loss of a batch without a gradient; index is its place among the batches of validation. */
vocode_status trainer_score(trainer *self, const train_batch *batch, uint64_t index, double *loss, vocode_error *error);

/* The loss of samples of the last batch that was given to either; NAN where it had none. The loss has no part of it. */
double trainer_spectral(const trainer *self);

/* Continues from a checkpoint. */
vocode_status trainer_load(trainer *self, const char *path, vocode_error *error);

/* What has to be added to the loss to make it the mean of -ln p in nats; NAN where the objective is no likelihood. */
double trainer_constant(const trainer *self);

#endif
