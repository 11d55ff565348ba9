/* Batch norm in training: two steps as PyTorch takes them, gradients through the statistics, and what becomes of the
 * running ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/npy.h"
#include "train/tiny_run.h"

enum { SQUEEZEWAVE = 2, STEPS = 2 };

static trainer *make(const char *more, train_config *config) {
    char train[512];
    snprintf(train, sizeof train,
             "\"batch\": 2, \"segment\": 48, \"warmup\": 0, \"weight_decay\": 0, "
             "\"schedule\": \"constant\", \"ema\": 0.9, \"sigma\": 0.8%s",
             more);
    return tiny_run_trainer(tiny_run_folder, tiny_run_models[SQUEEZEWAVE], train, config);
}

static void update(trainer *training, double loss, train_outcome *outcome) {
    vocode_error error = {0};
    assert_int_equal(trainer_update(training, loss, outcome, &error), VOCODE_OK);
}

static double gradient(trainer *training, const train_batch *batch) {
    vocode_error error = {0};
    double loss;
    assert_int_equal(trainer_gradient(training, batch, &loss, &error), VOCODE_OK);
    return loss;
}

static void prepare(trainer *training) {
    vocode_error error = {0};
    assert_int_equal(model_prepare(training->model, &error), VOCODE_OK);
}

/* tests/data/make_training.py: numbers in the order of the names. */
typedef struct reference {
    param *params[256];
    size_t count, total;
    npy_array numbers;
    const float *next;
} reference;

static void open_reference(reference *it, const param_set *set) {
    char name[PARAM_NAME_SIZE];
    size_t count;
    vocode_error error = {0};
    *it = (reference){.count = 0};
    if (npy_read(TEST_DATA "/training/squeezewave.npy", &it->numbers, &error) != VOCODE_OK)
        fail_msg("%s", error.message);
    it->next = it->numbers.data;
    FILE *names = fopen(TEST_DATA "/training/squeezewave.txt", "r");
    assert_non_null(names);
    while (fscanf(names, "%127s %zu", name, &count) == 2) {
        param *p = param_find(set, name);
        if (!p || p->count != count) fail_msg("%s is not a parameter of %zu numbers", name, count);
        it->params[it->count++] = p;
        it->total += count;
    }
    fclose(names);
    assert_int_equal(it->count, set->count);
}

static void take(reference *it, real *to, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] = (real)*it->next++;
}

/* Floats of the file, against the largest of the tensor's. */
static void compare(reference *it, const real *flat, const char *what) {
    for (size_t k = 0; k < it->count; k++) {
        const param *p = it->params[k];
        double size = 1e-3;
        for (size_t i = 0; i < p->count; i++) size = fmax(size, fabs((double)it->next[i]));
        for (size_t i = 0; i < p->count; i++, it->next++)
            if (!(fabs(flat[p->offset + i] - (double)*it->next) <= 3e-7 * size))
                fail_msg("%s of %s[%zu]: %.9g instead of %.9g", what, p->name, i, flat[p->offset + i],
                         (double)*it->next);
    }
}

static void steps_are_those_of_pytorch(void **unused) {
    (void)unused;
    const char *const memories[] = {", \"learning_rate\": 0.01", ", \"learning_rate\": 0.01, \"memory\": \"constant\"",
                                    NULL};
    for (size_t m = 0; memories[m]; m++) {
        train_config config;
        trainer *training = make(memories[m], &config);
        reference it;
        real mel[STEPS][18], x[STEPS][96], losses[STEPS];
        open_reference(&it, &training->model->params);
        for (size_t k = 0; k < it.count; k++) take(&it, it.params[k]->value, it.params[k]->count);
        prepare(training);
        for (size_t k = 0; k < STEPS; k++) {
            take(&it, mel[k], 18);
            take(&it, x[k], 96);
        }
        take(&it, losses, STEPS);
        for (size_t k = 0; k < STEPS; k++) {
            train_outcome outcome;
            double loss = gradient(training, &(train_batch){mel[k], x[k]});
            assert_true(fabs(loss - losses[k]) <= 1e-6);
            if (k == 0) {
                real *grads = training->arrays.grads; /* but for what is no gradient */
                real *kept = calloc(training->model->params.total, sizeof *kept);
                memcpy(kept, grads, training->model->params.total * sizeof *kept);
                for (size_t i = 0; i < it.count; i++)
                    if (it.params[i]->kind == PARAM_BUFFER)
                        memset(kept + it.params[i]->offset, 0, it.params[i]->count * sizeof *kept);
                compare(&it, kept, "gradient");
                free(kept);
            }
            update(training, loss, &outcome);
        }
        compare(&it, training->arrays.weights, "weight");
        assert_ptr_equal(it.next, it.numbers.data + it.numbers.count);
        npy_free(&it.numbers);
        trainer_free(training);
        train_config_free(&config);
    }
}

