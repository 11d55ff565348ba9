/* Base distributions, AdamW, and models of vectors from fit to file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/rng.h"
#include "density/adam.h"
#include "density/fit.h"
#include "density/models.h"

static void bases_are_densities(void **state) {
    (void)state;
    for (int base = 0; base < BASE_COUNT; base++) {
        double integral = 0, mean = 0, square = 0, expected = 0;
        const double step = 1e-3;
        for (double at = -40 + step / 2; at < 40; at += step) {
            real z = (real)at;
            double density = exp(base_log_density((base_kind)base, &z, 1));
            integral += density * step;
            expected += density * at * at * step;
        }
        assert_true(fabs(integral - 1) < 2e-3);
        enum { DRAWS = 20000 };
        real *drawn = calloc(DRAWS, sizeof *drawn);
        base_draw((base_kind)base, 1, 0, DRAWS / 2, 2, drawn);
        for (size_t i = 0; i < DRAWS; i++) {
            mean += (double)drawn[i] / DRAWS;
            square += (double)drawn[i] * (double)drawn[i] / DRAWS;
        }
        assert_true(fabs(mean - (base == BASE_uniform ? 0.5 : 0)) < 0.05);
        assert_true(fabs(square - expected) < 0.05 * (1 + expected));
        real at[] = {(real)0.3}, slope;
        base_slope((base_kind)base, at, 1, 2, &slope);
        real up[] = {(real)0.31}, down[] = {(real)0.29};
        double difference =
            (base_log_density((base_kind)base, up, 1) - base_log_density((base_kind)base, down, 1)) / 0.02;
        assert_true(fabs((double)slope - 2 * difference) < 1e-2);
        free(drawn);
    }
}

/* The first step moves every number by the rate against its gradient's sign; decay pulls; frozen ones and statistics
 * stay; two shards count as their sum. */
static void adam_steps(void **state) {
    (void)state;
    const size_t two = 2;
    param_set set = {0};
    param *a = param_add(&set, PARAM_TRAINED, "", "a", 1, &two),
          *b = param_add(&set, PARAM_TRAINED, "kept.", "b", 1, &two);
    param *c = param_add(&set, PARAM_BUFFER, "", "c", 1, &two);
    vocode_error error;
    assert_int_equal(param_allocate(&set, &error), VOCODE_OK);
    param_fill(a, 1);
    param_fill(b, 1);
    param_fill(c, 1);
    adam step;
    assert_true(adam_new(&step, &set, "kept.", 0.9));
    real grads[12] = {3, -1, 1, 1, 1, 1, -1, -1, 1, 1, 1, 1};
    char memory[64];
    compute run = {.scratch = arena_over(memory, sizeof memory), .threads = 1};
    assert_true(adam_step(&step, &set, &run, grads, 2, 0.1, 0.5, 100));
    assert_true(fabs((double)a->value[0] - (1 - 0.1 - 0.05)) < 1e-6); /* 3 - 1 = 2 */
    assert_true(fabs((double)a->value[1] - (1 + 0.1 - 0.05)) < 1e-6); /* -2 */
    for (size_t i = 0; i < 2; i++) assert_true(b->value[i] == 1 && c->value[i] == 1);
    /* the mean keeps 2/11 of what was before the first step */
    assert_true(fabs((double)step.mean[0] - (1 - 0.15 * 9 / 11)) < 1e-6 && step.mean[2] == 1);
    adam_swap(&step, &set);
    assert_true(fabs((double)step.mean[0] - 0.85) < 1e-6 && fabs((double)a->value[0] - (1 - 0.15 * 9 / 11)) < 1e-6);
    adam_swap(&step, &set);
    grads[0] = (real)NAN;
    real before = a->value[1];
    assert_false(adam_step(&step, &set, &run, grads, 1, 0.1, 0.5, 100));
    assert_true(a->value[1] == before);
    adam_free(&step);
    param_set_free(&set);
}

enum { ROWS = 1500 };
static real data[ROWS * 2], about[ROWS];

/* x0 = 3 + 2 n, x1 = c x0 / 2 + n / 2 of two standard normals and a context of -1 or 1. */
static void draw_data(void) {
    for (size_t t = 0; t < ROWS; t++) {
        about[t] = t % 2 ? 1 : -1;
        data[2 * t] = (real)(3 + 2 * rng_normal(1, 0, t));
        data[2 * t + 1] = (real)((double)about[t] * (double)data[2 * t] / 2 + rng_normal(1, 1, t) / 2);
    }
}

static const double half_log_two_pi_e = 1.4189385332046727;

