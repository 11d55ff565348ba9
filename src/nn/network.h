/* A network that maps rows and conditioning to rows: what affine couplings and conditional scales are made of.
 *
 * x [batch, frames, inputs] and cond [batch, cond_frames, conditioning] give y [batch, frames, outputs], where
 * cond_frames is frames, or divides it: then each column of conditioning serves frames / cond_frames rows in turn.
 * inputs may be 0 (x NULL): a function of the conditioning alone. A network may know a time besides, one a batch
 * element, through factors that are the same for all of its rows (nn/modulation.h).
 *
 * Memory: every call takes scratch from run->scratch and gives it back. With a tape, forward takes what backward needs
 * from the tape arena and leaves it there; backward, given an arena that starts at the same place, makes the same takes
 * and finds it. While measuring, both only count; what they count does not depend on which gradients are wanted. */
#ifndef NN_NETWORK_H
#define NN_NETWORK_H

#include "kernels/compute.h"
#include "nn/param.h"

typedef struct network network;

typedef struct network_input {
    size_t batch, frames, cond_frames;
    const real *x;                 /* [batch, frames, inputs] */
    const real *cond;              /* [batch, cond_frames, conditioning] */
    const real *t;                 /* [batch] in [0, 1], where the network knows a time */
    const struct norm_batch *norm; /* of training (nn/batch_norm.h); NULL: batch norm has its running statistics */
} network_input;

typedef struct network_class {
    const char *name;
    /* Draws the parameters from the seed; the last layer becomes zero, so a flow starts near the identity. */
    void (*init)(network *net, uint64_t seed);
    /* Folds and packs after parameters changed. */
    void (*prepare)(network *net);
    /* y is overwritten; tape may be NULL. */
    void (*forward)(const network *net, compute *run, const network_input *in, real *y, arena *tape);
    /* From the tape of a forward call on the same input; dy is not changed. dx, dcond and grads accumulate, each unless
     * NULL. */
    void (*backward)(const network *net, compute *run, const network_input *in, const real *dy, real *dx, real *dcond,
                     real *grads, arena *tape);
    /* Frames that y[t] sees on either side of t. */
    size_t (*reach)(const network *net);
    void (*destroy)(network *net);
    /* Of networks that know a time: reals of its factors, and making them. Takes scratch. NULL: it knows none. */
    size_t (*factors)(const network *net);
    void (*modulate)(const network *net, compute *run, real t, real *factors);
    const struct network_stages *stages; /* how it runs as rows come: nn/stream.h */
} network_class;

struct network {
    const network_class *type;
    size_t inputs, outputs, conditioning; /* channels */
};

#endif
