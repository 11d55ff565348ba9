#include "kernels/convolve.h"

#include <string.h>

/* Pieces of a weight's gradient, [inputs, outputs] of one tap. */
enum { PIECE_INPUTS = 9 * 14, PIECE_OUTPUTS = 8 * WIDEST_PANEL }; /* whole strips and panels of AVX-512 */

typedef struct job {
    convolution shape;
    const kernel_table *table;
    bool bf16;
    const real *x, *dy, *bias;
    real *target;
    size_t ld;   /* of target */
    size_t each; /* tiles of rows an element, or pieces a tap */
    bool add;
} job;

typedef void packed_product(size_t rows, size_t n, size_t k, const real *a, size_t lda, const real *panels,
                            const real *bias, int beta, real *c, size_t ldc);
typedef void gradient_product(size_t m, size_t n, size_t k, const real *a, size_t lda, const real *b, size_t ldb,
                              int beta, real *c, size_t ldc);

/* c [rows, n] = bias + a [rows, k] times panels, whose rows that count are those of bands where these are known. */
static void multiply(const job *work, size_t rows, size_t n, size_t k, const real *a, size_t lda, const real *panels,
                     const size_t *bands, const real *bias, int beta, real *c, size_t ldc) {
    packed_product *product = work->bf16 ? work->table->gemm_packed_bf16 : work->table->gemm_packed;
    if (bands && !work->bf16)
        work->table->gemm_banded(rows, n, k, a, lda, panels, bands, bias, beta, c, ldc);
    else
        product(rows, n, k, a, lda, panels, bias, beta, c, ldc);
}

/* With one tap elements do not differ from rows: few long tiles. */
static convolution flat(const convolution *layer) {
    convolution shape = *layer;
    if (shape.taps == 1) {
        shape.frames *= shape.batch;
        shape.batch = shape.frames > 0;
    }
    return shape;
}

/* The rows [*first, *first + *count) among [start, start + rows) for which row + distance lies in [0, frames), where
 * distance is (tap - taps / 2) dilation, or its opposite with `mirrored`. *source is the row that the first one reads.
 * false when there is none. */
static bool tap_rows(const convolution *shape, size_t tap, bool mirrored, size_t start, size_t rows, size_t *first,
                     size_t *count, size_t *source) {
    size_t middle = shape->taps / 2;
    bool back = (tap < middle) != mirrored;
    size_t distance = (tap < middle ? middle - tap : tap - middle) * shape->dilation;
    if (distance >= shape->frames) return false;
    size_t low = start, high = start + rows;
    if (back && low < distance) low = distance;
    if (!back) high = smaller(high, shape->frames - distance);
    if (low >= high) return false;
    *first = low;
    *count = high - low;
    *source = back ? low - distance : low + distance;
    return true;
}

/* Taps from the middle one, which covers every row and so may start from nothing. All forms keep this order, so that
 * they agree to the last bit. */
static size_t middle_first(size_t i, size_t taps) {
    size_t middle = taps / 2;
    return i == 0 ? middle : i <= middle ? i - 1 : i;
}

static void forward_tile(void *context, size_t tile) {
    const job *work = context;
    const convolution *shape = &work->shape;
    size_t element = tile / work->each, start = tile % work->each * TILE_ROWS;
    size_t rows = smaller(TILE_ROWS, shape->frames - start);
    const real *x = work->x + element * shape->frames * shape->ldx;
    real *y = work->target + element * shape->frames * work->ld;
    for (size_t i = 0; i < shape->taps; i++) {
        size_t tap = middle_first(i, shape->taps), first, count, source;
        if (!tap_rows(shape, tap, false, start, rows, &first, &count, &source)) continue;
        const real *panels = shape->panels + tap * shape->panel_step, *bias = i > 0 ? NULL : work->bias;
        const real *from = x + source * shape->ldx;
        int beta = i > 0 || work->add;
        if (shape->silu)
            work->table->gemm_silu(count, shape->outputs, shape->inputs, from, shape->ldx, panels, shape->bands, bias,
                                   beta, y + first * work->ld, work->ld);
        else
            multiply(work, count, shape->outputs, shape->inputs, from, shape->ldx, panels, shape->bands, bias, beta,
                     y + first * work->ld, work->ld);
    }
}

void run_convolution(const compute *run, const convolution *layer, const real *x, const real *bias, bool add, real *y) {
    job work = {.shape = flat(layer),
                .table = kernels(),
                .bf16 = run->bf16,
                .x = x,
                .bias = bias,
                .target = y,
                .ld = layer->ldy,
                .add = add};
    work.each = tiles_of(work.shape.frames, TILE_ROWS);
    run_tasks(run, work.shape.batch * work.each, forward_tile, &work);
}

enum { WINDOW_STRIPS = 16 }; /* rows that pass all taps while they are in cache */

