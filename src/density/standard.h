/* The first flow of a model that is fitted: the data's own mean and deviation. */
#ifndef DENSITY_STANDARD_H
#define DENSITY_STANDARD_H

#include "density/vectors.h"

/* Sets those of model, and of its context, from the rows order[0] to order[rows - 1] of x [., channels] and context
 * [., model's context]. Images have one mean and one deviation a plane, since pixels that hardly vary would be blown up
 * otherwise, and what a pixel is would depend on where it lies. VOCODE_VALUE names a column that is constant, unless
 * noise is added to it. */
vocode_status standardise(vectors_model *model, const real *x, const real *context, const size_t *order, size_t rows,
                          vocode_error *error);

#endif
