/* AdamW (Kingma, Ba, "Adam", ICLR 2015, algorithm 1; Loshchilov, Hutter, "Decoupled weight decay", ICLR 2019, algorithm
 * 2) over the trained parameters of a set. */
#ifndef DENSITY_ADAM_H
#define DENSITY_ADAM_H

#include "kernels/compute.h"
#include "nn/param.h"

typedef struct adam {
    size_t total, steps;
    real *first, *second; /* moments [total] */
    size_t *ends;         /* [ranges] of numbers that move, from range 0 on every other one, and of those that stay */
    size_t ranges;
    real *mean;  /* [total] of the values after the last steps, weights falling geometrically */
    double keep; /* their ratio; less at the beginning, so that the start is forgotten */
} adam;

/* keep: of the mean, in [0, 1). Parameters whose names begin with frozen (NULL: none), and statistics, stay as they
 * are. false: out of memory. */
bool adam_new(adam *state, const param_set *set, const char *frozen, double keep);
void adam_free(adam *state);

/* The parameters and their mean change places. */
void adam_swap(adam *state, param_set *set);

/* One step down grads [shards][total], whose sum counts, at most clip long. false, and nothing happens, where it is not
 * finite. */
bool adam_step(adam *state, param_set *set, const compute *run, real *grads, size_t shards, double rate, double decay,
               double clip);

#endif
