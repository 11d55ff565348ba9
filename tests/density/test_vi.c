/* Variational inference: the named energies, flows that go from noise to data, and fits whose answer is known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <vocode/vocode.h>

#include "core/rng.h"
#include "density/vi.h"

static const double two_pi = 6.283185307179586;

static void slopes_are_those_of_the_energies(void **state) {
    (void)state;
    static const double step = 1e-4;
    for (size_t i = 0; i < named_energy_count(); i++)
        for (size_t k = 0; k < 200; k++) {
            const named_energy *named = named_energy_at(i);
            const double z[] = {3 * rng_normal(1, 0, k), 2 * rng_normal(1, 1, k)};
            double slope[2], unused[2];
            named->find(z, slope);
            for (int axis = 0; axis < 2; axis++) {
                double values[4];
                for (int at = 0; at < 4; at++) {
                    double moved[] = {z[0], z[1]};
                    moved[axis] += step * (at < 2 ? at - 2 : at - 1);
                    values[at] = named->find(moved, unused);
                }
                double difference = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * step);
                if (!(fabs(slope[axis] - difference) < 1e-6 * (1 + fabs(difference))))
                    fail_msg("%s: slope %zu of (%g, %g) is %g, differences say %g", named->name, (size_t)axis, z[0],
                             z[1], slope[axis], difference);
            }
        }
}

/* Given z1, all but the first are Gaussians along z2. */
static void quadrature_finds_what_is_known(void **state) {
    (void)state;
    const double widths[] = {0, 0.4, 0.7, 0.75};
    assert_int_equal(named_energy_count(), 4);
    for (size_t i = 1; i < 4; i++) {
        double found = named_energy_log_z(named_energy_at(i)), expected = log(two_pi * 3 * widths[i]);
        if (!(fabs(found - expected) < 1e-9)) fail_msg("U%zu: %.12g, expected %.12g", i + 1, found, expected);
    }
    /* a grid of its own, off the other one */
    double sum = 0, slope[2], first = named_energy_log_z(named_energy_at(0));
    for (double x = -6; x < 6; x += 0.03)
        for (double y = -6; y < 6; y += 0.03) sum += exp(-named_energy_at(0)->find((const double[]){x, y}, slope));
    assert_true(fabs(log(sum * 9e-4) - first) < 1e-6);
}

static void names_are_found(void **state) {
    (void)state;
    const named_energy *named;
    energy target;
    vocode_error error = {0};
    assert_int_equal(energy_find("u3", &named, &target, &error), VOCODE_OK);
    assert_string_equal(named->name, "U3");
    const real z[] = {(real)0.5, (real)-1, 1, 2};
    double value[2], slope[2];
    real slopes[4];
    assert_true(target.find(target.context, z, 2, value, slopes));
    assert_true(fabs(value[1] - named->find((const double[]){1, 2}, slope)) < 1e-12);
    assert_true(fabs((double)slopes[3] - slope[1]) < 1e-5 * fabs(slope[1]));
    assert_int_equal(energy_find("U5", &named, &target, &error), VOCODE_VALUE);
    assert_non_null(strstr(error.message, "U1, U2, U3, U4"));
}

static vectors_model *turned(const char *spec) {
    vectors_model *model;
    vocode_error error = {0};
    if (vectors_create_turned(spec, BASE_gaussian, 2, 4, &model, &error) != VOCODE_OK)
        fail_msg("%s: %s", spec, error.message);
    for (size_t i = 0; i < model->set.count; i++) {
        param *p = model->set.items[i];
        for (size_t k = 0; p->kind == PARAM_TRAINED && k < p->count; k++)
            p->value[k] += (real)(0.2 * rng_normal(9, i, k));
    }
    assert_int_equal(flow_prepare(model->chain, &error), VOCODE_OK);
    return model;
}

