/* Checkpoints hold everything, are model files, and say when they are damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "train/folder.h"
#include "train/tiny_run.h"

static const char plain[] = "\"batch\": 2, \"segment\": 48, \"threads\": 1";

/* A trainer of the squeezewave model (which has buffers) after a few steps. */
static trainer *trained(train_config *config, int steps) {
    trainer *training = tiny_run_trainer(tiny_run_folder, tiny_run_models[2], plain, config);
    vocode_error error = {0};
    train_outcome outcome;
    double loss;
    for (int k = 0; k < steps; k++) {
        train_batch batch = tiny_run_batch(training, (uint64_t)k);
        assert_int_equal(trainer_gradient(training, &batch, &loss, &error), VOCODE_OK);
        assert_int_equal(trainer_update(training, loss, &outcome, &error), VOCODE_OK);
    }
    return training;
}

static void save(const trainer *training, bool best, bool numbered) {
    vocode_error error = {0};
    if (folder_save(tiny_run_folder, training->model->config, &training->arrays, &training->state, best, numbered, 2,
                    &error) != VOCODE_OK)
        fail_msg("%s", error.message);
}

static char *named(const char *name) {
    char *path = folder_file(tiny_run_folder, name);
    assert_non_null(path);
    return path;
}

static bool there(const char *name) {
    char *path = named(name);
    bool found = access(path, F_OK) == 0;
    free(path);
    return found;
}

static void same_arrays(const trainer *a, const trainer *b) {
    size_t bytes = a->model->params.total * sizeof(real);
    assert_memory_equal(a->arrays.weights, b->arrays.weights, bytes);
    assert_memory_equal(a->arrays.average, b->arrays.average, bytes);
    assert_memory_equal(a->arrays.first, b->arrays.first, bytes);
    assert_memory_equal(a->arrays.second, b->arrays.second, bytes);
    assert_int_equal(a->arrays.updates, b->arrays.updates);
}

static void everything_comes_back(void **unused) {
    (void)unused;
    train_config config, other;
    vocode_error error = {0};
    trainer *training = trained(&config, 3), *fresh = trained(&other, 0);
    training->state.best = -1.25;
    training->state.seconds = 0.1;
    training->state.skipped = 7;
    save(training, false, false);
    char *path = named("last.safetensors");
    if (trainer_load(fresh, path, &error) != VOCODE_OK) fail_msg("%s", error.message);
    same_arrays(training, fresh);
    assert_int_equal(fresh->state.step, 3);
    assert_int_equal(fresh->state.batches, 3);
    assert_int_equal(fresh->state.skipped, 7);
    assert_true(fresh->state.best == -1.25 && fresh->state.seconds == 0.1 && isnan(fresh->state.last_validation));
    free(path);
    trainer_free(training);
    trainer_free(fresh);
    train_config_free(&config);
    train_config_free(&other);
}

static void checkpoints_are_models_of_the_average(void **unused) {
    (void)unused;
    train_config config;
    vocode_error error = {0};
    vocode_model *model;
    trainer *training = trained(&config, 4);
    save(training, true, false);
    char *path = named("best.safetensors");
    if (vocode_model_open(path, &model, &error) != VOCODE_OK) fail_msg("%s", error.message);
    for (size_t i = 0; i < model->params.count; i++) {
        const param *p = model->params.items[i];
        assert_memory_equal(p->value, training->arrays.average + p->offset, p->count * sizeof(real));
    }
    vocode_model_free(model);
    free(path);
    trainer_free(training);
    train_config_free(&config);
}

static void flip_byte(const char *path, long back) {
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, -back, SEEK_END), 0);
    int byte = fgetc(file);
    assert_int_equal(fseek(file, -back, SEEK_END), 0);
    fputc(byte ^ 1, file);
    assert_int_equal(fclose(file), 0);
}

typedef struct heard {
    int count;
    char text[2048];
} heard;