/* Columns [column, column + width) of rows [first, first + count). */
static void window_block(const job *work, size_t first, size_t count, size_t column, size_t width) {
    const convolution *shape = &work->shape;
    const real *panels = shape->panels + column * shape->inputs;
    ptrdiff_t reach = (ptrdiff_t)(shape->taps / 2 * shape->dilation);
    size_t most = WINDOW_STRIPS * work->table->strip;
    for (size_t past = first + count; first < past; first += most) {
        size_t rows = smaller(most, past - first);
        real *y = work->target + first * work->ld + column;
        for (size_t i = 0; i < shape->taps; i++) {
            size_t tap = middle_first(i, shape->taps);
            ptrdiff_t row = (ptrdiff_t)(first + tap * shape->dilation) - reach;
            work->table->gemm_packed(rows, width, shape->inputs, work->x + row * (ptrdiff_t)shape->ldx, shape->ldx,
                                     panels + tap * shape->panel_step,
                                     i > 0 || !work->bias ? NULL : work->bias + column, i > 0 || work->add, y,
                                     work->ld);
        }
    }
}

static void window_rows(void *context, size_t first, size_t count) {
    const job *work = context;
    window_block(work, first, count, 0, work->shape.outputs);
}

static void window_panels(void *context, size_t first, size_t count) {
    const job *work = context;
    size_t panel = work->table->panel, column = first * panel;
    window_block(work, 0, work->each, column, smaller(count * panel, work->shape.outputs - column));
}

/* Few rows are shared by columns, so that each thread still has a strip of them. */
void run_convolution_window(const compute *run, const convolution *layer, size_t rows, const real *x, const real *bias,
                            bool add, real *y) {
    job work = {.shape = *layer,
                .table = kernels(),
                .x = x,
                .bias = bias,
                .target = y,
                .ld = layer->ldy,
                .each = rows,
                .add = add};
    size_t each = layer->taps * layer->inputs, panel = work.table->panel; /* multiply-adds of an output */
    if (few_rows(run, rows))
        run_parts(run, tiles_of(layer->outputs, panel), each * panel * rows, window_panels, &work);
    else
        run_parts(run, rows, each * layer->outputs, window_rows, &work);
}

void run_gemm_packed(const compute *run, size_t rows, size_t n, size_t k, const real *a, size_t lda, const real *panels,
                     int beta, real *c, size_t ldc) {
    const convolution one = {
        .inputs = k, .outputs = n, .taps = 1, .dilation = 1, .ldx = lda, .ldy = ldc, .panels = panels};
    run_convolution_window(run, &one, rows, a, NULL, beta, c);
}

static void data_tile(void *context, size_t tile) {
    const job *work = context;
    const convolution *shape = &work->shape;
    size_t element = tile / work->each, start = tile % work->each * TILE_ROWS;
    size_t rows = smaller(TILE_ROWS, shape->frames - start);
    const real *dy = work->dy + element * shape->frames * shape->ldy;
    real *dx = work->target + element * shape->frames * work->ld;
    for (size_t i = 0; i < shape->taps; i++) {
        size_t tap = middle_first(i, shape->taps), first, count, source;
        if (!tap_rows(shape, tap, true, start, rows, &first, &count, &source)) continue;
        multiply(work, count, shape->inputs, shape->outputs, dy + source * shape->ldy, shape->ldy,
                 shape->back + tap * shape->back_step, shape->back_bands, NULL, i > 0 || work->add,
                 dx + first * work->ld, work->ld);
    }
}

void run_convolution_data(const compute *run, const convolution *layer, const real *dy, bool add, real *dx,
                          size_t lddx) {
    job work = {
        .shape = flat(layer), .table = kernels(), .bf16 = run->bf16, .dy = dy, .target = dx, .ld = lddx, .add = add};
    work.each = tiles_of(work.shape.frames, TILE_ROWS);
    run_tasks(run, work.shape.batch * work.each, data_tile, &work);
}

static void weight_piece(void *context, size_t piece) {
    const job *work = context;
    const convolution *shape = &work->shape;
    size_t across = tiles_of(shape->outputs, PIECE_OUTPUTS), tap = piece / work->each, place = piece % work->each;
    size_t row = place / across * PIECE_INPUTS, column = place % across * PIECE_OUTPUTS;
    size_t m = smaller(PIECE_INPUTS, shape->inputs - row), n = smaller(PIECE_OUTPUTS, shape->outputs - column);
    real *dw = work->target + (tap * shape->inputs + row) * shape->outputs + column;
    gradient_product *product = work->bf16 ? work->table->gemm_tn_bf16 : work->table->gemm_tn;
    bool started = work->add;
    size_t first, count, source;
    if (tap_rows(shape, tap, false, 0, shape->frames, &first, &count, &source))
        for (size_t b = 0; b < shape->batch; b++, started = true)
            product(m, n, count, work->x + (b * shape->frames + source) * shape->ldx + row, shape->ldx,
                    work->dy + (b * shape->frames + first) * shape->ldy + column, shape->ldy, started, dw,
                    shape->outputs);
    for (size_t i = 0; i < m && !started; i++) memset(dw + i * shape->outputs, 0, n * sizeof *dw);
}

void run_convolution_weights(const compute *run, const convolution *layer, const real *x, const real *dy, bool add,
                             real *dw) {
    job work = {
        .shape = flat(layer), .table = kernels(), .bf16 = run->bf16, .x = x, .dy = dy, .target = dw, .add = add};
    work.each = tiles_of(layer->inputs, PIECE_INPUTS) * tiles_of(layer->outputs, PIECE_OUTPUTS);
    run_tasks(run, layer->taps * work.each, weight_piece, &work);
}
