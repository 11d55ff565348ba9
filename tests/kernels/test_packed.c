/* Products with packed weights and what is built on them: right at every level, and every row's bits a function of that
 * row alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/convolve.h"
#include "kernels/groups.h"
#include "kernels/helpers.h"

#define TOLERANCE 2e-6 /* of the largest value, float */

static size_t size_at(const kernel_table *level, size_t n, size_t k) {
    return tiles_of(n, level->panel) * level->panel * k;
}

static real *pack_at(const kernel_table *level, size_t n, size_t k, const real *b, size_t ldb) {
    real *panels = noise(size_at(level, n, k), 9);
    level->pack(n, k, b, ldb, panels);
    return panels;
}

static void panels_are_columns_side_by_side(void **state) {
    (void)state;
    enum { N = 75, K = 6, LDB = 80 };
    real *b = noise(K * LDB, 2);
    for (const kernel_table *const *at = kernel_levels(); *at; at++) {
        size_t panel = (*at)->panel;
        assert_true(panel > 0 && panel <= WIDEST_PANEL && panel * sizeof(real) % 64 == 0 && (*at)->strip > 0 &&
                    (*at)->band > 0 && panel % (*at)->band == 0);
        real *panels = pack_at(*at, N, K, b, LDB);
        for (size_t i = 0; i < size_at(*at, N, K); i++) {
            size_t column = i / (K * panel) * panel + i % panel, row = i / panel % K;
            assert_true(panels[i] == (column < N ? b[row * LDB + column] : 0));
        }
        free(panels);
    }
    assert_int_equal(panels_size(N, K), size_at(kernels(), N, K));
    free(b);
}

typedef struct product {
    size_t m, n, k, gap_a, gap_c;
} product;

/* Around the sizes of tiles and blocks. */
static const product products[] = {
    {1, 1, 1, 0, 0},    {1, 7, 3, 0, 2},    {3, 3, 0, 1, 5},    {5, 31, 8, 1, 3},    {13, 32, 33, 0, 0},
    {14, 33, 65, 5, 9}, {15, 64, 64, 0, 1}, {29, 97, 31, 1, 1}, {40, 600, 20, 0, 8}, {17, 40, 900, 3, 0},
};

static void check_product(const kernel_table *level, const product *p, int beta, bool biased) {
    size_t lda = p->k + p->gap_a + 1, ldc = p->n + p->gap_c, size = p->m * ldc;
    real *a = noise(p->m * lda, 1), *b = noise(p->k * p->n, 2), *c = noise(size, 3), *wanted = copy_of(c, size);
    real *panels = pack_at(level, p->n, p->k, b, p->n), *bias = biased ? noise(p->n, 7) : NULL;
    for (size_t i = 0; i < p->m; i++)
        for (size_t j = 0; j < p->n; j++) {
            double sum = (beta ? (double)c[i * ldc + j] : 0) + (biased ? (double)bias[j] : 0);
            for (size_t q = 0; q < p->k; q++) sum += (double)a[i * lda + q] * (double)b[q * p->n + j];
            wanted[i * ldc + j] = (real)sum;
            if (!beta) c[i * ldc + j] = (real)NAN; /* must not be read */
        }
    level->gemm_packed(p->m, p->n, p->k, a, lda, panels, bias, beta, c, ldc);
    assert_true(distance(c, wanted, size) < TOLERANCE);
    for (size_t i = 0; i < p->m; i++) /* gaps are untouched */
        assert_memory_equal(c + i * ldc + p->n, wanted + i * ldc + p->n, p->gap_c * sizeof *c);
    free(a), free(b), free(c), free(wanted), free(panels), free(bias);
}

static void packed_products(void **state) {
    (void)state;
    for (const kernel_table *const *level = kernel_levels(); *level; level++)
        for (size_t i = 0; i < sizeof products / sizeof *products; i++)
            for (int form = 0; form < 4; form++) check_product(*level, &products[i], form % 2, form / 2);
}

