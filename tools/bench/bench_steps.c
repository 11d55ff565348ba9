/* Seconds of a whole training step: forward, backward, clipping, AdamW with its average, and what weights are packed
 * into.
 *
 * usage: bench_steps CONFIG.json KEY=VALUE...      keys as of vocode train --set: batch=4 segment=15872 threads=2
 * Batches are noise. Prints one JSON object: the best of some steps, and the mean. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <vocode/vocode.h>

#include "core/rng.h"
#include "train/trainer.h"

enum { TURNS = 6 };

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
    train_config config;
    trainer *self;
    train_outcome outcome = {0};
    if (count < 2) {
        fprintf(stderr, "usage: bench_steps CONFIG.json KEY=VALUE...\n");
        return 2;
    }
    const char *const *sets = (const char *const *)arguments + 2;
    check(train_config_read(arguments[1], sets, (size_t)count - 2, &config, &error), &error);
    check(model_create(config.root, arguments[1], config.settings.seed, &model, &error), &error);
    check(model_prepare_training(model, &error), &error);
    check(trainer_new(model, &config, &self, &error), &error);
    real *mel = numbers(self->shape.batch * self->shape.frames * model->n_mels, 2, -5);
    real *x = numbers(self->shape.batch * self->shape.columns * model->group, 0.05, 0);
    double best = INFINITY, sum = 0, loss = 0;
    for (int turn = 0; turn <= TURNS; turn++) {
        double start = now();
        check(trainer_gradient(self, &(train_batch){mel, x}, &loss, &error), &error);
        check(trainer_update(self, loss, &outcome, &error), &error);
        double taken = now() - start;
        if (turn == 0) continue; /* memory is touched for the first time */
        sum += taken;
        if (taken < best) best = taken;
    }
    printf("{\"config\": \"%s\", \"batch\": %zu, \"samples\": %zu, \"threads\": %d, \"memory\": \"%s\", \"seconds\": "
           "%.3f, "
           "\"mean\": %.3f, \"loss\": %.4f}\n",
           arguments[1], self->shape.batch, self->shape.columns * model->group, self->threads,
           self->settings->memory == BLOCKS_TAPED ? "taped" : "constant", best, sum / TURNS, outcome.loss);
    trainer_free(self);
    train_config_free(&config);
    aligned_free(mel), aligned_free(x);
    return 0;
}
