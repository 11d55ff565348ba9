/* One face for everything of nn/ that has a forward and a backward pass, so that each test loops over all of them. A
 * subject has its parameters, random input and output gradient, and memory of exactly the sizes that a dry run
 * measured, with guards behind it. */
#ifndef TESTS_NN_SUBJECT_H
#define TESTS_NN_SUBJECT_H

#include "nn/networks.h"
#include "nn/time_embedding.h"
#include "nn/upsampler.h"

typedef enum subject_kind {
    SUBJECT_WN,
    SUBJECT_SQUEEZE_WN,
    SUBJECT_CONVNEXT,
    SUBJECT_UPSAMPLER,
    SUBJECT_TIME
} subject_kind;

typedef struct subject_case {
    const char *name;
    subject_kind kind;
    size_t batch, frames, cond_frames;
    union {
        wn_options wn;
        squeeze_wn_options squeeze_wn;
        convnext_options convnext;
        upsampler_options upsampler;
        time_embedding time; /* features and dim count */
    };
    size_t columns; /* of the upsampler's output */
} subject_case;

typedef struct subject {
    subject_case what;
    param_set set;
    network *net; /* or one of the others */
    upsampler upsampler;
    time_embedding time;
    size_t x_count, cond_count, y_count;
    real *x, *cond, *dy;
    const real *t;                 /* of networks that know a time: one a batch element */
    const struct norm_batch *norm; /* NULL, or a batch of training */
    int threads;
    size_t scratch_used, tape_used; /* bytes that the last run was given */
} subject;

/* Builds it with random values of every parameter, x, cond and dy. Give it to subject_free. */
void subject_open(subject *it, const subject_case *what);
void subject_free(subject *it);

/* After a parameter changed. */
void subject_prepare(subject *it);

/* y [y_count] from memory without a tape. Checks that the run stays in its memory and allocates nothing. */
void subject_forward(subject *it, real *y);

/* Forward with a tape into y, then backward; dx [x_count], dcond [cond_count] and grads [set.total] gain, each unless
 * NULL. The same checks. */
void subject_backward(subject *it, real *y, real *dx, real *dcond, real *grads);

/* count numbers, a function of the stream; freed by free(). */
real *numbers(size_t count, unsigned stream);

/* The largest |a - b| over the largest |b|. */
double distance(const real *a, const real *b, size_t count);

#endif