enum { ROWS = 64 };

/* Rows first to first + count must come out as in whole. */
static void check_rows(const kernel_table *level, const product *p, int beta, const real *a, const real *panels,
                       const real *b, const real *before, const real *whole, size_t first, size_t count) {
    real *c = copy_of(before + first * p->n, count * p->n);
    level->gemm_packed(count, p->n, p->k, a + first * p->k, p->k, panels, b, beta, c, p->n);
    assert_memory_equal(c, whole + first * p->n, count * p->n * sizeof *c);
    free(c);
}

static void rows_are_their_own(void **state) {
    (void)state;
    static const product shapes[] = {{.n = 70, .k = 50}, {.n = 530, .k = 400}, {.n = 4, .k = 33}};
    for (const kernel_table *const *level = kernel_levels(); *level; level++)
        for (size_t i = 0; i < 3; i++)
            for (int beta = 0; beta < 2; beta++) {
                const product *p = &shapes[i];
                real *a = noise(ROWS * p->k, 1), *b = noise(p->k * p->n, 2), *before = noise(ROWS * p->n, 3);
                real *panels = pack_at(*level, p->n, p->k, b, p->n), *whole = copy_of(before, ROWS * p->n);
                (*level)->gemm_packed(ROWS, p->n, p->k, a, p->k, panels, b, beta, whole, p->n);
                for (size_t count = 1; count <= ROWS; count += i == 1 ? 5 : 1) {
                    check_rows(*level, p, beta, a, panels, b, before, whole, 0, count);
                    check_rows(*level, p, beta, a, panels, b, before, whole, ROWS - count, count);
                    check_rows(*level, p, beta, a, panels, b, before, whole, (ROWS - count) / 3, count);
                }
                free(a), free(b), free(before), free(panels), free(whole);
            }
}

/* A product with fewer columns than were packed gives the same numbers. */
static void columns_may_be_left_out(void **state) {
    (void)state;
    enum { M = 9, N = 100, K = 70 };
    real *a = noise(M * K, 1), *b = noise(K * N, 2), *all = noise(M * N, 3), *some = noise(M * N, 4);
    for (const kernel_table *const *level = kernel_levels(); *level; level++) {
        real *panels = pack_at(*level, N, K, b, N);
        (*level)->gemm_packed(M, N, K, a, K, panels, b, 0, all, N);
        for (size_t n = 1; n < N; n += 11) {
            (*level)->gemm_packed(M, n, K, a, K, panels, b, 0, some, n);
            for (size_t i = 0; i < M; i++) assert_memory_equal(some + i * n, all + i * N, n * sizeof *some);
        }
        free(panels);
    }
    free(a), free(b), free(all), free(some);
}

/* Bands say where columns are not zero. What lies outside of them is not looked at; bands of nothing give the bias. */
static void bands_leave_zeros_out(void **state) {
    (void)state;
    enum { M = 17, N = 331, K = 900, MOST = N / 4 + 1 };
    real *a = noise(M * K, 1), *b = noise(K * N, 2), *bias = noise(N, 5);
    for (const kernel_table *const *level = kernel_levels(); *level; level++) {
        size_t bands[2 * MOST], width = (*level)->band;
        real *full = copy_of(b, K * N);
        for (size_t j = 0; j < N; j++) {
            static const size_t ends[][2] = {{0, 7},     {300, 900}, {0, 0},     {383, 385}, {0, 900},  {890, 891},
                                             {100, 400}, {380, 700}, {500, 900}, {300, 600}, {40, 900}, {900, 900}};
            const size_t *band = ends[j / width % 12];
            memcpy(bands + 2 * (j / width), band, 2 * sizeof *band);
            for (size_t p = 0; p < K; p++)
                if (p < band[0] || p >= band[1]) full[p * N + j] = 0;
        }
        real *zeros = pack_at(*level, N, K, full, N), *panels = pack_at(*level, N, K, b, N);
        for (size_t i = 0; i < size_at(*level, N, K); i++)
            if (zeros[i] == 0) panels[i] = (real)NAN;
        for (int beta = 0; beta < 2; beta++) {
            real *wanted = noise(M * N, 3), *found = noise(M * N, 3);
            (*level)->gemm_packed(M, N, K, a, K, zeros, bias, beta, wanted, N);
            (*level)->gemm_banded(M, N, K, a, K, panels, bands, bias, beta, found, N);
            assert_memory_equal(found, wanted, M * N * sizeof *found);
            free(wanted), free(found);
        }
        free(full), free(zeros), free(panels);
    }
    free(a), free(b), free(bias);
}

