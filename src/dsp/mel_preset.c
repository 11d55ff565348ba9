/* The front ends of the field as rows of one table. Sources: each project's own code or documentation; an alias is a
 * row of its own, so that messages use the name that the user gave. */
#include <string.h>

#include "core/fail.h"
#include "dsp/mel.h"

#define SLANEY MEL_SCALE_SLANEY, MEL_NORM_SLANEY
#define HTK_PLAIN MEL_SCALE_HTK, MEL_NORM_NONE
#define CENTRED 1, MEL_PAD_REFLECT
#define CENTRED_ZEROS 1, MEL_PAD_CONSTANT
#define UNCENTRED 0, MEL_PAD_REFLECT
#define NO_AFFINE 0, 1, 0, 0, 0
/* ((dB - 20 + 100) / 100) * 8 - 4, clipped to +-4 */
#define COQUI_AFFINE 1, 0.08, 2.4, -4, 4

/* sr, n_fft, hop, win, bands, fmin, fmax, scale + norm, padding, power, log, floor, mag_eps, affine, frames_first */
#define TACOTRON2 22050, 1024, 256, 1024, 80, 0, 8000, SLANEY, CENTRED, 1, MEL_LOG_LN, 1e-5, 0, NO_AFFINE
#define HIFIGAN 22050, 1024, 256, 1024, 80, 0, 8000, SLANEY, UNCENTRED, 1, MEL_LOG_LN, 1e-5, 1e-9, NO_AFFINE
#define COQUI 22050, 1024, 256, 1024, 80, 0, 11025, SLANEY, CENTRED, 1, MEL_LOG_DB20, 1e-8, 0, COQUI_AFFINE
#define PARALLELWAVEGAN 22050, 1024, 256, 1024, 80, 80, 7600, SLANEY, CENTRED, 1, MEL_LOG_10, 1e-10, 0, NO_AFFINE
#define VOCOS 24000, 1024, 256, 1024, 100, 0, 12000, HTK_PLAIN, CENTRED, 1, MEL_LOG_LN, 1e-7, 0, NO_AFFINE
#define BIGVGAN24K 24000, 1024, 256, 1024, 100, 0, 12000, SLANEY, UNCENTRED, 1, MEL_LOG_LN, 1e-5, 1e-9, NO_AFFINE
#define BIGVGAN44K 44100, 2048, 512, 2048, 128, 0, 22050, SLANEY, UNCENTRED, 1, MEL_LOG_LN, 1e-5, 1e-9, NO_AFFINE
#define TORCHAUDIO 16000, 400, 200, 400, 128, 0, 8000, HTK_PLAIN, CENTRED, 2, MEL_LOG_NONE, 0, 0, NO_AFFINE
#define LIBROSA 22050, 2048, 512, 2048, 128, 0, 11025, SLANEY, CENTRED_ZEROS, 2, MEL_LOG_NONE, 0, 0, NO_AFFINE

#define MELS_FIRST 0
#define FRAMES_FIRST 1

static const mel_preset presets[] = {
    {{"tacotron2", TACOTRON2, MELS_FIRST}, "22050 Hz, 80 bands to 8 kHz, ln of magnitude, centred"},
    {{"waveglow", TACOTRON2, MELS_FIRST}, "the same as tacotron2"},
    {{"speechbrain", TACOTRON2, MELS_FIRST}, "the same as tacotron2"},
    {{"fastspeech2", TACOTRON2, FRAMES_FIRST}, "the same as tacotron2, stored [T, 80]"},
    {{"hifigan", HIFIGAN, MELS_FIRST}, "as tacotron2, but padded by (n_fft - hop) / 2"},
    {{"matcha", HIFIGAN, MELS_FIRST}, "the same as hifigan"},
    {{"coqui", COQUI, MELS_FIRST}, "22050 Hz, 80 bands to 11025 Hz, decibels normalised to -4..4"},
    {{"parallelwavegan", PARALLELWAVEGAN, MELS_FIRST},
     "22050 Hz, 80 bands 80-7600 Hz, log10, before its mean/variance normalisation"},
    {{"espnet", PARALLELWAVEGAN, MELS_FIRST}, "the same as parallelwavegan"},
    {{"vocos", VOCOS, MELS_FIRST}, "24000 Hz, 100 HTK bands, ln of magnitude"},
    {{"bigvgan", BIGVGAN24K, MELS_FIRST}, "the same as bigvgan24k"},
    {{"bigvgan24k", BIGVGAN24K, MELS_FIRST}, "24000 Hz, 100 bands, ln of magnitude, as hifigan"},
    {{"bigvgan44k", BIGVGAN44K, MELS_FIRST}, "44100 Hz, 128 bands, ln of magnitude, as hifigan"},
    {{"torchaudio", TORCHAUDIO, MELS_FIRST}, "16000 Hz, 128 HTK bands, power, no logarithm"},
    {{"librosa", LIBROSA, MELS_FIRST}, "22050 Hz, 128 bands, power, no logarithm, padded with zeros"},
};

#define PRESET_COUNT (sizeof presets / sizeof *presets)

const mel_preset *mel_preset_list(size_t *count) {
    *count = PRESET_COUNT;
    return presets;
}

const mel_convention *mel_preset_find(const char *name) {
    for (size_t i = 0; i < PRESET_COUNT; i++)
        if (strcmp(presets[i].convention.preset, name) == 0) return &presets[i].convention;
    return NULL;
}

vocode_status mel_preset_require(const char *name, const mel_convention **found, vocode_error *error) {
    *found = mel_preset_find(name);
    if (*found) return VOCODE_OK;
    char names[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < PRESET_COUNT; i++) {
        const char *preset = presets[i].convention.preset;
        size_t length = strlen(preset);
        if (used + length + 3 > sizeof names) break;
        if (used) {
            memcpy(names + used, ", ", 2);
            used += 2;
        }
        memcpy(names + used, preset, length + 1);
        used += length;
    }
    return failed(error, VOCODE_VALUE, "there is no mel preset \"%.64s\", expected one of %s", name, names);
}

int mel_convention_equal(const mel_convention *a, const mel_convention *b) {
    int same_affine = (a->affine != 0) == (b->affine != 0);
    if (same_affine && a->affine)
        same_affine = a->affine_scale == b->affine_scale && a->affine_offset == b->affine_offset &&
                      a->affine_low == b->affine_low && a->affine_high == b->affine_high;
    return same_affine && a->sample_rate == b->sample_rate && a->n_fft == b->n_fft && a->hop == b->hop &&
           a->win == b->win && a->n_mels == b->n_mels && a->fmin == b->fmin && a->fmax == b->fmax &&
           a->scale == b->scale && a->norm == b->norm && (a->center != 0) == (b->center != 0) &&
           a->pad_mode == b->pad_mode && a->power == b->power && a->log == b->log && a->floor == b->floor &&
           a->mag_eps == b->mag_eps;
}
