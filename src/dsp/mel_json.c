/* A convention as JSON: the "mel" object of a model file. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/fail.h"
#include "dsp/mel.h"
#include "io/config.h"

static const char *const scales[] = {"slaney", "htk", NULL};
static const char *const norms[] = {"slaney", "none", NULL};
static const char *const paddings[] = {"reflect", "constant", NULL};
static const char *const logs[] = {"ln", "log10", "db20", "none", NULL};

#define AT(field) offsetof(mel_convention, field)
#define RATE_LEAST 1000
#define RATE_MOST 768000
#define FFT_LEAST 4
#define FFT_MOST 65536
#define BANDS_MOST 4096

/* Defaults never apply: an absent key is filled in from the preset before the table is used. */
static const config_key keys[] = {
    {"preset", CONFIG_OTHER, 0, 0, 0, 0, NULL, NULL, 0, "name of the convention; other keys change it"},
    {"sr", CONFIG_INT, AT(sample_rate), 0, RATE_LEAST, RATE_MOST, NULL, NULL, 1, "sample rate, Hz"},
    {"n_fft", CONFIG_INT, AT(n_fft), 0, FFT_LEAST, FFT_MOST, NULL, NULL, 1, "points of the FFT"},
    {"hop", CONFIG_INT, AT(hop), 0, 1, FFT_MOST, NULL, NULL, 1, "samples from frame to frame"},
    {"win", CONFIG_INT, AT(win), 0, 1, FFT_MOST, NULL, NULL, 1, "samples of the Hann window"},
    {"n_mels", CONFIG_INT, AT(n_mels), 0, 1, BANDS_MOST, NULL, NULL, 1, "bands"},
    {"fmin", CONFIG_REAL, AT(fmin), 0, 0, RATE_MOST, NULL, NULL, 1, "lower edge of the first band, Hz"},
    {"fmax", CONFIG_REAL, AT(fmax), 0, 0, RATE_MOST, NULL, NULL, 1, "upper edge of the last band, Hz"},
    {"scale", CONFIG_CHOICE, AT(scale), 0, 0, 0, NULL, scales, 1, "mel scale"},
    {"norm", CONFIG_CHOICE, AT(norm), 0, 0, 0, NULL, norms, 1, "slaney: bands of unit area"},
    {"center", CONFIG_BOOL, AT(center), 0, 0, 0, NULL, NULL, 1, "pad n_fft / 2, otherwise (n_fft - hop) / 2"},
    {"pad_mode", CONFIG_CHOICE, AT(pad_mode), 0, 0, 0, NULL, paddings, 1, "what the padding holds"},
    {"power", CONFIG_INT, AT(power), 0, 1, 2, NULL, NULL, 1, "1 magnitude, 2 power"},
    {"log", CONFIG_CHOICE, AT(log), 0, 0, 0, NULL, logs, 1, "logarithm of the value"},
    {"floor", CONFIG_REAL, AT(floor), 0, 0, 1, NULL, NULL, 1, "least value before the logarithm"},
    {"mag_eps", CONFIG_REAL, AT(mag_eps), 0, 0, 1, NULL, NULL, 1, "added to the power under the root"},
    {"affine", CONFIG_OTHER, 0, 0, 0, 0, NULL, NULL, 0, "[scale, offset, low, high] after the logarithm, or null"},
};

#define KEY_COUNT (sizeof keys / sizeof *keys)

vocode_status mel_convention_check(const mel_convention *c, vocode_error *error) {
    if (c->n_fft < FFT_LEAST || c->n_fft > FFT_MOST || c->hop == 0 || c->hop > c->n_fft || c->win == 0 ||
        c->win > c->n_fft)
        return failed(error, VOCODE_VALUE,
                      "mel convention: hop %zu and win %zu must lie in 1..n_fft, and n_fft %zu in %d..%d", c->hop,
                      c->win, c->n_fft, FFT_LEAST, FFT_MOST);
    if (c->sample_rate == 0 || c->n_mels == 0 || c->n_mels > BANDS_MOST)
        return failed(error, VOCODE_VALUE, "mel convention: %zu bands at %zu Hz, expected 1..%d bands and a rate",
                      c->n_mels, c->sample_rate, BANDS_MOST);
    if (!(c->fmin >= 0 && c->fmin < c->fmax && c->fmax <= (double)c->sample_rate / 2))
        return failed(error, VOCODE_VALUE,
                      "mel convention: fmin %g and fmax %g must be in order and at most half the sample rate, %g",
                      c->fmin, c->fmax, (double)c->sample_rate / 2);
    if (c->power != 1 && c->power != 2)
        return failed(error, VOCODE_VALUE, "mel convention: power is %zu, expected 1 or 2", c->power);
    if (!(c->floor >= 0 && c->mag_eps >= 0) || (c->log != MEL_LOG_NONE && c->floor == 0))
        return failed(error, VOCODE_VALUE, "mel convention: floor is %g, a logarithm needs one above 0", c->floor);
    if (c->affine && !(c->affine_scale != 0 && isfinite(c->affine_scale) && isfinite(c->affine_offset) &&
                       c->affine_low < c->affine_high))
        return failed(error, VOCODE_VALUE,
                      "mel convention: affine [%g, %g, %g, %g] must not be zero nor its range empty", c->affine_scale,
                      c->affine_offset, c->affine_low, c->affine_high);
    return VOCODE_OK;
}

