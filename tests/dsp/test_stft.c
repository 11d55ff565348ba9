/* FFT plans, STFT and its inverse, the denoiser and the picture. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>

#include "core/rng.h"
#include "dsp/denoise.h"
#include "dsp/spectrogram.h"
#include "dsp/stft.h"

static void *get_plans(void *result) {
    const fft_plan **plans = result;
    for (size_t n = 0; n < 16; n++) fft_plan_get(FFT_REAL_FORWARD, 64 + 2 * n, &plans[n], NULL);
    return NULL;
}

static void plans_are_made_once(void **state) {
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    const fft_plan *plans[THREADS][16] = {{NULL}};
    size_t before = fft_plan_count();
    for (size_t i = 0; i < THREADS; i++) assert_int_equal(pthread_create(&threads[i], NULL, get_plans, plans[i]), 0);
    for (size_t i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    assert_int_equal(fft_plan_count() - before, 16);
    for (size_t i = 0; i < THREADS; i++) assert_memory_equal(plans[i], plans[0], sizeof plans[0]);
    vocode_error error = {0};
    const fft_plan *plan;
    assert_int_equal(fft_plan_get(FFT_REAL_FORWARD, 0, &plan, &error), VOCODE_VALUE);
    assert_int_equal(fft_plan_get(FFT_REAL_FORWARD, SIZE_MAX, &plan, &error), VOCODE_VALUE);
}

/* Every bin of a frame against the sum that defines it, at the start, where the padding mirrors. */
static void analysis_is_the_definition(void **state) {
    (void)state;
    enum { N = 60, POINTS = 16, WIN = 12 };
    stft s;
    assert_int_equal(stft_init(&s, POINTS, 4, WIN, POINTS / 2, STFT_REFLECT, NULL), VOCODE_OK);
    float x[N];
    for (size_t i = 0; i < N; i++) x[i] = (float)rng_uniform(1, 2, i);
    char memory[4096] __attribute__((aligned(64)));
    arena scratch = arena_over(memory, sizeof memory);
    stft_work work = stft_work_take(&s, &scratch);
    double span[POINTS];
    stft_span(&s, x, N, 0, POINTS, span);
    for (size_t i = 0; i < POINTS; i++) assert_true(span[i] == (double)x[i < 8 ? 8 - i : i - 8]);
    stft_analyse(&s, span, &work);
    for (size_t k = 0; k <= POINTS / 2; k++) {
        double re = 0, im = 0;
        for (size_t i = 0; i < WIN; i++) {
            double w = 0.5 - 0.5 * cos(2 * M_PI * (double)i / WIN);
            double angle = 2 * M_PI * (double)k * (double)(i + 2) / POINTS;
            re += w * span[i + 2] * cos(angle);
            im -= w * span[i + 2] * sin(angle);
        }
        assert_true(fabs(creal(work.spectrum[k]) - re) < 1e-13 && fabs(cimag(work.spectrum[k]) - im) < 1e-13);
    }
    stft_free(&s);
}

/* numpy.pad(x, 7, mode='reflect') of [0, 1, 2], and of one sample */
static void reflection_repeats(void **state) {
    (void)state;
    const double expected[] = {1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1};
    const float x[] = {0, 1, 2};
    stft s;
    assert_int_equal(stft_init(&s, 14, 4, 14, 7, STFT_REFLECT, NULL), VOCODE_OK);
    double span[17], padded[17];
    stft_span(&s, x, 3, 0, 17, span);
    assert_memory_equal(span, expected, sizeof expected);
    memset(padded, 0, sizeof padded);
    for (size_t i = 0; i < 3; i++) padded[7 + i] = (double)x[i];
    stft_fill_ends(&s, padded, 3);
    assert_memory_equal(padded, expected, sizeof expected);
    stft_span(&s, x + 2, 1, 0, 15, span);
    for (size_t i = 0; i < 15; i++) assert_true(span[i] == 2);
    s.padding = STFT_ZERO;
    stft_span(&s, x + 2, 1, 0, 15, span);
    for (size_t i = 0; i < 15; i++) assert_true(span[i] == (i == 7 ? 2 : 0));
    stft_free(&s);
    vocode_error error = {0};
    assert_int_equal(stft_init(&s, 16, 0, 16, 8, STFT_REFLECT, &error), VOCODE_VALUE);
    assert_int_equal(stft_init(&s, 16, 4, 17, 8, STFT_REFLECT, &error), VOCODE_VALUE);
}

