/* What fits to rows share. */
#ifndef DENSITY_ROWS_H
#define DENSITY_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "core/fail.h"
#include "core/real.h"

/* Fisher and Yates over order [count]. */
void rows_shuffle(size_t *order, size_t count, uint64_t seed, uint64_t stream);

/* VOCODE_VALUE counts the rows [rows, width] that are not finite, and names the first; what: "rows". */
vocode_status rows_check(const real *values, size_t rows, size_t width, const char *what, vocode_error *error);

/* How many of the rows are for training, where that share is held out: at least one on either side. rows at least 2. */
size_t rows_for_training(size_t rows, double held_out);

#endif
