/* Structures of options that grow at their end. Each begins with a size_t that says how much of it the caller has. A
 * caller that leaves it zero has, by definition, the first version's fields and no others, so that zero-initialising
 * stays sound when the library is newer than the program; one that is newer than the library is served as long as what
 * the library cannot see is zero, which means the default. */
#ifndef CORE_VERSIONED_H
#define CORE_VERSIONED_H

#include <stddef.h>

#include "core/fail.h"

typedef struct versioned {
    const char *name;    /* of the structure */
    size_t first, whole; /* bytes of the first version, and of this one */
} versioned;

/* given, or NULL for the defaults, to out, of about->whole bytes, where absent fields are zero. VOCODE_ARGUMENT for a
 * size that cannot be, VOCODE_UNSUPPORTED for fields of a later version that are not zero. */
vocode_status versioned_read(const versioned *about, const void *given, void *out, vocode_error *error);

#endif
