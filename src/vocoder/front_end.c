/* The public mel front end: a thin wrapper of dsp/mel.h. */
#include <stdlib.h>

#include <vocode/vocode.h>

#include "vocoder/model.h"

struct vocode_mel {
    mel_frontend *frontend;
};

static vocode_status open_convention(const mel_convention *convention, vocode_mel **mel, vocode_error *error) {
    vocode_mel *made = calloc(1, sizeof *made);
    if (!made) return failed(error, VOCODE_MEMORY, "cannot allocate a mel front end");
    vocode_status status = mel_frontend_new(convention, &made->frontend, error);
    if (status != VOCODE_OK) {
        free(made);
        return status;
    }
    *mel = made;
    return VOCODE_OK;
}

vocode_status vocode_mel_open(const char *preset, vocode_mel **mel, vocode_error *error) {
    const mel_convention *convention;
    *mel = NULL;
    TRY(mel_preset_require(preset, &convention, error));
    return open_convention(convention, mel, error);
}

vocode_status vocode_mel_for_model(const vocode_model *model, vocode_mel **mel, vocode_error *error) {
    const mel_convention *convention;
    *mel = NULL;
    TRY(model_mel(model, &convention, error));
    return open_convention(convention, mel, error);
}

void vocode_mel_free(vocode_mel *mel) {
    if (!mel) return;
    mel_frontend_free(mel->frontend);
    free(mel);
}

unsigned vocode_mel_sample_rate(const vocode_mel *mel) {
    return (unsigned)mel_frontend_convention(mel->frontend)->sample_rate;
}

size_t vocode_mel_bands(const vocode_mel *mel) {
    return mel_frontend_convention(mel->frontend)->n_mels;
}

size_t vocode_mel_frames(const vocode_mel *mel, size_t samples) {
    return mel_frames(mel_frontend_convention(mel->frontend), samples);
}

vocode_status vocode_mel_compute(const vocode_mel *mel, const float *samples, size_t n, float *out,
                                 vocode_error *error) {
    return mel_compute(mel->frontend, samples, n, out, error);
}

const char *vocode_version(void) {
    return VOCODE_VERSION;
}
