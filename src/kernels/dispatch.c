#include "kernels/kernels.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/levels.h"

/* Every level there is, lowest first: of another processor's none is available. */
static const char *const known[] = {"ref", "blas", "neon", "avx2", "avx512", "avx512bf16"};
enum { KNOWN = sizeof known / sizeof *known };

static kernel_table filled[KNOWN];
static const kernel_table *levels[KNOWN + 1];
static const kernel_table *chosen;
static char problem[128];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void add_level(size_t *count, const kernel_table *raw) {
    kernel_table *table = &filled[*count];
    *table = *raw;
    if (*count > 0) {
        const kernel_table *below = &filled[*count - 1];
        if (!table->gemm_packed) {
            table->panel = below->panel;
            table->band = below->band;
            table->strip = below->strip;
        }
#define KERNEL(name, arguments) \
    if (!table->name) table->name = below->name;
#include "kernels/kernels.def"
#undef KERNEL
    }
    levels[(*count)++] = table;
}

static void find_levels(size_t *count) {
    add_level(count, &kernels_ref);
#ifdef VOCODE_BLAS
    add_level(count, &kernels_blas);
#endif
#if defined VOCODE_SIMD && !defined VOCODE_REAL_DOUBLE
#ifdef __aarch64__
    add_level(count, &kernels_neon); /* every 64-bit ARM has it */
#endif
#ifdef __x86_64__
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        add_level(count, &kernels_avx2);
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
            add_level(count, &kernels_avx512);
            if (__builtin_cpu_supports("avx512bf16")) add_level(count, &kernels_avx512bf16);
        }
    }
#endif
#endif
}

/* The place of a name among the known ones, or KNOWN. */
static size_t rank_of(const char *name) {
    size_t rank = 0;
    while (rank < KNOWN && strcmp(known[rank], name) != 0) rank++;
    return rank;
}

static void choose(void) {
    size_t count = 0;
    find_levels(&count);
    chosen = levels[count - 1];
    const char *wanted = getenv("VOCODE_CPU");
    if (!wanted || !*wanted) return;
    size_t rank = rank_of(wanted);
    for (size_t i = 0; rank < KNOWN && i < count && rank_of(levels[i]->level) <= rank; i++) chosen = levels[i];
    if (strcmp(chosen->level, wanted) != 0)
        snprintf(problem, sizeof problem, "VOCODE_CPU: there is no level \"%.32s\" here: %s is used", wanted,
                 chosen->level);
}

const kernel_table *const *kernel_levels(void) {
    pthread_once(&once, choose);
    return levels;
}

const kernel_table *kernels(void) {
    pthread_once(&once, choose);
    return chosen;
}

const char *kernels_level_problem(void) {
    pthread_once(&once, choose);
    return *problem ? problem : NULL;
}

size_t panels_size(size_t n, size_t k) {
    size_t panel = kernels()->panel;
    return (n + panel - 1) / panel * panel * k;
}
