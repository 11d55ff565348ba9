/* vocode convert: a published checkpoint, or one of a training, to a model file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "dsp/mel.h"
#include "io/bytes.h"
#include "io/json.h"
#include "vocoder/import.h"
#include "vocoder/model.h"

static const option_row options[] = {
    {"mel-preset", 0, "NAME", OPTION_TEXT, offsetof(arguments, mel_preset),
     .doc = "the mel convention that it was trained on (default: tacotron2; 'vocode mel --help' lists them)"},
    {"license", 0, "TEXT", OPTION_TEXT, offsetof(arguments, license),
     .doc = "of the weights, kept in the model file (default: what IN says)"},
    {"training", 0, "TEXT", OPTION_TEXT, offsetof(arguments, training),
     .doc = "how it was trained, for people, kept in the model file (default: what IN says)"},
    {"recordings", 0, "TEXT", OPTION_TEXT, offsetof(arguments, recordings), .doc = "what it was trained on, likewise"},
    {"sigma", 0, "S", OPTION_NUMBER, offsetof(arguments, sigma), .least = 0, .most = 10,
     .doc = "standard deviation of the noise that it is used with by default (default: what IN says)"},
    {"mel-match", 0, "N", OPTION_INTEGER, offsetof(arguments, mel_match), .least = 0, .most = 100,
     .doc = "mel-consistency passes by default, likewise"},
    {"refine", 0, "N", OPTION_INTEGER, offsetof(arguments, refine), .least = 0, .most = 1000,
     .doc = "phase-refinement iterations by default, likewise"},
    {"mel-match-last", 0, "N", OPTION_INTEGER, offsetof(arguments, mel_match_last), .least = 0, .most = 100,
     .doc = "mel-consistency passes after a phase refinement, likewise"},
};

static void warn(void *context, const char *sentence) {
    console_warning(context, "%s", sentence);
}

typedef struct setting_option {
    const char *key; /* of the configuration */
    const option_value *from;
} setting_option;

/* What the user says of the model goes into its configuration; what only training reads leaves it. */
static vocode_status edit_config(vocode_model *model, const arguments *given, vocode_error *error) {
    const setting_option texts[] = {
        {"license", &given->license}, {"training", &given->training}, {"data", &given->recordings}};
    const setting_option counts[] = {
        {"mel_match", &given->mel_match}, {"refine", &given->refine}, {"mel_match_last", &given->mel_match_last}};
    json_t *config;
    TRY(json_parse(model->config, strlen(model->config), NULL, "config", &config, error));
    json_object_del(config, "train");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (texts[i].from->given) json_object_set_new(config, texts[i].key, json_string(texts[i].from->text));
    if (given->sigma.given) json_object_set_new(config, "sigma", json_real(given->sigma.number));
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        if (counts[i].from->given)
            json_object_set_new(config, counts[i].key, json_integer((json_int_t)counts[i].from->integer));
    char *text = json_print(config, 0);
    json_decref(config);
    if (!text) return failed(error, VOCODE_MEMORY, "out of memory for the configuration");
    free(model->config);
    model->config = text;
    return VOCODE_OK;
}

/* Takes the model, which was built and checked, so that nothing is written of one that is not good. */
static vocode_status write_model(vocode_model *model, const arguments *given, vocode_error *error) {
    const char *path = given->items[1];
    vocode_status status = edit_config(model, given, error);
    interrupt_hold(path);
    if (status == VOCODE_OK) status = model_save(model, path, error);
    interrupt_release();
    vocode_model_free(model);
    return status;
}

/* A checkpoint of a training, or any model file: weights and configuration, without what going on would need. */
static vocode_status convert_own(const arguments *given, console *out, vocode_error *error) {
    vocode_model *model;
    vocode_model_info info;
    TRY(vocode_model_open(given->items[0], &model, error));
    vocode_model_describe(model, &info);
    const char *kind = info.kind;
    size_t parameters = info.parameters, tensors = model->params.count;
    TRY(write_model(model, given, error));
    console_note(out, "%s: %s of %zu tensors, %zu numbers", given->items[1], kind, tensors, parameters);
    return VOCODE_OK;
}

static bool is_model_file(const char *path) {
    unsigned char start[64];
    FILE *file = fopen(path, "rb");
    size_t size = file ? fread(start, 1, sizeof start, file) : 0;
    if (file) fclose(file);
    return strcmp(bytes_kind(start, size), "a safetensors file") == 0;
}

static int run_command(const arguments *given, console *out) {
    const char *in = given->items[0], *path = given->items[1];
    const import_options wanted = {given->mel_preset.text, given->license.text};
    const mel_convention *convention;
    const warning_sink warnings = {warn, out};
    import_summary summary;
    tensor_set set;
    vocode_model *model;
    vocode_error error;
    if (given->mel_preset.given && mel_preset_require(given->mel_preset.text, &convention, &error) != VOCODE_OK)
        return console_usage(out, command_convert.name, "--mel-preset: %s", error.message);
    if (is_model_file(in)) {
        if (given->mel_preset.given)
            return console_usage(out, command_convert.name, "--mel-preset: %s says itself which mels it takes", in);
        return console_finish(out, convert_own(given, out, &error), &error);
    }
    vocode_status status = checkpoint_load(in, &wanted, &set, &summary, &warnings, &error);
    if (status == VOCODE_OK) {
        status = model_from_tensors(set.config, set.tensors, set.count, in, &model, &error);
        if (status == VOCODE_OK) status = write_model(model, given, &error);
        tensor_set_free(&set);
    }
    if (status != VOCODE_OK) return console_finish(out, status, &error);
    console_note(out, "%s: %s of %zu tensors, %zu numbers", path, summary.kind, summary.tensors, summary.parameters);
    if (summary.iteration >= 0) console_note(out, "%s: trained for %lld iterations", path, summary.iteration);
    if (summary.ignored > 0)
        console_note(out, "%s: %zu tensor%s of %s that no part of the model uses left out", path, summary.ignored,
                     summary.ignored == 1 ? "" : "s", in);
    return EXIT_SUCCESS;
}

const command command_convert = {
    .name = "convert",
    .synopsis = "IN OUT.safetensors [options]",
    .summary = "a model file of a published checkpoint (WaveGlow, SqueezeWave), or of one of a training",
    .details =
        "IN is what torch.save wrote, in the zip or the older container, a module or a state dict: nothing in it is\n"
        "executed. Or it is a checkpoint of vocode train, such as RUN/best.safetensors: OUT.safetensors has its "
        "averaged\n"
        "weights, without the optimiser's state, a quarter of the size.\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least = 2,
    .most = 2,
    .run = run_command,
};