json_t *mel_convention_to_json(const mel_convention *c) {
    json_t *values = config_echo(keys, KEY_COUNT, c), *object = json_object();
    int custom = mel_preset_find(c->preset) == NULL, bad = !values || !object;
    if (!bad) bad = json_object_set_new(object, "preset", custom ? json_null() : json_string(c->preset));
    if (!bad) bad = json_object_update(object, values);
    if (!bad && c->norm == MEL_NORM_NONE) bad = json_object_set_new(object, "norm", json_null());
    if (!bad && c->log == MEL_LOG_NONE) bad = json_object_set_new(object, "log", json_null());
    if (!bad && c->affine)
        bad = json_object_set_new(
            object, "affine", json_pack("[f,f,f,f]", c->affine_scale, c->affine_offset, c->affine_low, c->affine_high));
    else if (!bad)
        bad = json_object_set_new(object, "affine", json_null());
    json_decref(values);
    if (!bad) return object;
    json_decref(object);
    return NULL;
}

static vocode_status read_affine(const json_t *value, mel_convention *c, vocode_error *error) {
    c->affine = 0;
    if (!value || json_is_null(value)) return VOCODE_OK;
    double *parts[] = {&c->affine_scale, &c->affine_offset, &c->affine_low, &c->affine_high};
    int good = json_is_array(value) && json_array_size(value) == 4;
    for (size_t i = 0; i < 4 && good; i++) {
        const json_t *part = json_array_get(value, i);
        good = json_is_number(part);
        if (good) *parts[i] = json_number_value(part);
    }
    if (!good) return failed(error, VOCODE_VALUE, "mel.affine: expected [scale, offset, low, high] or null");
    c->affine = 1;
    return VOCODE_OK;
}

/* The convention that absent keys are taken from. */
static vocode_status base_of(const json_t *object, const mel_convention **base, vocode_error *error) {
    const json_t *name = json_object_get(object, "preset");
    *base = mel_preset_find("tacotron2");
    if (!name || json_is_null(name)) return VOCODE_OK;
    if (!json_is_string(name)) return failed(error, VOCODE_VALUE, "mel.preset: expected a name or null");
    if (strcmp(json_string_value(name), MEL_PRESET_CUSTOM) == 0) return VOCODE_OK;
    return mel_preset_require(json_string_value(name), base, error);
}

static vocode_status read_values(const json_t *object, const mel_convention *base, mel_convention *c,
                                 vocode_error *error) {
    json_t *merged = mel_convention_to_json(base);
    const json_t *n_fft = json_object_get(object, "n_fft");
    /* jansson takes the object without const, but only counts references to its values. */
    int bad = !merged || (object && json_object_update(merged, (json_t *)object));
    if (!bad && n_fft && !json_object_get(object, "win")) bad = json_object_set(merged, "win", (json_t *)n_fft);
    vocode_status status = bad ? failed(error, VOCODE_MEMORY, "out of memory for a mel convention")
                               : config_read(merged, keys, KEY_COUNT, c, "mel", error);
    if (!status) status = read_affine(json_object_get(merged, "affine"), c, error);
    json_decref(merged);
    return status;
}

vocode_status mel_convention_from_json(const json_t *object, mel_convention *convention, vocode_error *error) {
    const mel_convention *base;
    if (object && !json_is_object(object)) return failed(error, VOCODE_VALUE, "mel: expected an object");
    TRY(base_of(object, &base, error));
    mel_convention c = *base;
    TRY(read_values(object, base, &c, error));
    TRY(mel_convention_check(&c, error));
    if (!mel_convention_equal(&c, base)) snprintf(c.preset, sizeof c.preset, "%s", MEL_PRESET_CUSTOM);
    *convention = c;
    return VOCODE_OK;
}
