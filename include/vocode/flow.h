/* Densities of vectors: normalizing flows that are fitted to rows of numbers, score and sample them, and go to the
 * latent and back.
 *
 * Arrays are batch-first: x and z [rows, channels], context [rows, context], what each row is conditioned on (NULL
 * where the model has none). The columns of an open model are those of vocode_flow_describe. They are the caller's
 * before and after a call and are not kept; results go to arrays that the caller allocates, whose contents are
 * undefined after a failure. Log densities are in nats.
 *
 * A flow does not change once it is there: any number of threads may use one at once. What becomes of a row does not
 * depend on the other rows, nor on the number of threads. threads 0 means all that OpenMP offers.
 *
 * Structures that the library fills keep their layout within a SOVERSION; those that it reads, vocode_flow_options
 * and vocode_inference_options, grow at their end. */
#ifndef VOCODE_FLOW_H
#define VOCODE_FLOW_H

#include <stddef.h>
#include <stdint.h>

#include <vocode/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vocode_flow vocode_flow;

/* What a fit says after every pass over the rows. */
typedef struct vocode_flow_progress {
    size_t epoch, epochs;        /* the pass that ended, from 1, and the most there will be */
    size_t skipped;              /* steps so far whose loss or gradient was not finite */
    double train_nll, valid_nll; /* nats a row: mean while training, and of the rows that are held out */
    double rate;                 /* learning rate of the pass */
    int best;                    /* 1: valid_nll is the lowest so far */
} vocode_flow_progress;

/* Called in the thread that asked for the fit. 0 goes on; a positive result ends the fit, with what was best so far; a
 * negative one cancels it (VOCODE_CANCELLED, no model). */
typedef int (*vocode_flow_watch)(void *context, const vocode_flow_progress *now);

/* The shape of rows that are images: a row is their numbers as [height, width, planes], as arrays have them. */
typedef struct vocode_image {
    size_t height, width; /* pixels; both 0: rows are no images */
    size_t planes;        /* channels of a pixel; 0: one, and arrays have no axis for it */
} vocode_image;

/* How a flow is made. Zero-initialise; a zero field means the default. Later versions of the library add fields at the
 * end alone. size tells them which fields the caller was compiled with, as in vocode_synthesis. */
typedef struct vocode_flow_options {
    size_t size;             /* 0, or sizeof(vocode_flow_options) as compiled */
    const char *base;        /* of the latent's numbers: NULL or "gaussian", or "logistic" */
    uint64_t seed;           /* of the first weights, of which rows are held out and of the order of the others */
    double valid;            /* the share of rows that is held out, in (0, 0.9]; 0: 0.1 */
    size_t batch;            /* rows of a step; 0: 256, or 128 for images and 1024 for matching */
    size_t epochs;           /* passes at most; 0: as many as make 20000 steps (images: 800), from 50 to 1000 */
    size_t patience;         /* passes without improvement after which the fit ends; 0: half of them */
    double rate;             /* learning rate of the first pass, in (0, 1], which falls along half a cosine; 0: 0.002,
                                or 0.001 for additive couplings and 0.004 for MADE, images and matching */
    double decay;            /* AdamW's weight decay; 0: 1e-6, negative: none */
    double clip;             /* the longest gradient of a step; 0: 10 */
    int threads;             /* 0: all. The fit is the same, to the bit, at any number */
    vocode_flow_watch watch; /* may be NULL */
    void *context;           /* for watch */
    vocode_image image; /* what the rows are, if they are images: of as many numbers as there are channels. Couplings
                           by chessboards, convolutions and multiscale then know, a plane's pixels have one mean
                           and deviation, and the model keeps the shape */
} vocode_flow_options;

/* A fresh flow of rows of that many channels, conditioned on context numbers (0: on nothing). spec says which, from
 * data to latent, such as "maf:layers=5,hidden=128" or "(actnorm,linear,coupling)*8"; vocode flow list prints what may
 * be named (docs/FLOWS.md). Of options (NULL: defaults) it takes base, seed and image. Free it with vocode_flow_free.
 * VOCODE_VALUE for a spec that cannot be read or built and a base that there is none of, VOCODE_ARGUMENT for options
 * out of range, VOCODE_SHAPE for zero channels and for an image of another number of them, VOCODE_MEMORY; *model is
 * NULL then. */
VOCODE_API vocode_status vocode_flow_create(const char *spec, size_t channels, size_t context,
                                            const vocode_flow_options *options, vocode_flow **model,
                                            vocode_error *error);

/* The flow that makes x [rows, channels] likely (given context [rows, context_channels]; NULL and 0: given nothing): by
 * AdamW on shuffled batches, with a part of the rows held out to tell which pass was best; one continuous flow alone by
 * flow matching, which needs no likelihood. The columns' means and
 * deviations become part of the flow. Errors as for create, and VOCODE_VALUE for fewer than two rows, NaN or infinity
 * (the sentence says where), a column that is constant, and a fit that runs away; VOCODE_CANCELLED. */
VOCODE_API vocode_status vocode_flow_fit(const char *spec, const float *x, size_t rows, size_t channels,
                                         const float *context, size_t context_channels,
                                         const vocode_flow_options *options, vocode_flow **model, vocode_error *error);

/* Reads a model file of save or of the program (safetensors, of the kind "vectors"). Errors as for vocode_model_open;
 * the file is not needed afterwards. */
VOCODE_API vocode_status vocode_flow_open(const char *path, vocode_flow **model, vocode_error *error);

/* The file appears whole or not at all. VOCODE_IO, VOCODE_MEMORY. */
VOCODE_API vocode_status vocode_flow_save(const vocode_flow *model, const char *path, vocode_error *error);

