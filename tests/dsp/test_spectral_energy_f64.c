/* The spectral energy distance: its gradients, and that it is least where distributions agree. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/rng.h"
#include "dsp/spectral_energy.h"

enum { SAMPLES = 2600, SIGNALS = 3 };

typedef struct fixture {
    spectral_energy *energy;
    real *signals[SIGNALS]; /* x, y, twin */
    double repulsion;
    void *memory;
    size_t size;
} fixture;

static void draw(real *to, uint64_t seed, double deviation) {
    for (size_t i = 0; i < SAMPLES; i++) to[i] = deviation * rng_normal(seed, 0, i) * (1.1 + sin(0.01 * (double)i));
}

static fixture make(void) {
    fixture f = {.repulsion = 1};
    vocode_error error;
    arena counting = arena_over(NULL, 0);
    assert_int_equal(spectral_energy_new(&f.energy, &error), VOCODE_OK);
    assert_true(spectral_energy_run(f.energy, SAMPLES, NULL, NULL, NULL, 1, 1, NULL, NULL, &counting) == 0);
    f.size = counting.peak;
    f.memory = aligned_new(f.size, 1);
    for (size_t s = 0; s < SIGNALS; s++) {
        f.signals[s] = aligned_new(SAMPLES, sizeof(real));
        draw(f.signals[s], s, 0.1);
    }
    return f;
}

static void drop(fixture *f) {
    spectral_energy_free(f->energy);
    aligned_free(f->memory);
    for (size_t s = 0; s < SIGNALS; s++) aligned_free(f->signals[s]);
}

static double run(const fixture *f, double weight, real *dy, real *dtwin) {
    arena memory = arena_over(f->memory, f->size);
    double value = spectral_energy_run(f->energy, SAMPLES, f->signals[0], f->signals[1], f->signals[2], f->repulsion,
                                       weight, dy, dtwin, &memory);
    assert_true(memory.used == 0 && memory.peak == f->size);
    return value;
}

/* The distance has kinks where magnitudes agree: differences along whole directions are off by little of them. */
static void gradients_are_the_slopes(void **state) {
    (void)state;
    fixture f = make();
    real *gradient[] = {aligned_new(SAMPLES, sizeof(real)), aligned_new(SAMPLES, sizeof(real))};
    real *along = aligned_new(SAMPLES, sizeof *along);
    f.repulsion = 0.7;
    gradient[0][3] = 1; /* they add to what is there */
    run(&f, 2, gradient[0], gradient[1]);
    gradient[0][3] -= 1;
    for (size_t s = 1; s < SIGNALS; s++) {
        const double step = 1e-7;
        double found = 0, values[2];
        draw(along, 40 + s, 1);
        for (size_t i = 0; i < SAMPLES; i++) found += gradient[s - 1][i] * along[i];
        for (int side = 0; side < 2; side++) {
            for (size_t i = 0; i < SAMPLES; i++) f.signals[s][i] += (side ? -2 : 1) * step * along[i];
            values[side] = run(&f, 0, NULL, NULL);
        }
        for (size_t i = 0; i < SAMPLES; i++) f.signals[s][i] += step * along[i];
        double expected = 2 * (values[0] - values[1]) / (2 * step);
        if (!(fabs(found - expected) <= 1e-5 * (1 + fabs(expected))))
            fail_msg("signal %zu: the slope is %.9g, the gradient says %.9g", s, expected, found);
    }
    aligned_free(gradient[0]);
    aligned_free(gradient[1]);
    aligned_free(along);
    drop(&f);
}

/* The mean over draws with y of that deviation, where x has 0.1. */
static double mean_energy(fixture *f, double deviation) {
    enum { DRAWS = 12 };
    double sum = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        draw(f->signals[0], 3 * i, 0.1);
        draw(f->signals[1], 3 * i + 1, deviation);
        draw(f->signals[2], 3 * i + 2, deviation);
        sum += run(f, 0, NULL, NULL) / DRAWS;
    }
    return sum;
}

static void it_is_least_where_the_distributions_agree(void **state) {
    (void)state;
    fixture f = make();
    double same = mean_energy(&f, 0.1);
    assert_true(mean_energy(&f, 0.08) > same);
    assert_true(mean_energy(&f, 0.125) > same);
    assert_true(mean_energy(&f, 0.001) > 2 * same);
    drop(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_the_slopes),
        cmocka_unit_test(it_is_least_where_the_distributions_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
