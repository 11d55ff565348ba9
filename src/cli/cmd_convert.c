/* vocode convert: a published checkpoint to a model file. */
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "dsp/mel.h"
#include "vocoder/import.h"
#include "vocoder/model.h"

static const option_row options[] = {
    {"mel-preset", 0, "NAME", OPTION_TEXT, offsetof(arguments, mel_preset),
     .doc = "the mel convention that it was trained on (default: tacotron2; 'vocode mel --help' lists them)"},
    {"license", 0, "TEXT", OPTION_TEXT, offsetof(arguments, license),
     .doc = "of the weights, kept in the model file (default: not stated)"},
};

static void warn(void *context, const char *sentence) {
    console_warning(context, "%s", sentence);
}

/* The model is built and checked before anything is written. */
static vocode_status write_model(const tensor_set *set, const char *in, const char *path, vocode_error *error) {
    vocode_model *model;
    TRY(model_from_tensors(set->config, set->tensors, set->count, in, &model, error));
    interrupt_hold(path);
    vocode_status status = model_save(model, path, error);
    interrupt_release();
    vocode_model_free(model);
    return status;
}

static int run_command(const arguments *given, console *out) {
    const char *in = given->items[0], *path = given->items[1];
    const import_options wanted = {given->mel_preset.text, given->license.text};
    const mel_convention *convention;
    const warning_sink warnings = {warn, out};
    import_summary summary;
    tensor_set set;
    vocode_error error;
    if (given->mel_preset.given && mel_preset_require(given->mel_preset.text, &convention, &error) != VOCODE_OK)
        return console_usage(out, command_convert.name, "--mel-preset: %s", error.message);
    vocode_status status = checkpoint_load(in, &wanted, &set, &summary, &warnings, &error);
    if (status == VOCODE_OK) {
        status = write_model(&set, in, path, &error);
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
    .synopsis = "IN.pt OUT.safetensors [options]",
    .summary = "import a published checkpoint of WaveGlow or SqueezeWave",
    .details =
        "IN.pt is what torch.save wrote, in the zip or the older container, a module or a state dict. Nothing in it\n"
        "is executed.\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least = 2,
    .most = 2,
    .run = run_command,
};