static void hear(void *context, const char *sentence) {
    heard *all = context;
    all->count++;
    size_t used = strlen(all->text);
    snprintf(all->text + used, sizeof all->text - used, "%s\n", sentence);
}

/* Aliases are the same file, so a numbered checkpoint of the same step is damaged with last: the one before it serves.
 */
static void damage_is_said_and_survived(void **unused) {
    (void)unused;
    train_config config;
    vocode_error error = {0};
    bool found;
    trainer *training = trained(&config, 2);
    save(training, false, true);
    size_t bytes = training->model->params.total * sizeof(real);
    real *kept = malloc(bytes);
    assert_non_null(kept);
    memcpy(kept, training->arrays.weights, bytes);
    training->state.step = 3;
    training->arrays.weights[0] += 1;
    save(training, false, true);
    char *path = named("last.safetensors");
    flip_byte(path, 100);
    assert_int_equal(checkpoint_read(path, &training->arrays, &training->state, &error), VOCODE_FORMAT);
    assert_non_null(strstr(error.message, "last.safetensors: damaged"));
    heard all = {0};
    warning_sink sink = {hear, &all};
    assert_int_equal(folder_load(tiny_run_folder, &training->arrays, &training->state, &found, &sink, &error),
                     VOCODE_OK);
    assert_true(found);
    assert_int_equal(training->state.step, 2);
    assert_memory_equal(kept, training->arrays.weights, bytes);
    assert_non_null(strstr(all.text, "checkpoint-2.safetensors"));
    free(kept);
    free(path);
    trainer_free(training);
    train_config_free(&config);
}

static void the_newest_are_kept(void **unused) {
    (void)unused;
    train_config config;
    trainer *training = trained(&config, 0);
    for (uint64_t step = 8; step <= 11; step++) {
        training->state.step = step;
        save(training, false, true);
    }
    assert_true(there("checkpoint-11.safetensors") && there("checkpoint-10.safetensors"));
    assert_false(there("checkpoint-9.safetensors") || there("checkpoint-8.safetensors"));
    trainer_free(training);
    train_config_free(&config);
}

static void models_are_no_checkpoints(void **unused) {
    (void)unused;
    train_config config;
    vocode_error error = {0};
    trainer *training = trained(&config, 0);
    char *path = named("model.safetensors");
    assert_int_equal(model_save(training->model, path, &error), VOCODE_OK);
    assert_int_equal(checkpoint_read(path, &training->arrays, &training->state, &error), VOCODE_FORMAT);
    assert_non_null(strstr(error.message, "model.safetensors"));
    free(path);
    trainer_free(training);
    train_config_free(&config);
}

static void folders_are_not_mixed_up(void **unused) {
    (void)unused;
    train_config config;
    vocode_error error = {0};
    trainer *training = trained(&config, 0);
    save(training, false, false);
    assert_int_equal(folder_open(tiny_run_folder, false, &error), VOCODE_IO);
    assert_non_null(strstr(error.message, "--resume"));
    assert_int_equal(folder_open(tiny_run_folder, true, &error), VOCODE_OK);
    char *part = named(".last.safetensors.0123456789abcdef.part");
    FILE *file = fopen(part, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    folder_clean(tiny_run_folder);
    assert_int_not_equal(access(part, F_OK), 0);
    assert_true(there("last.safetensors"));
    free(part);
    trainer_free(training);
    train_config_free(&config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everything_comes_back, tiny_run_open, tiny_run_close),
        cmocka_unit_test_setup_teardown(checkpoints_are_models_of_the_average, tiny_run_open, tiny_run_close),
        cmocka_unit_test_setup_teardown(damage_is_said_and_survived, tiny_run_open, tiny_run_close),
        cmocka_unit_test_setup_teardown(the_newest_are_kept, tiny_run_open, tiny_run_close),
        cmocka_unit_test_setup_teardown(models_are_no_checkpoints, tiny_run_open, tiny_run_close),
        cmocka_unit_test_setup_teardown(folders_are_not_mixed_up, tiny_run_open, tiny_run_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
