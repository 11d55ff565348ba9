/* Every kernel of every level against sums and formulas in double or long double, over shapes with gaps between rows;
 * and the parallel forms: the same bits with any number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "kernels/compute.h"
#include "kernels/convolve.h"
#include "kernels/helpers.h"
#include "support/allocations.h"

#define TOLERANCE 2e-6 /* of the largest value, float */

static void levels_are_complete(void **state) {
    (void)state;
    size_t count = 0;
    for (const kernel_table *const *level = kernel_levels(); *level; level++, count++) {
        assert_non_null((*level)->level);
#define KERNEL(name, arguments) assert_non_null((*level)->name);
#include "kernels/kernels.def"
#undef KERNEL
    }
    assert_true(count >= 1);
    assert_string_equal(kernel_levels()[0]->level, "ref");
}

typedef struct product {
    size_t m, n, k, gap_a, gap_b, gap_c;
} product;

static const product products[] = {
    {1, 1, 1, 0, 0, 0},     {1, 7, 3, 0, 0, 0},      {2, 5, 9, 3, 1, 2},     {3, 3, 0, 4, 1, 5},
    {5, 1, 8, 1, 0, 3},     {8, 16, 16, 0, 0, 0},    {17, 33, 65, 5, 7, 9},  {64, 64, 64, 0, 0, 16},
    {63, 130, 31, 1, 1, 1}, {100, 40, 300, 0, 8, 0}, {1, 256, 512, 0, 0, 0}, {256, 24, 80, 0, 0, 0},
};

enum { NN, NT, TN };

static real element(int form, const real *a, const real *b, size_t i, size_t j, size_t q, size_t lda, size_t ldb) {
    real left = form == TN ? a[q * lda + i] : a[i * lda + q];
    return left * (form == NT ? b[j * ldb + q] : b[q * ldb + j]);
}

static void check_product(const kernel_table *level, int form, const product *p, int beta) {
    size_t lda = (form == TN ? p->m : p->k) + p->gap_a + 1, ldb = (form == NT ? p->k : p->n) + p->gap_b + 1;
    size_t ldc = p->n + p->gap_c;
    real *a = noise((form == TN ? p->k : p->m) * lda, 1), *b = noise((form == NT ? p->n : p->k) * ldb, 2);
    real *c = noise(p->m * ldc, 3), *wanted = copy_of(c, p->m * ldc);
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->n; j++) {
            double sum = beta ? (double)c[i * ldc + j] : 0;
            for (size_t q = 0; q < p->k; q++) sum += (double)element(form, a, b, i, j, q, lda, ldb);
            wanted[i * ldc + j] = (real)sum;
            if (!beta) c[i * ldc + j] = (real)NAN; /* must not be read */
        }
    if (form == NN) level->gemm_nn(p->m, p->n, p->k, a, lda, b, ldb, beta, c, ldc);
    if (form == NT) level->gemm_nt(p->m, p->n, p->k, a, lda, b, ldb, beta, c, ldc);
    if (form == TN) level->gemm_tn(p->m, p->n, p->k, a, lda, b, ldb, beta, c, ldc);
    assert_true(distance(c, wanted, p->m * ldc) < TOLERANCE);
    for (size_t i = 0; i < p->m; i++) /* gaps are untouched */
        assert_memory_equal(c + i * ldc + p->n, wanted + i * ldc + p->n, p->gap_c * sizeof *c);
    free(a), free(b), free(c), free(wanted);
}

static void products_of_matrices(void **state) {
    (void)state;
    for (const kernel_table *const *level = kernel_levels(); *level; level++)
        for (size_t i = 0; i < sizeof products / sizeof *products; i++)
            for (int form = NN; form <= TN; form++)
                for (int beta = 0; beta < 2; beta++) check_product(*level, form, &products[i], beta);
}

static long double sigmoid(long double x) {
    return 1 / (1 + expl(-x));
}

/* Values from the middle to far tails, where exp overflows a careless form. */
static real *wide_range(size_t count) {
    real *x = noise(count, 4);
    for (size_t i = 0; i < count; i++) x[i] *= i % 7 == 0 ? 60 : i % 5 == 0 ? (real)0.01 : 3;
    return x;
}

