/* The MDCT against its definition as a dense matrix, and as an orthonormal map. Compiled with both sizes of real. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dlfcn.h>
#include <malloc.h>

#include "core/rng.h"
#include "dsp/mdct.h"

#define TOLERANCE (sizeof(real) == 4 ? 2e-6 : 1e-13)

/* How often memory was asked for, FFTW's requests included: the program's functions stand before the C library's. The
 * sanitizers have their own there. */
static size_t allocations;
#if defined(__has_feature)
#define HAS_FEATURE(name) __has_feature(name)
#else
#define HAS_FEATURE(name) 0
#endif
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !HAS_FEATURE(address_sanitizer) && \
    !HAS_FEATURE(thread_sanitizer) && !HAS_FEATURE(memory_sanitizer)
#define COUNTING 1
void *malloc(size_t size) {
    static void *(*next)(size_t);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "malloc");
    allocations++;
    return next(size);
}

void *memalign(size_t alignment, size_t size) {
    static void *(*next)(size_t, size_t);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "memalign");
    allocations++;
    return next(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
    static int (*next)(void **, size_t, size_t);
    if (!next) *(void **)&next = dlsym(RTLD_NEXT, "posix_memalign");
    allocations++;
    return next(result, alignment, size);
}
#else
#define COUNTING 0
#endif

/* X[t, k] of the header's sum, term by term. */
static double naive(const real *x, size_t n, size_t blocks, size_t t, size_t k) {
    double sum = 0;
    for (size_t j = 0; j < 2 * n; j++) {
        size_t position = n * t + j;
        if (position < n / 2 || position - n / 2 >= n * blocks) continue;
        double window = sin(M_PI * ((double)j + 0.5) / (2 * (double)n));
        if (t == 0 && j < n) window = j < n / 2 ? 0 : 1;
        if (t + 1 == blocks && j >= n) window = j < n + n / 2 ? 1 : 0;
        double angle = M_PI / (double)n * ((double)j + 0.5 + (double)n / 2) * ((double)k + 0.5);
        sum += window * (double)x[position - n / 2] * cos(angle);
    }
    return sum * sqrt(2 / (double)n);
}

static const size_t sizes[] = {2, 6, 16, 30, 256};
static const size_t lengths[] = {1, 2, 3, 7};

static void one_size(size_t n, size_t blocks) {
    mdct *transform;
    vocode_error error = {0};
    assert_int_equal(mdct_new(n, &transform, &error), VOCODE_OK);
    size_t count = n * blocks, scratch = mdct_scratch(transform);
    void *base = aligned_new(scratch, 1);
    arena memory = arena_over(base, scratch);
    real *x = malloc(count * sizeof *x), *X = malloc(count * sizeof *X), *back = malloc(count * sizeof *back);
    rng_fill_normal(x, blocks, n, 5, 0, 1.0);
    size_t before = allocations;
    assert_true(before > 0 || !COUNTING);
    mdct_forward(transform, x, X, blocks, &memory);
    mdct_inverse(transform, X, back, blocks, &memory);
    assert_int_equal(allocations, before);
    assert_int_equal(memory.used, 0);
    assert_true(memory.peak <= scratch);
    double in = 0, out = 0;
    for (size_t t = 0; t < blocks; t++)
        for (size_t k = 0; k < n; k++) {
            size_t i = t * n + k;
            in += (double)x[i] * (double)x[i];
            out += (double)X[i] * (double)X[i];
            assert_true(fabs((double)X[i] - naive(x, n, blocks, t, k)) < 20 * TOLERANCE);
            assert_true(fabs((double)(back[i] - x[i])) < TOLERANCE);
        }
    assert_true(fabs(in / out - 1) < TOLERANCE);
    free(x);
    free(X);
    free(back);
    aligned_free(base);
    mdct_free(transform);
}

static void matches_its_definition(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (size_t j = 0; j < sizeof lengths / sizeof *lengths; j++) one_size(sizes[i], lengths[j]);
}

/* Unit vectors in, a matrix out: its rows are orthonormal, so the log-determinant is 0. */
static void dense_matrix_is_orthonormal(void **state) {
    (void)state;
    enum { N = 8, BLOCKS = 3, SIZE = N * BLOCKS };
    mdct *transform;
    assert_int_equal(mdct_new(N, &transform, NULL), VOCODE_OK);
    size_t scratch = mdct_scratch(transform);
    void *base = aligned_new(scratch, 1);
    arena memory = arena_over(base, scratch);
    real matrix[SIZE][SIZE];
    for (size_t i = 0; i < SIZE; i++) {
        real x[SIZE] = {0};
        x[i] = 1;
        mdct_forward(transform, x, matrix[i], BLOCKS, &memory);
    }
    for (size_t i = 0; i < SIZE; i++)
        for (size_t j = 0; j < SIZE; j++) {
            double dot = 0;
            for (size_t k = 0; k < SIZE; k++) dot += (double)matrix[i][k] * (double)matrix[j][k];
            assert_true(fabs(dot - (i == j)) < TOLERANCE);
        }
    aligned_free(base);
    mdct_free(transform);
}

static void odd_sizes_are_refused(void **state) {
    (void)state;
    mdct *transform;
    vocode_error error = {0};
    assert_int_equal(mdct_new(15, &transform, &error), VOCODE_VALUE);
    assert_non_null(strstr(error.message, "15"));
    assert_int_equal(mdct_new(0, &transform, &error), VOCODE_VALUE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_its_definition),
        cmocka_unit_test(dense_matrix_is_orthonormal),
        cmocka_unit_test(odd_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
