/* The configuration of a model: what every kind has, and dispatch to the keys of each kind. */
#include <stdlib.h>
#include <string.h>

#include "vocoder/model.h"

static const config_key settings_keys[] = {
    {"kind", CONFIG_OTHER, .doc = "which kind of model: waveglow, squeezewave, frameflow or frameflow-cnf"},
    {"sample_rate", CONFIG_INT, offsetof(vocoder_settings, sample_rate), 22050, 1000, 768000, .doc = "Hz"},
    {"mel", CONFIG_OTHER, .doc = "the mel convention: {\"preset\": NAME} or every parameter"},
    {"sigma", CONFIG_REAL, offsetof(vocoder_settings, sigma), 1, 0, 10, .doc = "noise of synthesis, by default"},
    {"train_sigma", CONFIG_REAL, offsetof(vocoder_settings, train_sigma), 1, 1e-3, 10,
     .doc = "standard deviation of the Gaussian that training assumes"},
    {"mel_match", CONFIG_INT, offsetof(vocoder_settings, mel_match), 0, 0, 100,
     .doc = "mel-consistency passes, by default"},
    {"refine", CONFIG_INT, offsetof(vocoder_settings, refine), 0, 0, 1000,
     .doc = "phase-refinement iterations, by default"},
    {"mel_match_last", CONFIG_INT, offsetof(vocoder_settings, mel_match_last), 0, 0, 100,
     .doc = "mel-consistency passes after a phase refinement"},
    {"train", CONFIG_OTHER, .doc = "what vocode train is told"},
    {"training", CONFIG_OTHER, .doc = "how it was trained, for people"},
    {"data", CONFIG_OTHER, .doc = "what it was trained on, for people"},
    {"license", CONFIG_OTHER, .doc = "of the weights"},
};
enum { SETTINGS_COUNT = sizeof settings_keys / sizeof *settings_keys };

static const vocoder_class *const classes[] = {&waveglow_class, &squeezewave_class, &frameflow_class,
                                               &frameflow_cnf_class};
enum { CLASS_COUNT = sizeof classes / sizeof *classes };

const vocoder_class *vocoder_class_find(const char *kind) {
    for (size_t i = 0; i < CLASS_COUNT; i++)
        if (strcmp(classes[i]->kind, kind) == 0) return classes[i];
    return NULL;
}

static bool is_setting(const char *key) {
    for (size_t i = 0; i < SETTINGS_COUNT; i++)
        if (strcmp(settings_keys[i].name, key) == 0) return true;
    return false;
}

static vocode_status read_settings(vocode_model *model, const json_t *config, const char *where, bool strict,
                                   vocode_error *error) {
    json_t *known = json_object();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)config, key, value) {
        bool keep = is_setting(key) || (strict && strcmp(key, model->type->kind) != 0);
        if (keep) json_object_set(known, key, value);
    }
    vocode_status status = config_read(known, settings_keys, SETTINGS_COUNT, &model->settings, where, error);
    json_decref(known);
    return status;
}

static vocode_status read_sizes(vocode_model *model, const json_t *config, const char *where, vocode_error *error) {
    const vocoder_class *type = model->type;
    const json_t *sizes = json_object_get(config, type->kind);
    if (!json_is_object(sizes))
        return failed(error, VOCODE_VALUE, "%s: expected an object \"%s\" with the model's sizes, found none", where,
                      type->kind);
    char place[512];
    snprintf(place, sizeof place, "%.400s: %s", where, type->kind);
    TRY(config_read(sizes, type->keys, type->key_count, model->sizes, place, error));
    if (!type->nested) return VOCODE_OK;
    const json_t *nested = json_object_get(sizes, type->nested);
    if (nested && !json_is_object(nested))
        return failed(error, VOCODE_VALUE, "%s.%s: expected an object", place, type->nested);
    snprintf(place, sizeof place, "%.400s: %s.%s", where, type->kind, type->nested);
    return config_read(nested, type->nested_keys, type->nested_count, model->sizes, place, error);
}

static vocode_status read_mel(vocode_model *model, const json_t *config, const char *where, vocode_error *error) {
    const json_t *mel = json_object_get(config, "mel");
    if (!mel || json_is_null(mel)) return VOCODE_OK;
    vocode_status status = mel_convention_from_json(mel, &model->mel, error);
    if (status != VOCODE_OK) return failed_in(error, status, where);
    model->has_mel = true;
    if (model->mel.sample_rate != model->settings.sample_rate)
        return failed(error, VOCODE_VALUE, "%s: sample_rate is %zu but the mel convention's is %zu", where,
                      model->settings.sample_rate, model->mel.sample_rate);
    return VOCODE_OK;
}

vocode_status model_parse(const json_t *config, const char *where, bool strict, vocode_model **out,
                          vocode_error *error) {
    const char *kind = json_string_value(json_object_get(config, "kind"));
    if (!kind) return failed(error, VOCODE_VALUE, "%s: expected a key \"kind\" with the kind of model", where);
    const vocoder_class *type = vocoder_class_find(kind);
    if (!type)
        return failed(error, VOCODE_UNSUPPORTED,
                      "%s: expected the kind waveglow, squeezewave, frameflow or frameflow-cnf, found \"%.64s\"", where,
                      kind);
    vocode_model *model = calloc(1, sizeof *model);
    if (!model) return failed(error, VOCODE_MEMORY, "%s: cannot allocate a model", where);
    model->type = type;
    model->sizes = calloc(1, type->sizes_size);
    vocode_status status =
        model->sizes ? VOCODE_OK : failed(error, VOCODE_MEMORY, "%s: cannot allocate a model", where);
    if (status == VOCODE_OK) status = read_settings(model, config, where, strict, error);
    if (status == VOCODE_OK) status = read_sizes(model, config, where, error);
    if (status == VOCODE_OK) status = read_mel(model, config, where, error);
    if (status != VOCODE_OK) {
        vocode_model_free(model);
        return status;
    }
    *out = model;
    return VOCODE_OK;
}

json_t *model_echo(const vocode_model *model, const json_t *original) {
    const vocoder_class *type = model->type;
    json_t *echo = json_object(), *sizes = config_echo(type->keys, type->key_count, model->sizes);
    if (type->nested)
        json_object_set_new(sizes, type->nested, config_echo(type->nested_keys, type->nested_count, model->sizes));
    json_object_set_new(echo, "kind", json_string(type->kind));
    json_object_set_new(echo, type->kind, sizes);
    json_t *settings = config_echo(settings_keys, SETTINGS_COUNT, &model->settings);
    json_object_update_new(echo, settings);
    if (model->has_mel) json_object_set_new(echo, "mel", mel_convention_to_json(&model->mel));
    json_object_update_missing(echo, (json_t *)original);
    return echo;
}
