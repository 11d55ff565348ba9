/* Arithmetic behind one table of functions. Levels, lowest first: ref (portable C), blas (OpenBLAS for products of
 * matrices that are not packed), and in the float build what the processor has of avx2, avx512 and neon. VOCODE_CPU in
 * the environment names a level; otherwise the highest serves. */
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/real.h"

enum { WIDEST_PANEL = 32 };

typedef struct kernel_table {
    const char *level;
    size_t panel; /* columns of a panel of gemm_packed, a multiple of 64 bytes, at most WIDEST_PANEL */
    size_t band;  /* columns of a panel that have a band of their own in gemm_banded; divides panel */
    size_t strip; /* rows that it computes at once: multiples of it waste nothing */
#define KERNEL(name, arguments) void(*name) arguments;
#include "kernels/kernels.def"
#undef KERNEL
} kernel_table;

/* All levels that this build and this processor have, lowest first, then NULL. Entries of a level are complete: gaps
 * are filled from below. */
const kernel_table *const *kernel_levels(void);

/* The table in use, chosen once a process; thread-safe. */
const kernel_table *kernels(void);

/* A sentence where VOCODE_CPU names a level that does not exist or that this processor or build lacks (the highest one
 * below it serves then, or the highest of all); NULL where all is well. */
const char *kernels_level_problem(void);

/* Reals that panels of a matrix [k, n] take. */
size_t panels_size(size_t n, size_t k);

#endif
