#include "cli/use_model.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/kernels.h"

#define SHIPPED "models/default.safetensors"

void program_folder(char folder[PATH_MAX]) {
    ssize_t length = readlink("/proc/self/exe", folder, PATH_MAX - 1);
    folder[length > 0 ? length : 0] = 0;
    char *slash = strrchr(folder, '/');
    if (slash) *slash = 0;
}

static char *find_shipped(void) {
    char folder[PATH_MAX];
    program_folder(folder);
    static const char *const beside[] = {"/../share/vocode/" SHIPPED, "/../../../" SHIPPED};
    for (size_t i = 0; folder[0] && i < sizeof beside / sizeof *beside; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s%s", folder, beside[i]) < 0) return NULL;
        if (access(path, F_OK) == 0) return path;
        free(path);
    }
    return access(VOCODE_DATA_DIR "/" SHIPPED, F_OK) == 0 ? strdup(VOCODE_DATA_DIR "/" SHIPPED) : NULL;
}

vocode_status model_path(const char *named, char **path, vocode_error *error) {
    const char *variable = getenv("VOCODE_MODEL");
    if (!named && variable && *variable) named = variable;
    *path = named ? strdup(named) : find_shipped();
    if (*path) return VOCODE_OK;
    if (named) return failed(error, VOCODE_MEMORY, "%s: out of memory", named);
    return failed(
        error, VOCODE_IO,
        "there is no model: expected --model FILE, the variable VOCODE_MODEL or %s in the program's data folder "
        "(%s), found none",
        SHIPPED, VOCODE_DATA_DIR);
}

vocode_status use_model(const arguments *given, open_model *out, console *say, vocode_error *error) {
    *out = (open_model){0};
    TRY(model_path(given->model.text, &out->path, error));
    const char *problem = kernels_level_problem();
    if (problem) console_warning(say, "%s", problem);
    TRY(vocode_model_open(out->path, &out->model, error));
    vocode_model_describe(out->model, &out->info);
    console_detail(say, "model %s: %s, %zu parameters, %u Hz", out->path, out->info.kind, out->info.parameters,
                   out->info.sample_rate);
    return VOCODE_OK;
}

void release_model(open_model *model) {
    vocode_model_free(model->model);
    free(model->path);
    *model = (open_model){0};
}
