/* Orders of channels, for the permute flow and for matrices that start as one. */
#ifndef FLOWS_PERMUTATION_H
#define FLOWS_PERMUTATION_H

#include <stddef.h>
#include <stdint.h>

/* X(name): z[c] = x[order[c]] with h = channels / 2
 *   identity     x as it is
 *   reverse      the last first
 *   swap_halves  rotated by h: the last h first
 *   even_odd     0, 2, 4, ..., then 1, 3, 5, ...
 *   shuffle      drawn from the seed (Fisher, Yates; Durstenfeld 1964) */
#define PERMUTATION_LIST(X) X(identity) X(reverse) X(swap_halves) X(even_odd) X(shuffle)

typedef enum permutation_kind {
#define PERMUTATION_ENUM(name) PERMUTATION_##name,
    PERMUTATION_LIST(PERMUTATION_ENUM)
#undef PERMUTATION_ENUM
} permutation_kind;

/* order[c], for every kind but shuffle. */
size_t permutation_source(permutation_kind kind, size_t channels, size_t c);

/* order [channels]; seed is for shuffle. */
void permutation_fill(permutation_kind kind, uint64_t seed, size_t channels, size_t *order);

#endif
