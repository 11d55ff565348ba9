/* Multi-layer perceptrons over rows, plain or masked (the struct; builders in networks.h):
 *
 *     h_0 = [cond, x]                          cond repeated where one row of it serves several of x
 *     p_k = h_k W_k + b_k, h_(k+1) = silu(p_k) k < layers
 *     y = h_layers W_layers + b_layers
 *
 * Masked as in Germain, Gregor, Murray, Larochelle, "MADE", ICML 2015, eq. 8 and 9: input i of x has the degree
 * order[i], 1 to inputs, the conditioning has degree 0 and is seen by all, and hidden units have degrees in ascending
 * order, spread evenly over 0 (1 without conditioning) to inputs - 1. A hidden unit sees degrees up to its own; the
 * outputs that belong to input i, those congruent to i modulo inputs, see degrees below order[i]. */
#ifndef NN_MLP_H
#define NN_MLP_H

#include "nn/dense.h"
#include "nn/network.h"

typedef struct mlp {
    network base;
    size_t layers, width; /* hidden */
    size_t *degree;       /* [width] of the hidden units, ascending; NULL: not masked */
    size_t *order;        /* [inputs] degrees of the inputs, 1 to inputs; NULL: not masked */
    dense layer[];        /* [layers + 1] */
} mlp;

/* h_0 [batch frames, conditioning + inputs], in scratch where it has to be put together. */
const real *mlp_join(const mlp *self, compute *run, const network_input *in);

#endif
