/* Running a model's chain on blocks: whole arrays in the model's own layout, any batch. Everything else (synthesis,
 * encode, decode, score, training, golden checks) is made of these. */
#ifndef VOCODER_BLOCKS_H
#define VOCODER_BLOCKS_H

#include "vocoder/model.h"

/* mel [batch, frames, n_mels], columns: of the latent; block samples = columns * group. */
typedef struct block_shape {
    size_t batch, frames, columns;
} block_shape;

/* x [batch, columns * group] -> z [batch, columns, latent_channels]; logdet [batch] is set. observer may be NULL. */
vocode_status blocks_forward(const vocode_model *model, block_shape shape, int threads, const real *mel, const real *x,
                             real *z, double *logdet, const flow_observer *observer, vocode_error *error);

vocode_status blocks_inverse(const vocode_model *model, block_shape shape, int threads, const real *mel, const real *z,
                             real *x, vocode_error *error);

typedef enum block_memory { BLOCKS_TAPED, BLOCKS_REBUILT } block_memory;

/* The loss sum(z^2) / (2 sigma^2) - sum(logdet) over count(z), whose gradient accumulates into grads (flat, by
 * param.offset, params.total reals). VOCODE_ARGUMENT where model_prepare_training has not been called. */
vocode_status blocks_gradient(const vocode_model *model, block_shape shape, int threads, const real *mel, const real *x,
                              double sigma, block_memory memory, double *loss, real *grads, vocode_error *error);

/* threads as given, or what OpenMP offers where it is 0 or less. */
int block_threads(int threads);

#endif
