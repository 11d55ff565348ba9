/* LU factorisation: known determinants, inverses and solutions, singular matrices refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/real.h"
#include "core/rng.h"
#include "kernels/lu.h"

static void known_determinants(void **state) {
    (void)state;
    double swap[] = {0, 1, 1, 0}, cube[] = {2, 0, 1, 1, 3, 2, 1, 1, 4}; /* -1 and 2 (12 - 2) + 1 (1 - 3) = 18 */
    double small[] = {-5}, rotation[] = {0, 0, 1, 1, 0, 0, 0, 1, 0};    /* a cycle of three: +1 */
    size_t pivot[3];
    int sign;
    assert_true(lu_factor(2, swap, pivot));
    assert_true(fabs(lu_log_determinant(2, swap, pivot, &sign)) < 1e-15 && sign == -1);
    assert_true(lu_factor(3, cube, pivot));
    assert_true(fabs(lu_log_determinant(3, cube, pivot, &sign) - log(18.0)) < 1e-14 && sign == 1);
    assert_true(lu_factor(1, small, pivot));
    assert_true(fabs(lu_log_determinant(1, small, pivot, &sign) - log(5.0)) < 1e-15 && sign == -1);
    assert_true(lu_factor(3, rotation, pivot));
    assert_true(fabs(lu_log_determinant(3, rotation, pivot, &sign)) < 1e-15 && sign == 1);
    assert_true(fabs(lu_log_determinant(3, rotation, pivot, NULL)) < 1e-15);
}

/* Hilbert's matrix of order 6: its determinant is 1 / 186313420339200000. */
static void hilbert_determinant(void **state) {
    (void)state;
    double h[36];
    size_t pivot[6];
    for (size_t i = 0; i < 36; i++) h[i] = 1.0 / (double)(i / 6 + i % 6 + 1);
    assert_true(lu_factor(6, h, pivot));
    assert_true(fabs(lu_log_determinant(6, h, pivot, NULL) + log(186313420339200000.0)) < 1e-9);
}

static void check_inverse(size_t n) {
    double *a = calloc(n * n, sizeof *a), *lu = calloc(n * n, sizeof *a), *inverse = calloc(n * n, sizeof *a);
    double *x = calloc(n, sizeof *x), *strip = calloc(n * LU_STRIP, sizeof *strip);
    size_t *pivot = calloc(n, sizeof *pivot);
    for (size_t i = 0; i < n * n; i++) a[i] = lu[i] = rng_normal(3, n, i);
    assert_true(lu_factor(n, lu, pivot));
    lu_inverse(n, lu, pivot, strip, inverse);
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = 0;
            for (size_t k = 0; k < n; k++) sum += a[i * n + k] * inverse[k * n + j];
            assert_true(fabs(sum - (i == j)) < 1e-9);
        }
    for (size_t i = 0; i < n; i++) /* the right-hand side of x = 1, 2, ... */
        for (size_t j = 0; j < n; j++) x[i] += a[i * n + j] * (double)(j + 1);
    lu_solve(n, lu, pivot, x);
    for (size_t i = 0; i < n; i++) assert_true(fabs(x[i] - (double)(i + 1)) < 1e-8);
    free(a), free(lu), free(inverse), free(x), free(strip), free(pivot);
}

static void inverse_and_solution(void **state) {
    (void)state;
    const size_t orders[] = {1, 2, 3, 8, 16, 31, 33, 128};
    for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) check_inverse(orders[i]);
}

static void determinant_of_a_product(void **state) {
    (void)state;
    enum { N = 9 };
    double a[N * N], b[N * N], ab[N * N] = {0}, log_det[3];
    int sign[3];
    double *all[] = {a, b, ab};
    size_t pivot[N];
    for (size_t i = 0; i < N * N; i++) a[i] = rng_normal(4, 0, i), b[i] = rng_normal(4, 1, i);
    for (size_t i = 0; i < N * N; i++)
        for (size_t k = 0; k < N; k++) ab[i] += a[i / N * N + k] * b[k * N + i % N];
    for (int i = 0; i < 3; i++) {
        assert_true(lu_factor(N, all[i], pivot));
        log_det[i] = lu_log_determinant(N, all[i], pivot, &sign[i]);
    }
    assert_true(fabs(log_det[0] + log_det[1] - log_det[2]) < 1e-11);
    assert_int_equal(sign[0] * sign[1], sign[2]);
}

static void singular_matrices_are_refused(void **state) {
    (void)state;
    double rank_one[] = {1, 2, 2, 4}, zero[] = {0}, nan_inside[] = {1, 2, (double)NAN, 4};
    double nan_above[] = {1, (double)NAN, 0, 4}, huge[] = {(double)INFINITY};
    size_t pivot[2];
    assert_false(lu_factor(2, rank_one, pivot));
    assert_false(lu_factor(1, zero, pivot));
    assert_false(lu_factor(2, nan_inside, pivot));
    assert_false(lu_factor(2, nan_above, pivot));
    assert_false(lu_factor(1, huge, pivot));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_determinants),
        cmocka_unit_test(hilbert_determinant),
        cmocka_unit_test(inverse_and_solution),
        cmocka_unit_test(determinant_of_a_product),
        cmocka_unit_test(singular_matrices_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
