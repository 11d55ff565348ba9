#include "cli/run_samples.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/names.h"

static int by_step(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool is_step(const char *name) {
    size_t digits = strspn(name, "0123456789");
    return digits > 0 && digits < 20 && name[digits] == 0;
}

static vocode_status add_step(run_samples *to, uint64_t step, vocode_error *error) {
    uint64_t *grown = realloc(to->steps, (to->step_count + 1) * sizeof *grown);
    if (!grown) return failed(error, VOCODE_MEMORY, "%s: out of memory", to->folder);
    to->steps = grown;
    to->steps[to->step_count++] = step;
    return VOCODE_OK;
}

static vocode_status add_name(run_samples *to, const char *name, vocode_error *error) {
    char **grown = realloc(to->names, (to->name_count + 1) * sizeof *grown);
    if (grown) to->names = grown;
    char *copy = grown ? strdup(name) : NULL;
    if (!copy) return failed(error, VOCODE_MEMORY, "%s: out of memory", to->folder);
    to->names[to->name_count++] = copy;
    return VOCODE_OK;
}

static vocode_status find_steps(run_samples *to, uint64_t last, vocode_error *error) {
    DIR *stream = opendir(to->folder);
    if (!stream) return VOCODE_OK;
    vocode_status status = VOCODE_OK;
    for (const struct dirent *entry; status == VOCODE_OK && (entry = readdir(stream));) {
        uint64_t step = is_step(entry->d_name) ? strtoull(entry->d_name, NULL, 10) : UINT64_MAX;
        if (step <= last) status = add_step(to, step, error);
    }
    closedir(stream);
    if (to->step_count) qsort(to->steps, to->step_count, sizeof *to->steps, by_step);
    return status;
}

static bool has_name(const run_samples *samples, const char *name) {
    for (size_t i = 0; i < samples->name_count; i++)
        if (strcmp(samples->names[i], name) == 0) return true;
    return false;
}

static vocode_status find_names(run_samples *to, uint64_t step, vocode_error *error) {
    static const char *const endings[] = {".wav", NULL};
    char *path = NULL;
    if (asprintf(&path, "%s/%llu", to->folder, (unsigned long long)step) < 0)
        return failed(error, VOCODE_MEMORY, "%s: out of memory", to->folder);
    DIR *stream = opendir(path);
    free(path);
    if (!stream) return VOCODE_OK;
    vocode_status status = VOCODE_OK;
    for (const struct dirent *entry; status == VOCODE_OK && (entry = readdir(stream));)
        if (has_ending(entry->d_name, endings) && !has_name(to, entry->d_name))
            status = add_name(to, entry->d_name, error);
    closedir(stream);
    return status;
}

vocode_status samples_find(const char *run_folder, uint64_t last, run_samples *out, vocode_error *error) {
    *out = (run_samples){.folder = NULL};
    if (asprintf(&out->folder, "%s/samples", run_folder) < 0) {
        out->folder = NULL;
        return failed(error, VOCODE_MEMORY, "%s: out of memory", run_folder);
    }
    TRY(find_steps(out, last, error));
    for (size_t i = 0; i < out->step_count; i++) TRY(find_names(out, out->steps[i], error));
    if (out->name_count) qsort(out->names, out->name_count, sizeof *out->names, by_name);
    return VOCODE_OK;
}

void samples_free(run_samples *samples) {
    for (size_t i = 0; i < samples->name_count; i++) free(samples->names[i]);
    free(samples->names);
    free(samples->steps);
    free(samples->folder);
    *samples = (run_samples){.folder = NULL};
}

char *samples_path(const run_samples *samples, const uint64_t *step, const char *name) {
    char *path = NULL;
    int length = step ? asprintf(&path, "%s/%llu/%s", samples->folder, (unsigned long long)*step, name)
                      : asprintf(&path, "%s/recording/%s", samples->folder, name);
    return length < 0 ? NULL : path;
}
