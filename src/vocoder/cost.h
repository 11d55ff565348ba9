/* The arithmetic of a model: what its speed is measured against. */
#ifndef VOCODER_COST_H
#define VOCODER_COST_H

#include "vocoder/model.h"

/* Multiply-adds that the networks and matrices take for a second of audio: for each weight its number of elements times
 * the rows a second that it meets. Every column of the latent meets the couplings and the 1x1 matrices; what reads the
 * mel at its own rate (WaveGlow's upsampler, SqueezeWave's conditioning) meets one row a column of conditioning.
 * Left out: what goes element by element, the MDCT, and the passes after the model. */
double model_multiply_adds(const vocode_model *model);

#endif
