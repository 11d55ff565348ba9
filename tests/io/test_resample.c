/* Resampling against sines that are known at any rate. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>

#include "io/resample.h"

/* Signal-to-error ratio in dB of a resampled tone, the first and last tenth left out. */
static double tone_quality(double from, double to, double frequency, size_t n) {
    float *x = malloc(n * sizeof *x), *y;
    size_t m;
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = (float)(0.5 * sin(2 * M_PI * frequency * (double)i / from));
    assert_int_equal(resample(x, n, from, to, &y, &m, NULL), VOCODE_OK);
    assert_int_equal(m, (size_t)round((double)n * to / from));
    double signal = 0, noise = 0;
    for (size_t i = m / 10; i < m - m / 10; i++) {
        double expected = 0.5 * sin(2 * M_PI * frequency * (double)i / to);
        signal += expected * expected;
        noise += ((double)y[i] - expected) * ((double)y[i] - expected);
    }
    free(x);
    free(y);
    return 10 * log10(signal / noise);
}

/* 24-bit floats leave some 150 dB; a gain that is 0.01 dB off would leave 60, a delay of 0.01 samples 50. */
static void tones_survive(void **state) {
    (void)state;
    assert_true(tone_quality(44100, 22050, 1000, 44100) > 120);
    assert_true(tone_quality(16000, 22050, 3000, 16000) > 120);
    assert_true(tone_quality(48000, 44100, 15000, 48000) > 120);
    assert_true(tone_quality(22050, 24000, 9000, 30001) > 120);
}

static void what_does_not_fit_is_removed(void **state) {
    (void)state;
    const size_t n = 44100;
    float *x = malloc(n * sizeof *x), *y, largest = 0;
    size_t m;
    assert_non_null(x);
    for (size_t i = 0; i < n; i++) x[i] = (float)sin(2 * M_PI * 11100 * (double)i / 44100);
    assert_int_equal(resample(x, n, 44100, 22050, &y, &m, NULL), VOCODE_OK);
    for (size_t i = m / 10; i < m - m / 10; i++) largest = fmaxf(largest, fabsf(y[i]));
    assert_true(largest < 1e-6f);
    free(x);
    free(y);
}

static void edges_and_refusals(void **state) {
    (void)state;
    const float x[] = {1, 2, 3};
    float *y;
    size_t m;
    assert_int_equal(resample(x, 3, 22050, 22050, &y, &m, NULL), VOCODE_OK);
    assert_int_equal(m, 3);
    assert_memory_equal(x, y, sizeof x);
    free(y);
    assert_int_equal(resample(x, 1, 48000, 8000, &y, &m, NULL), VOCODE_OK);
    assert_int_equal(m, 1);
    free(y);
    assert_int_equal(resample(x, 0, 48000, 8000, &y, &m, NULL), VOCODE_ARGUMENT);
    assert_int_equal(resample(x, 3, 0, 8000, &y, &m, NULL), VOCODE_ARGUMENT);
    assert_int_equal(resample(x, 3, NAN, 8000, &y, &m, NULL), VOCODE_ARGUMENT);
    assert_int_equal(resample(x, 3, 48000, 1e9, &y, &m, NULL), VOCODE_ARGUMENT);
    assert_null(y);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tones_survive),
        cmocka_unit_test(what_does_not_fit_is_removed),
        cmocka_unit_test(edges_and_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
