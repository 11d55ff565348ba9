/* Counter-based random numbers: a number is a function of (seed, stream, position), never of call order, so noise does
 * not depend on threads or chunking. Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
 * 1, 2, 3", SC 2011. */
#ifndef CORE_RNG_H
#define CORE_RNG_H

#include <stddef.h>
#include <stdint.h>

#include "core/real.h"

/* The ten-round bijection: counter[4] and key[2] give out[4]. */
void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]);

/* Uniform on (0, 1), 53 bits. */
double rng_uniform(uint64_t seed, uint64_t stream, uint64_t position);

/* Standard normal by Box and Muller (1958), two streams a counter. */
double rng_normal(uint64_t seed, uint64_t stream, uint64_t position);

/* target[t * channels + c] = scale * normal(seed, stream = c, position = first + t) for t < frames. */
void rng_fill_normal(real *target, size_t frames, size_t channels, uint64_t seed, uint64_t first, double scale);

#endif
