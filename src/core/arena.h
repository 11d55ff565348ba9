/* A bump allocator over memory that somebody else owns. A plan measures what a run needs by running the same layout
 * over an arena without memory (base NULL): it counts and returns NULL. A run then never allocates. */
#ifndef CORE_ARENA_H
#define CORE_ARENA_H

#include <stdatomic.h>
#include <stddef.h>

#include "core/real.h"

#define ARENA_ALIGNMENT 64 /* bytes: one AVX-512 register, one cache line */

typedef struct arena {
    char *base;  /* aligned to ARENA_ALIGNMENT, or NULL while measuring */
    size_t size; /* bytes at base */
    size_t used; /* bytes given out, may exceed size: then the memory was too small and takes returned NULL */
    size_t peak; /* largest used so far: what a plan reports */
} arena;

arena arena_over(void *base, size_t size);

/* count elements of width bytes, aligned; NULL while measuring or when there is no room. Contents are undefined. */
void *arena_take(arena *memory, size_t count, size_t width);

/* count reals; the usual case. */
real *arena_reals(arena *memory, size_t count);

/* Scratch is given back in the order of a stack: size_t mark = memory->used; ...; arena_release(memory, mark). */
void arena_release(arena *memory, size_t mark);

/* bytes of zeroed memory aligned to ARENA_ALIGNMENT, or NULL. Give it to aligned_free. */
void *aligned_new(size_t count, size_t width);
/* The same with anything in it, for what a call takes and gives back: zeroing would take a share of a short call. */
void *aligned_unset(size_t count, size_t width);
void aligned_free(void *memory);

/* Pieces that live as long as the pool, side by side in large blocks, which the system may back with large pages: fewer
 * faults when they are first touched, fewer misses when they stream by. A zeroed pool is empty. Threads may
 * take from one pool at once. */
typedef struct memory_pool {
    atomic_int busy;           /* 1 while a thread takes */
    struct pool_block *blocks; /* the newest first */
} memory_pool;

/* bytes of zeroed memory aligned to ARENA_ALIGNMENT, or NULL. */
void *memory_pool_take(memory_pool *pool, size_t count, size_t width);
void memory_pool_free(memory_pool *pool); /* and everything in it */

#endif
