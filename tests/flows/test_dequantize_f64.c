/* What is dequantization's own: noise that stays inside of its unit, is the same whenever it is asked, and has the
 * density that it says it has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flows/subject.h"

enum { ROWS = 3000, CHANNELS = 2 };

static const flow_case uniform = {"uniform", "dequantize", NULL, NULL, CHANNELS, 0, 1, 1, false};
static const flow_case variational = {"variational",
                                      "dequantize",
                                      "{\"noise\": \"variational\", \"couplings\": 2, \"layers\": 1, \"channels\": 4}",
                                      NULL,
                                      CHANNELS,
                                      1,
                                      1,
                                      1,
                                      false};

/* Every row is the same, and only the noise differs. */
static subject *same_rows(const flow_case *what) {
    subject *s = subject_new(what, 1, ROWS, 5, 1);
    for (size_t i = 0; i < s->count; i++) s->x[i] = i % CHANNELS ? 1 : -1;
    for (size_t i = 0; i < s->cond_count; i++) s->cond[i] = (real)0.5;
    return s;
}

static void noise_stays_inside(void **state) {
    (void)state;
    const flow_case *const cases[] = {&uniform, &variational};
    for (size_t i = 0; i < 2; i++) {
        subject *s = same_rows(cases[i]);
        real *z = aligned_new(s->count, sizeof *z), *again = aligned_new(s->count, sizeof *z);
        double *logdet = calloc(ROWS, sizeof *logdet), mean = 0;
        subject_forward(s, s->x, s->cond, z, logdet);
        subject_forward(s, s->x, s->cond, again, logdet);
        assert_memory_equal(z, again, s->count * sizeof *z);
        for (size_t k = 0; k < s->count; k++) {
            assert_true(z[k] >= s->x[k] && z[k] < s->x[k] + 1);
            mean += (double)(z[k] - s->x[k]) / (double)s->count;
        }
        assert_true(z[0] != z[CHANNELS] && z[0] - s->x[0] != z[1] - s->x[1]);
        if (i == 0) assert_true(fabs(mean - 0.5) < 3 / sqrt(12.0 * ROWS * CHANNELS));
        subject_inverse(s, z, s->cond, again);
        assert_memory_equal(again, s->x, s->count * sizeof *z);
        s->first = ROWS; /* other rows of the same data have other noise */
        subject_forward(s, s->x, s->cond, again, logdet);
        for (size_t k = 0; k < s->count; k++) assert_true(z[k] != again[k]);
        aligned_free(z);
        aligned_free(again);
        free(logdet);
        subject_free(s);
    }
}

static bool in_the_middle(const subject *s, const real *z, size_t b) {
    for (size_t i = b * CHANNELS; i < (b + 1) * CHANNELS; i++)
        if (z[i] - s->x[i] < (real)0.2 || z[i] - s->x[i] > (real)0.8) return false;
    return true;
}

/* E_q[1 / q] over a part of the unit square is that part's size, where q is a density on it: within 3 standard
 * errors. */
static void noise_has_its_density(void **state) {
    (void)state;
    subject *s = same_rows(&variational);
    real *z = aligned_new(s->count, sizeof *z);
    double *logdet = calloc(ROWS, sizeof *logdet), sum = 0, square = 0;
    subject_forward(s, s->x, s->cond, z, logdet);
    for (size_t b = 0; b < ROWS; b++) {
        if (!in_the_middle(s, z, b)) continue;
        sum += exp(logdet[b]);
        square += exp(2 * logdet[b]);
    }
    double mean = sum / ROWS, error = sqrt((square / ROWS - mean * mean) / ROWS);
    assert_true(error > 1e-4 && error < 0.2);
    if (!(fabs(mean - 0.36) < 3 * error)) fail_msg("the mean of 1 / q is %g +- %g", mean, error);
    aligned_free(z);
    free(logdet);
    subject_free(s);
    s = same_rows(&uniform);
    logdet = calloc(ROWS, sizeof *logdet);
    z = aligned_new(s->count, sizeof *z);
    subject_forward(s, s->x, s->cond, z, logdet);
    for (size_t b = 0; b < ROWS; b++) assert_true(logdet[b] == 0);
    aligned_free(z);
    free(logdet);
    subject_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_stays_inside),
        cmocka_unit_test(noise_has_its_density),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
