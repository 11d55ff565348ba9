#include "flows/permutation.h"

#include "core/rng.h"

static void shuffle(uint64_t seed, size_t channels, size_t *order) {
    for (size_t i = 0; i < channels; i++) order[i] = i;
    for (size_t left = channels; left > 1; left--) {
        size_t chosen = (size_t)(rng_uniform(seed, 0, left) * (double)left); /* below left: the draw is below 1 */
        size_t kept = order[left - 1];
        order[left - 1] = order[chosen];
        order[chosen] = kept;
    }
}

size_t permutation_source(permutation_kind kind, size_t channels, size_t c) {
    size_t half = channels / 2, evens = channels - half;
    switch (kind) {
    case PERMUTATION_reverse: return channels - 1 - c;
    case PERMUTATION_swap_halves: return (c + channels - half) % channels;
    case PERMUTATION_even_odd: return c < evens ? 2 * c : 2 * (c - evens) + 1;
    case PERMUTATION_identity:
    case PERMUTATION_shuffle: break;
    }
    return c;
}

void permutation_fill(permutation_kind kind, uint64_t seed, size_t channels, size_t *order) {
    if (kind == PERMUTATION_shuffle)
        shuffle(seed, channels, order);
    else
        for (size_t c = 0; c < channels; c++) order[c] = permutation_source(kind, channels, c);
}
