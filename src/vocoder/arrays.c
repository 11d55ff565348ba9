#include "vocoder/arrays.h"

#include <math.h>

void latent_to_rows(const float *latent, size_t channels, size_t columns, real *z) {
    for (size_t t = 0; t < columns; t++)
        for (size_t c = 0; c < channels; c++) z[t * channels + c] = (real)latent[c * columns + t];
}

void latent_from_rows(const real *z, size_t channels, size_t columns, float *latent) {
    for (size_t c = 0; c < channels; c++)
        for (size_t t = 0; t < columns; t++) latent[c * columns + t] = (float)z[t * channels + c];
}

void mel_to_frames(const float *mel, size_t frames, size_t n_mels, size_t wanted, real *out) {
    for (size_t t = 0; t < wanted; t++) {
        const float *from = mel + (t < frames ? t : frames - 1) * n_mels;
        for (size_t m = 0; m < n_mels; m++) out[t * n_mels + m] = (real)from[m];
    }
}

vocode_status check_mel(const float *mel, size_t frames, size_t n_mels, vocode_error *error) {
    if (frames == 0) return failed(error, VOCODE_SHAPE, "the mel has zero frames: expected at least one");
    for (size_t t = 0; t < frames; t++)
        for (size_t m = 0; m < n_mels; m++)
            if (!isfinite(mel[t * n_mels + m]))
                return failed(error, VOCODE_VALUE, "the mel has %s at band %zu of frame %zu: expected finite numbers",
                              isnan(mel[t * n_mels + m]) ? "NaN" : "an infinity", m, t);
    return VOCODE_OK;
}

vocode_status check_latent(const float *latent, size_t channels, size_t columns, vocode_error *error) {
    for (size_t i = 0; i < channels * columns; i++)
        if (!isfinite(latent[i]))
            return failed(error, VOCODE_VALUE, "the latent has %s at channel %zu of column %zu",
                          isnan(latent[i]) ? "NaN" : "an infinity", i / columns, i % columns);
    return VOCODE_OK;
}
