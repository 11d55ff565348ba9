/* How far samples of a model are from the data whose mels they were told: the spectral energy distance of two drafts
 * (dsp/spectral_energy.h), and mel_weight times the mean distance of their mels from the data's (dsp/mel_distance.h).
 */
#ifndef VOCODER_SAMPLE_ENERGY_H
#define VOCODER_SAMPLE_ENERGY_H

#include "vocoder/model.h"

enum { ENERGY_DRAFTS = 2 };

typedef struct sample_energy sample_energy;

/* repulsion: of the drafts, 1 as data are apart, 0 not at all. The mel's part is there where the model has a convention
 * and mel_weight is above 0. Immutable, for any number of threads. */
vocode_status sample_energy_new(const vocode_model *model, double repulsion, double mel_weight, sample_energy **out,
                                vocode_error *error);
void sample_energy_free(sample_energy *self); /* NULL is fine */

/* VOCODE_VALUE where blocks of so many samples have no frame of every resolution. */
vocode_status sample_energy_check(size_t samples, vocode_error *error);

/* The mean over the batch, x and the drafts y of that shape (one channel); dy becomes weight times its gradients where
 * it is given. */
double sample_energy_run(const sample_energy *self, compute *work, flow_shape shape, const real *x,
                         real *const y[ENERGY_DRAFTS], double weight, real *const dy[ENERGY_DRAFTS]);

#endif