static void fits_find_the_entropy(void **state) {
    (void)state;
    draw_data();
    static const char *const specs[] = {"maf:layers=2,hidden=16,depth=1", "realnvp:layers=2,hidden=16,depth=1",
                                        "iaf:layers=2,hidden=16,depth=1", "(batchnorm,made:hidden=16,depth=1)*2",
                                        "ode:hidden=12,depth=2,solver=rk4,steps=3"};
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        fit_options options = fit_defaults;
        options.epochs = 60;
        options.batch = 128;
        options.rate = 1e-2;
        options.threads = 2;
        vectors_model *model = model_of(specs[i], 2, 1);
        vocode_error error = {0};
        if (fit_vectors(model, data, about, ROWS, &options, NULL, &error) != VOCODE_OK) fail_msg("%s", error.message);
        double entropy = 2 * half_log_two_pi_e + log(2.0) + log(0.5), mean = 0;
        double *density = calloc(ROWS, sizeof *density);
        assert_int_equal(vectors_encode(model, data, about, ROWS, 2, NULL, density, &error), VOCODE_OK);
        for (size_t t = 0; t < ROWS; t++) mean -= density[t] / ROWS;
        if (!(fabs(mean - entropy) < 0.12)) fail_msg("%s: %g nats, the entropy is %g", specs[i], mean, entropy);
        free(density);
        vectors_free(model);
    }
}

static void threads_change_no_fit(void **state) {
    (void)state;
    draw_data();
    vectors_model *models[2];
    for (int i = 0; i < 2; i++) {
        fit_options options = fit_defaults;
        vocode_error error = {0};
        options.epochs = 2;
        options.threads = i ? 3 : 1;
        models[i] = model_of("maf:layers=1,hidden=8", 2, 1);
        assert_int_equal(fit_vectors(models[i], data, about, ROWS, &options, NULL, &error), VOCODE_OK);
    }
    assert_memory_equal(models[0]->set.storage, models[1]->set.storage, models[0]->set.total * sizeof(real));
    for (int i = 0; i < 2; i++) vectors_free(models[i]);
}

/* Flow matching finds a Gaussian, and what the solver makes of it is a density: its integral over the plane is one. */
static void matching_finds_densities(void **state) {
    (void)state;
    draw_data();
    enum { ACROSS = 100 };
    static real grid[ACROSS * ACROSS * 2];
    static double density[ACROSS * ACROSS];
    fit_options options = fit_defaults;
    options.method = FIT_MATCHING;
    options.epochs = 100;
    options.batch = 256;
    options.rate = 1e-2;
    options.threads = 2;
    vectors_model *model = model_of("ode:hidden=16,depth=2,rtol=1e-4,atol=1e-4", 2, 0);
    vocode_error error = {0};
    if (fit_vectors(model, data, NULL, ROWS, &options, NULL, &error) != VOCODE_OK) fail_msg("%s", error.message);
    /* a mixture of two Gaussians that cross, of an entropy of at most 3.54; one Gaussian would come to 4.16 */
    double mean = 0, integral = 0, low[] = {-7, -7}, step[] = {0.2, 0.2};
    assert_int_equal(vectors_encode(model, data, NULL, ROWS, 2, NULL, density, &error), VOCODE_OK);
    for (size_t t = 0; t < ROWS; t++) mean -= density[t] / ROWS;
    if (!(mean < 3.6)) fail_msg("%g nats", mean);
    for (size_t i = 0; i < (size_t)ACROSS * ACROSS; i++) {
        grid[2 * i] = (real)(low[0] + step[0] * (double)(i % ACROSS));
        grid[2 * i + 1] = (real)(low[1] + step[1] * (double)(i / ACROSS) * 0.7);
    }
    assert_int_equal(vectors_encode(model, grid, NULL, (size_t)ACROSS * ACROSS, 2, NULL, density, &error), VOCODE_OK);
    for (size_t i = 0; i < (size_t)ACROSS * ACROSS; i++) integral += exp(density[i]) * step[0] * step[1] * 0.7;
    if (!(fabs(integral - 1) < 0.005)) fail_msg("the density integrates to %g", integral);
    vectors_free(model);
    model = model_of("ode,actnorm", 2, 0);
    assert_int_equal(fit_vectors(model, data, NULL, ROWS, &options, NULL, &error), VOCODE_UNSUPPORTED);
    assert_non_null(strstr(error.message, "expected one continuous flow"));
    vectors_free(model);
}

/* Two coins, the second as the first in three of four throws, and a column that never changes: the bounds lie above the
 * entropy, and that of noise that is fitted lies lower. */
