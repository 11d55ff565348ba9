/* bfloat16: the upper half of a float. */
#ifndef KERNELS_BF16_H
#define KERNELS_BF16_H

#include <stdint.h>
#include <string.h>

/* x with 8 bits of mantissa, to nearest, ties to even; what is not a number stays one. */
static inline float bf16_rounded(float x) {
    uint32_t bits, rounded;
    float y;
    memcpy(&bits, &x, sizeof bits);
    rounded = (bits + 0x7fffu + (bits >> 16 & 1)) & 0xffff0000u;
    memcpy(&y, &rounded, sizeof y);
    return x != x ? x : y;
}

#endif
