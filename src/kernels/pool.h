/* Sharing work between threads. The process has one pool of workers, started when first needed; whoever finds it busy
 * works alone, so several callers never wait for each other. Pieces are handed out one by one: the caller finishes the
 * work by itself where the workers get no processor, as on a busy machine. */
#ifndef KERNELS_POOL_H
#define KERNELS_POOL_H

#include <stddef.h>

/* Calls body(context, i) for every i < count on up to `threads` threads, the caller's included. Returns when all are
 * done. */
void pool_run(int threads, size_t count, void (*body)(void *context, size_t i), void *context);

#endif
