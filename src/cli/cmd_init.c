/* vocode init: a fresh model from a configuration. */
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "io/json.h"
#include "vocoder/model.h"

static const option_row options[] = {
    {"seed", 0, "N", OPTION_INTEGER, offsetof(arguments, seed), .doc = "seed of the weights (default: 0)"},
};

static vocode_status create(const arguments *given, console *out, vocode_error *error) {
    const char *path = given->items[1];
    json_t *config;
    vocode_model *model;
    TRY(json_read(given->items[0], NULL, &config, error));
    vocode_status status = model_create(config, given->items[0], given->seed.integer, &model, error);
    json_decref(config);
    if (status != VOCODE_OK) return status;
    vocode_model_info info;
    vocode_model_describe(model, &info);
    interrupt_hold(path);
    status = model_save(model, path, error);
    interrupt_release();
    if (status == VOCODE_OK) console_note(out, "%s: %s, %zu parameters", path, info.kind, info.parameters);
    vocode_model_free(model);
    return status;
}

static int run_command(const arguments *given, console *out) {
    vocode_error error;
    return console_finish(out, create(given, out, &error), &error);
}

const command command_init = {
    .name = "init",
    .synopsis = "CONFIG.json OUT.safetensors [options]",
    .summary = "a fresh model, weights drawn from --seed",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least = 2,
    .most = 2,
    .run = run_command,
};
