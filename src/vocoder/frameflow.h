/* What the kinds over MDCT columns share: sizes, keys, conditioning and the chain of the coupling flow. */
#ifndef VOCODER_FRAMEFLOW_H
#define VOCODER_FRAMEFLOW_H

#include "vocoder/model.h"

typedef struct frameflow_sizes {
    size_t n_mels, hop, n_flows, dim, n_blocks, white_dim, white_blocks, expansion, kernel;
    double mel_mean, mel_deviation, white_offset;
} frameflow_sizes;

/* SIZE and NUMBER(member, default, least, most, text): rows of a table of keys whose struct begins with these sizes. */
#define FRAMEFLOW_KEYS(SIZE, NUMBER)                                               \
    SIZE(n_mels, 80, 1, 4096, "bands of the mel")                                  \
    SIZE(hop, 256, 4, 65536, "samples a frame, and MDCT bins a column")            \
    SIZE(n_flows, 8, 1, 1024, "steps of 1x1 and coupling")                         \
    SIZE(dim, 192, 1, 16384, "channels of a coupling network")                     \
    SIZE(n_blocks, 3, 0, 1024, "ConvNeXt blocks of a coupling network")            \
    SIZE(white_dim, 160, 1, 16384, "channels of the whitening network")            \
    SIZE(white_blocks, 2, 0, 1024, "ConvNeXt blocks of the whitening network")     \
    SIZE(expansion, 3, 1, 64, "hidden channels of a block over its channels")      \
    SIZE(kernel, 7, 1, 255, "taps of a depthwise convolution")                     \
    NUMBER(mel_mean, -5, -1e3, 1e3, "subtracted from the mel before the networks") \
    NUMBER(mel_deviation, 3, 1e-3, 1e3, "and then divided by")                     \
    NUMBER(white_offset, -4, -1e3, 1e3, "added to the whitening network's log-scales")

#define FRAMEFLOW_SIZE(member, fallback, low, high, text) \
    {.name = #member,                                     \
     .type = CONFIG_INT,                                  \
     .offset = offsetof(frameflow_sizes, member),         \
     .default_value = (fallback),                         \
     .least = (low),                                      \
     .most = (high),                                      \
     .doc = (text)},
#define FRAMEFLOW_NUMBER(member, fallback, low, high, text) \
    {.name = #member,                                       \
     .type = CONFIG_REAL,                                   \
     .offset = offsetof(frameflow_sizes, member),           \
     .default_value = (fallback),                           \
     .least = (low),                                        \
     .most = (high),                                        \
     .doc = (text)},

enum { FRAMEFLOW_FRONT = 2 }; /* parts before the coupling steps: MDCT and conditional scale */

/* model->sizes begins with frameflow_sizes. Sets the model's geometry and builds the parts of a frameflow, with its
 * names of parameters: the front, `gap` places that stay as they are, and two parts a coupling step. What was built
 * before a failure stays in parts. */
vocode_status frameflow_build_parts(vocode_model *model, size_t gap, flow **parts, vocode_error *error);

/* Makes the parts the model's chain, or frees them where built says that they are not whole, and returns that. */
vocode_status frameflow_join(vocode_model *model, vocode_status built, flow **parts, size_t count, vocode_error *error);

/* vocoder_class.condition of both kinds. */
void frameflow_condition(const vocode_model *model, compute *work, size_t batch, size_t frames, const real *mel,
                         size_t columns, real *cond);

#endif
