#include "train/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char last_name[] = "last.safetensors", best_name[] = "best.safetensors";

char *folder_file(const char *folder, const char *name) {
    char *path;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

static bool exists(const char *folder, const char *name) {
    char *path = folder_file(folder, name);
    bool there = path && access(path, F_OK) == 0;
    free(path);
    return there;
}

vocode_status folder_open(const char *folder, bool resume, vocode_error *error) {
    struct stat about;
    if (mkdir(folder, 0777) != 0 && errno != EEXIST)
        return failed_errno(error, VOCODE_IO, "cannot make the folder %s", folder);
    if (stat(folder, &about) != 0 || !S_ISDIR(about.st_mode))
        return failed(error, VOCODE_IO, "%s: expected a folder for the run", folder);
    if (!resume && exists(folder, last_name))
        return failed(error, VOCODE_IO,
                      "%s holds a run already: --resume goes on with it; a new one needs a new folder", folder);
    return VOCODE_OK;
}

/* Calls use with every name of the folder that matches one of the patterns. */
static void each_match(const char *folder, const char *const *patterns, void (*use)(void *context, const char *name),
                       void *context) {
    DIR *open = opendir(folder);
    if (!open) return;
    for (const struct dirent *entry; (entry = readdir(open));)
        for (size_t i = 0; patterns[i]; i++)
            if (fnmatch(patterns[i], entry->d_name, 0) == 0) {
                use(context, entry->d_name);
                break;
            }
    closedir(open);
}

static void remove_file(void *context, const char *name) {
    char *path = folder_file(context, name);
    if (path) unlink(path);
    free(path);
}

static void clean_samples(void *context, const char *name) {
    static const char *const patterns[] = {".*.wav.*.part", NULL};
    char *inner = folder_file(context, name);
    if (inner) each_match(inner, patterns, remove_file, inner);
    free(inner);
}

void folder_clean(const char *folder) {
    static const char *const patterns[] = {".*.safetensors.*.part", ".config.json.*.part", "*.safetensors.link.part",
                                           NULL};
    static const char *const samples[] = {"[0-9]*", "recording", NULL};
    each_match(folder, patterns, remove_file, (void *)(uintptr_t)folder);
    char *inner = folder_file(folder, "samples");
    if (inner) each_match(inner, samples, clean_samples, inner);
    free(inner);
}

/* Steps of the numbered checkpoints. */
typedef struct step_list {
    uint64_t *steps;
    size_t count;
    bool failed;
} step_list;

static void add_step(void *context, const char *name) {
    step_list *list = context;
    static const char start[] = "checkpoint-";
    char same[64];
    if (strncmp(name, start, sizeof start - 1) != 0) return;
    unsigned long long step =
        strtoull(name + sizeof start - 1, NULL, 10); /* what is no number is not written the same */
    snprintf(same, sizeof same, "checkpoint-%llu.safetensors", step);
    if (strcmp(same, name) != 0) return;
    uint64_t *steps = realloc(list->steps, (list->count + 1) * sizeof *steps);
    list->failed = list->failed || !steps;
    if (!steps) return;
    list->steps = steps;
    list->steps[list->count++] = step;
}

static int newest_first(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x < y) - (x > y);
}

static step_list numbered_steps(const char *folder) {
    static const char *const patterns[] = {"checkpoint-*.safetensors", NULL};
    step_list list = {0};
    each_match(folder, patterns, add_step, &list);
    if (list.count) qsort(list.steps, list.count, sizeof *list.steps, newest_first);
    return list;
}

static char *numbered_name(uint64_t step, char name[64]) {
    snprintf(name, 64, "checkpoint-%llu.safetensors", (unsigned long long)step);
    return name;
}

static vocode_status load_one(const char *folder, const char *name, optimizer *arrays, train_state *state,
                              vocode_error *error) {
    char *path = folder_file(folder, name);
    vocode_status status =
        path ? checkpoint_read(path, arrays, state, error) : failed(error, VOCODE_MEMORY, "%s: out of memory", folder);
    free(path);
    return status;
}

/* The newest other checkpoint that is whole. */
static vocode_status load_other(const char *folder, optimizer *arrays, train_state *state,
                                const warning_sink *warnings) {
    step_list list = numbered_steps(folder);
    vocode_status status = VOCODE_FORMAT;
    char name[64];
    vocode_error error;
    for (size_t i = 0; status != VOCODE_OK && i < list.count; i++) {
        status = load_one(folder, numbered_name(list.steps[i], name), arrays, state, &error);
        if (status != VOCODE_OK) warn_caller(warnings, "%s", error.message);
    }
    if (status != VOCODE_OK && exists(folder, best_name)) {
        status = load_one(folder, strcpy(name, best_name), arrays, state, &error);
        if (status != VOCODE_OK) warn_caller(warnings, "%s", error.message);
    }
    free(list.steps);
    if (status == VOCODE_OK) warn_caller(warnings, "%s: goes on from %s instead", folder, name);
    return status;
}

vocode_status folder_load(const char *folder, optimizer *arrays, train_state *state, bool *found,
                          const warning_sink *warnings, vocode_error *error) {
    *found = exists(folder, last_name);
    if (!*found) return VOCODE_OK;
    vocode_status status = load_one(folder, last_name, arrays, state, error);
    if (status != VOCODE_FORMAT && status != VOCODE_IO) return status;
    if (error) warn_caller(warnings, "%s", error->message);
    return load_other(folder, arrays, state, warnings) == VOCODE_OK ? VOCODE_OK : status;
}

static vocode_status alias(const char *folder, const char *name, vocode_error *error) {
    char *from = folder_file(folder, last_name), *to = folder_file(folder, name);
    vocode_status status =
        from && to ? checkpoint_alias(from, to, error) : failed(error, VOCODE_MEMORY, "%s: out of memory", folder);
    free(from);
    free(to);
    return status;
}

static void prune(const char *folder, size_t keep) {
    step_list list = numbered_steps(folder);
    char name[64];
    for (size_t i = keep; i < list.count; i++)
        remove_file((void *)(uintptr_t)folder, numbered_name(list.steps[i], name));
    free(list.steps);
}

vocode_status folder_save(const char *folder, const char *config, const optimizer *arrays, const train_state *state,
                          bool best, bool numbered, size_t keep, vocode_error *error) {
    char *path = folder_file(folder, last_name), name[64];
    vocode_status status = path ? checkpoint_save(path, config, arrays, state, error)
                                : failed(error, VOCODE_MEMORY, "%s: out of memory", folder);
    free(path);
    if (status == VOCODE_OK && best) status = alias(folder, best_name, error);
    if (status != VOCODE_OK || !numbered || keep == 0) return status;
    TRY(alias(folder, numbered_name(state->step, name), error));
    prune(folder, keep);
    return VOCODE_OK;
}