/* What draws say of their density, rows say of themselves; and it is one: its integral is 1. */
static void turned_flows_are_densities(void **state) {
    (void)state;
    static const char *const specs[] = {"planar:K=4", "iaf:layers=2,hidden=8,depth=1", "maf:layers=1,hidden=8,depth=1",
                                        "actnorm,coupling:hidden=8"};
    enum { ROWS = 300, GRID = 240 };
    static real x[ROWS * 2], z[ROWS * 2], back[ROWS * 2], noise[ROWS * 2], grid[GRID * GRID * 2];
    static double drawn[ROWS], scored[ROWS], density[GRID * GRID];
    static const double step = 0.1;
    for (size_t i = 0; i < GRID * GRID; i++) {
        grid[2 * i] = (real)(((double)(i % GRID) + 0.5 - GRID / 2.0) * step);
        grid[2 * i + 1] = (real)(((double)i / GRID - GRID / 2.0) * step);
    }
    for (size_t i = 0; i < sizeof specs / sizeof *specs; i++) {
        vectors_model *model = turned(specs[i]);
        vocode_error error = {0};
        double integral = 0;
        assert_int_equal(vectors_draw(model, NULL, 0, ROWS, 5, 2, x, drawn, &error), VOCODE_OK);
        assert_int_equal(vectors_encode(model, x, NULL, ROWS, 2, z, scored, &error), VOCODE_OK);
        assert_int_equal(vectors_decode(model, z, NULL, ROWS, 1, back, &error), VOCODE_OK);
        base_draw(BASE_gaussian, 5, 0, ROWS, 2, noise);
        for (size_t k = 0; k < ROWS; k++) {
            if (!(fabs(drawn[k] - scored[k]) < 1e-2)) fail_msg("%s: %g and %g", specs[i], drawn[k], scored[k]);
            for (size_t c = 2 * k; c < 2 * k + 2; c++)
                assert_true(fabs((double)(z[c] - noise[c])) < 1e-2 && fabs((double)(back[c] - x[c])) < 1e-2);
        }
        assert_int_equal(vectors_encode(model, grid, NULL, GRID * GRID, 2, NULL, density, &error), VOCODE_OK);
        for (size_t k = 0; k < GRID * GRID; k++) integral += exp(density[k]) * step * step;
        if (!(fabs(integral - 1) < 0.01)) fail_msg("%s: its integral is %g", specs[i], integral);
        assert_int_equal(vectors_draw(model, NULL, 100, 7, 5, 1, back, NULL, &error), VOCODE_OK);
        assert_memory_equal(back, x + 200, 14 * sizeof(real)); /* a row is a function of its number */
        assert_int_equal(vectors_follow(model, noise, 9, vectors_steps(model), back, &error), VOCODE_OK);
        for (size_t c = 0; c < 18; c++) assert_true(fabs((double)(back[c] - x[c])) < 1e-4);
        vectors_free(model);
    }
}

/* U = (z - m)' P (z - m) / 2 + 3 with P = [2, 1; 1, 1.5], m = (1, -2): log Z = log 2 pi - log(det P) / 2 - 3. */
static int gaussian(void *context, const float *z, size_t rows, double *value, float *slope) {
    size_t *calls = context;
    if (calls) ++*calls;
    for (size_t i = 0; i < rows; i++) {
        double a = (double)z[2 * i] - 1, b = (double)z[2 * i + 1] + 2;
        value[i] = a * a + a * b + 0.75 * b * b + 3;
        if (!slope) continue;
        slope[2 * i] = (float)(2 * a + b);
        slope[2 * i + 1] = (float)(a + 1.5 * b);
    }
    return 0;
}

