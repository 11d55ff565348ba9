#include "vocoder/options.h"

#include <stddef.h>

#include "core/versioned.h"

vocode_status options_read(const vocode_synthesis *given, vocode_synthesis *out, vocode_error *error) {
    /* the first version ended with context */
    static const versioned about = {"vocode_synthesis", offsetof(vocode_synthesis, context) + sizeof(void *),
                                    sizeof(vocode_synthesis)};
    return versioned_read(&about, given, out, error);
}
