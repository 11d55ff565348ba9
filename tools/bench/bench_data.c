/* Batches of training data a second, and how long it takes to look at all recordings first.
 *
 * usage: bench_data MODEL BATCH FRAMES CACHE_MB VALID PATH...      MODEL: what `vocode init` writes; VALID: a list, or
 * "" Prints the data set's description and a JSON object for dataset_batch and for loaders of one and two threads. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <vocode/vocode.h>

#include "core/arena.h"
#include "train/loader.h"

enum { BATCHES = 200 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check(vocode_status status, const vocode_error *error) {
    if (status == VOCODE_OK) return;
    fprintf(stderr, "bench_data: %s\n", error->message);
    exit(1);
}

static void show_warning(void *context, const char *sentence) {
    (void)context;
    fprintf(stderr, "%s\n", sentence);
}

static double time_direct(const dataset *set) {
    vocode_error error;
    block_shape shape = dataset_shape(set);
    real *mel = aligned_new(shape.batch * shape.frames * dataset_bands(set), sizeof *mel);
    real *x = aligned_new(shape.batch * dataset_block(set), sizeof *x);
    if (!mel || !x) exit(1);
    double start = now();
    for (uint64_t i = 0; i < BATCHES; i++) check(dataset_batch(set, i, mel, x, &error), &error);
    double seconds = now() - start;
    aligned_free(mel);
    aligned_free(x);
    return BATCHES / seconds;
}

static double time_loader(const dataset *set, size_t threads) {
    vocode_error error;
    loader *from;
    const real *mel, *x;
    check(loader_open(set, &(loader_options){0, 1, 3, threads}, &from, &error), &error);
    double start = now();
    for (uint64_t i = 0; i < BATCHES; i++) check(loader_next(from, &mel, &x, &error), &error);
    double seconds = now() - start;
    loader_close(from);
    return BATCHES / seconds;
}

int main(int count, char **arguments) {
    vocode_error error = {0};
    vocode_model *model;
    dataset *set;
    char text[512];
    const warning_sink warnings = {show_warning, NULL};
    if (count < 7) {
        fprintf(stderr, "usage: bench_data MODEL BATCH FRAMES CACHE_MB VALID PATH...\n");
        return 2;
    }
    check(vocode_model_open(arguments[1], &model, &error), &error);
    dataset_options options = {.paths = (const char *const *)(arguments + 6),
                               .path_count = (size_t)(count - 6),
                               .model = model,
                               .batch = (size_t)atoi(arguments[2]),
                               .segment = (size_t)atoi(arguments[3]) * model->hop,
                               .seed = 1};
    check(config_read(NULL, dataset_keys, dataset_key_count, &options.settings, "data", &error), &error);
    snprintf(options.settings.valid, sizeof options.settings.valid, "%s", arguments[5]);
    options.settings.cache_mb = (size_t)atoi(arguments[4]);
    double start = now();
    check(dataset_open(&options, &warnings, &set, &error), &error);
    double opened = now() - start;
    dataset_describe(set, text, sizeof text);
    printf("%s\n", text);
    double direct = time_direct(set), one = time_loader(set, 1), two = time_loader(set, 2);
    printf("{\"open_seconds\": %.2f, \"batches_a_second\": %.1f, \"loader_1_thread\": %.1f, \"loader_2_threads\": "
           "%.1f}\n",
           opened, direct, one, two);
    dataset_close(set);
    vocode_model_free(model);
    return 0;
}
