/* Counts the heap allocations that the code under test makes (malloc, calloc, realloc, aligned_alloc of the program and
 * of our static libraries, by the linker's --wrap; not those inside shared libraries). A test that includes this header
 * is linked with it. */
#ifndef SUPPORT_ALLOCATIONS_H
#define SUPPORT_ALLOCATIONS_H

#include <stddef.h>

size_t allocations(void); /* so far, of all threads */

#endif
