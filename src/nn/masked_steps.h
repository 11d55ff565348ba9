/* A masked perceptron (nn/mlp.h) run one input after another, for what autoregressive flows have to solve.
 *
 * The units' degrees ascend, so that once the inputs of degrees up to i are known, exactly the units of degree i become
 * computable, and from them the outputs that belong to the next input. Every unit is computed once: all of the inputs
 * cost as much as one run of the network, not one run each.
 *
 * Rows go in blocks as wide as a panel, one lane a row. A layer's values [units][panel] are then panels themselves
 * (kernels.def, pack), and a group of units is a product of its rows of the weight with the part of them that is there.
 *
 * The network gives two numbers an input, [shift, raw log-scale] in halves, for the affine map of it. */
#ifndef NN_MASKED_STEPS_H
#define NN_MASKED_STEPS_H

#include "nn/mlp.h"

typedef struct masked_steps {
    const mlp *net;
    size_t *at;   /* [inputs]: the input of degree i + 1 */
    size_t *upto; /* [inputs + 1]: hidden units of degrees up to i */
    real **forth; /* [layers + 1] of [outputs, inputs]: weights by degree, a row an output; the outputs of one input
                     side by side */
    real **back;  /* their transposes */
    real *bias;   /* [2 inputs] of the last layer, in that order */
} masked_steps;

/* net: masked, with outputs 2 inputs; it stays the caller's. On failure call masked_steps_free. */
vocode_status masked_steps_build(masked_steps *steps, const network *net, vocode_error *error);
void masked_steps_prepare(masked_steps *steps); /* after the network's */
void masked_steps_free(masked_steps *steps);

/* What is solved; the network runs on `input`, in natural order of the channels. */
typedef struct masked_problem {
    network_input in; /* batch, frames and conditioning; x is not read */
    bool bounded;     /* the log-scale is s = 2 tanh(raw / 2), else raw */
} masked_problem;

/* Finds input [rows, inputs] from known, where known = (input - shift) exp(-s), or with `scaled`
 * input = (known - shift) exp(-s): shift and s are the network's of that same input. log_s [rows, inputs] receives s.
 * Takes scratch. */
void masked_steps_solve(const masked_steps *steps, compute *run, const masked_problem *what, bool scaled,
                        const real *known, real *input, real *log_s);

/* The adjoint of the second one: with x = input exp(s) + shift and the gradients dz [rows, inputs] with respect to
 * input and dlogdet [batch] with respect to -sum s, dx [rows, inputs] receives those with respect to x, and dnet [rows,
 * 2 inputs] those with respect to the network's outputs where x stays. Takes scratch. */
void masked_steps_adjoint(const masked_steps *steps, compute *run, const masked_problem *what, const real *input,
                          const real *dz, const double *dlogdet, real *dx, real *dnet);

#endif
