/* The mel front end: audio to mel spectrogram in the conventions of the common TTS systems, in double precision. */
#ifndef VOCODE_MEL_H
#define VOCODE_MEL_H

#include <stddef.h>

#include <vocode/model.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vocode_mel vocode_mel;

/* The front end of a named convention, such as "tacotron2" or "hifigan" (README.md lists them); VOCODE_VALUE names the
 * known ones otherwise, and *mel is NULL. Immutable and shared by threads. Free it with vocode_mel_free. */
VOCODE_API vocode_status vocode_mel_open(const char *preset, vocode_mel **mel, vocode_error *error);

/* The front end of the convention that a model was trained on. VOCODE_UNSUPPORTED where the model does not say, and
 * *mel is NULL.
 * It does not need the model afterwards. Free it with vocode_mel_free. */
VOCODE_API vocode_status vocode_mel_for_model(const vocode_model *model, vocode_mel **mel, vocode_error *error);
VOCODE_API void vocode_mel_free(vocode_mel *mel); /* NULL is fine */

VOCODE_API unsigned vocode_mel_sample_rate(const vocode_mel *mel); /* Hz, that samples must have */
VOCODE_API size_t vocode_mel_bands(const vocode_mel *mel);

/* Frames that so many samples give; 0 where they are too few for one. */
VOCODE_API size_t vocode_mel_frames(const vocode_mel *mel, size_t samples);

/* samples [n] mono, full scale 1, at the front end's rate (nothing is resampled) -> out [vocode_mel_frames(n), bands],
 * time-major, in the convention's units (natural logarithms of magnitudes for most). VOCODE_VALUE on NaN or infinity
 * (the sentence says where) and for fewer samples than one frame needs, VOCODE_MEMORY. */
VOCODE_API vocode_status vocode_mel_compute(const vocode_mel *mel, const float *samples, size_t n, float *out,
                                            vocode_error *error);

#ifdef __cplusplus
}
#endif
#endif
