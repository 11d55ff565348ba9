/* vocode info: what a model is. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vocode/stream.h>

#include "cli/commands.h"
#include "cli/info.h"
#include "cli/json_out.h"
#include "cli/use_model.h"
#include "dsp/mel.h"
#include "vocoder/model.h"

#define LABEL_WIDTH 20

static const option_row options[] = {
    OPTION_JSON("one object"),
};

/* What people say about a model, in every configuration that holds it. */
static const char *const facts[] = {"training", "data", "license"};
enum { FACT_COUNT = sizeof facts / sizeof *facts };

/* Of a stream with the model's own passes. */
static vocode_status find_look_ahead(const open_model *model, size_t *frames, vocode_error *error) {
    vocode_stream *stream;
    TRY(vocode_stream_open(model->model, NULL, &stream, error));
    *frames = vocode_stream_look_ahead(stream);
    vocode_stream_free(stream);
    return VOCODE_OK;
}

static double frames_ms(const vocode_model_info *info, size_t frames) {
    return 1e3 * (double)frames * (double)info->hop / info->sample_rate;
}

static json_t *as_json(const open_model *model, size_t look_ahead, const json_t *config) {
    const vocode_model_info *info = &model->info;
    json_t *object = json_object();
    json_object_set_new(object, "file", json_name(model->path));
    json_object_set_new(object, "kind", json_string(info->kind));
    json_set_size(object, "parameters", info->parameters);
    json_set_size(object, "sample_rate", info->sample_rate);
    json_set_size(object, "hop", info->hop);
    json_set_size(object, "n_mels", info->n_mels);
    json_set_size(object, "latent_channels", info->latent_channels);
    json_object_set_new(object, "columns_per_frame", json_real(info->columns_per_frame));
    json_object_set_new(object, "sigma", json_real(info->sigma));
    json_object_set_new(object, "train_sigma", json_real(info->train_sigma));
    json_set_size(object, "mel_match", info->mel_match);
    json_set_size(object, "refine", info->refine);
    json_set_size(object, "look_ahead_frames", look_ahead);
    json_object_set_new(object, "look_ahead_ms", json_real(frames_ms(info, look_ahead)));
    json_set_size(object, "model_look_ahead_frames", info->look_ahead);
    const mel_convention *convention;
    bool has_mel = model_mel(model->model, &convention, NULL) == VOCODE_OK;
    json_object_set_new(object, "mel", has_mel ? mel_convention_to_json(convention) : json_null());
    for (size_t i = 0; i < FACT_COUNT; i++) {
        json_t *fact = json_object_get(config, facts[i]);
        if (fact) json_object_set(object, facts[i], fact);
    }
    json_object_set(object, "config", (json_t *)config);
    return object;
}

void info_line(const char *label, const char *format, ...) {
    va_list values;
    printf("%s:%*s", label, strlen(label) + 1 < LABEL_WIDTH ? LABEL_WIDTH - (int)strlen(label) - 1 : 1, "");
    if (!format) return;
    va_start(values, format);
    vprintf(format, values);
    va_end(values);
    putchar('\n');
}

void info_value(const char *label, const json_t *value) {
    const char *key, *comma = "";
    json_t *item;
    info_line(label, NULL);
    if (json_is_object(value)) {
        json_object_foreach((json_t *)value, key, item) {
            char *text = json_is_string(item) ? NULL : json_print(item, 0);
            printf("%s%s %s", comma, key, text ? text : json_string_value(item));
            free(text);
            comma = ", ";
        }
        putchar('\n');
        return;
    }
    char *text = json_is_string(value) ? NULL : json_print(value, 0);
    puts(text ? text : json_string_value(value));
    free(text);
}

/* What the configuration says beyond what was printed already: the sizes under the kind's name, and the facts. */
static void print_config(const vocode_model_info *info, const json_t *config) {
    static const char *const printed[] = {"kind", "sample_rate", "mel", "sigma", "train_sigma", "mel_match", "refine"};
    const char *key;
    json_t *value;
    info_value("sizes", json_object_get(config, info->kind));
    json_object_foreach((json_t *)config, key, value) {
        bool known = strcmp(key, info->kind) == 0;
        for (size_t i = 0; i < sizeof printed / sizeof *printed; i++) known |= strcmp(key, printed[i]) == 0;
        if (!known) info_value(key, value);
    }
    for (size_t i = 0; i < FACT_COUNT; i++)
        if (!json_object_get(config, facts[i])) info_line(facts[i], "not stated");
}

static void print_text(const open_model *model, size_t look_ahead, const json_t *config) {
    const vocode_model_info *info = &model->info;
    const mel_convention *convention;
    info_line("file", "%s", model->path);
    info_line("kind", "%s", info->kind);
    info_line("parameters", "%zu", info->parameters);
    info_line("sample rate", "%u Hz", info->sample_rate);
    info_line("mel", "%zu bands, %zu samples a frame", info->n_mels, info->hop);
    info_line("latent", "%zu channels, %g column%s a frame", info->latent_channels, info->columns_per_frame,
              info->columns_per_frame == 1 ? "" : "s");
    info_line("sigma", "%g for synthesis, %g in training", info->sigma, info->train_sigma);
    info_line("mel-match passes", "%u", info->mel_match);
    info_line("refine iterations", "%u", info->refine);
    info_line("look-ahead", NULL);
    printf("%zu frames, %.1f ms", look_ahead, frames_ms(info, look_ahead));
    if (look_ahead > info->look_ahead) printf(" (%zu frames without the passes)", info->look_ahead);
    putchar('\n');
    if (model_mel(model->model, &convention, NULL) == VOCODE_OK) {
        json_t *mel = mel_convention_to_json(convention);
        info_value("mel convention", mel);
        json_decref(mel);
    } else {
        info_line("mel convention", "not stated");
    }
    print_config(info, config);
}

static vocode_status print_info(const arguments *given, const open_model *model, vocode_error *error) {
    json_t *config;
    size_t look_ahead;
    TRY(find_look_ahead(model, &look_ahead, error));
    TRY(json_parse(model->info.config, strlen(model->info.config), NULL, model->path, &config, error));
    vocode_status status = VOCODE_OK;
    if (given->json.given)
        status = json_show(as_json(model, look_ahead, config), error);
    else
        print_text(model, look_ahead, config);
    json_decref(config);
    return status;
}

static vocode_status tell(const arguments *given, const arguments *named, console *out, vocode_error *error) {
    open_model model;
    char *path;
    bool density;
    TRY(model_path(named->model.text, &path, error));
    vocode_status status = info_density(path, given->json.given, &density, error);
    free(path);
    if (density) return status;
    status = use_model(named, &model, out, error);
    if (status == VOCODE_OK) status = print_info(given, &model, error);
    release_model(&model);
    return status;
}

static int run_command(const arguments *given, console *out) {
    arguments named = *given;
    vocode_error error;
    if (given->count) named.model = (option_value){.given = true, .text = given->items[0]};
    return console_finish(out, tell(given, &named, out, &error), &error);
}

const command command_info = {
    .name = "info",
    .synopsis = "[MODEL] [options]",
    .summary = "what a model is: kind, sizes, mel convention, look-ahead, training facts, licence",
    .details = "Without MODEL: of $VOCODE_MODEL, else of the shipped model.\n"
               "Of a model of \"vocode flow\": the flow, what rows are, base, noise, means and deviations.\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .most = 1,
    .run = run_command,
};