/* Products of silu(a) are those of what silu gives, to the last bit, in every cut of the rows. */
static void silu_on_the_way(void **state) {
    (void)state;
    enum { M = 31, N = 550, K = 400, LDA = 403, LDC = 551, MOST = N / 4 + 1, CUT = 12 };
    real *a = noise(M * LDA, 1), *b = noise(K * N, 2), *bias = noise(N, 5), *active = copy_of(a, M * LDA);
    for (const kernel_table *const *level = kernel_levels(); *level; level++) {
        size_t bands[2 * MOST];
        for (size_t i = 0; i < MOST; i++) {
            bands[2 * i] = i * 7 % K;
            bands[2 * i + 1] = bands[2 * i] + (K - bands[2 * i]) / (i % 3 + 1);
        }
        real *panels = pack_at(*level, N, K, b, N);
        (*level)->silu(M * LDA, a, active);
        for (int form = 0; form < 4; form++) {
            const size_t *known = form / 2 ? bands : NULL;
            real *wanted = noise(M * LDC, 3), *found = noise(M * LDC, 3);
            (*level)->gemm_banded(M, N, K, active, LDA, panels, known, bias, form % 2, wanted, LDC);
            (*level)->gemm_silu(CUT, N, K, a, LDA, panels, known, bias, form % 2, found, LDC);
            (*level)->gemm_silu(M - CUT, N, K, a + CUT * LDA, LDA, panels, known, bias, form % 2, found + CUT * LDC,
                                LDC);
            assert_memory_equal(found, wanted, M * LDC * sizeof *found);
            free(wanted), free(found);
        }
        free(panels);
    }
    free(a), free(b), free(bias), free(active);
}

/* Everything that goes row by row, all rows at once and each alone. c is no multiple of a vector. */
static void other_kernels_rows_are_their_own(void **state) {
    (void)state;
    enum { M = 7, C = 45, TAPS = 5 };
    real *x = noise(M * 2 * C, 1), *w = noise(TAPS * C, 2), *b = noise(C, 3), y[2][5][M * C], s[2][M * C];
    for (const kernel_table *const *at = kernel_levels(); *at; at++) {
        const kernel_table *level = *at;
        for (size_t rows = 1, way = 0; way < 2; way++, rows = M)
            for (size_t i = 0; i < M; i += rows) {
                size_t to = i * C;
                level->gate(rows, C, x + 2 * to, y[way][0] + to);
                level->layer_norm(rows, C, x + to, w, b, (real)1e-5, y[way][1] + to);
                level->affine(rows, C, x + 2 * to, C, 0, 2 * C, true, x + to, C, s[way] + to, y[way][2] + to, C);
                level->depthwise(M, i, rows, C, TAPS, 1, x, w, b, y[way][3] + to);
                level->gelu(rows * C, x + to, y[way][4] + to);
            }
        assert_memory_equal(y[0], y[1], sizeof y[0]);
        assert_memory_equal(s[0], s[1], sizeof s[0]);
        level->gelu(M * C - 5, x + 5, y[1][4] + 5); /* from another place */
        assert_memory_equal(y[0][4] + 5, y[1][4] + 5, (M * C - 5) * sizeof(real));
    }
    free(x), free(w), free(b);
}

