/* The conformance checks: what every flow promises (flows/flow.h), held against independent truths. Each fails the
 * running test with the case's name. */
#ifndef TESTS_FLOWS_CONFORM_H
#define TESTS_FLOWS_CONFORM_H

#include "flows/subject.h"

/* The largest errors seen so far, for people. */
typedef struct conform_worst {
    double inverse, log_determinant, gradient, rebuild, sample;
} conform_worst;
extern conform_worst worst;

/* inverse(forward(x)) = x, forward(inverse(z)) = z; with a tape the same bits; logdet is added to; inputs stay as they
 * are. */
void conform_inverse(const subject *s);
/* logdet against the LU of a dense Jacobian; the Jacobian's structure against AUTOREGRESSIVE; logdet against
 * VOLUME_PRESERVING, both ways. */
void conform_log_determinant(const subject *s);
/* x, conditioning and every parameter by 4-point differences. */
void conform_gradients(subject *s);
/* All of them at once along one random direction: cheap enough for data of several tiles. */
void conform_direction(subject *s);
/* Gradients add to what is there, dx is overwritten; leaving gradients out changes no other; inputs stay as they are.
 */
void conform_accumulation(const subject *s);
/* A batch element alone gives what it gives among others. */
void conform_batch(const flow_case *what, size_t units, uint64_t seed);
/* REINVERTIBLE: the rebuilt gradients are the taped ones; without it, rebuilding is refused. Without STOCHASTIC_LOGDET
 * the same twice. */
void conform_rebuild(const subject *s);
/* SAMPLES_DIFFERENTIABLY: gradients of a function of samples with respect to the latent, the conditioning and every
 * parameter by 4-point differences; they accumulate, and leaving some out changes no other. Without it they are
 * refused. */
void conform_samples(subject *s);
/* All of them at once along one random direction, with the same bits at one thread and three. */
void conform_sample_direction(const flow_case *what, size_t units, uint64_t seed);
/* DATA_DEPENDENT_INIT: parameters change if and only if it is set; where it should, the data come out normalised. */
void conform_first_batch(const subject *s);
/* The inverse looks no further than the halo says; a flow without parts looks that far at the latent where
 * the data are long enough. */
void conform_halo(const subject *s);
/* The same bits with one thread and three. */
void conform_threads(const flow_case *what, size_t units, uint64_t seed);
/* No allocation in any run; skipped where the counter does not work. */
void conform_allocations(const subject *s);
/* Impossible shapes and conditioning are refused with a sentence that names the flow. */
void conform_shapes(const subject *s);

#endif
