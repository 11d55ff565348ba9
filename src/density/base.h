/* Base distributions: what the latent's numbers are, independent and alike. */
#ifndef DENSITY_BASE_H
#define DENSITY_BASE_H

#include "core/real.h"

#include <stddef.h>
#include <stdint.h>

/* X(name, meaning) */
#define BASE_LIST(X)                                         \
    X(gaussian, "mean 0, variance 1")                        \
    X(logistic, "density 1 / (2 + 2 cosh z), heavier tails") \
    X(uniform, "on (0, 1): its density says nothing of where inside")

typedef enum base_kind {
#define BASE_ENUM(name, meaning) BASE_##name,
    BASE_LIST(BASE_ENUM)
#undef BASE_ENUM
        BASE_COUNT
} base_kind;

extern const char *const base_names[]; /* ends in NULL */

/* log p of z [count]. */
double base_log_density(base_kind base, const real *z, size_t count);

/* dz [count] = scale d(log p)/dz */
void base_slope(base_kind base, const real *z, size_t count, double scale, real *dz);

/* z [rows, channels]: row first + t is a function of the seed and of first + t. */
void base_draw(base_kind base, uint64_t seed, uint64_t first, size_t rows, size_t channels, real *z);

#endif
