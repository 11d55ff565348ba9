#include "flows/allocations.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_ALLOCATOR
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define OWN_ALLOCATOR
#endif
#endif

static atomic_size_t counted;
static atomic_bool counting;

void allocations_start(void) {
    atomic_store(&counted, 0);
    atomic_store(&counting, true);
}

size_t allocations_stop(void) {
    atomic_store(&counting, false);
    return atomic_load(&counted);
}

bool allocations_counted(void) {
    void *(*volatile allocate)(size_t) = malloc;
    allocations_start();
    void *memory = allocate(1);
    bool works = allocations_stop() == 1;
    free(memory);
    return works;
}

#ifndef OWN_ALLOCATOR
/* glibc's own names of what these functions stand before. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static void count(const void *caller) {
    Dl_info place;
    if (!atomic_load(&counting)) return;
    if (dladdr(caller, &place) && place.dli_fname &&
        (strstr(place.dli_fname, "gomp") || strstr(place.dli_fname, "libomp")))
        return;
    atomic_fetch_add(&counted, 1);
}

void *malloc(size_t size) {
    count(__builtin_return_address(0));
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    count(__builtin_return_address(0));
    return __libc_calloc(number, size);
}

void *realloc(void *memory, size_t size) {
    count(__builtin_return_address(0));
    return __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    count(__builtin_return_address(0));
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
    count(__builtin_return_address(0));
    *memory = __libc_memalign(alignment, size);
    return *memory ? 0 : ENOMEM;
}
#endif
