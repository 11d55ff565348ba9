#include "kernels/compute.h"

#include <stdint.h>
#include <string.h>

#include "kernels/pool.h"

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

size_t parts_of(const compute *run, size_t total, size_t cost) {
    size_t work;
    if (__builtin_mul_overflow(total, cost, &work)) work = SIZE_MAX;
    return run->threads > 1 && work >= WORTH_SHARING ? smaller((size_t)run->threads, total) : 1;
}

/* The first of part i of `parts` of total; parts differ by one at most. */
static size_t part_start(size_t total, size_t parts, size_t i) {
    return total / parts * i + smaller(i, total % parts);
}

typedef void range_fn(void *context, size_t first, size_t count);

/* A loop cut in parts, or in tiles of one size. */
typedef struct cut {
    range_fn *body;
    void *context;
    size_t total, parts, size;
} cut;

static void run_part(void *context, size_t i) {
    const cut *job = context;
    size_t first = part_start(job->total, job->parts, i);
    job->body(job->context, first, part_start(job->total, job->parts, i + 1) - first);
}

static void run_tile(void *context, size_t i) {
    const cut *job = context;
    size_t first = i * job->size;
    job->body(job->context, first, smaller(job->size, job->total - first));
}

void run_parts(const compute *run, size_t total, size_t cost, range_fn *body, void *context) {
    if (measuring(run) || total == 0) return;
    cut job = {body, context, total, parts_of(run, total, cost), 0};
    pool_run(run->threads, job.parts, run_part, &job);
}

static void run_tiles(const compute *run, size_t total, size_t size, range_fn *body, void *context) {
    if (measuring(run)) return;
    cut job = {body, context, total, 0, size};
    pool_run(run->threads, tiles_of(total, size), run_tile, &job);
}

bool few_rows(const compute *run, size_t rows) {
    return run->threads > 1 && rows < (size_t)run->threads * kernels()->strip;
}

enum { TILE_STRIPS = 10 }; /* activations of so many strips stay in the second-level cache beside the weights */

typedef struct row_tiles {
    void (*body)(void *context, const compute *alone, size_t first, size_t count);
    void *context;
    const compute *alone;
} row_tiles;

static void tiles_of_part(void *context, size_t first, size_t count) {
    const row_tiles *job = context;
    size_t pieces = tiles_of(count, TILE_STRIPS * kernels()->strip);
    for (size_t i = 0; i < pieces; i++) {
        size_t start = part_start(count, pieces, i), past = part_start(count, pieces, i + 1);
        job->body(job->context, job->alone, first + start, past - start);
    }
}

void run_row_tiles(const compute *run, size_t rows,
                   void (*body)(void *context, const compute *alone, size_t first, size_t count), void *context) {
    compute alone = *run;
    alone.threads = 1;
    alone.scratch = arena_over(run->scratch.base, 0); /* not measuring, and nothing to take */
    run_parts(run, rows, WORTH_SHARING, tiles_of_part, &(row_tiles){body, context, &alone});
}

void run_tasks(const compute *run, size_t count, void (*body)(void *context, size_t i), void *context) {
    if (!measuring(run)) pool_run(run->threads, count, body, context);
}

/* What an element costs, in multiply-adds of the same time (measured, AVX-512). */
enum { COST_GATE = 100, COST_GELU = 60, COST_NORM = 30, COST_BACKWARD = 200, COST_COPY = 10 };

/* What a kernel is called with, for the loops below: each reads what its kernel has. */
typedef struct operands {
    const kernel_table *table;
    size_t rows, n, k, c, lda, ldb, ldc, each, taps, dilation, ratio;
    int beta;
    real epsilon;
    const real *a, *b, *w, *m;
    real *y, *sums;
} operands;

/* The body of a loop over [first, first + count): statements on o, the operands. */
#define LOOP(name, ...)                                           \
    static void name(void *context, size_t first, size_t count) { \
        const operands *o = context;                              \
        __VA_ARGS__;                                              \
    }