/* NULL is fine. No call on it may be under way. */
VOCODE_API void vocode_flow_free(vocode_flow *model);

/* What a flow is. Strings are borrowed and live as long as the flow. */
typedef struct vocode_flow_info {
    const char *spec, *base;
    size_t channels;     /* columns of x and z */
    size_t context;      /* columns of context, 0: none */
    size_t parameters;   /* trained numbers */
    size_t rows, epochs; /* that it was fitted to and for; 0 where it was not */
    double valid_nll;    /* nats a row held out, at the best pass; NaN where it was not fitted */
    int turned;          /* 1: spec goes from latent to data (vocode_flow_infer) */
} vocode_flow_info;
VOCODE_API void vocode_flow_describe(const vocode_flow *model, vocode_flow_info *info);

/* The shape of its rows; all 0 where they are no images. */
VOCODE_API void vocode_flow_image(const vocode_flow *model, vocode_image *image);

/* Draws x [rows, channels]. Row i is a function of the seed and of i (and of its context): more rows begin with the
 * same ones. These four: VOCODE_SHAPE for zero rows and where a context is missing or not wanted, VOCODE_VALUE on NaN
 * or infinity (the sentence says where) and for x outside of what the flow can take, VOCODE_ARGUMENT for threads below
 * zero, VOCODE_MEMORY. */
VOCODE_API vocode_status vocode_flow_sample(const vocode_flow *model, const float *context, size_t rows, uint64_t seed,
                                            int threads, float *x, vocode_error *error);

/* log_density [rows] of x [rows, channels]. */
VOCODE_API vocode_status vocode_flow_score(const vocode_flow *model, const float *x, const float *context, size_t rows,
                                           int threads, double *log_density, vocode_error *error);

/* x [rows, channels] -> latent z [rows, channels], and back. The two must not overlap. */
VOCODE_API vocode_status vocode_flow_encode(const vocode_flow *model, const float *x, const float *context, size_t rows,
                                            int threads, float *z, vocode_error *error);
VOCODE_API vocode_status vocode_flow_decode(const vocode_flow *model, const float *z, const float *context, size_t rows,
                                            int threads, float *x, vocode_error *error);

/* An unnormalised density exp(-U): writes U of z [rows, channels] to value [rows], nats, up to a constant, and dU/dz to
 * slope [rows, channels] unless that is NULL. Called in the thread that asked. Nonzero cancels. */
typedef int (*vocode_energy)(void *context, const float *z, size_t rows, double *value, float *slope);

/* What an inference says some two hundred times. */
typedef struct vocode_inference_progress {
    size_t attempt, attempts;
    size_t step, steps; /* of the attempt */
    size_t skipped;     /* steps so far whose loss or gradient was not finite */
    double free_energy; /* E[log q(z) + U(z)] of the batches since the last time, nats */
    double beta;        /* of the annealing: what the energy counts for, 0.01 to 1 */
    double rate;        /* learning rate */
} vocode_inference_progress;
typedef int (*vocode_inference_watch)(void *context, const vocode_inference_progress *now); /* as vocode_flow_watch */

/* As vocode_flow_options: zero fields mean defaults, size tells which fields there are. */
typedef struct vocode_inference_options {
    size_t size;                  /* 0, or sizeof(vocode_inference_options) as compiled */
    const char *base;             /* of the noise: NULL or "gaussian", or "logistic" */
    uint64_t seed;                /* of the first weights and of the noise */
    size_t tries;                 /* fits with seed, seed + 1, ...: the best stays; 0: 3 */
    size_t steps, batch;          /* of each; 0: 20000 and 256 */
    size_t anneal;                /* steps until the energy counts in full; 0: half of them */
    double rate;                  /* learning rate to begin with; 0: 0.02. It falls along half a cosine */
    double clip;                  /* the longest gradient of a step; 0: 10 */
    int threads;                  /* 0: all. The result is the same, to the bit, at any number */
    vocode_inference_watch watch; /* may be NULL */
    void *context;                /* for watch */
} vocode_inference_options;

/* The flow q whose samples are as if drawn from exp(-U) / Z: from noise to z through spec, in that order, by gradients
 * of the free energy E_q[log q + U] (Rezende, Mohamed 2015), which is KL(q, p) - log Z. It needs flows that are quick
 * from noise to z: of the families planar and iaf are, and the couplings. What comes out is a flow like any other.
 * Errors as for vocode_flow_create; VOCODE_VALUE where it runs away, VOCODE_CANCELLED. */
VOCODE_API vocode_status vocode_flow_infer(const char *spec, size_t channels, vocode_energy energy,
                                           void *energy_context, const vocode_inference_options *options,
                                           vocode_flow **model, vocode_error *error);

/* What draws of a flow tell of exp(-U), nats. Errors are standard errors. */
typedef struct vocode_evidence {
    double bound, bound_error; /* -E_q[log q + U]: no more than log Z, by KL(q, p) */
    double log_z, log_z_error; /* by importance sampling: log of the mean of exp(-U) / q */
    double effective;          /* (sum w)^2 / sum w^2 of the weights w: so many draws are as good as drawn from p */
    size_t draws;
} vocode_evidence;

/* draws at least 2; a flow without a context. VOCODE_VALUE where an energy is NaN, VOCODE_CANCELLED, others as above.
 */
VOCODE_API vocode_status vocode_flow_evidence(const vocode_flow *model, vocode_energy energy, void *energy_context,
                                              size_t draws, uint64_t seed, int threads, vocode_evidence *evidence,
                                              vocode_error *error);

#ifdef __cplusplus
}
#endif
#endif
