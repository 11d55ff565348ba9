/* Sums of many numbers in double, some chains of additions side by side, so that none waits for the one before it. The
 * order is fixed: a sum is a function of its numbers. */
#ifndef KERNELS_SUMS_H
#define KERNELS_SUMS_H

#include <stddef.h>

#include "core/real.h"

double sum_of(size_t count, const real *x);
double square_of(size_t count, const real *x); /* of the squares */

#endif
