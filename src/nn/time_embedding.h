/* The time of a continuous flow as features (Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", 2020; the
 * sinusoids are those of Vaswani et al. 2017, section 3.5):
 *
 *     e = [sin(w_k t), cos(w_k t)], w_k = 1000 * 10000^(-k / K), k < K = features / 2      t in [0, 1]
 *     y = linear_2(silu(linear_1(e)))
 *
 * Shapes: t [batch], y [batch, dim]. */
#ifndef NN_TIME_EMBEDDING_H
#define NN_TIME_EMBEDDING_H

#include "nn/conv1d.h"

typedef struct time_embedding {
    size_t features, dim;
    conv1d first, second; /* features -> dim -> dim */
} time_embedding;

/* Registers linear_1 and linear_2 under prefix; features is even. On failure call time_embedding_free. */
vocode_status time_embedding_build(time_embedding *layer, param_set *set, const char *prefix, size_t features,
                                   size_t dim, vocode_error *error);
void time_embedding_init(time_embedding *layer, uint64_t seed);
void time_embedding_prepare(time_embedding *layer);
void time_embedding_free(time_embedding *layer);

/* y is overwritten; tape may be NULL (nn/network.h says how tapes serve). Takes scratch. */
void time_embedding_forward(const time_embedding *layer, compute *run, size_t batch, const real *t, real *y,
                            arena *tape);

/* From the tape of a forward call on the same t. dt [batch] and grads accumulate, each unless NULL. Takes scratch. */
void time_embedding_backward(const time_embedding *layer, compute *run, size_t batch, const real *t, const real *dy,
                             real *dt, real *grads, arena *tape);

#endif
