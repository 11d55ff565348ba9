#include "kernels/compute.h"

#include <omp.h>
#include <stdint.h>
#include <string.h>

/* Weight gradients are cut in pieces of TILE_WEIGHT_ROWS by TILE_WEIGHT_COLUMNS, sums over rows in TILE_COLUMNS
 * columns. */
enum { TILE_WEIGHT_ROWS = 128, TILE_WEIGHT_COLUMNS = 256, TILE_COLUMNS = 64 };

bool measuring(const compute *run) {
    return run->scratch.base == NULL;
}

real *part_of(real *array, size_t offset) {
    return array ? array + offset : NULL;
}

size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

size_t tiles_of(size_t total, size_t size) {
    return total / size + (total % size != 0);
}

/* Runs the statements with first and count for every tile of `total`, tiles of `size`, over the run's threads. Inside,
 * the task's own OpenMP settings are set to one thread, which keeps OpenBLAS from starting a team of its own even where
 * the region has one thread only; the caller's settings are left as they are. Teams have all threads or one: libgomp
 * ends the threads that a smaller team leaves over. */
#define FOR_TILES(total, size, ...)                                                  \
    do {                                                                             \
        size_t tiles = measuring(run) ? 0 : tiles_of(total, size);                   \
        int team = tiles > 1 ? run->threads : 1;                                     \
        if (!tiles) break;                                                           \
        _Pragma("omp parallel num_threads(team)") {                                  \
            omp_set_num_threads(1);                                                  \
            _Pragma("omp for schedule(static)") for (size_t i = 0; i < tiles; i++) { \
                size_t first = i * (size), count = smaller((size), (total)-first);   \
                (void)count;                                                         \
                __VA_ARGS__;                                                         \
            }                                                                        \
        }                                                                            \
    } while (0)

size_t parts_of(const compute *run, size_t total, size_t cost) {
    size_t work;
    if (__builtin_mul_overflow(total, cost, &work)) work = SIZE_MAX;
    return run->threads > 1 && work >= WORTH_SHARING ? smaller((size_t)run->threads, total) : 1;
}

/* The first of part i of `parts` of total; parts differ by one at most. */
static size_t part_start(size_t total, size_t parts, size_t i) {
    return total / parts * i + smaller(i, total % parts);
}

void run_parts(const compute *run, size_t total, size_t cost, void (*body)(void *context, size_t first, size_t count),
               void *context) {
    if (measuring(run) || total == 0) return;
    size_t parts = parts_of(run, total, cost);
    if (parts == 1) {
        body(context, 0, total);
        return;
    }
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (size_t i = 0; i < parts; i++) {
        size_t first = part_start(total, parts, i);
        body(context, first, part_start(total, parts, i + 1) - first);
    }
}

/* Runs the statements with first and count for the parts of `total`, as run_parts does. */
#define FOR_PARTS(total, cost, ...)                                                                              \
    do {                                                                                                         \
        if (measuring(run) || (total) == 0) break;                                                               \
        size_t parts = parts_of(run, total, cost), team = parts > 1 ? (size_t)run->threads : 1;                  \
        if (team == 1) {                                                                                         \
            const size_t first = 0, count = (total);                                                             \
            __VA_ARGS__;                                                                                         \
            break;                                                                                               \
        }                                                                                                        \
        _Pragma("omp parallel for num_threads((int)team) schedule(static)") for (size_t i = 0; i < parts; i++) { \
            size_t first = part_start(total, parts, i), count = part_start(total, parts, i + 1) - first;         \
            __VA_ARGS__;                                                                                         \
        }                                                                                                        \
    } while (0)

/* What an element costs, in multiply-adds of the same time (measured, AVX-512). */
enum { COST_GATE = 100, COST_GELU = 60, COST_NORM = 30, COST_BACKWARD = 200, COST_COPY = 10 };

void run_tasks(const compute *run, size_t total, void (*body)(void *context, size_t i), void *context) {
    FOR_TILES(total, 1, body(context, first));
}

void run_gemm_nn(const compute *run, size_t rows, size_t n, size_t k, const real *a, size_t lda, const real *b,
                 size_t ldb, int beta, real *c, size_t ldc) {
    const kernel_table *table = kernels();
    FOR_TILES(rows, TILE_ROWS, table->gemm_nn(count, n, k, a + first * lda, lda, b, ldb, beta, c + first * ldc, ldc));
}

void run_gemm_nt(const compute *run, size_t rows, size_t n, size_t k, const real *a, size_t lda, const real *b,
                 size_t ldb, int beta, real *c, size_t ldc) {
    const kernel_table *table = kernels();
    FOR_TILES(rows, TILE_ROWS, table->gemm_nt(count, n, k, a + first * lda, lda, b, ldb, beta, c + first * ldc, ldc));
}

