/* Models of vectors under test. */
#ifndef TESTS_DENSITY_MODELS_H
#define TESTS_DENSITY_MODELS_H

#include "density/vectors.h"

/* A fresh one; fails the test where it cannot be built. */
vectors_model *model_of(const char *spec, size_t channels, size_t context);

/* Moves all parameters a little, so that no flow is the identity. */
void stir(vectors_model *model);

#endif
