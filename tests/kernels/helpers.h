/* What the tests of kernels share. */
#ifndef TESTS_KERNELS_HELPERS_H
#define TESTS_KERNELS_HELPERS_H

#include <stddef.h>

#include "core/real.h"

/* count normal numbers, a function of the stream; freed by free(). */
real *noise(size_t count, unsigned stream);

/* A copy, freed by free(). */
real *copy_of(const real *from, size_t count);

/* The largest |a - b| over the largest |b| (or over 1 where b is all zero). */
double distance(const real *a, const real *b, size_t count);

#endif
