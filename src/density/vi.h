/* Variational inference: a flow q of base noise fitted to an unnormalised density exp(-U) by reverse KL.
 *
 * Rezende, Mohamed, "Variational inference with normalizing flows", ICML 2015. With z = f(e) of noise e from the base
 * q0, the free energy (eq. 15) is
 *
 *     F = E_q [log q(z) + U(z)] = E_q0 [log q0(e) - log|det df/de| + U(f(e))]      KL(q || p) = log Z + F >= 0
 *
 * and -F bounds log Z, the log of the integral of exp(-U), from below. What a step follows is F with beta U instead of
 * U, where beta rises from 0.01 to 1 (eq. 20), so that q finds all modes before it has to choose. The gradient goes
 * through f: the model's chain is turned, from latent to data, and needs no inverse (vectors_create_turned). */
#ifndef DENSITY_VI_H
#define DENSITY_VI_H

#include "density/energies.h"
#include "density/vectors.h"

typedef struct vi_options {
    size_t tries; /* fits from fresh parameters of seed, seed + 1, ...: the one with the highest bound stays */
    size_t steps, batch;
    size_t anneal;            /* steps until beta is 1; 0: half of them */
    double rate, decay, clip; /* of AdamW; the rate falls along half a cosine */
    uint64_t seed;
    int threads;
} vi_options;

extern const vi_options vi_defaults;

typedef struct vi_progress {
    size_t attempt, attempts;    /* from 1 */
    size_t step, steps, skipped; /* skipped: steps whose loss or gradient was not finite */
    double free_energy;          /* nats, of the batches since the last report, with beta 1 */
    double beta, rate;
} vi_progress;

typedef struct vi_watch {
    bool (*see)(void *context, const vi_progress *now); /* some hundred times; false: stop here */
    void *context;
} vi_watch;

/* model: a fresh one that is turned. A function of the options and the seed, at any number of threads. VOCODE_VALUE: it
 * runs away; VOCODE_CANCELLED: the energy gave up; VOCODE_UNSUPPORTED: a flow that has no such gradient. */
vocode_status vi_fit(vectors_model *model, const energy *target, const vi_options *options, const vi_watch *watch,
                     vocode_error *error);

/* What draws of a model tell of a density. Errors are standard errors; those of log_z are to first order. */
typedef struct vi_evidence {
    double bound, bound_error; /* -F */
    double log_z, log_z_error; /* of the importance weights' mean, w = exp(-U) / q: log Z, if q leaves nothing out */
    double effective;          /* (sum w)^2 / sum w^2, of so many draws */
    size_t draws;
} vi_evidence;

/* Any model without a context. VOCODE_VALUE where the energy is NaN. */
vocode_status vi_measure(const vectors_model *model, const energy *target, size_t draws, uint64_t seed, int threads,
                         vi_evidence *out, vocode_error *error);

#endif