static void noise_bounds_probabilities(void **state) {
    (void)state;
    static real coins[ROWS * 3];
    static double bound[ROWS];
    static const char *const specs[] = {"dequantize,maf:layers=2,hidden=8,depth=1",
                                        "dequantize:noise=variational,channels=8,couplings=2,layers=1,"
                                        "maf:layers=2,hidden=8,depth=1"};
    double nats[2], entropy = log(2.0) - 0.75 * log(0.75) - 0.25 * log(0.25);
    vocode_error error = {0};
    for (size_t t = 0; t < ROWS; t++) {
        coins[3 * t] = rng_uniform(3, 0, t) < 0.5;
        coins[3 * t + 1] = rng_uniform(3, 1, t) < 0.75 ? coins[3 * t] : 1 - coins[3 * t];
        coins[3 * t + 2] = 7;
    }
    for (size_t i = 0; i < 2; i++) {
        fit_options options = fit_defaults;
        options.epochs = 50;
        options.batch = 128;
        options.rate = 1e-2;
        options.threads = 2;
        vectors_model *model = model_of(specs[i], 3, 0);
        if (fit_vectors(model, coins, NULL, ROWS, &options, NULL, &error) != VOCODE_OK) fail_msg("%s", error.message);
        assert_int_equal(vectors_encode(model, coins, NULL, ROWS, 2, NULL, bound, &error), VOCODE_OK);
        nats[i] = 0;
        for (size_t t = 0; t < ROWS; t++) nats[i] -= bound[t] / ROWS;
        real drawn[3 * 20];
        assert_int_equal(vectors_sample(model, NULL, 20, 1, 1, drawn, &error), VOCODE_OK);
        for (size_t k = 0; k < 60; k++) assert_true(drawn[k] == floor(drawn[k]));
        coins[4] += (real)0.25;
        assert_int_equal(vectors_encode(model, coins, NULL, ROWS, 2, NULL, bound, &error), VOCODE_VALUE);
        assert_non_null(strstr(error.message, "expected whole numbers to dequantize"));
        coins[4] -= (real)0.25;
        vectors_free(model);
    }
    if (!(nats[0] > entropy - 0.05 && nats[1] > entropy - 0.05 && nats[1] < nats[0] - 0.05))
        fail_msg("an entropy of %g, bounds of %g and %g", entropy, nats[0], nats[1]);
}

static void files_hold_models(void **state) {
    (void)state;
    draw_data();
    char path[] = "/tmp/vocode-vectors-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    vectors_model *model = model_of("glow:layers=2,hidden=8", 2, 1), *read;
    vocode_error error = {0};
    fit_options options = fit_defaults;
    options.epochs = 1;
    assert_int_equal(fit_vectors(model, data, about, ROWS, &options, NULL, &error), VOCODE_OK);
    assert_int_equal(vectors_save(model, path, &error), VOCODE_OK);
    assert_int_equal(vectors_open(path, &read, &error), VOCODE_OK);
    assert_string_equal(read->spec, model->spec);
    assert_true(read->valid_nll == model->valid_nll && read->rows == ROWS && read->epochs == 1);
    assert_memory_equal(read->set.storage, model->set.storage, model->set.total * sizeof(real));
    static real samples[2][700 * 2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(vectors_sample(i ? read : model, about, i ? 700 : 300, 5, i ? 3 : 1, samples[i], &error),
                         VOCODE_OK);
    assert_memory_equal(samples[0], samples[1], 300 * 2 * sizeof(real)); /* a row is a function of its number */
    unlink(path);
    vectors_free(model);
    vectors_free(read);
}

static void refuses(const char *says, const real *x, size_t rows, const real *context) {
    vectors_model *model = model_of("actnorm", 2, context ? 1 : 0);
    vocode_error error = {0};
    vocode_status status = fit_vectors(model, x, context, rows, &fit_defaults, NULL, &error);
    assert_int_equal(status, VOCODE_VALUE);
    if (!strstr(error.message, says)) fail_msg("expected \"%s\" in: %s", says, error.message);
    vectors_free(model);
}

static void bad_rows_are_refused(void **state) {
    (void)state;
    draw_data();
    refuses("at least 2 rows", data, 1, NULL);
    about[7] = (real)NAN;
    refuses("1 rows of context of 1500 with NaN or infinity, the first is 7", data, ROWS, about);
    data[6] = (real)INFINITY;
    data[20] = (real)NAN;
    refuses("found 2 rows of 1500 with NaN or infinity, the first is 3", data, ROWS, NULL);
    draw_data();
    for (size_t t = 0; t < ROWS; t++) data[2 * t + 1] = 4;
    refuses("column 1: expected numbers that vary, found 4", data, ROWS, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bases_are_densities),      cmocka_unit_test(adam_steps),
        cmocka_unit_test(fits_find_the_entropy),    cmocka_unit_test(threads_change_no_fit),
        cmocka_unit_test(matching_finds_densities), cmocka_unit_test(noise_bounds_probabilities),
        cmocka_unit_test(files_hold_models),        cmocka_unit_test(bad_rows_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