void run_gemm_tn(const compute *run, size_t m, size_t n, size_t k, const real *a, size_t lda, const real *b, size_t ldb,
                 int beta, real *c, size_t ldc) {
    const kernel_table *table = kernels();
    size_t across = tiles_of(n, TILE_WEIGHT_COLUMNS), pieces = tiles_of(m, TILE_WEIGHT_ROWS) * across;
    FOR_TILES(pieces, 1, {
        size_t row = first / across * TILE_WEIGHT_ROWS, column = first % across * TILE_WEIGHT_COLUMNS;
        table->gemm_tn(smaller(TILE_WEIGHT_ROWS, m - row), smaller(TILE_WEIGHT_COLUMNS, n - column), k, a + row, lda,
                       b + column, ldb, beta, c + row * ldc + column, ldc);
    });
}

void run_gate(const compute *run, size_t rows, size_t c, const real *a, real *y) {
    const kernel_table *table = kernels();
    FOR_PARTS(rows, c * COST_GATE, table->gate(count, c, a + first * 2 * c, y + first * c));
}

void run_gate_backward(const compute *run, size_t rows, size_t c, const real *a, const real *dy, real *da) {
    const kernel_table *table = kernels();
    FOR_PARTS(rows, c * COST_BACKWARD,
              table->gate_backward(count, c, a + first * 2 * c, dy + first * c, da + first * 2 * c));
}

void run_gelu(const compute *run, size_t total, const real *x, real *y) {
    const kernel_table *table = kernels();
    FOR_PARTS(total, COST_GELU, table->gelu(count, x + first, y + first));
}

void run_gelu_backward(const compute *run, size_t total, const real *x, const real *dy, real *dx) {
    const kernel_table *table = kernels();
    FOR_PARTS(total, COST_BACKWARD, table->gelu_backward(count, x + first, dy + first, dx + first));
}

void run_silu(const compute *run, size_t total, const real *x, real *y) {
    const kernel_table *table = kernels();
    FOR_PARTS(total, COST_GELU, table->silu(count, x + first, y + first));
}

void run_silu_backward(const compute *run, size_t total, const real *x, const real *dy, real *dx) {
    const kernel_table *table = kernels();
    FOR_PARTS(total, COST_BACKWARD, table->silu_backward(count, x + first, dy + first, dx + first));
}

void run_scale_shift(const compute *run, size_t rows, size_t c, const real *x, size_t ldx, const real *s, const real *b,
                     real *y, size_t ldy) {
    const kernel_table *table = kernels();
    FOR_PARTS(rows, c * COST_COPY, table->scale_shift(count, c, x + first * ldx, ldx, s, b, y + first * ldy, ldy));
}

void run_layer_norm(const compute *run, size_t rows, size_t c, const real *x, const real *g, const real *b,
                    real epsilon, real *y) {
    const kernel_table *table = kernels();
    FOR_PARTS(rows, c * COST_NORM, table->layer_norm(count, c, x + first * c, g, b, epsilon, y + first * c));
}

void run_layer_norm_backward(compute *run, size_t rows, size_t c, const real *x, const real *g, real epsilon,
                             const real *dy, real *dx, real *dg, real *db) {
    const kernel_table *table = kernels();
    size_t mark = run->scratch.used, parts = tiles_of(rows, TILE_ROWS);
    real *sums = arena_reals(&run->scratch, parts * 2 * c); /* [tiles, dg and db, c] */
    run_zero(run, parts * 2 * c, sums);
    FOR_TILES(rows, TILE_ROWS, {
        real *own = dg ? sums + first / TILE_ROWS * 2 * c : NULL;
        table->layer_norm_backward(count, c, x + first * c, g, epsilon, dy + first * c, dx + first * c, own,
                                   own ? own + c : NULL);
    });
    if (dg) {
        run_add_columns(run, parts, c, sums, 2 * c, dg);
        run_add_columns(run, parts, c, sums + c, 2 * c, db);
    }
    arena_release(&run->scratch, mark);
}

/* Splits the number of a tile of a batch into the element and its first row. */
static size_t tile_row(size_t tile, size_t each, size_t *element) {
    *element = tile / each;
    return tile % each * TILE_ROWS;
}

void run_depthwise(const compute *run, size_t batch, size_t frames, size_t c, size_t taps, size_t dilation,
                   const real *x, const real *w, const real *b, real *y) {
    const kernel_table *table = kernels();
    size_t each = tiles_of(frames, TILE_ROWS);
    FOR_TILES(batch * each, 1, {
        size_t element, row = tile_row(first, each, &element), skip = element * frames * c;
        table->depthwise(frames, row, smaller(TILE_ROWS, frames - row), c, taps, dilation, x + skip, w, b,
                         y + skip + row * c);
    });
}

