/* NEON of 64-bit ARM: 32 registers of 4 floats. 6 x 4 sums leave room for four of b and one of a. */
#if defined VOCODE_SIMD && defined __aarch64__ && !defined VOCODE_REAL_DOUBLE
#include <arm_neon.h>

#define LEVEL "neon"
#define TABLE kernels_neon
enum { LANES = 4, VECTORS = 4, STRIP = 6 };

typedef float32x4_t vec;
#define v_load vld1q_f32
#define v_store vst1q_f32
#define v_set1 vdupq_n_f32
#define v_add vaddq_f32
#define v_sub vsubq_f32
#define v_mul vmulq_f32
#define v_div vdivq_f32
#define v_fma(a, b, c) vfmaq_f32(c, a, b)
#define v_fnma(a, b, c) vfmsq_f32(c, a, b)
#define v_min vminq_f32
#define v_max vmaxq_f32
#define v_abs vabsq_f32
#define v_round vrndnq_f32

/* 2^n for whole n from -126 to 127 */
static inline float32x4_t power(float32x4_t n) {
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23));
}

/* In two steps, of which only the second can round. */
static inline float32x4_t v_scale(float32x4_t x, float32x4_t n) {
    float32x4_t half = vrndnq_f32(vmulq_f32(n, vdupq_n_f32(0.5f)));
    return vmulq_f32(vmulq_f32(x, power(half)), power(vsubq_f32(n, half)));
}

/* The exponent grows as a whole number. */
static inline float32x4_t v_scale_normal(float32x4_t x, float32x4_t n) {
    int32x4_t steps = vshlq_n_s32(vcvtq_s32_f32(n), 23);
    return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(x), steps));
}

#include "kernels/simd_body.inc"
#else
typedef int no_neon; /* a file may not be empty */
#endif
