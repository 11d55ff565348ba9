#include "core/versioned.h"

#include <string.h>

vocode_status versioned_read(const versioned *about, const void *given, void *out, vocode_error *error) {
    size_t size;
    memset(out, 0, about->whole);
    if (!given) return VOCODE_OK;
    memcpy(&size, given, sizeof size);
    if (size == 0) size = about->first;
    if (size < about->first)
        return failed(error, VOCODE_ARGUMENT, "expected options.size to be 0 or sizeof(%s), at least %zu, found %zu",
                      about->name, about->first, size);
    const unsigned char *bytes = given;
    for (size_t i = about->whole; i < size; i++)
        if (bytes[i] != 0)
            return failed(error, VOCODE_UNSUPPORTED,
                          "the options set a field at byte %zu, which libvocode %s does not have", i, VOCODE_VERSION);
    memcpy(out, given, size < about->whole ? size : about->whole);
    memcpy(out, &about->whole, sizeof about->whole);
    return VOCODE_OK;
}
