/* AVX-512 with BF16: products of operands that are rounded to bfloat16, two a lane in one instruction. Panels, columns
 * and arguments are those of avx512.c, in floats; what a call reads is rounded to buffers on the stack, pairs of
 * neighbours along k in 32 bits, and serves for many tiles from there. Sums are chains in the order of k, a pair a
 * link, so that a row's bits depend on that row alone. Numbers below the normal range count as zero. */
#if defined VOCODE_SIMD && defined __x86_64__ && !defined VOCODE_REAL_DOUBLE
#include <immintrin.h>

#include <string.h>

#include "kernels/compute.h"
#include "kernels/levels.h"

#define INLINE static inline __attribute__((always_inline))

enum {
    LANES = 16,
    PANEL = 2 * LANES, /* as in avx512.c */
    STRIP = 14,
    DEPTH = 256, /* of k at a time */
    PAIRS = DEPTH / 2,
    ROWS = 18 * STRIP,      /* of a at a time, in gemm_packed */
    COLUMNS = 9 * STRIP,    /* of a at a time, in gemm_tn */
    ROW_STEP = PAIRS + 16,  /* no power of two */
    PAIR_STEP = COLUMNS + 2 /* whole vectors */
};

#define STRIP_HEIGHTS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14)

/* The pairs (first[j], second[j]) of 16 columns; second's are the upper halves. */
INLINE __m512i paired(__m512 first, __m512 second) {
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                                           21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(second, first));
}

/* The first n of 16 numbers, zeros in the others; none where n is 0. */
INLINE __m512 load_part(const float *p, size_t n) {
    return _mm512_maskz_loadu_ps((__mmask16)(n >= LANES ? 0xffff : (1u << n) - 1), p);
}

/* Rows of b [depth, n], ldb apart, n at most PANEL, as pairs [ceil(depth / 2)][PANEL]. */
static void pair_columns(size_t depth, size_t n, const float *b, size_t ldb, int *pairs) {
    size_t low = n < LANES ? n : LANES, high = n - low;
    for (size_t p = 0; p < depth; p += 2, b += 2 * ldb, pairs += PANEL) {
        size_t there = p + 1 < depth; /* a second row */
        const float *second = there ? b + ldb : b;
        _mm512_storeu_si512(pairs, paired(load_part(b, low), load_part(second, there * low)));
        _mm512_storeu_si512(pairs + LANES, paired(load_part(b + low, high), load_part(second + low, there * high)));
    }
}

/* A row's neighbours along k are pairs as they lie. */
static void round_row(size_t depth, const float *a, int *pairs) {
    for (size_t p = 0; p < depth; p += 2 * LANES) {
        size_t left = depth - p, low = left < LANES ? left : LANES;
        __m512 second = load_part(a + p + low, left - low);
        _mm512_storeu_si512(pairs + p / 2, (__m512i)_mm512_cvtne2ps_pbh(second, load_part(a + p, low)));
    }
}

/* c [rows, PANEL] = (c or, without add, zero) + bias + a b; pair p of a's row i is at a[i * row_step + p * pair_step].
 * rows and the steps are constants wherever this is inlined. */
INLINE void tile(size_t rows, size_t pairs, const int *a, size_t row_step, size_t pair_step, const int *b, int add,
                 const float *bias, float *c, size_t ldc) {
    __m512 sums[STRIP][2];
    for (size_t v = 0; v < 2; v++) {
        __m512 first = bias ? _mm512_loadu_ps(bias + v * LANES) : _mm512_setzero_ps();
        for (size_t i = 0; i < rows; i++)
            sums[i][v] = add ? _mm512_add_ps(_mm512_loadu_ps(c + i * ldc + v * LANES), first) : first;
    }
    for (size_t p = 0; p < pairs; p++, a += pair_step, b += PANEL) {
        __m512i low = _mm512_loadu_si512(b), high = _mm512_loadu_si512(b + LANES);
        for (size_t i = 0; i < rows; i++) {
            __m512i factor = _mm512_set1_epi32(a[i * row_step]);
            sums[i][0] = _mm512_dpbf16_ps(sums[i][0], (__m512bh)factor, (__m512bh)low);
            sums[i][1] = _mm512_dpbf16_ps(sums[i][1], (__m512bh)factor, (__m512bh)high);
        }
    }
    for (size_t i = 0; i < rows; i++)
        for (size_t v = 0; v < 2; v++) _mm512_storeu_ps(c + i * ldc + v * LANES, sums[i][v]);
}

/* a's rows side by side (ROW_STEP from row to row), or its pairs (PAIR_STEP from pair to pair). */
static void row_tile(size_t rows, size_t pairs, const int *a, const int *b, int add, const float *bias, float *c,
                     size_t ldc) {
#define CASE(count) \
    case count: tile(count, pairs, a, ROW_STEP, 1, b, add, bias, c, ldc); break;
    switch (rows) { STRIP_HEIGHTS(CASE) }
#undef CASE
}

