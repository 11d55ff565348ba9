/* The mel distance: its value against the front end's mels, and its gradient. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/rng.h"
#include "dsp/mel_distance.h"

enum { SAMPLES = 1024 + 5 * 256 + 100, FRAMES = 6 };

typedef struct fixture {
    mel_distance *distance;
    mel_convention convention;
    real *x, *y;
    void *memory;
    size_t size;
} fixture;

static void draw(real *to, uint64_t seed) {
    for (size_t i = 0; i < SAMPLES; i++) to[i] = 0.1 * rng_normal(seed, 0, i) * (1.1 + sin(0.01 * (double)i));
}

static fixture make(size_t power) {
    fixture f = {.convention = *mel_preset_find("tacotron2")};
    vocode_error error;
    arena counting = arena_over(NULL, 0);
    f.convention.power = power;
    assert_int_equal(mel_distance_new(&f.convention, &f.distance, &error), VOCODE_OK);
    assert_true(mel_distance_run(f.distance, SAMPLES, NULL, NULL, 1, NULL, &counting) == 0);
    f.size = counting.peak;
    f.memory = aligned_new(f.size, 1);
    f.x = aligned_new(SAMPLES, sizeof *f.x);
    f.y = aligned_new(SAMPLES, sizeof *f.y);
    draw(f.x, 1);
    draw(f.y, 2);
    return f;
}

static void drop(fixture *f) {
    mel_distance_free(f->distance);
    aligned_free(f->memory);
    aligned_free(f->x);
    aligned_free(f->y);
}

static double run(const fixture *f, double weight, real *dy) {
    arena memory = arena_over(f->memory, f->size);
    double value = mel_distance_run(f->distance, SAMPLES, f->x, f->y, weight, dy, &memory);
    assert_true(memory.used == 0 && memory.peak == f->size);
    return value;
}

/* The front end centres its frames: its frame t + 2 is whole where the distance's frame t is. */
static void it_compares_the_front_ends_mels(void **state) {
    (void)state;
    enum { WHOLE = 2 };
    fixture f = make(1);
    mel_frontend *front;
    vocode_error error;
    float samples[SAMPLES], *mels[2];
    double sum = 0;
    assert_int_equal(mel_frontend_new(&f.convention, &front, &error), VOCODE_OK);
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < SAMPLES; i++) samples[i] = (float)(side ? f.y : f.x)[i];
        mels[side] = calloc((FRAMES + 2 * WHOLE + 1) * f.convention.n_mels, sizeof(float));
        assert_int_equal(mel_compute(front, samples, SAMPLES, mels[side], &error), VOCODE_OK);
    }
    for (size_t i = WHOLE * f.convention.n_mels; i < (FRAMES + WHOLE) * f.convention.n_mels; i++)
        sum += fabs((double)mels[0][i] - (double)mels[1][i]) / (double)(FRAMES * f.convention.n_mels);
    assert_true(fabs(run(&f, 1, NULL) - sum) <= 1e-3 * sum); /* the floor is added, not the least */
    free(mels[0]);
    free(mels[1]);
    mel_frontend_free(front);
    drop(&f);
}

static void the_gradient_is_the_slope(void **state) {
    (void)state;
    for (size_t power = 1; power < 3; power++) {
        const double step = 1e-7;
        fixture f = make(power);
        real *gradient = aligned_new(SAMPLES, sizeof *gradient), *along = aligned_new(SAMPLES, sizeof *along);
        double found = -3, values[2];
        draw(along, 3);
        gradient[0] = 3 / along[0]; /* it adds to what is there */
        run(&f, 2, gradient);
        for (size_t i = 0; i < SAMPLES; i++) found += gradient[i] * along[i];
        for (int side = 0; side < 2; side++) {
            for (size_t i = 0; i < SAMPLES; i++) f.y[i] += (side ? -2 : 1) * step * along[i];
            values[side] = run(&f, 0, NULL);
        }
        double expected = (values[0] - values[1]) / step;
        if (!(fabs(found - expected) <= 1e-5 * (1 + fabs(expected))))
            fail_msg("power %zu: the slope is %.9g, the gradient says %.9g", power, expected, found);
        aligned_free(gradient);
        aligned_free(along);
        drop(&f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_compares_the_front_ends_mels),
        cmocka_unit_test(the_gradient_is_the_slope),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