static void elementwise(void **state) {
    (void)state;
    enum { COUNT = 1003 };
    real *x = wide_range(COUNT), y[COUNT];
    for (const kernel_table *const *level = kernel_levels(); *level; level++) {
        (*level)->gelu(COUNT, x, y);
        for (size_t i = 0; i < COUNT; i++) {
            long double v = x[i], truth = v * 0.5L * erfcl(-v * sqrtl(0.5L));
            assert_true(fabsl(y[i] - truth) <= 5e-7L * (1 + fabsl(v)));
        }
        (*level)->silu(COUNT, x, y);
        for (size_t i = 0; i < COUNT; i++) assert_true(fabsl(y[i] - x[i] * sigmoid(x[i])) <= 3e-7L * (1 + fabsl(x[i])));
        real *in_place = copy_of(x, COUNT);
        (*level)->silu(COUNT, in_place, in_place);
        assert_memory_equal(in_place, y, sizeof y);
        free(in_place);
    }
    free(x);
}

static void gates(void **state) {
    (void)state;
    enum { ROWS = 5, C = 19 };
    real *a = wide_range(2 * ROWS * C), y[ROWS * C];
    for (const kernel_table *const *level = kernel_levels(); *level; level++) {
        (*level)->gate(ROWS, C, a, y);
        for (size_t t = 0; t < ROWS; t++)
            for (size_t j = 0; j < C; j++) {
                const real *row = a + t * 2 * C;
                assert_true(fabsl(y[t * C + j] - tanhl(row[j]) * sigmoid(row[C + j])) <= 4e-7L);
            }
    }
    free(a);
}

static void layer_norms(void **state) {
    (void)state;
    const size_t widths[] = {1, 2, 17, 192};
    const real epsilon = (real)1e-5;
    for (const kernel_table *const *level = kernel_levels(); *level; level++)
        for (size_t k = 0; k < 4; k++) {
            size_t c = widths[k], rows = 4;
            real *x = noise(rows * c, 5), *g = noise(c, 6), *b = noise(c, 7), *y = noise(rows * c, 8);
            for (size_t j = 0; j < rows * c; j++) x[j] = 2 * x[j] + 30; /* a mean far from zero */
            (*level)->layer_norm(rows, c, x, g, b, epsilon, y);
            for (size_t t = 0; t < rows; t++) {
                long double mean = 0, square = 0;
                for (size_t j = 0; j < c; j++) mean += (long double)x[t * c + j] / c;
                for (size_t j = 0; j < c; j++) square += (x[t * c + j] - mean) * (x[t * c + j] - mean) / c;
                for (size_t j = 0; j < c; j++) {
                    long double truth = (x[t * c + j] - mean) / sqrtl(square + (long double)epsilon) * g[j] + b[j];
                    assert_true(fabsl(y[t * c + j] - truth) <= 1e-5L * (1 + fabsl(truth)));
                }
            }
            free(x), free(g), free(b), free(y);
        }
}

typedef struct depthwise_case {
    size_t frames, c, taps, dilation;
} depthwise_case;

static const depthwise_case depthwise_cases[] = {
    {1, 3, 7, 1}, {2, 1, 3, 1}, {5, 4, 7, 2}, {9, 16, 3, 4}, {40, 33, 7, 1}, {6, 5, 4, 1},
};

/* y by definition, in double. */
static void depthwise_truth(const depthwise_case *p, const real *x, const real *w, const real *b, real *y) {
    for (size_t t = 0; t < p->frames; t++)
        for (size_t j = 0; j < p->c; j++) {
            double sum = (double)b[j];
            for (size_t tap = 0; tap < p->taps; tap++) {
                long from = (long)t + ((long)tap - (long)(p->taps / 2)) * (long)p->dilation;
                if (from >= 0 && from < (long)p->frames)
                    sum += (double)w[tap * p->c + j] * (double)x[(size_t)from * p->c + j];
            }
            y[t * p->c + j] = (real)sum;
        }
}

