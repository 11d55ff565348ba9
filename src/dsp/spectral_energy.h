/* How far samples of a generator are from data, by their spectrograms: the energy distance of Gritsenko, Salimans, van
 * den Berg, Snoek, Kalchbrenner, "A spectral energy distance for parallel speech synthesis", NeurIPS 2020, eq. 2 and 3:
 *
 *     E = E[2 d(x, y) - r d(y, y')],   y, y' two independent samples for the conditioning of x
 *     d(a, b) = mean over resolutions and frames of  |M(a) - M(b)|_1 / |M(x)|_1 + rms(log M(a) - log M(b))
 *
 * M is the magnitude of an STFT (Hann windows of 512, 1024 and 2048, a quarter of them apart, whole frames only). With
 * r = 1 it is at its least if and only if y is distributed as x, as far as such distances can see; no teacher, no
 * discriminator. With less repulsion r the samples of one conditioning keep closer together, and at 0 they are medians.
 * Where we differ: linear magnitudes are taken relative to the frame's, so that loud frames do not outweigh quiet ones.
 */
#ifndef DSP_SPECTRAL_ENERGY_H
#define DSP_SPECTRAL_ENERGY_H

#include "core/arena.h"
#include "core/real.h"

#include <vocode/status.h>

typedef struct spectral_energy spectral_energy;

/* Immutable, for any number of threads. */
vocode_status spectral_energy_new(spectral_energy **out, vocode_error *error);
void spectral_energy_free(spectral_energy *self); /* NULL is fine */

enum { SPECTRAL_LONGEST = 2048 }; /* fewer samples have no frame of every resolution */

/* Of x, y and its twin [samples each], one signal each: returns E, and where they are given adds weight * its gradients
 * to dy and dtwin. Takes scratch from memory and gives it back; memory that only counts (base NULL) gets 0. */
double spectral_energy_run(const spectral_energy *self, size_t samples, const real *x, const real *y, const real *twin,
                           double repulsion, double weight, real *dy, real *dtwin, arena *memory);

#endif
