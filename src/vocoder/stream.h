/* The stream behind vocode_synthesize and vocode_stream_*: mel frames -> conditioning -> the chain's inverse -> mel
 * passes -> bias removal -> delay and gain, each with its own history. */
#ifndef VOCODER_STREAM_H
#define VOCODER_STREAM_H

#include <vocode/stream.h>

#include "vocoder/model.h"

/* As vocode_stream_open, but options->noise may be set. */
vocode_status stream_open(const vocode_model *model, const vocode_synthesis *options, vocode_stream **out,
                          vocode_error *error);

#endif
