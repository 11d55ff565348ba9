#include "core/arena.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

arena arena_over(void *base, size_t size) {
    return (arena){base, base ? size : 0, 0, 0};
}

void *arena_take(arena *memory, size_t count, size_t width) {
    size_t bytes;
    if (__builtin_mul_overflow(count, width, &bytes) || bytes > SIZE_MAX / 4) {
        memory->used = memory->peak = SIZE_MAX / 2; /* a plan of this size fails when it is allocated */
        return NULL;
    }
    bytes = (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    size_t start = memory->used;
    if (start > SIZE_MAX / 2 - bytes) return NULL;
    memory->used = start + bytes;
    if (memory->used > memory->peak) memory->peak = memory->used;
    if (!memory->base || memory->used > memory->size) return NULL;
    return memory->base + start;
}

real *arena_reals(arena *memory, size_t count) {
    return arena_take(memory, count, sizeof(real));
}

void arena_release(arena *memory, size_t mark) {
    memory->used = mark;
}

void *aligned_new(size_t count, size_t width) {
    size_t bytes;
    if (__builtin_mul_overflow(count, width, &bytes) || bytes > SIZE_MAX / 4) return NULL;
    bytes = (bytes + ARENA_ALIGNMENT) / ARENA_ALIGNMENT * ARENA_ALIGNMENT; /* at least one line, also for zero bytes */
    void *memory = aligned_alloc(ARENA_ALIGNMENT, bytes);
    if (memory) memset(memory, 0, bytes);
    return memory;
}

void aligned_free(void *memory) {
    free(memory);
}
