/* The right-hand side of an ordinary differential equation as a perceptron of smooth units, its divergence, and the
 * gradients of both, which take the units' second derivatives:
 *
 *     h_0 = [y, t, sin(pi t), cos(pi t), ..., sin(waves pi t), cos(waves pi t), cond]
 *     p_k = h_k W_k + b_k,  h_(k+1) = unit(p_k)  k < layers;      v = h_layers W_layers + b_layers
 *
 * The divergence is found along directions e_j, whose derivatives go through the same layers beside the values (forward
 * differentiation; Griewank, Walther, "Evaluating derivatives", 2008, section 3.1):
 *
 *     dh_0 = [e_j, 0],  dp_k = dh_k W_k,  dh_(k+1) = unit'(p_k) dp_k,  dv_j = dh_layers W_layers,  sum_j e_j' dv_j
 *
 * Unit vectors give the trace of dv/dy; one vector of independent signs gives an estimate of it (Hutchinson 1989). */
#ifndef NN_VELOCITY_H
#define NN_VELOCITY_H

#include "nn/dense.h"

/* X(name, unit(p)) */
#define VELOCITY_UNITS(X)   \
    X(silu, "p sigmoid(p)") \
    X(tanh, "tanh p")       \
    X(softplus, "log(1 + e^p)")

typedef enum velocity_unit {
#define VELOCITY_UNIT(name, meaning) VELOCITY_##name,
    VELOCITY_UNITS(VELOCITY_UNIT)
#undef VELOCITY_UNIT
} velocity_unit;

typedef struct velocity_options {
    size_t channels, conditioning;
    size_t layers, width; /* hidden */
    size_t waves;         /* pairs of sines and cosines of the time */
    int unit;             /* velocity_unit */
} velocity_options;

typedef struct velocity {
    velocity_options shape;
    dense layer[]; /* [layers + 1] */
} velocity;

/* Rows that do not see each other, each at a time of its own. */
typedef struct velocity_input {
    size_t rows, directions;
    const real *y;     /* [rows, channels] */
    const double *t;   /* [rows] */
    const real *cond;  /* [rows, conditioning] */
    const real *along; /* [directions, rows, channels] */
} velocity_input;

/* Registers layers.K.weight and layers.K.bias under prefix. VOCODE_VALUE: sizes that cannot be; VOCODE_MEMORY. */
vocode_status velocity_build(const velocity_options *options, param_set *set, const char *prefix, velocity **out,
                             vocode_error *error);
void velocity_init(velocity *net, uint64_t seed); /* the last layer becomes zero */
void velocity_prepare(velocity *net);
void velocity_free(velocity *net); /* NULL is fine */

/* v [rows, channels] and divergence [rows] (of the given directions) are overwritten. tape: NULL, or an arena that
 * keeps what backward needs (nn/network.h says how tapes serve). Takes scratch. */
void velocity_forward(const velocity *net, compute *run, const velocity_input *in, real *v, double *divergence,
                      arena *tape);

/* From the tape of a forward call on the same input; dv [rows, channels], ddivergence [rows]. dy [rows, channels],
 * dcond [rows, conditioning] and grads accumulate, each unless NULL. Takes scratch. */
void velocity_backward(const velocity *net, compute *run, const velocity_input *in, const real *dv,
                       const double *ddivergence, real *dy, real *dcond, real *grads, arena *tape);

#endif
