/* Training steps from fresh weights, which are kept, on given batches, the loss of each on a line: to be laid beside
 * another program's.
 *
 * usage: follow_steps CONFIG.json MODEL MEL.npy AUDIO.npy KEY=VALUE...        follow_steps_f64: the same in double
 * MODEL is written, with the weights before the first step. MEL [steps * batch, frames, n_mels] and AUDIO [steps *
 * batch, samples] are float32; keys are those of vocode train
 * --set. */
#include <stdio.h>
#include <stdlib.h>

#include <vocode/vocode.h>

#include "io/npy.h"
#include "train/trainer.h"

static void check(vocode_status status, const vocode_error *error) {
    if (status == VOCODE_OK) return;
    fprintf(stderr, "follow_steps: %s\n", error->message);
    exit(1);
}

static void check_shape(const npy_array *array, const char *path, int rank, size_t last) {
    if (array->rank == rank && array->shape[rank - 1] == last) return;
    fprintf(stderr, "follow_steps: %s: expected %d axes, the last of them %zu\n", path, rank, last);
    exit(1);
}

static real *numbers(const npy_array *array) {
    real *copy = malloc((array->count + 1) * sizeof *copy);
    for (size_t i = 0; copy && i < array->count; i++) copy[i] = array->data[i];
    if (copy) return copy;
    fprintf(stderr, "follow_steps: out of memory\n");
    exit(1);
}

int main(int count, char **arguments) {
    vocode_error error = {0};
    vocode_model *model;
    train_config config;
    trainer *self;
    npy_array mel, audio;
    if (count < 5) {
        fprintf(stderr, "usage: follow_steps CONFIG.json MODEL MEL.npy AUDIO.npy KEY=VALUE...\n");
        return 2;
    }
    check(train_config_read(arguments[1], (const char *const *)arguments + 5, (size_t)count - 5, &config, &error),
          &error);
    check(model_create(config.root, arguments[1], config.settings.seed, &model, &error), &error);
    check(model_save(model, arguments[2], &error), &error);
    check(trainer_new(model, &config, &self, &error), &error);
    check(npy_read(arguments[3], &mel, &error), &error);
    check(npy_read(arguments[4], &audio, &error), &error);
    size_t batch = self->shape.batch, rows = batch * self->shape.frames * model->n_mels;
    size_t samples = self->shape.columns * model->group;
    check_shape(&mel, arguments[3], 3, model->n_mels);
    check_shape(&audio, arguments[4], 2, samples);
    real *mels = numbers(&mel), *sounds = numbers(&audio);
    for (size_t step = 0; step < audio.shape[0] / batch && (step + 1) * rows <= mel.count; step++) {
        train_outcome outcome;
        double loss;
        const train_batch pair = {.mel = mels + step * rows, .x = sounds + step * batch * samples};
        check(trainer_gradient(self, &pair, &loss, &error), &error);
        check(trainer_update(self, loss, &outcome, &error), &error);
        printf("%.12g\n", loss);
    }
    free(mels), free(sounds);
    npy_free(&mel), npy_free(&audio);
    trainer_free(self);
    train_config_free(&config);
    return 0;
}
