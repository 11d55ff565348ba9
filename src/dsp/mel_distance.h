/* How far samples are from having the mel of others: a loss of a generator that was told the mel. Frames are whole ones
 * from sample 0 on, so only both signals' alignment matters, and the value is the mean over frames and bands of
 *
 *     |log(floor + W |STFT x|^p) - log(floor + W |STFT y|^p)|
 *
 * with filterbank W, power p, window and floor of a convention, in natural logarithms whatever its own. */
#ifndef DSP_MEL_DISTANCE_H
#define DSP_MEL_DISTANCE_H

#include "core/arena.h"
#include "core/real.h"
#include "dsp/mel.h"

typedef struct mel_distance mel_distance;

/* Immutable, for any number of threads. */
vocode_status mel_distance_new(const mel_convention *convention, mel_distance **out, vocode_error *error);
void mel_distance_free(mel_distance *self); /* NULL is fine */

/* Of x and y [samples]; adds weight * the gradient to dy unless it is NULL. 0 where the samples have no whole frame.
 * Takes scratch from memory and gives it back; memory that only counts (base NULL) gets 0. */
double mel_distance_run(const mel_distance *self, size_t samples, const real *x, const real *y, double weight, real *dy,
                        arena *memory);

#endif
