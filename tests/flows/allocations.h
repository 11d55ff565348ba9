/* Counts what a program takes from the heap. */
#ifndef TESTS_FLOWS_ALLOCATIONS_H
#define TESTS_FLOWS_ALLOCATIONS_H

#include <stdbool.h>
#include <stddef.h>

/* Whether the counter works here: sanitizers and valgrind bring their own allocator. */
bool allocations_counted(void);

/* Calls of malloc and its kin between the two, from any thread. Those that the OpenMP runtime makes for its own teams
 * are not counted: it offers no way to avoid them. */
void allocations_start(void);
size_t allocations_stop(void);

#endif
