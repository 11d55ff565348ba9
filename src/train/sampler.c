#include "train/sampler.h"

#include "core/rng.h"

enum { ROUNDS = 6 };

static uint32_t mix(uint64_t seed, uint64_t epoch, uint32_t round, uint32_t half) {
    const uint32_t counter[4] = {half, round, (uint32_t)epoch, (uint32_t)(epoch >> 32)};
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    uint32_t out[4];
    philox(counter, key, out);
    return out[0];
}

uint64_t sampler_permute(uint64_t seed, uint64_t epoch, uint64_t index, uint64_t count) {
    unsigned half = 1; /* bits of each half */
    while (half < 31 && (uint64_t)1 << (2 * half) < count) half++;
    const uint32_t mask = ((uint32_t)1 << half) - 1;
    do {
        uint32_t left = (uint32_t)(index >> half), right = (uint32_t)index & mask;
        for (uint32_t round = 0; round < ROUNDS; round++) {
            uint32_t next = left ^ (mix(seed, epoch, round, right) & mask);
            left = right;
            right = next;
        }
        index = (uint64_t)left << half | right;
    } while (index >= count);
    return index;
}

double sampler_point(uint64_t seed, uint64_t number, uint64_t slots) {
    const uint64_t places = 0; /* stream: where in its part a segment's point is */
    uint64_t slot = sampler_permute(seed, number / slots, number % slots, slots);
    double point = ((double)slot + rng_uniform(seed, places, number)) / (double)slots;
    return point < 1 ? point : 0;
}
