/* Maximum likelihood: a model of vectors fitted to rows by AdamW on shuffled batches, with a part of the rows held out.
 *
 * The rate falls to a third whenever the held-out likelihood has not improved for `patience` epochs, and the fit ends
 * after the last of these falls, or after `epochs`. What is kept is the best epoch's. A function of the data, the
 * options and the seed, at any number of threads. */
#ifndef DENSITY_FIT_H
#define DENSITY_FIT_H

#include "density/vectors.h"

typedef struct fit_options {
    double valid; /* the share of rows that is held out, in (0, 1) */
    size_t batch;
    size_t epochs;            /* 0: as many as make some 12000 steps, 50 at least and 1000 at most */
    size_t patience;          /* 0: a quarter of the epochs */
    double rate, decay, clip; /* of AdamW; the gradient's norm is at most clip */
    uint64_t seed;
    int threads;
} fit_options;

extern const fit_options fit_defaults;

typedef struct fit_progress {
    size_t epoch, epochs, skipped; /* skipped: steps whose loss or gradient was not finite */
    double train_nll, valid_nll;   /* nats a row */
    double rate;
    bool best; /* the best so far */
} fit_progress;

typedef struct fit_watch {
    bool (*see)(void *context, const fit_progress *now); /* false: stop here, what is best so far is kept */
    void *context;
} fit_watch;

/* x [rows, channels], context [rows, model's context] or NULL. VOCODE_VALUE: fewer than two rows, rows that are not
 * finite, a column that is constant; or a fit that runs away. model: a fresh one. */
vocode_status fit_vectors(vectors_model *model, const real *x, const real *context, size_t rows,
                          const fit_options *options, const fit_watch *watch, vocode_error *error);

#endif