static void pair_tile(size_t rows, size_t pairs, const int *a, const int *b, int add, const float *bias, float *c,
                      size_t ldc) {
#define CASE(count) \
    case count: tile(count, pairs, a, 1, PAIR_STEP, b, add, bias, c, ldc); break;
    switch (rows) { STRIP_HEIGHTS(CASE) }
#undef CASE
}

typedef void tile_form(size_t rows, size_t pairs, const int *a, const int *b, int add, const float *bias, float *c,
                       size_t ldc);

/* The same where c and the bias have only n columns. */
INLINE void narrow(tile_form *form, size_t rows, size_t n, size_t pairs, const int *a, const int *b, int add,
                   const float *bias, float *c, size_t ldc) {
    if (n == PANEL) {
        form(rows, pairs, a, b, add, bias, c, ldc);
        return;
    }
    float whole[STRIP * PANEL] = {0}, wide[PANEL] = {0};
    for (size_t i = 0; add && i < rows; i++) memcpy(whole + i * PANEL, c + i * ldc, n * sizeof *c);
    if (bias) bias = memcpy(wide, bias, n * sizeof *bias);
    form(rows, pairs, a, b, add, bias, whole, PANEL);
    for (size_t i = 0; i < rows; i++) memcpy(c + i * ldc, whole + i * PANEL, n * sizeof *c);
}

/* Rows and depth of one block, all columns. */
static void packed_block(size_t rows, size_t n, size_t depth, const float *a, size_t lda, const float *panels,
                         size_t step, const float *bias, int add, float *c, size_t ldc) {
    _Alignas(64) int left[ROWS * ROW_STEP], right[PAIRS * PANEL];
    size_t pairs = (depth + 1) / 2;
    for (size_t i = 0; i < rows; i++) round_row(depth, a + i * lda, left + i * ROW_STEP);
    for (size_t column = 0; column < n; column += PANEL, panels += step) {
        size_t strips = (rows + STRIP - 1) / STRIP, count, width = smaller(PANEL, n - column);
        pair_columns(depth, PANEL, panels, PANEL, right);
        for (size_t first = 0; first < rows; first += count, strips--) {
            count = (rows - first + strips - 1) / strips;
            narrow(row_tile, count, width, pairs, left + first * ROW_STEP, right, add, bias ? bias + column : NULL,
                   c + first * ldc + column, ldc);
        }
    }
}

static void gemm_packed_bf16(size_t rows, size_t n, size_t k, const float *a, size_t lda, const float *panels,
                             const float *bias, int beta, float *c, size_t ldc) {
    for (size_t first = 0; first < rows; first += ROWS) {
        size_t count = smaller(ROWS, rows - first), p = 0;
        do {
            packed_block(count, n, smaller(DEPTH, k - p), a + first * lda + p, lda, panels + p * PANEL, k * PANEL,
                         p ? NULL : bias, beta || p, c + first * ldc, ldc);
            p += DEPTH;
        } while (p < k);
    }
}

/* Columns of a and depth of one block, all columns of b. */
static void gradient_block(size_t m, size_t n, size_t depth, const float *a, size_t lda, const float *b, size_t ldb,
                           int add, float *c, size_t ldc) {
    _Alignas(64) int left[PAIRS * PAIR_STEP], right[PAIRS * PANEL];
    size_t pairs = (depth + 1) / 2;
    for (size_t p = 0; p < pairs; p++)
        for (size_t i = 0; i < m; i += LANES) {
            const float *row = a + 2 * p * lda + i;
            size_t there = 2 * p + 1 < depth;
            _mm512_storeu_si512(left + p * PAIR_STEP + i,
                                paired(load_part(row, m - i), load_part(row + there * lda, there * (m - i))));
        }
    for (size_t column = 0; column < n; column += PANEL) {
        size_t strips = (m + STRIP - 1) / STRIP, count, width = smaller(PANEL, n - column);
        pair_columns(depth, width, b + column, ldb, right);
        for (size_t first = 0; first < m; first += count, strips--) {
            count = (m - first + strips - 1) / strips;
            narrow(pair_tile, count, width, pairs, left + first, right, add, NULL, c + first * ldc + column, ldc);
        }
    }
}

static void gemm_tn_bf16(size_t m, size_t n, size_t k, const float *a, size_t lda, const float *b, size_t ldb, int beta,
                         float *c, size_t ldc) {
    for (size_t first = 0; first < m; first += COLUMNS) {
        size_t count = smaller(COLUMNS, m - first), p = 0;
        do {
            gradient_block(count, n, smaller(DEPTH, k - p), a + p * lda + first, lda, b + p * ldb, ldb, beta || p,
                           c + first * ldc, ldc);
            p += DEPTH;
        } while (p < k);
    }
}

const kernel_table kernels_avx512bf16 = {
    .level = "avx512bf16", .gemm_packed_bf16 = gemm_packed_bf16, .gemm_tn_bf16 = gemm_tn_bf16};
#else
typedef int no_avx512bf16; /* a file may not be empty */
#endif
