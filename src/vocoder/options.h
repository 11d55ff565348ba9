/* Synthesis options as programs compiled against any version of the header hand them over. */
#ifndef VOCODER_OPTIONS_H
#define VOCODER_OPTIONS_H

#include <vocode/model.h>

#include "vocoder/model.h"

/* given (NULL: defaults) -> out, whole: fields that given does not reach are zero. VOCODE_ARGUMENT for a size that no
 * version had, VOCODE_UNSUPPORTED where given sets a field that this library does not have. */
vocode_status options_read(const vocode_synthesis *given, vocode_synthesis *out, vocode_error *error);

/* What follows the chain: passes of mel consistency, iterations of phase refinement, and passes after those. */
typedef struct after_chain {
    size_t passes, iterations, closing;
} after_chain;

/* What options ask for: 0 is the model's own, negative none. Where the passes are not the model's own they are all
 * there are, and there is no refinement but one that is asked for. */
after_chain options_after_chain(const vocode_model *model, const vocode_synthesis *options);

#endif
