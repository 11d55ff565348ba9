/* A structure that grows at its end: size says how much of it the caller has. A caller that leaves size zero has, by
 * definition, the first version's fields and no others, so that zero-initialising stays sound when the library is newer
 * than the program; one that is newer than the library is served as long as what the library cannot see is zero, which
 * means the default. */
#include "vocoder/options.h"

#include <stddef.h>
#include <string.h>

#include "core/fail.h"

/* The first version ended with context. */
enum { FIRST_SIZE = offsetof(vocode_synthesis, context) + sizeof(void *) };

vocode_status options_read(const vocode_synthesis *given, vocode_synthesis *out, vocode_error *error) {
    memset(out, 0, sizeof *out);
    if (!given) return VOCODE_OK;
    size_t size = given->size ? given->size : FIRST_SIZE;
    if (size < FIRST_SIZE)
        return failed(error, VOCODE_ARGUMENT,
                      "expected options.size to be 0 or sizeof(vocode_synthesis), at least %zu, found %zu",
                      (size_t)FIRST_SIZE, size);
    const unsigned char *bytes = (const unsigned char *)given;
    for (size_t i = sizeof *out; i < size; i++)
        if (bytes[i] != 0)
            return failed(error, VOCODE_UNSUPPORTED,
                          "the options set a field at byte %zu, which libvocode %s does not have", i, VOCODE_VERSION);
    memcpy(out, given, size < sizeof *out ? size : sizeof *out);
    out->size = sizeof *out;
    return VOCODE_OK;
}
