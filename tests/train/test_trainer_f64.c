/* Steps of training: what lowers the loss, what is guarded, and that memory and accumulation change nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "train/tiny_run.h"

static const char plain[] = "\"steps\": 100, \"batch\": 2, \"segment\": 48, \"learning_rate\": 0.003, \"warmup\": 0, "
                            "\"most_skipped\": 3";

static void step(trainer *training, uint64_t batches, train_outcome *outcome) {
    vocode_error error = {0};
    double sum = 0, loss;
    for (uint64_t i = 0; i < training->settings->accumulate; i++) {
        train_batch batch = tiny_run_batch(training, training->state.batches % batches);
        assert_int_equal(trainer_gradient(training, &batch, &loss, &error), VOCODE_OK);
        sum += loss;
    }
    assert_int_equal(trainer_update(training, sum / (double)training->settings->accumulate, outcome, &error),
                     VOCODE_OK);
}

static void training_lowers_the_loss(void **unused) {
    (void)unused;
    for (size_t i = 0; tiny_run_models[i]; i++) {
        train_config config;
        trainer *training = tiny_run_trainer(tiny_run_folder, tiny_run_models[i], plain, &config);
        train_outcome first, last;
        step(training, 1, &first);
        for (int k = 0; k < 60; k++) step(training, 1, &last);
        if (!(last.loss < first.loss - 0.05)) fail_msg("model %zu: from %g to %g", i, first.loss, last.loss);
        assert_int_equal(training->state.step, 61);
        trainer_free(training);
        train_config_free(&config);
    }
}

/* The weights after five steps. */
static real *weights_after(size_t model, const char *more, size_t steps, size_t *total) {
    char train[512];
    train_config config;
    train_outcome outcome;
    snprintf(train, sizeof train, "%s%s", plain, more);
    trainer *training = tiny_run_trainer(tiny_run_folder, tiny_run_models[model], train, &config);
    for (size_t k = 0; k < steps; k++) step(training, 1000, &outcome);
    *total = training->model->params.total;
    real *weights = calloc(*total, sizeof *weights);
    assert_non_null(weights);
    memcpy(weights, training->arrays.weights, *total * sizeof *weights);
    trainer_free(training);
    train_config_free(&config);
    return weights;
}

static void both_uses_of_memory_agree(void **unused) {
    (void)unused;
    for (size_t i = 0; tiny_run_models[i]; i++) {
        size_t total;
        real *taped = weights_after(i, ", \"threads\": 1", 5, &total);
        real *rebuilt = weights_after(i, ", \"memory\": \"constant\", \"threads\": 2", 5, &total);
        for (size_t k = 0; k < total; k++)
            if (!(fabs(taped[k] - rebuilt[k]) <= 1e-6)) fail_msg("model %zu: %zu %g %g", i, k, taped[k], rebuilt[k]);
        free(taped);
        free(rebuilt);
    }
}

/* Two batches that are accumulated make the step of their mean gradient, whose norm is what is clipped. */
static void accumulation_is_a_mean(void **unused) {
    (void)unused;
    train_config config, other;
    train_outcome outcome, alone;
    trainer *one = tiny_run_trainer(tiny_run_folder, tiny_run_models[0], plain, &config);
    char train[512];
    snprintf(train, sizeof train, "%s, \"accumulate\": 3", plain);
    trainer *three = tiny_run_trainer(tiny_run_folder, tiny_run_models[0], train, &other);
    for (int k = 0; k < 4; k++) { /* always the same batch: the mean is each of them */
        step(one, 1, &alone);
        step(three, 1, &outcome);
        assert_true(fabs(outcome.loss - alone.loss) <= 1e-9 && fabs(outcome.norm - alone.norm) <= 1e-9);
    }
    for (size_t k = 0; k < one->model->params.total; k++)
        assert_true(fabs(one->arrays.weights[k] - three->arrays.weights[k]) <= 1e-8);
    trainer_free(one);
    trainer_free(three);
    train_config_free(&config);
    train_config_free(&other);
}

static void steps_that_are_not_finite_are_skipped(void **unused) {
    (void)unused;
    train_config config;
    train_outcome outcome;
    trainer *training = tiny_run_trainer(tiny_run_folder, tiny_run_models[0], plain, &config);
    size_t bytes = training->model->params.total * sizeof(real);
    real *before = malloc(bytes);
    vocode_error error = {0};
    double loss;
    assert_non_null(before);
    step(training, 1, &outcome);
    memcpy(before, training->arrays.weights, bytes);
    for (int k = 0; k < 3; k++) {
        train_batch batch = tiny_run_batch(training, 5);
        real *x = malloc(48 * 2 * sizeof *x);
        assert_non_null(x);
        memcpy(x, batch.x, 48 * 2 * sizeof *x);
        x[17] = NAN;
        batch.x = x;
        assert_int_equal(trainer_gradient(training, &batch, &loss, &error), VOCODE_OK);
        vocode_status status = trainer_update(training, loss, &outcome, &error);
        assert_int_equal(status, k < 2 ? VOCODE_OK : VOCODE_VALUE);
        assert_true(outcome.skipped);
        free(x);
    }
    assert_non_null(strstr(error.message, "3 steps in a row"));
    assert_int_equal(training->state.skipped, 3);
    assert_memory_equal(before, training->arrays.weights, bytes);
    training->state.skipped_in_row = 2;
    step(training, 1, &outcome); /* a good one goes on and starts the count anew */
    assert_false(outcome.skipped);
    assert_int_equal(training->state.skipped_in_row, 0);
    free(before);
    trainer_free(training);
    train_config_free(&config);
}

