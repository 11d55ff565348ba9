/* The weights of any model file as the beginning of a training. */
#ifndef TRAIN_WARM_START_H
#define TRAIN_WARM_START_H

#include "core/fail.h"
#include "vocoder/model.h"

/* Copies what the file at path has into a created model and prepares it; tensors that it lacks are named in a warning.
 */
vocode_status warm_start(vocode_model *model, const char *path, const warning_sink *warnings, vocode_error *error);

#endif
