#include "nn/winograd.h"

#include <stdint.h>
#include <string.h>

#include "kernels/convolve.h"

/* The weights' places among the panels (weight.h, pairs). */
enum { TAP_FIRST = 0, TAP_LAST = 2, TAP_SUM = 3, TAP_ALTERNATE = 4 };

/* Firsts before a position. */
static size_t firsts_before(size_t dilation, size_t position) {
    return position / (2 * dilation) * dilation + smaller(position % (2 * dilation), dilation);
}

static size_t position_of(size_t dilation, size_t pair) {
    return pair / dilation * 2 * dilation + pair % dilation;
}

void pairs_of(size_t dilation, size_t position, size_t rows, size_t *low, size_t *high) {
    *low = firsts_before(dilation, position < dilation ? 0 : position - dilation);
    *high = firsts_before(dilation, position + rows);
}

static bool within(size_t position, size_t rows, size_t t) {
    return t >= position && t < position + rows;
}

void pairs_in(size_t dilation, size_t position, size_t rows, size_t low, size_t high, pair_tile *tile) {
    tile->firsts = tile->seconds = 0;
    for (size_t pair = low; pair < high; pair++) {
        size_t t = position_of(dilation, pair), partner = SIZE_MAX;
        bool second = within(position, rows, t + dilation);
        if (within(position, rows, t)) {
            partner = tile->firsts;
            tile->slot[partner] = second ? NO_SLOT : pair % dilation;
            tile->first[tile->firsts++] = t - position;
        }
        if (!second) continue;
        tile->partner[tile->seconds] = partner;
        tile->second[tile->seconds++] = t + dilation - position;
    }
    for (size_t i = 0, pair = low; pair < high; pair++) {
        size_t t = position_of(dilation, pair);
        if (!within(position, rows, t + dilation)) continue;
        if (tile->partner[i] == SIZE_MAX) tile->partner[i] = tile->firsts + pair % dilation;
        i++;
    }
}

/* Products of a pair: three of its first, one of its second, and what a row costs besides. */
static size_t pair_cost(size_t dilation, size_t position, size_t rows, size_t other, size_t pair) {
    size_t t = position_of(dilation, pair);
    return (within(position, rows, t) ? 3 + other : 0) + (within(position, rows, t + dilation) ? 1 + other : 0);
}

typedef struct pair_job {
    const compute *run;
    size_t dilation, position, rows, parts;
    size_t *bounds; /* [parts + 1] pairs */
    pair_body *body;
    void *context;
} pair_job;

static void part_of_pairs(void *context, size_t part) {
    const pair_job *job = context;
    pair_tile tile;
    size_t low = job->bounds[part], past = job->bounds[part + 1], pieces = tiles_of(past - low, MOST_PAIRS);
    for (size_t left = pieces; left > 0; left--) {
        size_t count = tiles_of(past - low, left);
        pairs_in(job->dilation, job->position, job->rows, low, low + count, &tile);
        if (tile.firsts + tile.seconds) job->body(job->context, job->run, part, &tile);
        low += count;
    }
}

enum { MOST_PARTS = 64 };

size_t pair_parts(const compute *run) {
    return smaller((size_t)run->threads, MOST_PARTS);
}

/* Cuts the pairs into parts of about the same cost. */
static void cut_pairs(const pair_job *job, size_t other, size_t low, size_t high) {
    size_t total = 0, sum = 0, part = 0;
    for (size_t pair = low; pair < high; pair++)
        total += pair_cost(job->dilation, job->position, job->rows, other, pair);
    for (size_t pair = low; pair < high; pair++) {
        while (part < job->parts && sum * job->parts >= part * total) job->bounds[part++] = pair;
        sum += pair_cost(job->dilation, job->position, job->rows, other, pair);
    }
    while (part <= job->parts) job->bounds[part++] = high;
}

