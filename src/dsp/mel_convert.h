/* Mels of one convention for a model of another. Exact, above the higher of both floors: logarithm, floor, affine
 * normalisation (what it clipped stays at its limit), mag_eps, padding. Padding moves frame centres by half a hop and
 * its mode only touches the end frames; the output is shifted to match. Everything else is another spectrogram and
 * refused. A mean/variance normalisation (parallelwavegan, espnet) cannot be undone without the statistics of its
 * corpus, which a convention does not hold: such mels must be given before it. Layout is the reader's business. */
#ifndef DSP_MEL_CONVERT_H
#define DSP_MEL_CONVERT_H

#include <stddef.h>

#include "dsp/mel.h"

/* VOCODE_CONVENTION where from cannot become to; the sentence names the first parameter that differs and both values.
 */
vocode_status mel_convertible(const mel_convention *from, const mel_convention *to, vocode_error *error);

/* values [count] of a convertible convention, in place. Values that are not finite stay so. Where both give the same
 * numbers nothing changes, not even in the last bit. */
void mel_convert(const mel_convention *from, const mel_convention *to, float *values, size_t count);

/* How many samples later frame t lies in from than in to: by so much the audio of a model of convention to must be
 * delayed (zeros before it, its end cut), or advanced where negative. hop / 2 for hifigan mels in a tacotron2 model. */
ptrdiff_t mel_convert_delay(const mel_convention *from, const mel_convention *to);

#endif
