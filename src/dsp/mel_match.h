/* What brings a vocoder's output nearer to its mel: consistency passes and phase refinement.
 *
 * audio [frames * hop] has frame t of the convention where its STFT has it (centred: sample t * hop). The wanted mel is
 * [frames, n_mels], time-major, in the convention's values. Any convention serves, linear or logarithmic, magnitude or
 * power; mag_eps counts in the passes and is negligible in the refinement. Everything inside is double. */
#ifndef DSP_MEL_MATCH_H
#define DSP_MEL_MATCH_H

#include <stddef.h>

#include "core/arena.h"
#include "core/real.h"
#include "dsp/filterbank.h"
#include "dsp/mel.h"
#include "dsp/stft.h"

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

/* One frame of a pass, for streams: span [n_fft] of the signal and its wanted mel [n_mels] -> work->frame.frame
 * [n_fft], corrected and windowed, to be overlap-added. The ratio of wanted to found in each band, within e^+-2, is
 * spread over the bins by the filterbank; bins that no band covers keep their magnitude. */
void mel_match_frame(const mel_matcher *matcher, const real *mel, const double *span, const match_work *work);

/* passes times over the whole signal, in place. Inverse STFTs count one frame more than there are (a zero one), as the
 * transform of frames * hop samples has. frames = 0 or passes = 0 changes nothing. VOCODE_MEMORY: audio is untouched.
 */
vocode_status mel_match(const mel_matcher *matcher, real *audio, const real *mel, size_t frames, size_t passes,
                        vocode_error *error);

/* Phase refinement, in place: magnitudes that have exactly the wanted mel, by multiplicative updates that start at the
 * audio's own, then fast Griffin-Lim from its phases (Perraudin, Balazs, Sondergaard, "A fast Griffin-Lim algorithm",
 * WASPAA 2013). Centred, the last hop samples are kept as they are, so a single frame is not changed. The STFT of the
 * whole signal is in memory: 24 bytes a bin and frame. VOCODE_MEMORY: audio is untouched. */
vocode_status mel_refine(const mel_matcher *matcher, real *audio, const real *mel, size_t frames, size_t iterations,
                         vocode_error *error);

#endif
