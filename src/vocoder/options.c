#include "vocoder/options.h"

#include <stddef.h>

#include "core/versioned.h"

vocode_status options_read(const vocode_synthesis *given, vocode_synthesis *out, vocode_error *error) {
    /* the first version ended with context */
    static const versioned about = {"vocode_synthesis", offsetof(vocode_synthesis, context) + sizeof(void *),
                                    sizeof(vocode_synthesis)};
    return versioned_read(&about, given, out, error);
}

static size_t count_of(int option, size_t models_own) {
    return option == 0 ? models_own : option < 0 ? 0 : (size_t)option;
}

after_chain options_after_chain(const vocode_model *model, const vocode_synthesis *options) {
    const vocoder_settings *settings = &model->settings;
    bool own = options->mel_match == 0;
    return (after_chain){.passes = count_of(options->mel_match, settings->mel_match),
                         .iterations = count_of(options->refine, own ? settings->refine : 0),
                         .closing = own ? settings->mel_match_last : 0};
}
