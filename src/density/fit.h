/* A model of vectors fitted to rows by AdamW on shuffled batches, with a part of the rows held out: by maximum
 * likelihood, or by flow matching.
 *
 * The rate rises for the first steps and then falls to nothing along half a cosine. What is judged by the held-out
 * rows' likelihood, and kept where it is best, is the mean of the parameters over the last steps (Polyak, Juditsky
 * 1992, with weights that fall geometrically). The fit ends after `epochs`, or where `patience` of them have brought
 * nothing. A function of the data, the options and the seed, at any number of threads. */
#ifndef DENSITY_FIT_H
#define DENSITY_FIT_H

#include "density/vectors.h"

/* FIT_QUICKEST: matching where the model is one continuous flow, else likelihood. */
typedef enum fit_method { FIT_LIKELIHOOD, FIT_MATCHING, FIT_QUICKEST } fit_method;

typedef struct fit_options {
    fit_method method;
    double valid;             /* the share of rows that is held out, in (0, 1) */
    size_t batch;             /* 0: 256, images 128, matching 1024 */
    size_t epochs;            /* 0: as many as make some 20000 steps, images 800, 50 at least and 1000 at most */
    size_t patience;          /* 0: half of the epochs */
    double rate, decay, clip; /* of AdamW; rate 0: usual_rate (objective.h). The gradient's norm is at most clip */
    double keep;              /* of the parameters' mean, a step: in [0, 1) */
    uint64_t seed;
    int threads;
} fit_options;

extern const fit_options fit_defaults;

typedef struct fit_progress {
    size_t epoch, epochs, skipped; /* skipped: steps whose loss or gradient was not finite */
    double train_nll;              /* nats a row; matching: its loss a row */
    double valid_nll;              /* nats a row, when last judged */
    double rate;
    bool best; /* the best so far */
} fit_progress;

typedef struct fit_watch {
    bool (*see)(void *context, const fit_progress *now); /* false: stop here, what is best so far is kept */
    void *context;
} fit_watch;

/* x [rows, channels], context [rows, model's context] or NULL. VOCODE_VALUE: fewer than two rows, rows that are not
 * finite, a column that is constant; or a fit that runs away. VOCODE_UNSUPPORTED: a base or flow that cannot be trained
 * so. model: a fresh one. */
vocode_status fit_vectors(vectors_model *model, const real *x, const real *context, size_t rows,
                          const fit_options *options, const fit_watch *watch, vocode_error *error);

#endif