LOOP(loop_gemm_nn, o->table->gemm_nn(count, o->n, o->k, o->a + first * o->lda, o->lda, o->b, o->ldb, o->beta,
                                     o->y + first * o->ldc, o->ldc))
LOOP(loop_gemm_nt, o->table->gemm_nt(count, o->n, o->k, o->a + first * o->lda, o->lda, o->b, o->ldb, o->beta,
                                     o->y + first * o->ldc, o->ldc))

static operands product(size_t n, size_t k, const real *a, size_t lda, const real *b, size_t ldb, int beta, real *c,
                        size_t ldc) {
    return (operands){
        .table = kernels(), .n = n, .k = k, .a = a, .lda = lda, .b = b, .ldb = ldb, .beta = beta, .y = c, .ldc = ldc};
}

void run_gemm_nn(const compute *run, size_t rows, size_t n, size_t k, const real *a, size_t lda, const real *b,
                 size_t ldb, int beta, real *c, size_t ldc) {
    operands o = product(n, k, a, lda, b, ldb, beta, c, ldc);
    run_tiles(run, rows, TILE_ROWS, loop_gemm_nn, &o);
}

void run_gemm_nt(const compute *run, size_t rows, size_t n, size_t k, const real *a, size_t lda, const real *b,
                 size_t ldb, int beta, real *c, size_t ldc) {
    operands o = product(n, k, a, lda, b, ldb, beta, c, ldc);
    run_tiles(run, rows, TILE_ROWS, loop_gemm_nt, &o);
}

static void gemm_tn_piece(void *context, size_t piece) {
    const operands *o = context;
    size_t across = tiles_of(o->n, TILE_WEIGHT_COLUMNS);
    size_t row = piece / across * TILE_WEIGHT_ROWS, column = piece % across * TILE_WEIGHT_COLUMNS;
    o->table->gemm_tn(smaller(TILE_WEIGHT_ROWS, o->rows - row), smaller(TILE_WEIGHT_COLUMNS, o->n - column), o->k,
                      o->a + row, o->lda, o->b + column, o->ldb, o->beta, o->y + row * o->ldc + column, o->ldc);
}

void run_gemm_tn(const compute *run, size_t m, size_t n, size_t k, const real *a, size_t lda, const real *b, size_t ldb,
                 int beta, real *c, size_t ldc) {
    operands o = product(n, k, a, lda, b, ldb, beta, c, ldc);
    o.rows = m;
    run_tasks(run, tiles_of(m, TILE_WEIGHT_ROWS) * tiles_of(n, TILE_WEIGHT_COLUMNS), gemm_tn_piece, &o);
}

LOOP(loop_gate, o->table->gate(count, o->c, o->a + first * 2 * o->c, o->y + first * o->c))
LOOP(loop_gate_backward,
     o->table->gate_backward(count, o->c, o->a + first * 2 * o->c, o->b + first * o->c, o->y + first * 2 * o->c))
LOOP(loop_gelu, o->table->gelu(count, o->a + first, o->y + first))
LOOP(loop_gelu_backward, o->table->gelu_backward(count, o->a + first, o->b + first, o->y + first))
LOOP(loop_silu, o->table->silu(count, o->a + first, o->y + first))
LOOP(loop_silu_backward, o->table->silu_backward(count, o->a + first, o->b + first, o->y + first))
LOOP(loop_hyperbolic, o->table->hyperbolic(count, o->a + first, o->y + first))
LOOP(loop_scale_shift,
     o->table->scale_shift(count, o->c, o->a + first * o->lda, o->lda, o->w, o->b, o->y + first * o->ldc, o->ldc))
LOOP(loop_layer_norm,
     o->table->layer_norm(count, o->c, o->a + first * o->c, o->w, o->b, o->epsilon, o->y + first * o->c))

