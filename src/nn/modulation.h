/* A time that scales and shifts the hidden rows of a network, layer by layer (feature-wise transformation: Perez et
 * al., "FiLM", AAAI 2018, eq. 2; after a layer norm, as Peebles, Xie, "Scalable diffusion models with transformers",
 * 2023, section 3.2). With e = time embedding(t), L layers of D channels:
 *
 *     [g_0, b_0, ..., g_(L-1), b_(L-1)] = linear(silu(e)),  y = (1 + g_i) x + b_i in layer i
 *
 * The linear map starts at zero, so a fresh network does not know the time. What a time gives is one row of factors
 * [L, 2, D] (1 + g, then b), the same for all rows of a signal. */
#ifndef NN_MODULATION_H
#define NN_MODULATION_H

#include "nn/time_embedding.h"

typedef struct modulation {
    size_t layers, channels;
    time_embedding embed; /* dim: twice its features */
    conv1d spread;        /* dim -> layers * 2 * channels */
} modulation;

/* Registers linear_1, linear_2 and spread under prefix. On failure call modulation_free. */
vocode_status modulation_build(modulation *self, param_set *set, const char *prefix, size_t features, size_t layers,
                               size_t channels, vocode_error *error);
void modulation_init(modulation *self, uint64_t seed);
void modulation_prepare(modulation *self);
void modulation_free(modulation *self);

/* Reals of one time's factors. */
size_t modulation_width(const modulation *self);

/* t [batch] -> factors [batch, L, 2, D]; tape may be NULL. Takes scratch. */
void modulation_forward(const modulation *self, compute *run, size_t batch, const real *t, real *factors, arena *tape);

/* From the tape of a forward call on the same t. dfactors as factors; grads accumulate unless NULL. Takes scratch. */
void modulation_backward(const modulation *self, compute *run, size_t batch, const real *t, const real *dfactors,
                         real *grads, arena *tape);

/* y = (1 + g) x + b in rows [batch, frames, D] of one layer; a batch element has its own factors. y may be x. */
void modulate_rows(const modulation *self, const compute *run, size_t batch, size_t frames, size_t layer,
                   const real *factors, const real *x, real *y);

/* From dy to dx, which may be dy; dfactors accumulates. */
void modulate_rows_backward(const modulation *self, compute *run, size_t batch, size_t frames, size_t layer,
                            const real *factors, const real *x, const real *dy, real *dx, real *dfactors);

#endif
