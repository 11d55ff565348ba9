/* Mel-consistency passes, which bring a vocoder's output nearer to its mel.
 *
 * audio [frames * hop] has frame t of the convention where its STFT has it (centred: sample t * hop). The wanted mel is
 * [frames, n_mels], time-major, in the convention's values. Any convention serves, linear or logarithmic, magnitude or
 * power. Everything inside is double. */
#ifndef DSP_MEL_MATCH_H
#define DSP_MEL_MATCH_H

#include <stddef.h>

#include "core/arena.h"
#include "core/real.h"
#include "dsp/filterbank.h"
#include "dsp/mel.h"
#include "dsp/stft.h"
#include "dsp/stft_pass.h"

typedef struct mel_matcher {
    mel_convention convention;
    stft transform;
    filterbank bank;
} mel_matcher;

/* Immutable afterwards, for any number of threads. VOCODE_VALUE for a bad convention, VOCODE_MEMORY. */
vocode_status mel_matcher_new(const mel_convention *convention, mel_matcher **result, vocode_error *error);
void mel_matcher_free(mel_matcher *matcher);

typedef struct match_work {
    stft_work frame;
    double *magnitude, *gain; /* [bins] */
    double *bands;            /* [n_mels] */
} match_work;

match_work match_work_take(const mel_matcher *matcher, arena *memory);

/* Work for every slot of a pass, in one piece of memory: *memory is the caller's to aligned_free. VOCODE_MEMORY. */
vocode_status match_work_new(const mel_matcher *matcher, match_work work[STFT_SLOTS], void **memory,
                             vocode_error *error);

/* One frame of a pass, for streams: span [n_fft] of the signal and its wanted mel [n_mels] -> the frame [n_fft] in
 * work, corrected and windowed, to be overlap-added. The ratio of wanted to found in each band, within e^+-2, is
 * spread over the bins by the filterbank; bins that no band covers keep their magnitude. */
const double *mel_match_frame(const mel_matcher *matcher, const real *mel, const double *span, const match_work *work);

/* passes times over the whole signal, in place. Inverse STFTs count one frame more than there are (a zero one), as the
 * transform of frames * hop samples has. frames = 0 or passes = 0 changes nothing. VOCODE_MEMORY: audio is untouched.
 */
vocode_status mel_match(const mel_matcher *matcher, real *audio, const real *mel, size_t frames, size_t passes,
                        vocode_error *error);

#endif
