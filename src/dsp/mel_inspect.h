/* Is this mel what it is said to be? Wrong conventions make noise instead of speech, so what looks wrong is warned of
 * by name; nothing is ever guessed at silently. */
#ifndef DSP_MEL_INSPECT_H
#define DSP_MEL_INSPECT_H

#include <stddef.h>

#include "core/fail.h"
#include "dsp/mel.h"

/* mel [frames, bands], time-major, said to be of the expected convention. VOCODE_SHAPE for zero frames or another
 * number of bands (both numbers, and the presets that have so many), VOCODE_VALUE for NaN or infinity (band and frame,
 * from 0). Values that speech in this convention does not have give one sentence to warnings (may be NULL) that names
 * what they look like instead. */
vocode_status mel_inspect(const float *mel, size_t frames, size_t bands, const mel_convention *expected,
                          const warning_sink *warnings, vocode_error *error);

#endif
