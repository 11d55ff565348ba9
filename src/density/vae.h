/* A variational autoencoder of whole numbers whose posterior may be a flow (Kingma, Welling, "Auto-encoding variational
 * Bayes", ICLR 2014; Rezende, Mohamed 2015, section 4; Kingma et al. 2016, section 3). With x in 0 to L a pixel:
 *
 *     (m, s, h) = encoder(x)            z_0 = m + exp(s) e,  e ~ N(0, 1);   z = flow(z_0; h)
 *     p(x | z) = prod_i Binomial(x_i; L, sigmoid(a_i)),  a = decoder(z);    p(z) = N(0, 1)
 *     ELBO = E[log p(x | z) + log p(z) - log q(z | x)],  log q = log N(e) - sum s - log|det dz/dz_0|
 *
 * Both networks are perceptrons of silu units. The flow's conditioning is h, as many numbers as the latent has; without
 * a flow the posterior is mean-field. Arrays are batch-first: x [rows, channels], z [rows, latent]. A row's outcome
 * does not depend on the other rows, nor on the number of threads. */
#ifndef DENSITY_VAE_H
#define DENSITY_VAE_H

#include "density/image.h"
#include "flows/flow.h"
#include "nn/network.h"

typedef struct vae_sizes {
    size_t channels;
    image_size image;             /* of so many numbers as channels; all 0 where rows are no images */
    size_t levels;                /* L, the largest number that may occur */
    size_t latent, hidden, depth; /* hidden layers of both networks */
    const char *posterior;        /* "mean-field", "planar", "iaf", or a line for flows from noise to z (spec.h) */
} vae_sizes;

typedef struct vae {
    vae_sizes sizes; /* its posterior is the model's own copy */
    param_set set;
    double *choices; /* [levels + 1] log of the binomial coefficients of L */
    network *encoder, *decoder;
    flow *flow; /* NULL: mean-field */
    size_t rows, epochs;
    double valid_elbo; /* nats a row held out, as fitted; NaN where it was not */
} vae;

/* A fresh one. VOCODE_VALUE: sizes of zero, a posterior that cannot be built. */
vocode_status vae_create(const vae_sizes *sizes, uint64_t seed, vae **out, vocode_error *error);
vocode_status vae_open(const char *path, vae **out, vocode_error *error);
vocode_status vae_save(const vae *model, const char *path, vocode_error *error);
void vae_free(vae *model); /* NULL is fine */

/* After values changed. */
vocode_status vae_prepare(vae *model, vocode_error *error);

/* Whether the file says that it is one; false, too, for what cannot be read. */
bool vae_is(const char *path);

/* VOCODE_VALUE names a row that is not made of whole numbers from 0 to L. */
vocode_status vae_check(const vae *model, const real *x, size_t rows, vocode_error *error);

/* One draw of every row. */
typedef struct vae_batch {
    size_t rows;
    const real *x, *noise; /* noise [rows, latent]: e */
    double *elbo;          /* [rows] log p(x, z) - log q(z | x), nats */
    /* For gradients: of weight times the sum of -log p(x | z) + beta (log q - log p(z)), whose value becomes *loss.
     * They accumulate into grads; NULL: none are wanted. */
    double beta, weight, *loss;
    real *grads;
} vae_batch;

/* By one thread; takes scratch, and tape where gradients are wanted. While measuring, everything is counted. */
vocode_status vae_run(const vae *model, compute *work, arena *tape, const vae_batch *batch, vocode_error *error);

/* Of every row, over draws that are a function of the seed, of the row's number and of the draw's: the mean, the ELBO;
 * and the log of the mean of the weights' exponentials, a tighter bound (Burda, Grosse, Salakhutdinov, "Importance
 * weighted autoencoders", ICLR 2016, eq. 8). Each [rows], or NULL. */
vocode_status vae_score(const vae *model, const real *x, size_t rows, size_t draws, uint64_t seed, int threads,
                        double *elbo, double *tighter, vocode_error *error);

/* z of the middle of q(z | x), e = 0; with a seed a draw of q(z | x). */
vocode_status vae_encode(const vae *model, const real *x, size_t rows, const uint64_t *seed, real *z,
                         vocode_error *error);

/* x [rows, channels]: the means of p(x | z). */
vocode_status vae_decode(const vae *model, const real *z, size_t rows, real *x, vocode_error *error);

/* Whole numbers of p(x); the means of p(x | z) for such z with means. */
vocode_status vae_sample(const vae *model, size_t rows, uint64_t seed, bool means, real *x, vocode_error *error);

typedef struct vae_options {
    double valid;               /* the share of rows held out, in (0, 1) */
    size_t batch, epochs, warm; /* warm: epochs in which beta rises from 0 to 1; the last may be all */
    double rate, decay, clip, keep;
    uint64_t seed;
    int threads;
} vae_options;

extern const vae_options vae_defaults;

typedef struct vae_progress {
    size_t epoch, epochs, skipped;
    double train_loss, valid_elbo; /* nats a row */
    double beta, rate;
    bool best;
} vae_progress;

typedef struct vae_watch {
    bool (*see)(void *context, const vae_progress *now); /* false: stop here, what is best so far is kept */
    void *context;
} vae_watch;

/* By AdamW on shuffled batches; kept is the mean of the parameters over the last steps (fit.h) after the epoch that
 * gives the held-out rows the best ELBO. VOCODE_VALUE: fewer than two rows, one number everywhere, what vae_check
 * refuses, a fit that runs away. */
vocode_status vae_fit(vae *model, const real *x, size_t rows, const vae_options *options, const vae_watch *watch,
                      vocode_error *error);

#endif
