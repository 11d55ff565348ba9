#include "core/rng.h"

static const double two_pi = 6.283185307179586476925;

void philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t left = (uint64_t)0xD2511F53u * c0;
        uint64_t right = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(right >> 32) ^ c1 ^ k0;
        uint32_t n2 = (uint32_t)(left >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)right;
        c3 = (uint32_t)left;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u; /* Weyl sequence of the golden ratio */
        k1 += 0xBB67AE85u; /* and of sqrt(3) - 1 */
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

static void draw(uint64_t seed, uint64_t stream, uint64_t position, uint32_t out[4]) {
    const uint32_t counter[4] = {(uint32_t)position, (uint32_t)(position >> 32), (uint32_t)stream,
                                 (uint32_t)(stream >> 32)};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    philox(counter, key, out);
}

/* The middle of one of 2^53 equal cells of (0, 1): never 0 or 1. */
static double to_unit(uint32_t high, uint32_t low) {
    uint64_t bits = ((uint64_t)high << 32 | low) >> 11;
    return ((double)bits + 0.5) * 0x1p-53;
}

double rng_uniform(uint64_t seed, uint64_t stream, uint64_t position) {
    uint32_t bits[4];
    draw(seed, stream, position, bits);
    return to_unit(bits[0], bits[1]);
}

/* Two independent normals of one counter: Box and Muller's radius and angle. */
static void draw_pair(uint64_t seed, uint64_t pair, uint64_t position, double *even, double *odd) {
    uint32_t bits[4];
    draw(seed, pair, position, bits);
    double radius = sqrt(-2.0 * log(to_unit(bits[0], bits[1]))), angle = two_pi * to_unit(bits[2], bits[3]);
    *even = radius * cos(angle);
    *odd = radius * sin(angle);
}

double rng_normal(uint64_t seed, uint64_t stream, uint64_t position) {
    double pair[2];
    draw_pair(seed, stream / 2, position, &pair[0], &pair[1]);
    return pair[stream % 2];
}

void rng_fill_normal(real *target, size_t frames, size_t channels, uint64_t seed, uint64_t first, double scale) {
    for (size_t t = 0; t < frames; t++, target += channels)
        for (size_t c = 0; c < channels; c += 2) {
            double even, odd;
            draw_pair(seed, c / 2, first + t, &even, &odd);
            target[c] = (real)(scale * even);
            if (c + 1 < channels) target[c + 1] = (real)(scale * odd);
        }
}