enum { FRAMES = 90, INPUTS = 40, OUTPUTS = 300, TAPS = 3, DILATION = 4 };

typedef struct window_case {
    convolution shape;
    real *panels, *bias, *padded; /* padded [FRAMES + 2 DILATION, INPUTS] */
} window_case;

static window_case make_window(void) {
    size_t step = panels_size(OUTPUTS, INPUTS);
    real *w = noise(TAPS * INPUTS * OUTPUTS, 2), *x = noise(FRAMES * INPUTS, 1);
    window_case it = {.panels = noise(TAPS * step, 9), .bias = noise(OUTPUTS, 3)};
    it.padded = calloc((FRAMES + 2 * DILATION) * INPUTS, sizeof *it.padded);
    memcpy(it.padded + DILATION * INPUTS, x, FRAMES * INPUTS * sizeof *x);
    for (size_t j = 0; j < TAPS; j++)
        kernels()->pack(OUTPUTS, INPUTS, w + j * INPUTS * OUTPUTS, OUTPUTS, it.panels + j * step);
    it.shape = (convolution){.batch = 1,
                             .frames = FRAMES,
                             .inputs = INPUTS,
                             .outputs = OUTPUTS,
                             .taps = TAPS,
                             .dilation = DILATION,
                             .ldx = INPUTS,
                             .ldy = OUTPUTS,
                             .panels = it.panels,
                             .panel_step = step};
    free(w), free(x);
    return it;
}

static void free_window(window_case *it) {
    free(it->panels), free(it->bias), free(it->padded);
}

/* Windows over zero-padded rows give what the whole convolution gives, cut anywhere, with any number of threads. */
static void windows_are_the_convolution(void **state) {
    (void)state;
    window_case it = make_window();
    char memory[64];
    const real *x = it.padded + DILATION * INPUTS;
    for (int add = 0; add < 2; add++) {
        real *before = noise(FRAMES * OUTPUTS, 5), *whole = copy_of(before, FRAMES * OUTPUTS);
        compute run = {.scratch = arena_over(memory, sizeof memory), .threads = 1};
        run_convolution(&run, &it.shape, x, it.bias, add, whole);
        for (run.threads = 1; run.threads <= 3; run.threads++)
            for (size_t cut = 0; cut <= FRAMES; cut += 9) {
                real *y = copy_of(before, FRAMES * OUTPUTS);
                run_convolution_window(&run, &it.shape, cut, x, it.bias, add, y);
                run_convolution_window(&run, &it.shape, FRAMES - cut, x + cut * INPUTS, it.bias, add,
                                       y + cut * OUTPUTS);
                assert_memory_equal(y, whole, FRAMES * OUTPUTS * sizeof *y);
                free(y);
            }
        free(before), free(whole);
    }
    free_window(&it);
}

static void windows_without_a_bias(void **state) {
    (void)state;
    window_case it = make_window();
    char memory[64];
    compute run = {.scratch = arena_over(memory, sizeof memory), .threads = 2};
    real *with = noise(FRAMES * OUTPUTS, 5), *without = noise(FRAMES * OUTPUTS, 6);
    run_convolution_window(&run, &it.shape, FRAMES, it.padded + DILATION * INPUTS, it.bias, false, with);
    run_convolution_window(&run, &it.shape, FRAMES, it.padded + DILATION * INPUTS, NULL, false, without);
    for (size_t i = 0; i < FRAMES * OUTPUTS; i++) without[i] += it.bias[i % OUTPUTS];
    assert_true(distance(with, without, FRAMES * OUTPUTS) < TOLERANCE);
    free(with), free(without);
    free_window(&it);
}

enum { GROUP = 2, GROUP_ROWS = 780, GROUP_INPUTS = 130, GROUP_OUTPUTS = 33 }; /* more than a block of each */

