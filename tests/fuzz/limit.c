#include "limit.h"

#include <sanitizer/allocator_interface.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static _Thread_local size_t most_bytes = SIZE_MAX;

static void on_malloc(const volatile void *memory, size_t size) {
    (void)memory;
    if (size <= most_bytes) return;
    size_t allowed = most_bytes;
    most_bytes = SIZE_MAX; /* reporting may allocate */
    fprintf(stderr, "an allocation of %zu bytes, %zu are allowed for this input\n", size, allowed);
    abort();
}

static void on_free(const volatile void *memory) {
    (void)memory;
}

void limit_arm(size_t input_size) {
    static int installed;
    if (!installed) installed = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
    if (!installed) abort(); /* the fuzzer must not run without the check it is for */
    most_bytes = input_size * ALLOWED_FACTOR + ALLOWED_SLACK;
}

void limit_disarm(void) {
    most_bytes = SIZE_MAX;
}
