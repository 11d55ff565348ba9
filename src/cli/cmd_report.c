/* vocode report: one page about a training run. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vocode/vocode.h>

#include "cli/commands.h"
#include "cli/page.h"
#include "cli/run_report.h"

/* folder/name; the caller frees it. NULL when out of memory. */
static char *file_of(const char *folder, const char *name) {
    char *path = NULL;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

static bool is_there(const char *path) {
    return access(path, F_OK) == 0;
}

/* config.json, or what the log says where that is absent or damaged. */
static vocode_status read_config(run_about *run, vocode_error *error) {
    vocode_error trouble;
    char *path = file_of(run->folder, "config.json");
    if (!path) return failed(error, VOCODE_MEMORY, "%s: out of memory", run->folder);
    if (is_there(path) && json_read(path, NULL, &run->config, &trouble) != VOCODE_OK) {
        console_warning(run->out, "%s", trouble.message);
        run->config = NULL;
    }
    free(path);
    if (!run->config && run->history.config) run->config = json_incref(run->history.config);
    return VOCODE_OK;
}

/* From the best checkpoint or the last one, where there is one yet. */
static vocode_status count_parameters(run_about *run, vocode_error *error) {
    static const char *const names[] = {"best.safetensors", "last.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names && run->parameters == 0; i++) {
        vocode_model *model;
        vocode_error trouble;
        char *path = file_of(run->folder, names[i]);
        if (!path) return failed(error, VOCODE_MEMORY, "%s: out of memory", run->folder);
        if (!is_there(path)) {
            free(path);
            continue;
        }
        if (vocode_model_open(path, &model, &trouble) == VOCODE_OK) {
            vocode_model_info info;
            vocode_model_describe(model, &info);
            run->parameters = info.parameters;
            vocode_model_free(model);
        } else {
            console_warning(run->out, "%s", trouble.message);
        }
        free(path);
    }
    return VOCODE_OK;
}

static vocode_status read_run(run_about *run, vocode_error *error) {
    struct stat about;
    if (stat(run->folder, &about) != 0) return failed_errno(error, VOCODE_IO, "cannot read folder %s", run->folder);
    if (!S_ISDIR(about.st_mode))
        return failed(error, VOCODE_IO, "%s is a file; expected the folder of a training run", run->folder);
    char *path = file_of(run->folder, "log.jsonl");
    if (!path) return failed(error, VOCODE_MEMORY, "%s: out of memory", run->folder);
    vocode_status status =
        is_there(path)
            ? history_read(path, &run->history, error)
            : failed(error, VOCODE_IO, "%s has no log.jsonl: it is not the folder of a training run", run->folder);
    if (status == VOCODE_OK && run->history.step == 0)
        status = failed(error, VOCODE_VALUE, "%s has no step yet: there is nothing to report", path);
    free(path);
    TRY(status);
    if (run->history.damaged)
        console_warning(run->out, "%zu lines of %s/log.jsonl are damaged and passed over", run->history.damaged,
                        run->folder);
    TRY(read_config(run, error));
    TRY(count_parameters(run, error));
    return samples_find(run->folder, run->history.step, &run->samples, error);
}

static int run_command(const arguments *given, console *out) {
    vocode_error error;
    run_about run = {.folder = given->items[0], .out = out};
    vocode_status status = read_run(&run, &error);
    if (status == VOCODE_OK) status = page_make(given->items[1], run_report_write, &run, &error);
    samples_free(&run.samples);
    json_decref(run.config);
    history_free(&run.history);
    return console_finish(out, status, &error);
}

const command command_report = {
    .name = "report",
    .synopsis = "RUN_DIR OUT.html",
    .summary = "one self-contained page about a training run: curves, pictures, sound",
    .details =
        "Reads the folder's log.jsonl, config.json, checkpoints and samples/, also while the run goes on. The page\n"
        "needs nothing but itself. A line of the log that is cut off is left out.\n",
    .least = 2,
    .most = 2,
    .run = run_command,
};
