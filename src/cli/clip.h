/* A recording and its mel, as encode and score take them. */
#ifndef CLI_CLIP_H
#define CLI_CLIP_H

#include "cli/arrays.h"
#include "cli/use_model.h"
#include "io/audio.h"

typedef struct clip {
    audio sound; /* mono, at the model's rate */
    mel_frames_file mel;
} clip;

/* Reads the audio at path, resampled to the model's rate with a note, and the mel of --mel, or else computes it in the
 * model's convention. Free with clip_free. */
vocode_status clip_read(const char *path, const open_model *model, const arguments *given, clip *out, console *say,
                        vocode_error *error);
void clip_free(clip *out);

#endif