/* Without a bias the denoiser is STFT and inverse, whatever the length. */
static void inverse_undoes_the_transform(void **state) {
    (void)state;
    const size_t lengths[] = {1, 2, 100, 255, 256, 1000, 1024, 5000};
    double bias[DENOISE_N_FFT / 2 + 1] = {0};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t n = lengths[i];
        real *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y);
        rng_fill_normal(x, n, 1, 3, 0, 0.1);
        memcpy(y, x, n * sizeof *y);
        assert_int_equal(denoise(y, n, DENOISE_N_FFT, DENOISE_HOP, bias, 1.0, NULL), VOCODE_OK);
        for (size_t k = 0; k < n; k++) assert_true(fabs((double)(x[k] - y[k])) < 1e-7);
        free(x);
        free(y);
    }
    vocode_error error = {0};
    assert_int_equal(denoise(NULL, 0, DENOISE_N_FFT, DENOISE_HOP, bias, 1.0, &error), VOCODE_VALUE);
}

/* A tone that is the bias goes away; another one, far from it, stays. */
static void denoiser_removes_its_bias(void **state) {
    (void)state;
    enum { N = 8192 };
    static real tone[N], other[N], both[N];
    double bias[DENOISE_N_FFT / 2 + 1];
    for (size_t i = 0; i < N; i++) {
        tone[i] = (real)(0.1 * cos(2 * M_PI * 128 * (double)i / DENOISE_N_FFT));
        other[i] = (real)(0.1 * cos(2 * M_PI * 300 * (double)i / DENOISE_N_FFT));
        both[i] = tone[i] + other[i];
    }
    assert_int_equal(denoise_bias(tone, N, DENOISE_N_FFT, DENOISE_HOP, bias, NULL), VOCODE_OK);
    assert_true(fabs(bias[128] - 0.1 * DENOISE_N_FFT / 4) <
                1e-3); /* half of the amplitude under a window of mean 1/2 */
    assert_int_equal(denoise(both, N, DENOISE_N_FFT, DENOISE_HOP, bias, 1.0, NULL), VOCODE_OK);
    double left = 0, whole = 0;
    for (size_t i = 1024; i < N - 1024; i++) {
        left += pow((double)(both[i] - other[i]), 2);
        whole += pow((double)other[i], 2);
    }
    assert_true(left < 1e-6 * whole);
    for (size_t i = 0; i < N; i++) both[i] = tone[i];
    assert_int_equal(denoise(both, N, DENOISE_N_FFT, DENOISE_HOP, bias, 0.5, NULL), VOCODE_OK);
    for (size_t i = 1024; i < N - 1024; i++) assert_true(fabs((double)(both[i] - tone[i] / 2)) < 1e-4);
}

static double lightness(const uint8_t rgb[3]) {
    return 0.2126 * pow(rgb[0] / 255.0, 2.2) + 0.7152 * pow(rgb[1] / 255.0, 2.2) + 0.0722 * pow(rgb[2] / 255.0, 2.2);
}

static void picture_shows_the_tone(void **state) {
    (void)state;
    enum { N = 22050, W = 60, H = 65 };
    static float x[N];
    static uint8_t rgb[H][W][3], quiet[H][W][3];
    for (size_t i = 0; i < N; i++)
        x[i] = (float)(0.1 * sin(2 * M_PI * 0.25 * 0.5 * (double)i)); /* a quarter of the axis */
    assert_int_equal(spectrogram_draw(x, N, W, H, &rgb[0][0][0], NULL), VOCODE_OK);
    for (size_t column = 0; column < W; column++) {
        size_t brightest = 0;
        for (size_t row = 0; row < H; row++)
            if (lightness(rgb[row][column]) > lightness(rgb[brightest][column])) brightest = row;
        assert_in_range(brightest, H - 1 - H / 4 - 1, H - 1 - H / 4 + 1);
        assert_true(lightness(rgb[brightest][column]) > 0.8);
    }
    for (size_t i = 0; i < N; i++) x[i] *= 0.01f;
    assert_int_equal(spectrogram_draw(x, N, W, H, &quiet[0][0][0], NULL), VOCODE_OK);
    assert_true(lightness(quiet[H - 1 - H / 4][30]) < 0.7 * lightness(rgb[H - 1 - H / 4][30])); /* a fixed reference */
    memset(x, 0, sizeof x);
    assert_int_equal(spectrogram_draw(x, 1, 3, 2, &quiet[0][0][0], NULL), VOCODE_OK);
    vocode_error error = {0};
    assert_int_equal(spectrogram_draw(x, 0, 3, 2, &quiet[0][0][0], &error), VOCODE_VALUE);
}

static void colours_grow_lighter(void **state) {
    (void)state;
    uint8_t before[3], now[3];
    spectrogram_colour(-1, before);
    assert_true(lightness(before) < 0.01);
    for (int i = 1; i <= 32; i++) {
        spectrogram_colour(i / 32.0, now);
        assert_true(lightness(now) > lightness(before));
        memcpy(before, now, 3);
    }
    assert_true(lightness(now) > 0.85);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_are_made_once),       cmocka_unit_test(analysis_is_the_definition),
        cmocka_unit_test(reflection_repeats),        cmocka_unit_test(inverse_undoes_the_transform),
        cmocka_unit_test(denoiser_removes_its_bias), cmocka_unit_test(picture_shows_the_tone),
        cmocka_unit_test(colours_grow_lighter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