void run_pair_tiles(const compute *run, size_t dilation, size_t position, size_t rows, size_t other, pair_body *body,
                    void *context) {
    size_t low, high, bounds[MOST_PARTS + 1];
    if (measuring(run) || rows == 0) return;
    compute alone = *run;
    alone.scratch = arena_over(run->scratch.base, 0); /* not measuring, and nothing to take */
    pair_job job = {&alone, dilation, position, rows, pair_parts(run), bounds, body, context};
    pairs_of(dilation, position, rows, &low, &high);
    if (few_rows(run, rows))
        job.parts = 1;
    else
        alone.threads = 1;
    cut_pairs(&job, other, low, high);
    run_tasks(run, job.parts, part_of_pairs, &job);
}

size_t winograd_room(const conv1d *layer) {
    return MOST_PAIRS * (layer->w.inputs + 2 * layer->w.outputs);
}

static void product(const conv1d *layer, const compute *run, size_t tap, size_t rows, const real *x, const real *bias,
                    bool add, real *y) {
    const convolution one = {.inputs = layer->w.inputs,
                             .outputs = layer->w.outputs,
                             .taps = 1,
                             .dilation = 1,
                             .ldx = layer->w.inputs,
                             .ldy = layer->w.outputs,
                             .panels = weight_panels(&layer->w, 0) + tap * weight_panel_step(&layer->w)};
    run_convolution_window(run, &one, rows, x, bias, add, y);
}

/* sums [count, n] = the rows `ahead` after those of the call plus sign times the rows `behind` after them */
static void combine(size_t count, size_t n, const size_t *rows, const real *x, size_t ldx, ptrdiff_t ahead,
                    ptrdiff_t behind, real sign, real *sums) {
    for (size_t i = 0; i < count; i++, sums += n) {
        const real *row = x + rows[i] * ldx, *plus = row + ahead * (ptrdiff_t)ldx,
                   *minus = row + behind * (ptrdiff_t)ldx;
        kernels()->sum_scaled(n, plus, minus, sign, sums);
    }
}

static void add_row(size_t n, bool add, const real *x, real *y) {
    for (size_t i = 0; i < n; i++) y[i] = add ? y[i] + x[i] : x[i];
}

void winograd_rows(const conv1d *layer, const compute *run, const pair_tile *tile, const real *x, size_t ldx,
                   const real *before, real *kept, bool add, real *room, real *y) {
    size_t inputs = layer->w.inputs, n = layer->w.outputs, firsts = tile->firsts, seconds = tile->seconds;
    ptrdiff_t d = (ptrdiff_t)layer->dilation;
    real *sums = room, *even = sums + MOST_PAIRS * inputs, *odd = even + MOST_PAIRS * n, *late = y + firsts * n;
    const real *bias = layer->bias ? layer->bias->value : NULL;
    combine(firsts, inputs, tile->first, x, ldx, d, 0, 1, sums);
    product(layer, run, TAP_SUM, firsts, sums, NULL, false, even);
    combine(firsts, inputs, tile->first, x, ldx, d, 0, -1, sums);
    product(layer, run, TAP_ALTERNATE, firsts, sums, NULL, false, odd);
    kernels()->even_odd(firsts * n, add, even, odd, y);
    for (size_t i = 0; i < seconds; i++) {
        size_t from = tile->partner[i];
        add_row(n, add, from < firsts ? even + from * n : before + (from - firsts) * n, late + i * n);
    }
    for (size_t i = 0; i < firsts; i++)
        if (tile->slot[i] != NO_SLOT) memcpy(kept + tile->slot[i] * n, even + i * n, n * sizeof *kept);
    combine(firsts, inputs, tile->first, x, ldx, -d, d, -1, sums);
    product(layer, run, TAP_FIRST, firsts, sums, bias, true, y);
    combine(seconds, inputs, tile->second, x, ldx, d, -d, -1, sums);
    product(layer, run, TAP_LAST, seconds, sums, bias, true, late);
}