static void a_gaussian_is_found_exactly(void **state) {
    (void)state;
    vocode_flow *model;
    vocode_error error = {0};
    vocode_evidence found;
    size_t calls = 0;
    const vocode_inference_options options = {.tries = 1, .steps = 600, .batch = 64, .rate = 0.1, .threads = 2};
    if (vocode_flow_infer("linear", 2, gaussian, &calls, &options, &model, &error) != VOCODE_OK)
        fail_msg("%s", error.message);
    assert_int_equal(calls, 600);
    assert_int_equal(vocode_flow_evidence(model, gaussian, NULL, 20000, 9, 2, &found, &error), VOCODE_OK);
    double log_z = log(two_pi) - log(2 * 1.5 - 1) / 2 - 3;
    if (!(fabs(found.log_z - log_z) < 1e-3 && fabs(found.bound - log_z) < 5e-3 && found.bound < log_z + 1e-3))
        fail_msg("log Z %g, bound %g, expected %g", found.log_z, found.bound, log_z);
    assert_true(found.log_z_error < 1e-3 && found.effective > 0.98 * 20000 && found.draws == 20000);
    static float x[20000 * 2];
    assert_int_equal(vocode_flow_sample(model, NULL, 20000, 1, 2, x, &error), VOCODE_OK);
    double mean[2] = {0};
    for (size_t i = 0; i < 40000; i++) mean[i % 2] += (double)x[i] / 20000;
    assert_true(fabs(mean[0] - 1) < 0.05 && fabs(mean[1] + 2) < 0.05);
    vocode_flow_free(model);
}

/* A flow that is not the target has weights that differ: the estimate still finds log Z, the bound misses it by KL. */
static void evidence_of_a_wide_flow(void **state) {
    (void)state;
    vocode_flow *model;
    vocode_error error = {0};
    vocode_evidence found;
    assert_int_equal(vocode_flow_create("affine:scale=3", 2, 0, NULL, &model, &error), VOCODE_OK);
    assert_int_equal(vocode_flow_evidence(model, gaussian, NULL, 40000, 2, 2, &found, &error), VOCODE_OK);
    double log_z = log(two_pi) - log(2.0) / 2 - 3;
    assert_true(fabs(found.log_z - log_z) < 4 * found.log_z_error && found.log_z_error < 0.05);
    /* E U = tr(P) 9 / 2 + m'Pm / 2 + 3 with m'Pm = 4, E log q = -log 2 pi - 2 log 3 - 1 */
    double bound = -(3.5 * 9 / 2 + 2 + 3) + log(two_pi) + 2 * log(3.0) + 1;
    assert_true(fabs(found.bound - bound) < 4 * found.bound_error && found.bound_error < 0.2);
    assert_true(found.effective < 0.5 * 40000);
    vocode_flow_free(model);
}

/* A small fit of a ring's two sides: a single Gaussian is 0.9 nats away. */
static void two_sides_are_found(void **state) {
    (void)state;
    const named_energy *named;
    energy target;
    vi_options options = vi_defaults;
    vi_evidence found;
    vocode_error error = {0};
    options.tries = 1;
    options.steps = 800;
    options.batch = 64;
    options.threads = 2;
    assert_int_equal(energy_find("U1", &named, &target, &error), VOCODE_OK);
    double log_z = named_energy_log_z(named);
    static const char *const specs[] = {"planar:K=8", "iaf:layers=2,hidden=16,depth=1"};
    for (size_t i = 0; i < 2; i++) {
        vectors_model *model;
        assert_int_equal(vectors_create_turned(specs[i], BASE_gaussian, 2, 0, &model, &error), VOCODE_OK);
        assert_int_equal(vi_fit(model, &target, &options, NULL, &error), VOCODE_OK);
        assert_int_equal(vi_measure(model, &target, 10000, 3, 2, &found, &error), VOCODE_OK);
        if (!(log_z - found.bound < 0.35 && log_z - found.bound > -0.02))
            fail_msg("%s: bound %g, log Z %g", specs[i], found.bound, log_z);
        vectors_free(model);
    }
}

