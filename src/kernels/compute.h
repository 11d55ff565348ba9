/* What a run computes with: scratch memory, a number of threads, and parallel forms of the kernels over fixed tiles.
 *
 * Rows (time) are cut in tiles of TILE_ROWS from row 0 on, and every tile is computed by one thread in one way, so bits
 * do not depend on how many threads there are. Weight gradients are cut over the weight, each piece reduced whole; sums
 * over rows are cut over columns, or reduced from the tiles' own sums in the order of the tiles.
 *
 * Kernels whose rows are independent to the last bit (products with packed weights, and what goes element by element)
 * are split evenly between the threads instead, and stay on the calling one where there is little to do.
 *
 * Measuring: when the scratch arena has no memory (base NULL), layers make the same arena calls and skip the
 * arithmetic; the arena's peak is then what a run of that shape needs. So a plan is a dry run of the real thing. */
#ifndef KERNELS_COMPUTE_H
#define KERNELS_COMPUTE_H

#include <stdbool.h>

#include "core/arena.h"
#include "kernels/kernels.h"

enum { TILE_ROWS = 256 };

/* Multiply-adds below which a kernel runs on the calling thread: about what it costs to wake and to join the others. */
enum { WORTH_SHARING = 1 << 19 };

typedef struct compute {
    arena scratch;
    int threads; /* at least 1 */
    bool bf16;   /* run_convolution and its gradients round their operands to bfloat16 */
} compute;

/* Whether this is a dry run: no arithmetic, arrays are NULL. */
bool measuring(const compute *run);

/* Calls body(context, i) for every i < count over the run's threads; nothing while measuring. A body writes what no
 * other i writes. */
void run_tasks(const compute *run, size_t count, void (*body)(void *context, size_t i), void *context);

/* Calls body(context, first, count) for parts of `total` rows that do not depend on each other: one for each of the
 * run's threads, or one in all where total * cost multiply-adds are not worth sharing. Nothing while measuring. */
void run_parts(const compute *run, size_t total, size_t cost, void (*body)(void *context, size_t first, size_t count),
               void *context);

/* Whether so few rows are there that threads share a product's columns instead of its rows (convolve.h). */
bool few_rows(const compute *run, size_t rows);

/* For work that takes rows through several kernels while they are in cache: calls body(context, run of one thread,
 * first, count) for tiles of rows, each of which one thread takes through everything. The bodies' runs have no scratch.
 * Nothing while measuring. */
void run_row_tiles(const compute *run, size_t rows,
                   void (*body)(void *context, const compute *alone, size_t first, size_t count), void *context);

/* The number of parts that run_parts makes. */
size_t parts_of(const compute *run, size_t total, size_t cost);

/* array + offset, or NULL where array is NULL, as everything is while measuring. */
real *part_of(real *array, size_t offset);

size_t smaller(size_t a, size_t b);
size_t tiles_of(size_t total, size_t size); /* how many tiles of that size cover total */

/* The parallel forms; each does nothing while measuring. Shapes as in kernels.def. */
void run_gemm_nn(const compute *run, size_t rows, size_t n, size_t k, const real *a, size_t lda, const real *b,
                 size_t ldb, int beta, real *c, size_t ldc);
void run_gemm_nt(const compute *run, size_t rows, size_t n, size_t k, const real *a, size_t lda, const real *b,
                 size_t ldb, int beta, real *c, size_t ldc);
/* Bits of a row depend on that row alone; few rows are shared by columns. */
void run_gemm_packed(const compute *run, size_t rows, size_t n, size_t k, const real *a, size_t lda, const real *panels,
                     int beta, real *c, size_t ldc);
void run_gemm_tn(const compute *run, size_t m, size_t n, size_t k, const real *a, size_t lda, const real *b, size_t ldb,
                 int beta, real *c, size_t ldc);
void run_gate(const compute *run, size_t rows, size_t c, const real *a, real *y);
void run_gate_backward(const compute *run, size_t rows, size_t c, const real *a, const real *dy, real *da);
void run_gelu(const compute *run, size_t count, const real *x, real *y);
void run_gelu_backward(const compute *run, size_t count, const real *x, const real *dy, real *dx);
void run_silu(const compute *run, size_t count, const real *x, real *y);
void run_silu_backward(const compute *run, size_t count, const real *x, const real *dy, real *dx);
void run_hyperbolic(const compute *run, size_t count, const real *x, real *y);
void run_scale_shift(const compute *run, size_t rows, size_t c, const real *x, size_t ldx, const real *s, const real *b,
                     real *y, size_t ldy);
void run_layer_norm(const compute *run, size_t rows, size_t c, const real *x, const real *g, const real *b,
                    real epsilon, real *y);
/* Takes scratch for the tiles' sums. dx overwritten; dg and db [c] accumulate, unless they are NULL (both or none). */
void run_layer_norm_backward(compute *run, size_t rows, size_t c, const real *x, const real *g, real epsilon,
                             const real *dy, real *dx, real *dg, real *db);

/* Depthwise convolution of a batch [batch, frames, c]; w [taps, c], taps odd. y = b + ..., or y += ... where b is NULL.
 */
void run_depthwise(const compute *run, size_t batch, size_t frames, size_t c, size_t taps, size_t dilation,
                   const real *x, const real *w, const real *b, real *y);
/* Takes scratch. dx [batch, frames, c] accumulates unless NULL; dw [taps, c] and db [c] accumulate, unless they are
 * NULL (both or none). */
void run_depthwise_backward(compute *run, size_t batch, size_t frames, size_t c, size_t taps, size_t dilation,
                            const real *x, const real *w, const real *dy, real *dx, real *dw, real *db);

/* y [rows, c] = b [c] in every row, zeros where b is NULL */
void run_fill_rows(const compute *run, size_t rows, size_t c, const real *b, real *y, size_t ldy);
/* y += x */
void run_add(const compute *run, size_t count, const real *x, real *y);
/* sums over rows, kept in double: s [c] += sum_t x [t, c] */
void run_add_columns(const compute *run, size_t rows, size_t c, const real *x, size_t ldx, real *s);
/* s [c] += sum_t (x [t, c] - m [c]) y [t, c], kept in double */
void run_dot_columns(const compute *run, size_t rows, size_t c, const real *x, const real *m, const real *y, real *s);
void run_copy(const compute *run, size_t count, const real *x, real *y);
void run_zero(const compute *run, size_t count, real *y);
/* y [rows, c] = x [rows, c] with different leading dimensions */
void run_copy_columns(const compute *run, size_t rows, size_t c, const real *x, size_t ldx, real *y, size_t ldy);
/* the same, y += x */
void run_accumulate_columns(const compute *run, size_t rows, size_t c, const real *x, size_t ldx, real *y, size_t ldy);
/* Nearest neighbour in time: y [rows * ratio, c], row r ratio + k = x's row r */
void run_repeat_rows(const compute *run, size_t rows, size_t ratio, size_t c, const real *x, size_t ldx, real *y,
                     size_t ldy);
/* Its transpose: x [rows, c] += the sums of ratio rows of y [rows * ratio, c] each */
void run_fold_rows(const compute *run, size_t rows, size_t ratio, size_t c, const real *y, size_t ldy, real *x,
                   size_t ldx);

#endif
