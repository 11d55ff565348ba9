/* Synthesis options as programs compiled against any version of the header hand them over. */
#ifndef VOCODER_OPTIONS_H
#define VOCODER_OPTIONS_H

#include <vocode/model.h>

/* given (NULL: defaults) -> out, whole: fields that given does not reach are zero. VOCODE_ARGUMENT for a size that no
 * version had, VOCODE_UNSUPPORTED where given sets a field that this library does not have. */
vocode_status options_read(const vocode_synthesis *given, vocode_synthesis *out, vocode_error *error);

#endif
