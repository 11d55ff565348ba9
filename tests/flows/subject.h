/* A flow under test: built from a case, its parameters drawn at random (so that no coupling is the identity), with
 * data, conditioning and exactly the memory that flow_measure asked for, fenced. */
#ifndef TESTS_FLOWS_SUBJECT_H
#define TESTS_FLOWS_SUBJECT_H

#include <stdbool.h>

#include "flows/flow.h"

typedef struct flow_case {
    const char *name;
    const char *kind, *options; /* of the registry, or */
    vocode_status (*build)(flow_dims dims, param_set *set, flow **out, vocode_error *error);
    size_t channels, cond_channels;
    size_t unit;       /* frames are multiples of it */
    size_t cond_ratio; /* data frames a frame of conditioning; divides unit */
    bool normalises;   /* the data-dependent start leaves every channel with mean 0 and variance 1 */
} flow_case;

extern const flow_case flow_cases[]; /* ends in a row without a name */

typedef struct fenced {
    unsigned char *memory;
    size_t size;
} fenced;

enum { FLOW_USES = FLOW_SAMPLE + 1 };

typedef struct subject {
    const flow_case *what;
    flow *chain;
    param_set set;
    flow_shape shape, latent;
    size_t batch, each, count;      /* numbers of one batch element, and of all */
    size_t cond_frames, cond_count; /* of all */
    real *x, *cond;                 /* [count], [cond_count] */
    real *dz;                       /* [count]: the gradient that backward starts from */
    double *dlogdet;                /* [batch] */
    fenced scratch[FLOW_USES], tape[FLOW_USES];
    int threads;
    const struct norm_batch *norm; /* NULL, or as of training */
    size_t first;                  /* the number of its first batch element, for flows that draw */
} subject;

/* What the trait SOLVED leaves to be desired, at tolerances of 1e-10. */
double subject_tolerance(const subject *s, double tolerance);

/* units: frames / what->unit. Fails the test where anything cannot be made. */
subject *subject_new(const flow_case *what, size_t units, size_t batch, uint64_t seed, int threads);
void subject_free(subject *s);

/* Whether backward through it is to be had: not where the trait MATCHED says that it is refused. */
bool subject_trains(const subject *s);

/* Whether it has that use, by its traits. */
bool subject_serves(const subject *s, flow_use use);

/* A run with its own memory for that use. cond may differ from s->cond; the fences are looked at by subject_check. */
typedef struct subject_run {
    compute work;
    flow_run run;
    arena tape;
    vocode_error error;
} subject_run;
void subject_start(const subject *s, flow_use use, subject_run *r);
/* Fails the test if memory outside of what was measured was written, or more was asked for. */
void subject_check(const subject *s, flow_use use, const subject_run *r);

/* z [count]; logdet [batch] is overwritten. */
void subject_forward(const subject *s, const real *x, const real *cond, real *z, double *logdet);
void subject_inverse(const subject *s, const real *z, const real *cond, real *x);

/* The gradients of sum(dz z) + sum(dlogdet logdet); grads [set.total] and dcond [cond_count] are accumulated into, each
 * unless NULL. rebuilt: NULL for a taped run, or the place [count] for x as it is rebuilt. */
void subject_backward(const subject *s, real *dx, real *grads, real *dcond, real *rebuilt);

/* The gradients of sum(dz x) for samples x of z; x and z receive what the run made of them. grads and dcond as above.
 */
void subject_sample_backward(const subject *s, const real *z, real *x, real *again, real *out, real *grads,
                             real *dcond);

/* The functional that subject_backward differentiates. */
double subject_value(const subject *s, const real *x, const real *cond);

/* [count], freed by aligned_free; the test fails where there is no memory. */
real *numbers(size_t count);
real *copy_of(const real *values, size_t count);

/* For slopes along a direction in which all numbers move at once: count normal ones, freed by aligned_free. */
real *direction_of(size_t count, uint64_t seed);
/* Statistics stay where they are: they have no gradient. along [the set's total] */
void direction_keep_statistics(const subject *s, real *along);
/* to = from + step along [count] */
void move_along(const real *from, const real *along, double step, real *to, size_t count);
/* The sum of the products; size grows by that of their absolute values. */
double dot(const real *a, const real *b, size_t count, double *size);
double largest(const real *values, size_t count);
double largest_difference(const real *a, const real *b, size_t count);

#endif
