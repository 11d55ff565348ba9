/* Streams: frames in, samples out while they are being made. What comes out is, bit for bit, what vocode_synthesize
 * makes of the whole mel, however the frames are cut, and memory does not depend on the length. One stream belongs to
 * one caller at a time; any number of streams may share a model. */
#ifndef VOCODE_STREAM_H
#define VOCODE_STREAM_H

#include <stddef.h>

#include <vocode/model.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vocode_stream vocode_stream;

/* options as for vocode_synthesize (NULL: defaults), copied; noise must be NULL. The model must outlive the stream.
 * Passes and iterations of phase refinement each look a window further ahead: mel_match and refine of -1 leave them out
 * where that matters more. All samples of a model whose hop is no whole number of latent columns come at the end. Free
 * with vocode_stream_free. Errors: those of vocode_synthesize about options; *stream is NULL then. */
VOCODE_API vocode_status vocode_stream_open(const vocode_model *model, const vocode_synthesis *options,
                                            vocode_stream **stream, vocode_error *error);
VOCODE_API void vocode_stream_free(vocode_stream *stream); /* NULL is fine */

/* mel [frames, n_mels], the frames that follow, of the model's number of bands; frames may be 0 (mel is not looked at
 * then). VOCODE_VALUE on NaN or infinity, with the frame's number from the beginning of the stream; VOCODE_ARGUMENT
 * after finish; VOCODE_MEMORY. After an error, or when options.progress asked to cancel (VOCODE_CANCELLED), the stream
 * can only be freed. Samples that are not pulled are held. */
VOCODE_API vocode_status vocode_stream_push(vocode_stream *stream, const float *mel, size_t frames,
                                            vocode_error *error);

/* No more frames: makes the rest of the samples. VOCODE_SHAPE where there was no frame at all. Finishing again does
 * nothing. */
VOCODE_API vocode_status vocode_stream_finish(vocode_stream *stream, vocode_error *error);

/* Samples that are ready, and taking at most `most` of them; returns how many were written. After finish and as many
 * pulls as it takes, frames * hop samples have come out in all. */
VOCODE_API size_t vocode_stream_available(const vocode_stream *stream);
VOCODE_API size_t vocode_stream_pull(vocode_stream *stream, float *samples, size_t most);

/* Frames after a frame that must have been pushed before the last of its samples is ready: mel-consistency passes,
 * phase refinement and denoising included. */
VOCODE_API size_t vocode_stream_look_ahead(const vocode_stream *stream);

#ifdef __cplusplus
}
#endif
#endif