static void depthwise_convolutions(void **state) {
    (void)state;
    for (const kernel_table *const *level = kernel_levels(); *level; level++)
        for (size_t i = 0; i < sizeof depthwise_cases / sizeof *depthwise_cases; i++) {
            const depthwise_case *p = &depthwise_cases[i];
            size_t size = p->frames * p->c, cut = p->frames / 3;
            real *x = noise(size, 1), *w = noise(p->taps * p->c, 2), *b = noise(p->c, 3);
            real *y = noise(size, 4), *sum = copy_of(y, size), *truth = noise(size, 5);
            depthwise_truth(p, x, w, b, truth);
            (*level)->depthwise(p->frames, 0, cut, p->c, p->taps, p->dilation, x, w, b, y); /* in two pieces */
            (*level)->depthwise(p->frames, cut, p->frames - cut, p->c, p->taps, p->dilation, x, w, b, y + cut * p->c);
            assert_true(distance(y, truth, size) < TOLERANCE);
            for (size_t j = 0; j < size; j++) truth[j] += sum[j] - b[j % p->c];
            (*level)->depthwise(p->frames, 0, p->frames, p->c, p->taps, p->dilation, x, w, NULL, sum);
            assert_true(distance(sum, truth, size) < TOLERANCE);
            free(x), free(w), free(b), free(y), free(sum), free(truth);
        }
}

static void affine_rows(void **state) {
    (void)state;
    for (const kernel_table *const *level = kernel_levels(); *level; level++) {
        const real x[] = {1, 2, -9, 3, 4, -9}, s[] = {2, -1}, b[] = {10, 20};
        real y[] = {0, 0, 5, 5, 0, 0, 5, 5};
        const real wanted[] = {12, 18, 5, 5, 16, 16, 5, 5};
        (*level)->scale_shift(2, 2, x, 3, s, b, y, 4);
        assert_memory_equal(y, wanted, sizeof wanted);
    }
}

static void sums_of_rows(void **state) {
    (void)state;
    enum { COUNT = 37 };
    for (const kernel_table *const *level = kernel_levels(); *level; level++) {
        real *a = noise(COUNT, 1), *b = noise(COUNT, 2), *sum = noise(COUNT, 3), *start = copy_of(sum, COUNT);
        real *even = copy_of(a, COUNT);
        (*level)->sum_scaled(COUNT, a, b, -3, sum);
        for (size_t i = 0; i < COUNT; i++)
            assert_true(fabs((double)sum[i] - ((double)a[i] - 3 * (double)b[i])) < TOLERANCE * 4);
        for (int add = 0; add < 2; add++) {
            memcpy(sum, start, COUNT * sizeof *sum);
            memcpy(even, a, COUNT * sizeof *even);
            (*level)->even_odd(COUNT, add, even, b, sum);
            for (size_t i = 0; i < COUNT; i++) {
                double wanted = (double)a[i] + (double)b[i] + (add ? (double)start[i] : 0);
                assert_true(fabs((double)sum[i] - wanted) < TOLERANCE * 4);
                assert_true(fabs((double)even[i] - ((double)a[i] - (double)b[i])) < TOLERANCE * 2);
            }
        }
        free(a), free(b), free(sum), free(start), free(even);
    }
}

/* Vector levels have their own elementary functions; positions, seeds and shapes mean the same. */
static void normals_of_positions(void **state) {
    (void)state;
    enum { COLUMNS = 301, CHANNELS = 13 };
    const uint64_t seed = 0x123456789abcdefu, first = 0xfffffff0u;
    real *wanted = noise(COLUMNS * CHANNELS, 1), *found = noise(COLUMNS * CHANNELS, 2);
    rng_fill_normal(wanted, COLUMNS, CHANNELS, seed, first, 0.75);
    for (const kernel_table *const *level = kernel_levels(); *level; level++) {
        (*level)->normals(COLUMNS, CHANNELS, seed, first, 0.75, found);
        for (size_t i = 0; i < COLUMNS * CHANNELS; i++)
            assert_true(fabs((double)found[i] - (double)wanted[i]) <= 1.2e-7 * fabs((double)wanted[i]) + 1e-9);
        (*level)->normals(COLUMNS - 100, CHANNELS, seed, first + 100, 0.75, found); /* the same in another cut */
        for (size_t i = 0; i < (COLUMNS - 100) * CHANNELS; i++)
            assert_true(fabs((double)found[i] - (double)wanted[100 * CHANNELS + i]) <=
                        1.2e-7 * fabs((double)wanted[100 * CHANNELS + i]) + 1e-9);
    }
    free(wanted), free(found);
}