static void fits_are_a_function_of_the_seed(void **state) {
    (void)state;
    vocode_flow *models[2], *read;
    vocode_error error = {0};
    vocode_flow_info info;
    for (int i = 0; i < 2; i++) {
        const vocode_inference_options options = {
            .tries = 2, .steps = 20, .batch = 300, .seed = 7, .threads = i ? 3 : 1};
        assert_int_equal(vocode_flow_infer("planar:K=2", 2, gaussian, NULL, &options, &models[i], &error), VOCODE_OK);
    }
    char path[] = "/tmp/vocode-vi-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    assert_int_equal(vocode_flow_save(models[0], path, &error), VOCODE_OK);
    assert_int_equal(vocode_flow_open(path, &read, &error), VOCODE_OK);
    unlink(path);
    vocode_flow_describe(read, &info);
    assert_int_equal(info.turned, 1);
    float x[3][20];
    const vocode_flow *all[] = {models[0], models[1], read};
    for (int i = 0; i < 3; i++) assert_int_equal(vocode_flow_sample(all[i], NULL, 10, 1, 1, x[i], &error), VOCODE_OK);
    assert_memory_equal(x[0], x[1], sizeof x[0]);
    assert_memory_equal(x[0], x[2], sizeof x[0]);
    vocode_flow_free(models[0]);
    vocode_flow_free(models[1]);
    vocode_flow_free(read);
}

static int steep(void *context, const float *z, size_t rows, double *value, float *slope) {
    const double *what = context;
    for (size_t i = 0; i < rows; i++) value[i] = *what * (double)z[2 * i];
    for (size_t i = 0; slope && i < 2 * rows; i++) slope[i] = 1;
    return *what > 0 ? 1 : 0;
}

static int stop(void *context, const vocode_inference_progress *now) {
    const int *answer = context;
    assert_true(now->attempt == 1 && now->step >= 1 && now->steps == 300 && now->beta <= 1);
    return *answer;
}

static void what_is_wrong_is_said(void **state) {
    (void)state;
    vocode_flow *model;
    vocode_error error = {0};
    vocode_inference_options options = {.steps = 300, .batch = 16};
    double what = NAN;
    assert_int_equal(vocode_flow_infer("actnorm", 2, steep, &what, &options, &model, &error), VOCODE_VALUE);
    assert_true(!model && strstr(error.message, "ran away"));
    what = 1;
    assert_int_equal(vocode_flow_infer("actnorm", 2, steep, &what, &options, &model, &error), VOCODE_CANCELLED);
    int answer = -1;
    options.watch = stop;
    options.context = &answer;
    assert_int_equal(vocode_flow_infer("actnorm", 2, gaussian, NULL, &options, &model, &error), VOCODE_CANCELLED);
    assert_null(model);
    answer = 1;
    assert_int_equal(vocode_flow_infer("actnorm", 2, gaussian, NULL, &options, &model, &error), VOCODE_OK);
    vocode_evidence found;
    what = NAN;
    assert_int_equal(vocode_flow_evidence(model, steep, &what, 20, 0, 1, &found, &error), VOCODE_VALUE);
    assert_non_null(strstr(error.message, "found NaN in draw 0"));
    assert_int_equal(vocode_flow_evidence(model, gaussian, NULL, 1, 0, 1, &found, &error), VOCODE_SHAPE);
    vocode_flow_free(model);
    assert_int_equal(vocode_flow_infer("actnrm", 2, gaussian, NULL, NULL, &model, &error), VOCODE_VALUE);
    options.rate = 2;
    assert_int_equal(vocode_flow_infer("actnorm", 2, gaussian, NULL, &options, &model, &error), VOCODE_ARGUMENT);
    assert_int_equal(vocode_flow_infer("actnorm", 0, gaussian, NULL, NULL, &model, &error), VOCODE_SHAPE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slopes_are_those_of_the_energies),
        cmocka_unit_test(quadrature_finds_what_is_known),
        cmocka_unit_test(names_are_found),
        cmocka_unit_test(turned_flows_are_densities),
        cmocka_unit_test(a_gaussian_is_found_exactly),
        cmocka_unit_test(evidence_of_a_wide_flow),
        cmocka_unit_test(two_sides_are_found),
        cmocka_unit_test(fits_are_a_function_of_the_seed),
        cmocka_unit_test(what_is_wrong_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
