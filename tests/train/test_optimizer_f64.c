/* AdamW, clipping, averages and schedules, against numbers of PyTorch 1.13 (torch.optim.AdamW, clip_grad_norm_) and
 * closed forms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "train/optimizer.h"

static void near(double found, double expected, double tolerance) {
    if (!(fabs(found - expected) <= tolerance)) fail_msg("expected %.17g, found %.17g", expected, found);
}

typedef struct fixture {
    param_set set;
    param *matrix, *vector, *buffer, *mix;
    optimizer state;
} fixture;

static void make(fixture *f, const train_group *groups, size_t group_count) {
    const size_t two[] = {2, 2}, gain[] = {2, 1};
    vocode_error error = {0};
    *f = (fixture){0};
    f->matrix = param_add(&f->set, PARAM_TRAINED, "layer.", "weight", 2, two);
    f->vector = param_add(&f->set, PARAM_TRAINED, "layer.", "gain", 2, gain);
    f->buffer = param_add(&f->set, PARAM_BUFFER, "layer.", "mean", 1, two);
    f->mix = param_add(&f->set, PARAM_TRAINED, "mix.", "0", 2, two);
    f->mix->invertible = true;
    assert_int_equal(param_allocate(&f->set, &error), VOCODE_OK);
    memcpy(f->matrix->value, (const real[]){1, -2, 0.5, 3}, 4 * sizeof(real));
    memcpy(f->vector->value, (const real[]){0.25, -0.75}, 2 * sizeof(real));
    memcpy(f->mix->value, (const real[]){1, 0, 0, 1}, 4 * sizeof(real));
    assert_int_equal(optimizer_new(&f->set, groups, group_count, &f->state, &error), VOCODE_OK);
}

static void release(fixture *f) {
    optimizer_free(&f->state);
    param_set_free(&f->set);
}

static const double torch_norms[] = {2.5283393759541064, 1.4603081866510232, 1.4060385643517905, 1.6342046995404216,
                                     1.9525624189766635};
static const double torch_matrix[] = {0.9878152900913901, -1.9828252815378438, 0.4903102954492542, 2.9778352737050247};
static const double torch_vector[] = {0.20269636004159677, -0.702696359801392};

/* Five steps with clipping to 1; the matrix decays by 0.1, the vector does not. */
static void steps_are_those_of_pytorch(void **unused) {
    (void)unused;
    const double matrix[] = {0.3, -0.1, 0.2, 0.05}, vector[] = {1.5, -2.0};
    for (int threads = 1; threads <= 3; threads++) {
        fixture f;
        make(&f, NULL, 0);
        for (int k = 0; k < 5; k++) {
            real *to = param_grad(f.matrix, f.state.grads), *also = param_grad(f.vector, f.state.grads);
            for (size_t i = 0; i < 4; i++) to[i] = matrix[i] * (k + 1) * (k % 2 ? -1 : 1);
            for (size_t i = 0; i < 2; i++) also[i] = vector[i] / (k + 1);
            double norm = optimizer_norm(&f.state, threads);
            near(norm, torch_norms[k], 1e-12);
            optimizer_update(&f.state,
                             &(optimizer_step){.rate = 0.01,
                                               .scale = 1 / (norm + 1e-6), /* as clip_grad_norm_ has it */
                                               .beta1 = 0.9,
                                               .beta2 = 0.99,
                                               .epsilon = 1e-8,
                                               .decay = 0.1},
                             threads);
            for (size_t i = 0; i < f.set.total; i++) assert_true(f.state.grads[i] == 0);
        }
        for (size_t i = 0; i < 4; i++) near(f.matrix->value[i], torch_matrix[i], 1e-12);
        for (size_t i = 0; i < 2; i++) near(f.vector->value[i], torch_vector[i], 1e-12);
        for (size_t i = 0; i < 4; i++) assert_true(f.mix->value[i] == (i % 3 == 0)); /* no gradient, no decay */
        release(&f);
    }
}

