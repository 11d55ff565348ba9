/* AdamW over flat arrays, with gradient clipping and an exponential average of the weights, in two passes: the
 * gradient's norm, then everything else.
 *
 * Loshchilov, Hutter, "Decoupled weight decay regularization", ICLR 2019, algorithm 2, with bias correction of Kingma,
 * Ba, "Adam", ICLR 2015, algorithm 1:
 *
 *     g = scale * gradient
 *     m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2
 *     w <- w - rate decay w - rate (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon)
 *     average <- w + ema (average - w)
 *
 * Decay is of matrices alone: parameters with two axes or more that are longer than 1, but for those that have to stay
 * invertible. Buffers are no weights: w <- keep w + gain gradient, where the gradient is what batches made of them
 * (nn/batch_norm.h); they are averaged as weights are, so that running statistics are of the averaged weights' time.
 * Bits do not depend on the number of threads. */
#ifndef TRAIN_OPTIMIZER_H
#define TRAIN_OPTIMIZER_H

#include <stdint.h>

#include "nn/param.h"
#include "train/settings.h"

typedef struct optimizer_chunk optimizer_chunk;

/* Arrays of set->total reals, laid out by param.offset. */
typedef struct optimizer {
    const param_set *set;
    real *weights;        /* the set's own storage */
    real *grads;          /* of the step; zero after it */
    real *first, *second; /* m and v */
    real *average;
    uint64_t updates; /* t: steps that were taken */
    optimizer_chunk *chunks;
    size_t chunk_count;
    double *sums; /* [chunk_count] */
} optimizer;

/* The average starts as the weights, the rest as zeros. Free it with optimizer_free, also after a failure. */
vocode_status optimizer_new(param_set *set, const train_group *groups, size_t group_count, optimizer *out,
                            vocode_error *error);

/* The norm of grads; not finite where any of them is not. */
double optimizer_norm(optimizer *state, int threads);

typedef struct optimizer_step {
    double rate, scale;
    double beta1, beta2, epsilon, decay, ema;
    double keep, gain; /* of buffers */
} optimizer_step;

/* One step with the gradients as they are, which become zero. */
void optimizer_update(optimizer *state, const optimizer_step *step, int threads);

/* Zeroes the gradients of a step that is not taken. */
void optimizer_drop(optimizer *state, int threads);

/* Forgets the moments of one parameter. */
void optimizer_reset(optimizer *state, const param *p);

void optimizer_free(optimizer *state);

/* The learning rate of a step (from 0), in learning rates. */
double schedule_factor(const train_settings *settings, uint64_t step);

#endif