enum { BATCH = 2, FRAMES = 600, INPUTS = 140, OUTPUTS = 270, TAPS = 3 }; /* more than a tile each way */

/* Panels of the transposes of w [TAPS, INPUTS, OUTPUTS]. */
static real *transposes(const real *w, size_t step) {
    real *back = calloc(TAPS * step, sizeof *back), *turned = calloc(OUTPUTS * INPUTS, sizeof *turned);
    for (size_t j = 0; j < TAPS; j++) {
        for (size_t i = 0; i < INPUTS; i++)
            for (size_t o = 0; o < OUTPUTS; o++) turned[o * INPUTS + i] = w[(j * INPUTS + i) * OUTPUTS + o];
        kernels()->pack(INPUTS, OUTPUTS, turned, INPUTS, back + j * step);
    }
    free(turned);
    return back;
}

/* Runs the parallel forms with that many threads; what[] lists the results, each of its own size. */
static void run_parallel(int threads, real *what[], size_t sizes[], size_t *count) {
    size_t rows = BATCH * FRAMES, scratch_size = 1 << 24, c = INPUTS;
    compute run = {.scratch = arena_over(aligned_new(scratch_size, 1), scratch_size), .threads = threads};
    void *memory = run.scratch.base;
    real *x = noise(rows * INPUTS, 1), *w = noise(TAPS * INPUTS * OUTPUTS, 2), *b = noise(OUTPUTS, 3);
    real *dy = noise(rows * OUTPUTS, 4), *g = noise(c, 5);
    const size_t all[] = {rows * OUTPUTS,
                          rows * INPUTS,
                          TAPS * INPUTS * OUTPUTS,
                          OUTPUTS,
                          INPUTS * OUTPUTS,
                          rows * c,
                          rows * c,
                          c,
                          c,
                          rows * c,
                          rows * c,
                          TAPS * c,
                          c};
    *count = sizeof all / sizeof *all;
    for (size_t i = 0; i < *count; i++) {
        sizes[i] = all[i];
        what[i] = calloc(all[i], sizeof(real));
    }
    size_t step = panels_size(OUTPUTS, INPUTS);
    real *panels = calloc(TAPS * step, sizeof *panels);
    for (size_t j = 0; j < TAPS; j++)
        kernels()->pack(OUTPUTS, INPUTS, w + j * INPUTS * OUTPUTS, OUTPUTS, panels + j * step);
    size_t back_step = panels_size(INPUTS, OUTPUTS);
    real *back = transposes(w, back_step);
    const convolution shape = {.batch = BATCH,
                               .frames = FRAMES,
                               .inputs = INPUTS,
                               .outputs = OUTPUTS,
                               .taps = TAPS,
                               .dilation = 250,
                               .ldx = INPUTS,
                               .ldy = OUTPUTS,
                               .panels = panels,
                               .panel_step = step,
                               .back = back,
                               .back_step = back_step};
    size_t before = allocations();
    run_convolution(&run, &shape, x, b, false, what[0]);
    run_convolution_data(&run, &shape, dy, false, what[1], INPUTS);
    run_convolution_weights(&run, &shape, x, dy, false, what[2]);
    run_add_columns(&run, rows, OUTPUTS, dy, OUTPUTS, what[3]);
    run_gemm_tn(&run, INPUTS, OUTPUTS, rows, x, INPUTS, dy, OUTPUTS, 0, what[4], OUTPUTS);
    run_layer_norm(&run, rows, c, x, g, g, (real)1e-5, what[5]);
    run_layer_norm_backward(&run, rows, c, x, g, (real)1e-5, what[5], what[6], what[7], what[8]);
    run_depthwise(&run, BATCH, FRAMES, c, TAPS, 1, x, w, b, what[9]);
    run_depthwise_backward(&run, BATCH, FRAMES, c, TAPS, 1, x, w, what[9], what[10], what[11], what[12]);
    assert_int_equal(allocations(), before);
    assert_int_equal(run.scratch.used, 0);
    free(x), free(w), free(b), free(dy), free(g), free(panels), free(back);
    aligned_free(memory);
}

