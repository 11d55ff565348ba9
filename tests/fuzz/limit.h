/* While armed, an allocation of more than ALLOWED_FACTOR times the input (and some slack) ends the fuzzer: what a file
 * claims must not be believed before it is checked. */
#ifndef FUZZ_LIMIT_H
#define FUZZ_LIMIT_H

#include <stddef.h>

#define ALLOWED_FACTOR 4
#define ALLOWED_SLACK ((size_t)64 << 10) /* bytes: fixed tables and buffers */

void limit_arm(size_t input_size); /* for the calling thread */
void limit_disarm(void);

#endif
