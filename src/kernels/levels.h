/* The raw tables of the levels, with NULL where a level has nothing better than the one below it. */
#ifndef KERNELS_LEVELS_H
#define KERNELS_LEVELS_H

#include "kernels/kernels.h"

extern const kernel_table kernels_ref;
#ifdef VOCODE_BLAS
extern const kernel_table kernels_blas;
#endif
#if defined VOCODE_SIMD && !defined VOCODE_REAL_DOUBLE
#ifdef __x86_64__
extern const kernel_table kernels_avx2, kernels_avx512, kernels_avx512bf16;
#endif
#ifdef __aarch64__
extern const kernel_table kernels_neon;
#endif
#endif

#endif