/* The first step moves by the rate along the gradient's sign; groups scale it, the last that fits wins. */
static void groups_have_their_rates(void **unused) {
    (void)unused;
    const train_group groups[] = {{"layer.", 0.5}, {"layer.gain", 0}};
    fixture f;
    make(&f, groups, 2);
    for (size_t i = 0; i < f.set.total; i++) f.state.grads[i] = -3;
    optimizer_update(&f.state, &(optimizer_step){.rate = 0.1, .scale = 1, .beta1 = 0.9, .beta2 = 0.99}, 1);
    near(f.matrix->value[0], 1.05, 1e-12);
    near(f.vector->value[0], 0.25, 0);
    near(f.mix->value[1], 0.1, 1e-12);
    near(f.buffer->value[0], 0, 0);
    release(&f);
}

static void averages_follow_the_weights(void **unused) {
    (void)unused;
    fixture f;
    make(&f, NULL, 0);
    double expected = 1, weight = 1, statistic = 0, average = 0;
    for (int k = 0; k < 4; k++) {
        f.state.grads[f.matrix->offset] = 1;
        f.state.grads[f.buffer->offset] = k;
        optimizer_update(
            &f.state,
            &(optimizer_step){
                .rate = 0.1, .scale = 1, .beta1 = 0, .beta2 = 0, .epsilon = 1e-15, .ema = 0.75, .keep = 0.9, .gain = 2},
            1);
        weight -= 0.1; /* without memory every step has the length of the rate */
        expected = 0.75 * expected + 0.25 * weight;
        near(f.matrix->value[0], weight, 1e-12);
        near(f.state.average[f.matrix->offset], expected, 1e-12);
        statistic = 0.9 * statistic + 2 * k;
        average = 0.75 * average + 0.25 * statistic;
        near(f.buffer->value[0], statistic, 1e-12);
        near(f.state.average[f.buffer->offset], average, 1e-12);
        near(f.state.grads[f.buffer->offset], 0, 0);
    }
    optimizer_update(&f.state, &(optimizer_step){.rate = 0.1, .scale = 1, .epsilon = 1e-8, .keep = 1}, 1);
    for (size_t i = 0; i < f.set.total; i++) assert_true(f.state.average[i] == f.state.weights[i]);
    release(&f);
}

static void numbers_that_are_not_finite_show_in_the_norm(void **unused) {
    (void)unused;
    fixture f;
    make(&f, NULL, 0);
    f.state.grads[f.mix->offset + 3] = NAN;
    assert_false(isfinite(optimizer_norm(&f.state, 2)));
    f.state.grads[f.mix->offset + 3] = INFINITY;
    assert_false(isfinite(optimizer_norm(&f.state, 2)));
    optimizer_drop(&f.state, 2);
    assert_true(optimizer_norm(&f.state, 2) == 0);
    release(&f);
}

static void schedules_rise_and_fall(void **unused) {
    (void)unused;
    train_settings cosine = {.steps = 110, .warmup = 10, .schedule = TRAIN_COSINE, .final_rate = 0.1};
    near(schedule_factor(&cosine, 0), 0.1, 1e-12);
    near(schedule_factor(&cosine, 4), 0.5, 1e-12);
    near(schedule_factor(&cosine, 9), 1, 1e-12);
    near(schedule_factor(&cosine, 10), 1, 1e-12);
    near(schedule_factor(&cosine, 60), 0.55, 1e-12);
    near(schedule_factor(&cosine, 110), 0.1, 1e-12);
    near(schedule_factor(&cosine, 1000), 0.1, 1e-12);
    train_settings stepwise = {.steps = 100, .schedule = TRAIN_STEPWISE, .decay_every = 20, .decay_factor = 0.5};
    near(schedule_factor(&stepwise, 19), 1, 0);
    near(schedule_factor(&stepwise, 20), 0.5, 1e-12);
    near(schedule_factor(&stepwise, 65), 0.125, 1e-12);
    train_settings constant = {.steps = 100, .warmup = 4};
    near(schedule_factor(&constant, 1), 0.5, 1e-12);
    near(schedule_factor(&constant, 99), 1, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_those_of_pytorch),  cmocka_unit_test(groups_have_their_rates),
        cmocka_unit_test(averages_follow_the_weights), cmocka_unit_test(numbers_that_are_not_finite_show_in_the_norm),
        cmocka_unit_test(schedules_rise_and_fall),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