void run_gate(const compute *run, size_t rows, size_t c, const real *a, real *y) {
    operands o = {.table = kernels(), .c = c, .a = a, .y = y};
    run_parts(run, rows, c * COST_GATE, loop_gate, &o);
}

void run_gate_backward(const compute *run, size_t rows, size_t c, const real *a, const real *dy, real *da) {
    operands o = {.table = kernels(), .c = c, .a = a, .b = dy, .y = da};
    run_parts(run, rows, c * COST_BACKWARD, loop_gate_backward, &o);
}

void run_gelu(const compute *run, size_t total, const real *x, real *y) {
    operands o = {.table = kernels(), .a = x, .y = y};
    run_parts(run, total, COST_GELU, loop_gelu, &o);
}

void run_gelu_backward(const compute *run, size_t total, const real *x, const real *dy, real *dx) {
    operands o = {.table = kernels(), .a = x, .b = dy, .y = dx};
    run_parts(run, total, COST_BACKWARD, loop_gelu_backward, &o);
}

void run_silu(const compute *run, size_t total, const real *x, real *y) {
    operands o = {.table = kernels(), .a = x, .y = y};
    run_parts(run, total, COST_GELU, loop_silu, &o);
}

void run_silu_backward(const compute *run, size_t total, const real *x, const real *dy, real *dx) {
    operands o = {.table = kernels(), .a = x, .b = dy, .y = dx};
    run_parts(run, total, COST_BACKWARD, loop_silu_backward, &o);
}

void run_hyperbolic(const compute *run, size_t total, const real *x, real *y) {
    operands o = {.table = kernels(), .a = x, .y = y};
    run_parts(run, total, COST_GELU, loop_hyperbolic, &o);
}

void run_scale_shift(const compute *run, size_t rows, size_t c, const real *x, size_t ldx, const real *s, const real *b,
                     real *y, size_t ldy) {
    operands o = {.table = kernels(), .c = c, .a = x, .lda = ldx, .w = s, .b = b, .y = y, .ldc = ldy};
    run_parts(run, rows, c * COST_COPY, loop_scale_shift, &o);
}

void run_layer_norm(const compute *run, size_t rows, size_t c, const real *x, const real *g, const real *b,
                    real epsilon, real *y) {
    operands o = {.table = kernels(), .c = c, .a = x, .w = g, .b = b, .epsilon = epsilon, .y = y};
    run_parts(run, rows, c * COST_NORM, loop_layer_norm, &o);
}

/* sums [tiles, dg and db, c], or NULL */
LOOP(loop_layer_norm_backward, real *own = part_of(o->sums, first / TILE_ROWS * 2 * o->c);
     o->table->layer_norm_backward(count, o->c, o->a + first * o->c, o->w, o->epsilon, o->b + first * o->c,
                                   o->y + first * o->c, own, part_of(own, o->c)))

void run_layer_norm_backward(compute *run, size_t rows, size_t c, const real *x, const real *g, real epsilon,
                             const real *dy, real *dx, real *dg, real *db) {
    size_t mark = run->scratch.used, parts = tiles_of(rows, TILE_ROWS);
    real *sums = arena_reals(&run->scratch, parts * 2 * c);
    run_zero(run, parts * 2 * c, sums);
    operands o = {.table = kernels(), .c = c, .a = x, .w = g, .epsilon = epsilon, .b = dy, .y = dx};
    o.sums = dg ? sums : NULL;
    run_tiles(run, rows, TILE_ROWS, loop_layer_norm_backward, &o);
    if (dg) {
        run_add_columns(run, parts, c, sums, 2 * c, dg);
        run_add_columns(run, parts, c, part_of(sums, c), 2 * c, db);
    }
    arena_release(&run->scratch, mark);
}

/* Splits the number of a tile of a batch into the element and its first row. */
static size_t tile_row(size_t tile, size_t each, size_t *element) {
    *element = tile / each;
    return tile % each * TILE_ROWS;
}