static void bits_do_not_depend_on_threads(void **state) {
    (void)state;
    real *one[16], *many[16];
    size_t sizes[16], count;
    run_parallel(1, one, sizes, &count);
    for (int threads = 2; threads <= 3; threads++) {
        run_parallel(threads, many, sizes, &count);
        for (size_t i = 0; i < count; i++) {
            assert_memory_equal(one[i], many[i], sizes[i] * sizeof(real));
            free(many[i]);
        }
    }
    for (size_t i = 0; i < count; i++) free(one[i]);
}

/* Convolution by definition, a few outputs of every tile and at every edge. */
static void convolution_across_tiles(void **state) {
    (void)state;
    real *results[16];
    size_t sizes[16], count, taps = TAPS, dilation = 250;
    run_parallel(2, results, sizes, &count);
    real *x = noise(BATCH * FRAMES * INPUTS, 1), *w = noise(TAPS * INPUTS * OUTPUTS, 2), *b = noise(OUTPUTS, 3);
    for (size_t t = 0; t < BATCH * FRAMES; t += t % 50 == 49 ? 1 : 49)
        for (size_t o = 0; o < OUTPUTS; o += 67) {
            double sum = (double)b[o];
            for (size_t tap = 0; tap < taps; tap++) {
                long from = (long)(t % FRAMES) + ((long)tap - 1) * (long)dilation;
                if (from < 0 || from >= FRAMES) continue;
                const real *row = x + (t / FRAMES * FRAMES + (size_t)from) * INPUTS;
                for (size_t i = 0; i < INPUTS; i++) sum += (double)row[i] * (double)w[(tap * INPUTS + i) * OUTPUTS + o];
            }
            assert_true(fabs((double)results[0][t * OUTPUTS + o] - sum) < 1e-4);
        }
    for (size_t i = 0; i < count; i++) free(results[i]);
    free(x), free(w), free(b);
}

static void rows_repeat_and_fold(void **state) {
    (void)state;
    char memory[64];
    const compute run = {.scratch = arena_over(memory, sizeof memory), .threads = 1};
    const real x[] = {1, 2, 3, 4}, twice[] = {1, 2, 0, 1, 2, 0, 3, 4, 0, 3, 4, 0};
    real y[12] = {0}, back[] = {100, 200, 300, 400};
    run_repeat_rows(&run, 2, 2, 2, x, 2, y, 3);
    assert_memory_equal(y, twice, sizeof y);
    run_fold_rows(&run, 2, 2, 2, y, 3, back, 2);
    const real folded[] = {102, 204, 306, 408};
    assert_memory_equal(back, folded, sizeof back);
}

static void measuring_touches_nothing(void **state) {
    (void)state;
    compute run = {.scratch = arena_over(NULL, 0), .threads = 2};
    assert_true(measuring(&run));
    run_layer_norm_backward(&run, 600, 10, NULL, NULL, (real)1e-5, NULL, NULL, NULL, NULL);
    assert_int_equal(run.scratch.used, 0);
    assert_int_equal(run.scratch.peak, (3 * 2 * 10 * sizeof(real) + 63) / 64 * 64);
    run_depthwise_backward(&run, 2, 600, 10, 3, 1, NULL, NULL, NULL, NULL, NULL, NULL);
    run_fill_rows(&run, 5, 5, NULL, NULL, 5);
    assert_null(part_of(NULL, 7));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(levels_are_complete),
        cmocka_unit_test(products_of_matrices),
        cmocka_unit_test(elementwise),
        cmocka_unit_test(gates),
        cmocka_unit_test(layer_norms),
        cmocka_unit_test(depthwise_convolutions),
        cmocka_unit_test(affine_rows),
        cmocka_unit_test(sums_of_rows),
        cmocka_unit_test(normals_of_positions),
        cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(convolution_across_tiles),
        cmocka_unit_test(rows_repeat_and_fold),
        cmocka_unit_test(measuring_touches_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
