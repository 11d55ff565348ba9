/* Running a model's chain on blocks: whole arrays in the model's own layout, any batch. Everything else (synthesis,
 * encode, decode, score, training, golden checks) is made of these. */
#ifndef VOCODER_BLOCKS_H
#define VOCODER_BLOCKS_H

#include "vocoder/model.h"

/* x [batch, columns * group] -> z [batch, columns, latent_channels]; logdet [batch] is set. observer may be NULL. */
vocode_status blocks_forward(const vocode_model *model, block_shape shape, int threads, const real *mel, const real *x,
                             real *z, double *logdet, const flow_observer *observer, vocode_error *error);

vocode_status blocks_inverse(const vocode_model *model, block_shape shape, int threads, const real *mel, const real *z,
                             real *x, vocode_error *error);

/* The memory of training steps of one shape, planned once: a step never allocates. The model may change its parameters
 * between steps (and is prepared again then), not its sizes. One step at a time. */
typedef struct block_trainer block_trainer;

/* plan: an objective as steps will have, of which the memory and spectral are read. VOCODE_ARGUMENT where
 * model_prepare_training has not been called, VOCODE_VALUE where the model has no such loss of samples. */
vocode_status block_trainer_new(const vocode_model *model, block_shape shape, int threads, const block_objective *plan,
                                block_trainer **out, vocode_error *error);

/* The loss of a batch (vocoder_class.objective) and, unless grads is NULL, its gradient, which accumulates into grads
 * (flat, by param.offset, params.total reals). objective->memory is what the trainer was planned for, and the loss of
 * samples is computed, with spectral.weight times its gradient in grads, where both it and the plan have a weight; its
 * other numbers are the plan's. */
vocode_status block_trainer_run(block_trainer *trainer, const block_objective *objective, const real *mel,
                                const real *x, double *loss, real *grads, vocode_error *error);

/* The last run's loss of samples, which loss has no part of; NAN where there was none. */
double block_trainer_spectral(const block_trainer *trainer);

void block_trainer_free(block_trainer *trainer); /* NULL is fine */

/* A trainer's single step. */
vocode_status blocks_gradient(const vocode_model *model, block_shape shape, int threads,
                              const block_objective *objective, const real *mel, const real *x, double *loss,
                              real *grads, vocode_error *error);

/* VOCODE_SHAPE where the mel's frames do not stand for the columns. */
vocode_status blocks_check(const vocode_model *model, block_shape shape, vocode_error *error);
/* Numbers of the conditioning for blocks of that shape. */
size_t blocks_cond_count(const vocode_model *model, block_shape shape);

/* A run of the model's chain over blocks of that shape, without conditioning, gradients and observer. */
flow_run blocks_describe(const vocode_model *model, block_shape shape, compute *work, vocode_error *error);

/* threads as given, or what OpenMP offers where it is 0 or less. */
int block_threads(int threads);

#endif