static void depthwise_tile(void *context, size_t tile) {
    const operands *o = context;
    size_t element, row = tile_row(tile, o->each, &element), skip = element * o->rows * o->c;
    o->table->depthwise(o->rows, row, smaller(TILE_ROWS, o->rows - row), o->c, o->taps, o->dilation, o->a + skip, o->w,
                        o->b, o->y + skip + row * o->c);
}

void run_depthwise(const compute *run, size_t batch, size_t frames, size_t c, size_t taps, size_t dilation,
                   const real *x, const real *w, const real *b, real *y) {
    operands o = {.table = kernels(), .rows = frames, .c = c, .taps = taps, .dilation = dilation};
    o.each = tiles_of(frames, TILE_ROWS);
    o.a = x;
    o.w = w;
    o.b = b;
    o.y = y;
    run_tasks(run, batch * o.each, depthwise_tile, &o);
}

/* sums [tiles, dw and db, c] */
static void depthwise_weights_tile(void *context, size_t tile) {
    const operands *o = context;
    size_t element, row = tile_row(tile, o->each, &element), skip = element * o->rows * o->c;
    real *own = o->sums + tile * (o->taps + 1) * o->c;
    o->table->depthwise_weights(o->rows, row, smaller(TILE_ROWS, o->rows - row), o->c, o->taps, o->dilation,
                                o->a + skip, o->b + skip, own, own + o->taps * o->c);
}

/* With an odd number of taps the transpose is the same convolution with the taps in reverse. */
void run_depthwise_backward(compute *run, size_t batch, size_t frames, size_t c, size_t taps, size_t dilation,
                            const real *x, const real *w, const real *dy, real *dx, real *dw, real *db) {
    size_t mark = run->scratch.used, each = tiles_of(frames, TILE_ROWS), part = (taps + 1) * c;
    real *reversed = arena_reals(&run->scratch, taps * c), *sums = arena_reals(&run->scratch, batch * each * part);
    if (dx) {
        for (size_t j = 0; j < taps; j++)
            run_copy(run, c, part_of((real *)w, j * c), part_of(reversed, (taps - 1 - j) * c));
        run_depthwise(run, batch, frames, c, taps, dilation, dy, reversed, NULL, dx);
    }
    if (dw) {
        run_zero(run, batch * each * part, sums);
        operands o = {.table = kernels(), .rows = frames, .c = c, .taps = taps, .dilation = dilation, .each = each};
        o.a = x;
        o.b = dy;
        o.sums = sums;
        run_tasks(run, batch * each, depthwise_weights_tile, &o);
        run_add_columns(run, batch * each, taps * c, sums, part, dw);
        run_add_columns(run, batch * each, c, part_of(sums, taps * c), part, db);
    }
    arena_release(&run->scratch, mark);
}

LOOP(
    loop_fill, for (size_t t = first; t < first + count; t++) {
        if (o->b)
            memcpy(o->y + t * o->ldc, o->b, o->c * sizeof *o->y);
        else
            memset(o->y + t * o->ldc, 0, o->c * sizeof *o->y);
    })
LOOP(loop_add, for (size_t j = first; j < first + count; j++) o->y[j] += o->a[j])
LOOP(loop_copy, memcpy(o->y + first, o->a + first, count * sizeof *o->y))
LOOP(loop_zero, memset(o->y + first, 0, count * sizeof *o->y))
LOOP(loop_copy_columns,
     for (size_t t = first; t < first + count; t++) memcpy(o->y + t * o->ldc, o->a + t * o->lda, o->c * sizeof *o->y))
LOOP(loop_accumulate_columns, for (size_t t = first; t < first + count; t++) for (size_t j = 0; j < o->c; j++)
                                  o->y[t * o->ldc + j] += o->a[t * o->lda + j])
