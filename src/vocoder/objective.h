/* What a training step minimises. A kind of model may bring an objective of its own (vocoder_class.objective in
 * vocoder/model.h); without one it is the exact negative log-likelihood through the chain. */
#ifndef VOCODER_OBJECTIVE_H
#define VOCODER_OBJECTIVE_H

#include <stdint.h>

#include "kernels/compute.h"

/* mel [batch, frames, n_mels], columns: of the latent; block samples = columns * group. */
typedef struct block_shape {
    size_t batch, frames, columns;
} block_shape;

/* Where backward has its activations from: a tape that forward left, or by inverting flow after flow (memory that does
 * not grow with the number of flows). */
typedef enum block_memory { BLOCKS_TAPED, BLOCKS_REBUILT } block_memory;

/* A loss of samples beside the likelihood (vocoder/sample_loss.h). */
typedef struct block_spectral {
    double weight; /* 0: it is not computed */
    double mel_weight, repulsion;
    double sigma; /* of the noise that the samples are made of */
} block_spectral;

typedef struct block_objective {
    double sigma; /* standard deviation of the latent's Gaussian */
    block_memory memory;
    bool bf16; /* networks' products are of operands rounded to bfloat16; only where gradients are wanted */
    /* What an objective draws at random for an element of the batch is a function of the seed and of the element's
     * number, first + its place: the same however elements are cut in batches. */
    uint64_t seed, first;
    block_spectral spectral;
    /* How batch norm sees the batch (nn/batch_norm.h): every batch of training goes through its recent once, in either
     * memory. NULL: by its running statistics. Only where gradients are wanted. */
    const struct norm_batch *norm;
    /* Told as gradients of flows are complete (flows/flow.h): nothing adds to them afterwards. May be NULL; an
     * objective that goes through a flow more than once does not tell. */
    const struct flow_watch *watch;
} block_objective;

/* One batch of a training step. While measuring (kernels/compute.h), every array is NULL and the arena calls are those
 * of a run with gradients. */
typedef struct block_task {
    block_shape shape;
    compute *work;    /* threads and scratch */
    arena *tape;      /* a second arena, for what stays while scratch comes and goes; starts empty */
    const real *mel;  /* [batch, frames, n_mels] */
    const real *cond; /* [batch, columns / columns_per_cond, cond_channels], what the class's condition made of mel */
    const real *x;    /* audio blocks [batch, columns * group] */
    const block_objective *objective;
    real *grads; /* flat, by param.offset: accumulates. NULL: only the loss is wanted */
    real *dcond; /* as cond: accumulates, starts as zeros, goes through condition_backward afterwards. NULL where grads
                    is */
    vocode_error *error;
} block_task;

#endif