/* Product i of a group by itself: y, dx (which gains) and dw. */
static void run_alone(const compute *run, const product_group *group, size_t i, const real *x, const real *bias,
                      const real *dy, real *y, real *dx, real *dw) {
    const convolution one = {.batch = 1,
                             .frames = GROUP_ROWS,
                             .inputs = GROUP_INPUTS,
                             .outputs = GROUP_OUTPUTS,
                             .taps = 1,
                             .dilation = 1,
                             .ldx = GROUP_INPUTS,
                             .ldy = GROUP_OUTPUTS,
                             .panels = group->panels + i * group->panel_step,
                             .back = group->back + i * group->back_step};
    size_t each = (size_t)GROUP_ROWS * GROUP_OUTPUTS;
    real *own = noise((size_t)GROUP_INPUTS * GROUP_OUTPUTS, 5);
    run_convolution(run, &one, x, bias + i * GROUP_OUTPUTS, false, y + i * each);
    run_convolution_data(run, &one, dy + i * each, true, dx, GROUP_INPUTS);
    run_convolution_weights(run, &one, x, dy + i * each, false, own);
    for (size_t j = 0; j < GROUP_INPUTS; j++)
        memcpy(dw + (j * GROUP + i) * GROUP_OUTPUTS, own + j * GROUP_OUTPUTS, GROUP_OUTPUTS * sizeof *own);
    free(own);
}

/* Products taken together have the bits of each by itself, rounded or not, with any number of threads. */
static void groups_are_their_products(void **state) {
    (void)state;
    size_t n = (size_t)GROUP_ROWS * GROUP * GROUP_OUTPUTS, m = (size_t)GROUP_ROWS * GROUP_INPUTS;
    size_t weights = (size_t)GROUP_INPUTS * GROUP * GROUP_OUTPUTS;
    size_t step = panels_size(GROUP_OUTPUTS, GROUP_INPUTS), back_step = panels_size(GROUP_INPUTS, GROUP_OUTPUTS);
    real *panels = noise(GROUP * step, 1), *back = noise(GROUP * back_step, 2), *bias = noise(n / GROUP_ROWS, 3);
    real *x = noise(m, 4), *dy = noise(n, 6), *y[2] = {noise(n, 7), noise(n, 8)}, *dx[2] = {noise(m, 9), NULL};
    real *dw[2] = {noise(weights, 7), noise(weights, 8)};
    char memory[64];
    const product_group group = {GROUP, GROUP_ROWS, GROUP_INPUTS, GROUP_OUTPUTS, panels, back, step, back_step};
    for (int i = 0; i < 2; i++) {
        compute run = {.scratch = arena_over(memory, sizeof memory), .threads = 1 + i, .bf16 = i};
        dx[1] = copy_of(dx[0], m);
        run_group(&run, &group, x, bias, y[0]);
        run_group_data(&run, &group, dy, dx[0]);
        run_group_weights(&run, &group, x, dy, dw[0]);
        for (size_t k = GROUP; k-- > 0;) run_alone(&run, &group, k, x, bias, dy, y[1], dx[1], dw[1]);
        assert_memory_equal(y[0], y[1], n * sizeof(real));
        assert_memory_equal(dx[0], dx[1], m * sizeof(real));
        assert_memory_equal(dw[0], dw[1], weights * sizeof(real));
        free(dx[1]);
    }
    free(panels), free(back), free(bias), free(x), free(dy), free(y[0]), free(y[1]), free(dx[0]), free(dw[0]);
    free(dw[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_are_their_products),
        cmocka_unit_test(panels_are_columns_side_by_side),
        cmocka_unit_test(packed_products),
        cmocka_unit_test(rows_are_their_own),
        cmocka_unit_test(columns_may_be_left_out),
        cmocka_unit_test(bands_leave_zeros_out),
        cmocka_unit_test(silu_on_the_way),
        cmocka_unit_test(other_kernels_rows_are_their_own),
        cmocka_unit_test(windows_are_the_convolution),
        cmocka_unit_test(windows_without_a_bias),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