/* With an odd number of taps the transpose is the same convolution with the taps in reverse. */
void run_depthwise_backward(compute *run, size_t batch, size_t frames, size_t c, size_t taps, size_t dilation,
                            const real *x, const real *w, const real *dy, real *dx, real *dw, real *db) {
    const kernel_table *table = kernels();
    size_t mark = run->scratch.used, each = tiles_of(frames, TILE_ROWS), part = (taps + 1) * c;
    real *reversed = arena_reals(&run->scratch, taps * c);
    real *sums = arena_reals(&run->scratch, batch * each * part); /* [tiles, dw and db, c] */
    if (dx) {
        for (size_t j = 0; j < taps; j++) run_copy(run, c, w + j * c, reversed + (taps - 1 - j) * c);
        run_depthwise(run, batch, frames, c, taps, dilation, dy, reversed, NULL, dx);
    }
    if (dw) {
        run_zero(run, batch * each * part, sums);
        FOR_TILES(batch * each, 1, {
            size_t element, row = tile_row(first, each, &element), skip = element * frames * c;
            table->depthwise_weights(frames, row, smaller(TILE_ROWS, frames - row), c, taps, dilation, x + skip,
                                     dy + skip, sums + first * part, sums + first * part + taps * c);
        });
        run_add_columns(run, batch * each, taps * c, sums, part, dw);
        run_add_columns(run, batch * each, c, sums + taps * c, part, db);
    }
    arena_release(&run->scratch, mark);
}

void run_fill_rows(const compute *run, size_t rows, size_t c, const real *b, real *y, size_t ldy) {
    FOR_PARTS(rows, c * COST_COPY, {
        for (size_t t = first; t < first + count; t++)
            if (b)
                memcpy(y + t * ldy, b, c * sizeof *y);
            else
                memset(y + t * ldy, 0, c * sizeof *y);
    });
}

void run_add(const compute *run, size_t total, const real *x, real *y) {
    FOR_PARTS(total, COST_COPY, {
        for (size_t j = first; j < first + count; j++) y[j] += x[j];
    });
}

void run_add_columns(const compute *run, size_t rows, size_t c, const real *x, size_t ldx, real *s) {
    FOR_TILES(c, TILE_COLUMNS, {
        double sums[TILE_COLUMNS] = {0};
        for (size_t t = 0; t < rows; t++)
            for (size_t j = 0; j < count; j++) sums[j] += (double)x[t * ldx + first + j];
        for (size_t j = 0; j < count; j++) s[first + j] += (real)sums[j];
    });
}

void run_dot_columns(const compute *run, size_t rows, size_t c, const real *x, const real *m, const real *y, real *s) {
    FOR_TILES(c, TILE_COLUMNS, {
        double sums[TILE_COLUMNS] = {0};
        for (size_t t = 0; t < rows; t++) {
            const real *left = x + t * c + first, *right = y + t * c + first;
            for (size_t j = 0; j < count; j++) sums[j] += ((double)left[j] - (double)m[first + j]) * (double)right[j];
        }
        for (size_t j = 0; j < count; j++) s[first + j] += (real)sums[j];
    });
}

void run_copy(const compute *run, size_t total, const real *x, real *y) {
    FOR_PARTS(total, COST_COPY, memcpy(y + first, x + first, count * sizeof *y));
}

void run_zero(const compute *run, size_t total, real *y) {
    FOR_PARTS(total, COST_COPY, memset(y + first, 0, count * sizeof *y));
}

void run_copy_columns(const compute *run, size_t rows, size_t c, const real *x, size_t ldx, real *y, size_t ldy) {
    FOR_PARTS(rows, c * COST_COPY, {
        for (size_t t = first; t < first + count; t++) memcpy(y + t * ldy, x + t * ldx, c * sizeof *y);
    });
}

void run_accumulate_columns(const compute *run, size_t rows, size_t c, const real *x, size_t ldx, real *y, size_t ldy) {
    FOR_PARTS(rows, c * COST_COPY, {
        for (size_t t = first; t < first + count; t++)
            for (size_t j = 0; j < c; j++) y[t * ldy + j] += x[t * ldx + j];
    });
}

void run_repeat_rows(const compute *run, size_t rows, size_t ratio, size_t c, const real *x, size_t ldx, real *y,
                     size_t ldy) {
    FOR_PARTS(rows, ratio * c * COST_COPY, {
        for (size_t t = first * ratio; t < (first + count) * ratio; t++)
            memcpy(y + t * ldy, x + t / ratio * ldx, c * sizeof *y);
    });
}

void run_fold_rows(const compute *run, size_t rows, size_t ratio, size_t c, const real *y, size_t ldy, real *x,
                   size_t ldx) {
    FOR_PARTS(rows, ratio * c * COST_COPY, {
        for (size_t t = first * ratio; t < (first + count) * ratio; t++)
            for (size_t j = 0; j < c; j++) x[t / ratio * ldx + j] += y[t * ldy + j];
    });
}
