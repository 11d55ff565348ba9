#include "kernels/kernels.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/levels.h"

enum { MAX_LEVELS = 8 };

static kernel_table filled[MAX_LEVELS];
static const kernel_table *levels[MAX_LEVELS + 1];
static const kernel_table *chosen;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void add_level(size_t *count, const kernel_table *raw) {
    kernel_table *table = &filled[*count];
    *table = *raw;
    if (*count > 0) {
        const kernel_table *below = &filled[*count - 1];
#define KERNEL(name, arguments) \
    if (!table->name) table->name = below->name;
#include "kernels/kernels.def"
#undef KERNEL
    }
    levels[(*count)++] = table;
}

static void choose(void) {
    size_t count = 0;
    add_level(&count, &kernels_ref);
#ifdef VOCODE_BLAS
    add_level(&count, &kernels_blas);
#endif
    chosen = levels[count - 1];
    const char *wanted = getenv("VOCODE_CPU");
    for (size_t i = 0; wanted && i < count; i++)
        if (strcmp(levels[i]->level, wanted) == 0) chosen = levels[i];
}

const kernel_table *const *kernel_levels(void) {
    pthread_once(&once, choose);
    return levels;
}

const kernel_table *kernels(void) {
    pthread_once(&once, choose);
    return chosen;
}
