/* The chain that WaveGlow and SqueezeWave share: squeeze, then steps of invertible 1x1 and affine coupling, with early
 * outputs (Prenger, Valle, Catanzaro 2018, section 2.2). */
#ifndef VOCODER_GLOW_CHAIN_H
#define VOCODER_GLOW_CHAIN_H

#include "vocoder/model.h"

typedef struct glow_chain_options {
    size_t group, n_flows, early_every, early_size;
    size_t cond_channels;
    const char *coupling; /* JSON text: the options of every coupling */
} glow_chain_options;

/* Registers under the published names (convinv.K.conv.weight, WN.K.*) and sets model->chain. */
vocode_status glow_chain_build(vocode_model *model, const glow_chain_options *options, vocode_error *error);

#endif
