/* Sample rate conversion through soxr, at its very high quality. */
#ifndef IO_RESAMPLE_H
#define IO_RESAMPLE_H

#include <stddef.h>

#include "core/fail.h"

/* x [n] at from Hz gives *out [*m] at to Hz, m = round(n * to / from) but at least 1; sample 0 stays at time 0. The
 * caller frees *out with free(). Equal rates copy. Rates outside 1 Hz to 10 MHz and n = 0 are VOCODE_ARGUMENT. */
vocode_status resample(const float *x, size_t n, double from, double to, float **out, size_t *m, vocode_error *error);

#endif
