/* A loss of samples for models whose chain has gradients of them (FLOW_SAMPLES_DIFFERENTIABLY), beside the likelihood.
 *
 * Two drafts x' = f^-1(z | mel) of noise z at the deviation spectral.sigma, independent of the data but for the mel,
 * are compared with the data and with each other (vocoder/sample_energy.h). The likelihood is spread over everything
 * that the data do, inaudible things too; this one asks that what is drawn has their spectrograms. Hsu, Lee,
 * "WG-WaveNet", Interspeech 2020, train a small WaveGlow by its likelihood and a spectral loss of samples together.
 * Where we differ: the loss is an energy distance, which samples that keep their variety minimise, and not a mean of
 * their errors. */
#ifndef VOCODER_SAMPLE_LOSS_H
#define VOCODER_SAMPLE_LOSS_H

#include "vocoder/sample_energy.h"

/* VOCODE_VALUE where the model has no gradients of samples, or an objective of its own. */
vocode_status sample_loss_check(const vocode_model *model, size_t samples, vocode_error *error);

/* The mean loss of the task's batch; spectral.weight times its gradients are added to task->grads and task->dcond where
 * they are given. The noise is a function of the objective's seed and of the element's number. As
 * vocoder_class.objective otherwise. */
vocode_status sample_loss(const vocode_model *model, const block_task *task, const sample_energy *energy, double *loss);

#endif
