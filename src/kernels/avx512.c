/* AVX-512 (F, BW, DQ, VL): 32 registers of 16 floats. 14 x 2 sums leave room for two of b and one of a. */
#if defined VOCODE_SIMD && defined __x86_64__ && !defined VOCODE_REAL_DOUBLE
#include <immintrin.h>

#define LEVEL "avx512"
#define TABLE kernels_avx512
enum { LANES = 16, VECTORS = 2, STRIP = 14 };

typedef __m512 vec;
#define v_load _mm512_loadu_ps
#define v_store _mm512_storeu_ps
#define v_set1 _mm512_set1_ps
#define v_add _mm512_add_ps
#define v_sub _mm512_sub_ps
#define v_mul _mm512_mul_ps
#define v_div _mm512_div_ps
#define v_fma _mm512_fmadd_ps
#define v_fnma _mm512_fnmadd_ps
#define v_min _mm512_min_ps
#define v_max _mm512_max_ps
#define v_abs _mm512_abs_ps
#define v_round(x) _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define v_scale _mm512_scalef_ps
#define v_scale_normal _mm512_scalef_ps

#include "kernels/simd_body.inc"
#else
typedef int no_avx512; /* a file may not be empty */
#endif
