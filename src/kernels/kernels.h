/* Arithmetic behind one table of functions. Levels: ref (portable C) and blas (OpenBLAS for products of matrices).
 * VOCODE_CPU in the environment names a level; otherwise the highest that was built in serves. */
#ifndef KERNELS_KERNELS_H
#define KERNELS_KERNELS_H

#include <stddef.h>

#include "core/real.h"

typedef struct kernel_table {
    const char *level;
#define KERNEL(name, arguments) void(*name) arguments;
#include "kernels/kernels.def"
#undef KERNEL
} kernel_table;

/* All levels that this build has, lowest first, then NULL. Entries of a level are complete: gaps are filled from below.
 */
const kernel_table *const *kernel_levels(void);

/* The table in use, chosen once a process; thread-safe. */
const kernel_table *kernels(void);

#endif