LOOP(loop_repeat, for (size_t t = first * o->ratio; t < (first + count) * o->ratio; t++)
                      memcpy(o->y + t * o->ldc, o->a + t / o->ratio * o->lda, o->c * sizeof *o->y))
LOOP(loop_fold, for (size_t t = first * o->ratio; t < (first + count) * o->ratio; t++) for (size_t j = 0; j < o->c; j++)
                    o->y[t / o->ratio * o->ldc + j] += o->a[t * o->lda + j])
LOOP(loop_add_columns, double sums[TILE_COLUMNS] = {0};
     for (size_t t = 0; t < o->rows; t++) for (size_t j = 0; j < count; j++) sums[j] +=
     (double)o->a[t * o->lda + first + j];
     for (size_t j = 0; j < count; j++) o->y[first + j] += (real)sums[j])
LOOP(
    loop_dot_columns, double sums[TILE_COLUMNS] = {0}; for (size_t t = 0; t < o->rows; t++) {
        const real *left = o->a + t * o->c + first, *right = o->b + t * o->c + first;
        for (size_t j = 0; j < count; j++) sums[j] += ((double)left[j] - (double)o->m[first + j]) * (double)right[j];
    } for (size_t j = 0; j < count; j++) o->y[first + j] += (real)sums[j])

void run_fill_rows(const compute *run, size_t rows, size_t c, const real *b, real *y, size_t ldy) {
    run_parts(run, rows, c * COST_COPY, loop_fill, &(operands){.c = c, .b = b, .y = y, .ldc = ldy});
}

void run_add(const compute *run, size_t total, const real *x, real *y) {
    run_parts(run, total, COST_COPY, loop_add, &(operands){.a = x, .y = y});
}

void run_add_columns(const compute *run, size_t rows, size_t c, const real *x, size_t ldx, real *s) {
    run_tiles(run, c, TILE_COLUMNS, loop_add_columns, &(operands){.rows = rows, .a = x, .lda = ldx, .y = s});
}

void run_dot_columns(const compute *run, size_t rows, size_t c, const real *x, const real *m, const real *y, real *s) {
    run_tiles(run, c, TILE_COLUMNS, loop_dot_columns,
              &(operands){.rows = rows, .c = c, .a = x, .m = m, .b = y, .y = s});
}

void run_copy(const compute *run, size_t total, const real *x, real *y) {
    run_parts(run, total, COST_COPY, loop_copy, &(operands){.a = x, .y = y});
}

void run_zero(const compute *run, size_t total, real *y) {
    run_parts(run, total, COST_COPY, loop_zero, &(operands){.y = y});
}

void run_copy_columns(const compute *run, size_t rows, size_t c, const real *x, size_t ldx, real *y, size_t ldy) {
    run_parts(run, rows, c * COST_COPY, loop_copy_columns, &(operands){.c = c, .a = x, .lda = ldx, .y = y, .ldc = ldy});
}

void run_accumulate_columns(const compute *run, size_t rows, size_t c, const real *x, size_t ldx, real *y, size_t ldy) {
    run_parts(run, rows, c * COST_COPY, loop_accumulate_columns,
              &(operands){.c = c, .a = x, .lda = ldx, .y = y, .ldc = ldy});
}

void run_repeat_rows(const compute *run, size_t rows, size_t ratio, size_t c, const real *x, size_t ldx, real *y,
                     size_t ldy) {
    run_parts(run, rows, ratio * c * COST_COPY, loop_repeat,
              &(operands){.ratio = ratio, .c = c, .a = x, .lda = ldx, .y = y, .ldc = ldy});
}

void run_fold_rows(const compute *run, size_t rows, size_t ratio, size_t c, const real *y, size_t ldy, real *x,
                   size_t ldx) {
    run_parts(run, rows, ratio * c * COST_COPY, loop_fold,
              &(operands){.ratio = ratio, .c = c, .a = y, .lda = ldy, .y = x, .ldc = ldx});
}
