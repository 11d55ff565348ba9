#include "core/arena.h"

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

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

enum { LARGE_PAGE = 1 << 21, LARGE_PAGES_FROM = 2 * LARGE_PAGE, HEAD = sizeof(void *) };

/* Whole lines, at least one. 0 where it cannot be. */
static size_t lines_of(size_t count, size_t width) {
    size_t bytes;
    if (__builtin_mul_overflow(count, width, &bytes) || bytes > SIZE_MAX / 4) return 0;
    return (bytes + ARENA_ALIGNMENT) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
}

/* Zeroed by the system where it can be: pages come when they are first touched, and a short run does not touch all.
 * Where it is large it starts at a large page, and the system is asked for such pages. What calloc or malloc gave
 * stands before it. */
static void *take_aligned(size_t bytes, bool zeroed) {
    size_t alignment = bytes < LARGE_PAGES_FROM ? ARENA_ALIGNMENT : LARGE_PAGE;
    char *given = zeroed ? calloc(1, bytes + HEAD + alignment) : malloc(bytes + HEAD + alignment);
    if (!given) return NULL;
    char *memory = given + HEAD;
    memory += (alignment - (uintptr_t)memory % alignment) % alignment;
    memcpy(memory - HEAD, &given, HEAD);
#ifdef MADV_HUGEPAGE
    if (alignment == LARGE_PAGE) madvise(memory, bytes / LARGE_PAGE * LARGE_PAGE, MADV_HUGEPAGE);
#endif
    return memory;
}

void *aligned_new(size_t count, size_t width) {
    size_t bytes = lines_of(count, width);
    return bytes ? take_aligned(bytes, true) : NULL;
}

void *aligned_unset(size_t count, size_t width) {
    size_t bytes = lines_of(count, width);
    return bytes ? take_aligned(bytes, false) : NULL;
}

void aligned_free(void *memory) {
    void *given = NULL;
    if (memory) memcpy(&given, (char *)memory - HEAD, HEAD);
    free(given);
}

enum { FIRST_BLOCK = 1 << 16, LARGEST_BLOCK = 1 << 23 };

typedef struct pool_block {
    struct pool_block *older;
    char *memory;
    size_t size, used;
} pool_block;

/* Blocks double in size, so that small pools stay small. */
static pool_block *new_block(const pool_block *newest, size_t least) {
    size_t size = newest ? 2 * newest->size : FIRST_BLOCK;
    if (size > LARGEST_BLOCK) size = LARGEST_BLOCK;
    if (size < least) size = least;
    pool_block *block = malloc(sizeof *block);
    char *memory = block ? take_aligned(size, true) : NULL;
    if (!memory) {
        free(block);
        return NULL;
    }
    *block = (pool_block){.memory = memory, .size = size};
    return block;
}

static size_t room_in(const pool_block *block) {
    return block->size - block->used;
}

/* A new block where the newest has no room. The one with more room left stands first: a piece as large as a block does
 * not end the block before it. */
static void *take_piece(memory_pool *pool, size_t bytes) {
    pool_block *newest = pool->blocks, *block = newest;
    if (!block || room_in(block) < bytes) {
        block = new_block(newest, bytes);
        if (!block) return NULL;
        bool second = newest && room_in(newest) > room_in(block) - bytes;
        block->older = second ? newest->older : newest;
        if (second)
            newest->older = block;
        else
            pool->blocks = block;
    }
    block->used += bytes;
    return block->memory + block->used - bytes;
}

void *memory_pool_take(memory_pool *pool, size_t count, size_t width) {
    size_t bytes = lines_of(count, width);
    if (!bytes) return NULL;
    for (int idle = 0; !atomic_compare_exchange_weak(&pool->busy, &idle, 1); idle = 0) sched_yield();
    void *piece = take_piece(pool, bytes);
    atomic_store(&pool->busy, 0);
    return piece;
}

void memory_pool_free(memory_pool *pool) {
    for (pool_block *block = pool->blocks, *older; block; block = older) {
        older = block->older;
        aligned_free(block->memory);
        free(block);
    }
    pool->blocks = NULL;
}