/* The loss of training as a function of one parameter's element. */
static double slope(trainer *training, const train_batch *batch, real *value) {
    const double step = 1e-3, weight[] = {1.0 / 12, -2.0 / 3, 2.0 / 3, -1.0 / 12}, at[] = {-2, -1, 1, 2};
    real kept = *value;
    double sum = 0;
    for (size_t k = 0; k < 4; k++) {
        *value = (real)(kept + at[k] * step);
        prepare(training);
        sum += weight[k] * gradient(training, batch) / step;
    }
    *value = kept;
    prepare(training);
    return sum;
}

static void gradients_go_through_the_statistics(void **unused) {
    (void)unused;
    train_config config, other;
    trainer *training = make("", &config), *constant = make(", \"memory\": \"constant\", \"threads\": 2", &other);
    size_t total = training->model->params.total;
    real *grads = calloc(total, sizeof *grads);
    train_batch batch = tiny_run_batch(training, 3);
    double largest = 0, loss = gradient(training, &batch), again = gradient(constant, &batch);
    assert_true(fabs(loss - again) <= 1e-12);
    memcpy(grads, training->arrays.grads, total * sizeof *grads);
    for (size_t i = 0; i < total; i++) largest = fmax(largest, fabs(grads[i]));
    for (size_t i = 0; i < total; i++) assert_true(fabs(grads[i] - constant->arrays.grads[i]) <= 1e-9 * largest);
    for (size_t k = 0; k < training->model->params.count; k++) {
        param *p = training->model->params.items[k];
        for (size_t i = 0; p->kind == PARAM_TRAINED && i < p->count; i += 3) {
            double truth = slope(training, &batch, &p->value[i]);
            if (!(fabs(truth - grads[p->offset + i]) <= 1e-6 * largest))
                fail_msg("%s[%zu]: %g instead of %g", p->name, i, grads[p->offset + i], truth);
        }
    }
    free(grads);
    trainer_free(training);
    trainer_free(constant);
    train_config_free(&config);
    train_config_free(&other);
}

static real *running(const trainer *training) {
    param *mean = param_find(&training->model->params, "WN.1.in_layers.0.0.running_mean");
    assert_non_null(mean);
    return mean->value;
}

/* Accumulated batches move the running statistics one after the other; averages follow as those of weights do. */
static void every_batch_moves_the_running_statistics(void **unused) {
    (void)unused;
    train_config config, other;
    train_outcome outcome;
    trainer *both = make(", \"accumulate\": 2, \"learning_rate\": 0", &config),
            *one = make(", \"learning_rate\": 0", &other);
    for (uint64_t k = 0; k < 2; k++) {
        train_batch batch = tiny_run_batch(both, k);
        gradient(both, &batch);
        update(one, gradient(one, &batch), &outcome);
    }
    assert_true(running(both)[0] == 0);
    update(both, 0, &outcome);
    assert_true(running(both)[0] != 0);
    size_t at = (size_t)(running(both) - both->arrays.weights);
    for (size_t c = 0; c < 4; c++) {
        assert_true(fabs(running(both)[c] - running(one)[c]) <= 1e-14);
        double decay = 0.1; /* of the first update */
        assert_true(fabs(both->arrays.average[at + c] - (1 - decay) * running(both)[c]) <= 1e-14);
    }
    trainer_free(both);
    trainer_free(one);
    train_config_free(&config);
    train_config_free(&other);
}

static void skipped_steps_and_running_norms_leave_them(void **unused) {
    (void)unused;
    train_config config, other;
    train_outcome outcome;
    trainer *training = make("", &config), *fixed = make(", \"norm_statistics\": \"running\"", &other);
    train_batch batch = tiny_run_batch(training, 0);
    gradient(training, &batch);
    update(training, NAN, &outcome);
    assert_true(outcome.skipped && running(training)[0] == 0 && training->arrays.grads[0] == 0);
    double batch_loss = gradient(training, &batch), running_loss = gradient(fixed, &batch), scored;
    vocode_error error = {0};
    assert_true(fabs(batch_loss - running_loss) > 1e-6);
    assert_int_equal(trainer_score(training, &batch, 0, &scored, &error), VOCODE_OK);
    assert_true(scored == running_loss); /* what is scored is the model as it will be used */
    update(fixed, running_loss, &outcome);
    assert_true(!outcome.skipped && running(fixed)[0] == 0);
    trainer_free(training);
    trainer_free(fixed);
    train_config_free(&config);
    train_config_free(&other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_those_of_pytorch),
        cmocka_unit_test(gradients_go_through_the_statistics),
        cmocka_unit_test(every_batch_moves_the_running_statistics),
        cmocka_unit_test(skipped_steps_and_running_norms_leave_them),
    };
    return cmocka_run_group_tests(tests, tiny_run_open, tiny_run_close);
}
