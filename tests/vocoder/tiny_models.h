/* Tiny models of every kind with parameters far from the identity, for tests. */
#ifndef TINY_MODELS_H
#define TINY_MODELS_H

#include "vocoder/model.h"

extern const char *const tiny_configs[]; /* JSON texts; ends in NULL */

/* A model of that configuration whose every trained parameter is drawn anew, couplings included; aborts the test when
 * it cannot be made. */
vocode_model *tiny_model(const char *config, uint64_t seed);

#endif
