/* Products of operands that are rounded to bfloat16: the rounding, every level against sums in double of rounded
 * operands, rows that are their own, and convolutions that are told to round. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/bf16.h"
#include "kernels/convolve.h"
#include "kernels/helpers.h"

#define TOLERANCE 2e-6 /* of the largest value, float */

static void rounding(void **state) {
    (void)state;
    static const struct {
        float from, to;
    } cases[] = {
        {0, 0},
        {1, 1},
        {-1.5F, -1.5F},
        {0x1.01p0F, 0x1p0F},    /* half a step above an even one: down */
        {0x1.03p0F, 0x1.04p0F}, /* above an odd one: up */
        {0x1.010002p0F, 0x1.02p0F},
        {-0x1.ffp3F, -0x1p4F}, /* into the next power */
        {0x1.fffffep127F, INFINITY},
        {-INFINITY, -INFINITY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) assert_true(bf16_rounded(cases[i].from) == cases[i].to);
    assert_true(isnan(bf16_rounded(NAN)));
}

static double halved(real x) {
    return (double)bf16_rounded((float)x);
}

typedef struct product {
    size_t m, n, k, gap;
} product;

/* Odd depths, and around the sizes of strips, panels and blocks. */
static const product products[] = {{1, 1, 1, 0},   {3, 17, 2, 3},    {14, 32, 33, 0}, {15, 33, 64, 1},
                                   {29, 70, 7, 2}, {130, 40, 31, 0}, {255, 5, 20, 5}, {5, 35, 515, 1}};

enum { PACKED, TN };

/* c of one level and form; NAN where it must not be read. */
static void multiply(const kernel_table *level, int form, const product *p, const real *a, size_t lda, const real *b,
                     const real *bias, int beta, real *c) {
    size_t ldc = p->n + p->gap;
    if (form == TN) {
        level->gemm_tn_bf16(p->m, p->n, p->k, a, lda, b, p->n, beta, c, ldc);
        return;
    }
    real *panels = noise(tiles_of(p->n, level->panel) * level->panel * p->k, 9);
    level->pack(p->n, p->k, b, p->n, panels);
    level->gemm_packed_bf16(p->m, p->n, p->k, a, lda, panels, bias, beta, c, ldc);
    free(panels);
}

static void check_product(const kernel_table *level, int form, const product *p, int beta, bool biased) {
    size_t lda = (form == TN ? p->m : p->k) + p->gap, ldc = p->n + p->gap, size = p->m * ldc;
    real *a = noise((form == TN ? p->k : p->m) * lda, 1), *b = noise(p->k * p->n, 2), *bias = noise(p->n, 7);
    real *c = noise(size, 3), *wanted = copy_of(c, size);
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->n; j++) {
            double sum = (beta ? (double)c[i * ldc + j] : 0) + (biased ? (double)bias[j] : 0);
            for (size_t q = 0; q < p->k; q++)
                sum += halved(form == TN ? a[q * lda + i] : a[i * lda + q]) * halved(b[q * p->n + j]);
            wanted[i * ldc + j] = (real)sum;
            if (!beta) c[i * ldc + j] = (real)NAN;
        }
    multiply(level, form, p, a, lda, b, biased ? bias : NULL, beta, c);
    assert_true(distance(c, wanted, size) < TOLERANCE);
    for (size_t i = 0; i < p->m; i++)
        assert_memory_equal(c + i * ldc + p->n, wanted + i * ldc + p->n, p->gap * sizeof *c);
    free(a), free(b), free(c), free(wanted), free(bias);
}

static void every_level(void **state) {
    (void)state;
    for (const kernel_table *const *level = kernel_levels(); *level; level++)
        for (size_t i = 0; i < sizeof products / sizeof *products; i++)
            for (int beta = 0; beta < 2; beta++) {
                check_product(*level, TN, &products[i], beta, false);
                for (int biased = 0; biased < 2; biased++) check_product(*level, PACKED, &products[i], beta, biased);
            }
}

static void rows_are_their_own(void **state) {
    (void)state;
    const product whole = {40, 70, 301, 0};
    real *a = noise(whole.m * whole.k, 1), *b = noise(whole.k * whole.n, 2), *c = noise(whole.m * whole.n, 3);
    for (const kernel_table *const *level = kernel_levels(); *level; level++) {
        multiply(*level, PACKED, &whole, a, whole.k, b, b, 0, c);
        for (size_t count = 1; count < whole.m; count += 6) {
            product part = {count, whole.n, whole.k, 0};
            size_t first = (whole.m - count) / 2;
            real *rows = noise(count * whole.n, 4);
            multiply(*level, PACKED, &part, a + first * whole.k, whole.k, b, b, 0, rows);
            assert_memory_equal(rows, c + first * whole.n, count * whole.n * sizeof *rows);
            free(rows);
        }
    }
    free(a), free(b), free(c);
}

/* With run.bf16 the convolution and both of its gradients are those of rounded operands. */
static void convolutions_round(void **state) {
    (void)state;
    enum { FRAMES = 21, C = 36, TAPS = 3, SIZE = FRAMES * C };
    size_t step = panels_size(C, C);
    real *arrays[3] = {noise(SIZE, 1), noise(SIZE, 2), noise(TAPS * C * C, 3)}, *results[2][3], memory[64];
    for (int rounded = 0; rounded < 2; rounded++) {
        compute run = {.scratch = arena_over(memory, sizeof memory), .threads = 2, .bf16 = !rounded};
        real *panels = noise(TAPS * step, 9), **y = results[rounded];
        size_t sizes[3] = {SIZE, SIZE, TAPS * C * C};
        for (size_t i = 0; i < 3; i++) {
            for (size_t k = 0; rounded && k < sizes[i]; k++) arrays[i][k] = (real)halved(arrays[i][k]);
            y[i] = noise(sizes[i], 8);
        }
        for (size_t j = 0; j < TAPS; j++) kernels()->pack(C, C, arrays[2] + j * C * C, C, panels + j * step);
        convolution shape = {.batch = 1,
                             .frames = FRAMES,
                             .inputs = C,
                             .outputs = C,
                             .taps = TAPS,
                             .dilation = 2,
                             .ldx = C,
                             .ldy = C,
                             .panels = panels,
                             .panel_step = step,
                             .back = panels,
                             .back_step = step};
        run_convolution(&run, &shape, arrays[0], NULL, false, y[0]);
        run_convolution_data(&run, &shape, arrays[1], false, y[1], C);
        run_convolution_weights(&run, &shape, arrays[0], arrays[1], false, y[2]);
        free(panels);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_true(distance(results[0][i], results[1][i], i < 2 ? SIZE : TAPS * C * C) < TOLERANCE);
        free(results[0][i]), free(results[1][i]), free(arrays[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rounding),
        cmocka_unit_test(every_level),
        cmocka_unit_test(rows_are_their_own),
        cmocka_unit_test(convolutions_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
