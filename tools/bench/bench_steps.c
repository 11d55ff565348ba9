/* Seconds of a training step without the optimiser: folding and packing of weights, forward and backward.
 *
 * usage: bench_steps MODEL BATCH FRAMES [THREADS] [constant]      MODEL: what `vocode init` writes
 * Prints one JSON object: the best of a few steps. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vocode/vocode.h>

#include "core/rng.h"
#include "vocoder/blocks.h"

enum { TURNS = 8 };

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void check(vocode_status status, const vocode_error *error) {
    if (status == VOCODE_OK) return;
    fprintf(stderr, "bench_steps: %s\n", error->message);
    exit(1);
}

static real *numbers(size_t count, double scale, double shift) {
    real *values = aligned_new(count, sizeof *values);
    for (size_t i = 0; values && i < count; i++) values[i] = (real)(shift + scale * rng_normal(1, 0, i));
    return values;
}

int main(int count, char **arguments) {
    vocode_error error = {0};
    vocode_model *model;
    if (count < 4) {
        fprintf(stderr, "usage: bench_steps MODEL BATCH FRAMES [THREADS] [constant]\n");
        return 2;
    }
    int threads = count > 4 ? atoi(arguments[4]) : 0;
    block_objective objective = {.sigma = 1};
    objective.memory = count > 5 && strcmp(arguments[5], "constant") == 0 ? BLOCKS_REBUILT : BLOCKS_TAPED;
    check(vocode_model_open(arguments[1], &model, &error), &error);
    check(model_prepare_training(model, &error), &error);
    block_shape shape = {(size_t)atoi(arguments[2]), (size_t)atoi(arguments[3]), 0};
    shape.columns = shape.frames * model->hop / model->group;
    real *mel = numbers(shape.batch * shape.frames * model->n_mels, 2, -5);
    real *x = numbers(shape.batch * shape.columns * model->group, 0.05, 0);
    real *grads = aligned_new(model->params.total, sizeof *grads);
    block_trainer *trainer;
    check(block_trainer_new(model, shape, threads, objective.memory, &trainer, &error), &error);
    double best = 1e9, packing = 1e9, loss = 0;
    for (int turn = 0; turn < TURNS; turn++, objective.step++) {
        double start = now();
        check(model_prepare(model, &error), &error);
        double packed = now();
        check(block_trainer_run(trainer, &objective, mel, x, &loss, grads, &error), &error);
        double end = now();
        if (end - start < best) best = end - start;
        if (packed - start < packing) packing = packed - start;
    }
    printf(
        "{\"model\": \"%s\", \"batch\": %zu, \"frames\": %zu, \"threads\": %d, \"memory\": \"%s\", \"seconds\": %.3f, "
        "\"packing\": %.3f, \"loss\": %.4f}\n",
        arguments[1], shape.batch, shape.frames, block_threads(threads),
        objective.memory == BLOCKS_TAPED ? "taped" : "constant", best, packing, loss);
    block_trainer_free(trainer);
    vocode_model_free(model);
    aligned_free(mel), aligned_free(x), aligned_free(grads);
    return 0;
}
