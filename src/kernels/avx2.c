/* AVX2 with FMA: 16 registers of 8 floats. 6 x 2 sums leave room for two of b and one of a. */
#if defined VOCODE_SIMD && defined __x86_64__ && !defined VOCODE_REAL_DOUBLE
#include <immintrin.h>

#define LEVEL "avx2"
#define TABLE kernels_avx2
enum { LANES = 8, VECTORS = 2, STRIP = 6 };

typedef __m256 vec;
#define v_load _mm256_loadu_ps
#define v_store _mm256_storeu_ps
#define v_set1 _mm256_set1_ps
#define v_add _mm256_add_ps
#define v_sub _mm256_sub_ps
#define v_mul _mm256_mul_ps
#define v_div _mm256_div_ps
#define v_fma _mm256_fmadd_ps
#define v_fnma _mm256_fnmadd_ps
#define v_min _mm256_min_ps
#define v_max _mm256_max_ps
#define v_abs(x) _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x)
#define v_round(x) _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)

/* 2^n for whole n from -126 to 127 */
static inline __m256 power(__m256 n) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23));
}

/* In two steps, of which only the second can round. */
static inline __m256 v_scale(__m256 x, __m256 n) {
    __m256 half = v_round(_mm256_mul_ps(n, _mm256_set1_ps(0.5f)));
    return _mm256_mul_ps(_mm256_mul_ps(x, power(half)), power(_mm256_sub_ps(n, half)));
}

/* The exponent grows as a whole number. */
static inline __m256 v_scale_normal(__m256 x, __m256 n) {
    __m256i steps = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), steps));
}

#include "kernels/simd_body.inc"
#else
typedef int no_avx2; /* a file may not be empty */
#endif
