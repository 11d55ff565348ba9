/* Named parameters of networks and flows.
 *
 * A layer registers its parameters when it is built, under the names of the published checkpoints where there are any
 * ("WN.0.in_layers.3.weight_v"); values are allocated or bound afterwards. Values belong to the set; gradients do not:
 * a backward pass is given one flat array laid out by param.offset, so one model serves several threads at once. */
#ifndef NN_PARAM_H
#define NN_PARAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/arena.h"
#include "core/fail.h"
#include "core/real.h"

enum { PARAM_MAX_RANK = 4, PARAM_NAME_SIZE = 128 };

typedef enum param_kind {
    PARAM_TRAINED, /* has a gradient */
    PARAM_BUFFER   /* a statistic, such as a running mean: stored with the model, no gradient */
} param_kind;

typedef struct param {
    char name[PARAM_NAME_SIZE];
    param_kind kind;
    int rank;
    size_t shape[PARAM_MAX_RANK];
    size_t count;  /* elements */
    size_t offset; /* where its gradient (and, when allocated, its value) starts in a flat array of set->total reals */
    real *value;   /* [count], in the order of the shape; NULL until allocated or bound */
    bool mapped;   /* value lies in a read-only mapping of a file */
    bool invertible; /* a square matrix that has to keep an inverse: training guards it, and does not let it decay */
} param;

typedef struct param_set {
    param **items; /* in the order of registration */
    size_t count, capacity;
    size_t total;       /* reals of all parameters */
    real *storage;      /* from param_allocate, or NULL */
    size_t limit;       /* 0, or the most reals that registrations may ask for: a hostile configuration fails early */
    bool failed;        /* a registration went past the limit or ran out of memory, or a name was too long or taken:
                           param_allocate reports it; or a layer had no memory for its packed weights */
    memory_pool packed; /* what layers make of the parameters: panels and the like */
    bool fixed;         /* no backward pass will run: layers keep their weights in panels only */
    bool training;      /* the parameters change again before anything but a step is asked: what serves other runs
                           alone need not be prepared */
} param_set;

/* Registers prefix + name (prefix may be ""). Returns NULL and sets set->failed when it cannot. The pointer stays valid
 * until param_set_free. */
param *param_add(param_set *set, param_kind kind, const char *prefix, const char *name, int rank, const size_t *shape);

/* Gives every parameter zeroed memory inside one flat array (set->storage). Fails where a registration failed. */
vocode_status param_allocate(param_set *set, vocode_error *error);

/* The parameter of that name, or NULL. */
param *param_find(const param_set *set, const char *name);

/* Numbers of the parameters that are trained. */
size_t param_set_trained(const param_set *set);

void param_set_free(param_set *set);

/* The gradient's place of p in the flat array, or NULL where grads is NULL. */
real *param_grad(const param *p, real *grads);

/* Draws p's values from a normal of the given standard deviation, a function of (seed, name): independent of order. */
void param_init_normal(param *p, uint64_t seed, double deviation);

/* The same, uniform on (-bound, bound). */
void param_init_uniform(param *p, uint64_t seed, double bound);

void param_fill(param *p, double value);

/* p has been read to the end and is not wanted soon: where it is mapped and large, its pages are given back to the
 * system, which reads them again when they are. */
void param_rest(const param *p);

#endif
