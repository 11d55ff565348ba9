/* Figures of quality against those that the numpy definition gave for a stored pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "dsp/golden.h"
#include "dsp/quality.h"

#define AGREE 0.002 /* of the figure; the bar is 1 % */

static void stored_pair(void **state) {
    (void)state;
    audio a = load_audio(TEST_DATA "/dsp/reference.wav"), b = load_audio(TEST_DATA "/dsp/generated.wav");
    assert_non_null(a.samples);
    assert_non_null(b.samples);
    quality q;
    assert_int_equal(quality_measure(a.samples, a.frames, b.samples, b.frames, &q, NULL), VOCODE_OK);
    FILE *file = fopen(TEST_DATA "/dsp/quality.txt", "r");
    assert_non_null(file);
    char name[32];
    double expected;
    size_t seen = 0;
    while (fscanf(file, "%31s %lf", name, &expected) == 2) {
#define CHECK(field, unit, doc)                                                                        \
    if (strcmp(name, #field) == 0) {                                                                   \
        if (!(fabs(q.field - expected) <= AGREE * expected)) print_error("%s: %.9g\n", name, q.field); \
        assert_true(fabs(q.field - expected) <= AGREE * expected);                                     \
        seen++;                                                                                        \
    }
        QUALITY_LIST(CHECK)
#undef CHECK
    }
    fclose(file);
    assert_int_equal(seen, 6);
    audio_free(&a);
    audio_free(&b);
}

static void a_signal_equals_itself(void **state) {
    (void)state;
    audio a = load_audio(TEST_DATA "/dsp/reference.wav");
    quality q;
    assert_int_equal(quality_measure(a.samples, a.frames, a.samples, a.frames - 7, &q, NULL), VOCODE_OK);
    assert_true(q.mrstft == 0 && q.mcd == 0 && q.per == 0 && q.vuv == 1 && q.f0 == 0 && q.mel == 0);
    audio_free(&a);
}

/* A pulse train has a period that is known. */
static void pitch_of_pulses(void **state) {
    (void)state;
    enum { N = 22050, PERIOD = 147 };
    static float x[N];
    double periodicity[N / 256], f0[N / 256];
    for (size_t i = 0; i < N; i += PERIOD) x[i] = 0.5f;
    assert_int_equal(quality_periodicity(x, N, periodicity, f0, NULL), VOCODE_OK);
    for (size_t t = 4; t < N / 256 - 8; t++) {
        assert_true(fabs(f0[t] - 150) < 1e-9);
        assert_true(periodicity[t] > 0.8 && periodicity[t] <= 1 + 1e-9);
    }
}

static void undefined_figures(void **state) {
    (void)state;
    static float silence[4096], noise[4096];
    quality q;
    vocode_error error = {0};
    for (size_t i = 0; i < 4096; i++) noise[i] = (float)((double)(i * 2654435761u % 1000003) / 1e6 - 0.5);
    assert_int_equal(quality_measure(silence, 4096, noise, 4096, &q, NULL), VOCODE_OK);
    assert_true(isnan(q.mrstft) && isnan(q.per) && isnan(q.vuv) && isnan(q.f0));
    assert_true(q.mcd > 0 && q.mel > 1);
    assert_int_equal(quality_measure(silence, 0, noise, 4096, &q, &error), VOCODE_VALUE);
    noise[5] = NAN;
    assert_int_equal(quality_measure(silence, 4096, noise, 4096, &q, &error), VOCODE_VALUE);
    assert_non_null(strstr(error.message, "sample 5"));
    assert_int_equal(quality_measure(silence, 1, silence, 1, &q, &error), VOCODE_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stored_pair),
        cmocka_unit_test(a_signal_equals_itself),
        cmocka_unit_test(pitch_of_pulses),
        cmocka_unit_test(undefined_figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
