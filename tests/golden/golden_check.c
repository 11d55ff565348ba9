/* golden_check DIR [--model FILE]: imports every checkpoint and model file of the folder and compares whatever arrays
 * are there. Exit 0 when all are within tolerance, 1 past it, 2 wrong usage. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "golden.h"
#include "vocoder/import.h"

void compare(tally *score, const char *label, const float *found, const float *reference, size_t count,
             double tolerance) {
    double largest = 0, worst = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)found[i] - (double)reference[i]);
        if (fabs((double)reference[i]) > largest) largest = fabs((double)reference[i]);
        if (!(difference <= worst)) worst = difference;
    }
    double error = largest > 0 ? worst / largest : worst;
    bool good = count > 0 && error <= tolerance;
    printf("  %-44s max error %9.3e  of %g  %s\n", label, error, tolerance, good ? "ok" : "FAILED");
    score->compared++;
    if (!good) score->failed++;
}

void complain(tally *score, const char *label, const char *reason) {
    printf("  %-44s %s  FAILED\n", label, reason);
    score->failed++;
}

bool load_array(const char *folder, const char *name, npy_array *out, tally *score) {
    char path[4096];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s.npy", folder, name);
    if (stat(path, &status) != 0) return false;
    vocode_error error = {0};
    if (npy_read(path, out, &error) == VOCODE_OK) return true;
    complain(score, name, error.message);
    return false;
}

bool ends_with(const char *text, const char *ending) {
    size_t length = strlen(text), tail = strlen(ending);
    return length >= tail && strcmp(text + length - tail, ending) == 0;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **list_names(const char *folder) {
    DIR *directory = opendir(folder);
    size_t count = 0, capacity = 16;
    char **names = calloc(capacity, sizeof *names);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        if (count + 2 > capacity) names = realloc(names, (capacity *= 2) * sizeof *names);
        names[count++] = strdup(entry->d_name);
    }
    if (directory) closedir(directory);
    qsort(names, count, sizeof *names, by_text);
    names[count] = NULL;
    return names;
}

void free_names(char **names) {
    for (size_t i = 0; names[i]; i++) free(names[i]);
    free(names);
}

static bool is_checkpoint(const char *name) {
    return ends_with(name, ".pt") || ends_with(name, ".pth") || ends_with(name, ".ckpt") || ends_with(name, ".tar");
}

static void check_file(const char *folder, const char *path, bool import, tally *score) {
    printf("%s\n", path);
    vocode_error error = {0};
    vocode_model *model = NULL;
    tensor_set set = {0};
    vocode_status status;
    if (import) {
        status = checkpoint_load(path, NULL, &set, NULL, NULL, &error);
        if (status == VOCODE_OK) status = model_from_tensors(set.config, set.tensors, set.count, path, &model, &error);
    } else {
        status = vocode_model_open(path, &model, &error);
    }
    if (status == VOCODE_OK) status = model_prepare_training(model, &error);
    if (status == VOCODE_OK)
        check_model(folder, model, score);
    else
        complain(score, "import", error.message);
    vocode_model_free(model);
    tensor_set_free(&set);
}

int main(int argc, char **argv) {
    const char *folder = NULL, *extra = NULL;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--model") == 0 && i + 1 < argc)
            extra = argv[++i];
        else if (strncmp(argv[i], "--model=", 8) == 0)
            extra = argv[i] + 8;
        else if (argv[i][0] != '-' && !folder)
            folder = argv[i];
        else
            folder = "", i = argc;
    }
    if (!folder || !*folder) {
        fprintf(stderr, "usage: golden_check DIR [--model FILE]\n");
        return 2;
    }
    tally total = {0};
    char **names = list_names(folder);
    for (size_t i = 0; names[i]; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (is_checkpoint(names[i]) || ends_with(names[i], ".safetensors"))
            check_file(folder, path, is_checkpoint(names[i]), &total);
    }
    free_names(names);
    if (extra) check_file(folder, extra, is_checkpoint(extra), &total);
    check_mels(folder, &total);
    printf("%zu comparisons, %zu failed\n", total.compared, total.failed);
    if (total.compared == 0) fprintf(stderr, "golden_check: %s: nothing to compare\n", folder);
    return total.failed > 0 || total.compared == 0;
}