/* A first step of rate 1 along minus the sign takes half of the identity's diagonal to zero. */
static void singular_matrices_are_taken_back(void **unused) {
    (void)unused;
    char train[512];
    train_config config;
    train_outcome outcome;
    vocode_error error = {0};
    snprintf(train, sizeof train, "%s, \"learning_rate\": 1.0", "\"batch\": 2, \"segment\": 48, \"warmup\": 0");
    trainer *training = tiny_run_trainer(tiny_run_folder, tiny_run_models[0], train, &config);
    const param *p = param_find(&training->model->params, "mix.0");
    assert_non_null(p);
    assert_true(p->invertible);
    for (size_t i = 0; i < 8; i++)
        for (size_t j = 0; j < 8; j++) {
            p->value[i * 8 + j] = i == j;
            training->arrays.grads[p->offset + i * 8 + j] = i == j && i < 4;
        }
    assert_int_equal(model_prepare(training->model, &error), VOCODE_OK);
    const param *bias = param_find(&training->model->params, "coupling.0.exit.bias");
    training->arrays.grads[bias->offset] = 1;
    real was = bias->value[0];
    assert_int_equal(trainer_update(training, 1, &outcome, &error), VOCODE_OK);
    assert_true(outcome.undone);
    assert_int_equal(training->state.undone, 1);
    for (size_t i = 0; i < 64; i++) assert_true(p->value[i] == (i % 9 == 0));
    for (size_t i = 0; i < 64; i++) assert_true(training->arrays.first[p->offset + i] == 0);
    assert_true(fabs(bias->value[0] - (was - 1)) <= 1e-6); /* the rest of the step was taken */
    trainer_free(training);
    train_config_free(&config);
}

static void exchange_shows_the_average(void **unused) {
    (void)unused;
    train_config config;
    train_outcome outcome;
    vocode_error error = {0};
    double as_trained, averaged, again;
    trainer *training = tiny_run_trainer(tiny_run_folder, tiny_run_models[0], plain, &config);
    for (int k = 0; k < 5; k++) step(training, 1, &outcome);
    train_batch batch = tiny_run_batch(training, 0);
    assert_int_equal(trainer_score(training, &batch, 0, &as_trained, &error), VOCODE_OK);
    assert_int_equal(trainer_exchange(training, &error), VOCODE_OK);
    assert_int_equal(trainer_score(training, &batch, 0, &averaged, &error), VOCODE_OK);
    assert_int_equal(trainer_exchange(training, &error), VOCODE_OK);
    assert_int_equal(trainer_score(training, &batch, 0, &again, &error), VOCODE_OK);
    assert_true(as_trained == again && as_trained < averaged);
    trainer_free(training);
    train_config_free(&config);
}

/* Every second step has the loss of samples, and training lowers it. */
static void samples_are_trained_too(void **unused) {
    (void)unused;
    static const char more[] = "\"batch\": 1, \"segment\": 2048, \"learning_rate\": 0.01, \"warmup\": 0, "
                               "\"spectral_weight\": 2, \"spectral_every\": 2";
    for (size_t i = 0; tiny_run_models[i]; i++) {
        train_config config;
        train_outcome outcome;
        vocode_error error = {0};
        double first = NAN, last = NAN, loss;
        trainer *training = tiny_run_trainer(tiny_run_folder, tiny_run_models[i], more, &config);
        for (int k = 0; k < 8; k++) {
            step(training, 1, &outcome);
            assert_true(isnan(trainer_spectral(training)) == (k % 2 == 1));
        }
        train_batch batch = tiny_run_batch(training, 0);
        assert_int_equal(trainer_score(training, &batch, 0, &loss, &error), VOCODE_OK);
        first = trainer_spectral(training);
        for (int k = 0; k < 24; k++) step(training, 1, &outcome);
        assert_int_equal(trainer_score(training, &batch, 0, &loss, &error), VOCODE_OK);
        last = trainer_spectral(training);
        if (!(last < first)) fail_msg("model %zu: samples' loss from %g to %g", i, first, last);
        trainer_free(training);
        train_config_free(&config);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(training_lowers_the_loss),         cmocka_unit_test(both_uses_of_memory_agree),
        cmocka_unit_test(accumulation_is_a_mean),           cmocka_unit_test(steps_that_are_not_finite_are_skipped),
        cmocka_unit_test(singular_matrices_are_taken_back), cmocka_unit_test(exchange_shows_the_average),
        cmocka_unit_test(samples_are_trained_too),
    };
    return cmocka_run_group_tests(tests, tiny_run_open, tiny_run_close);
}
