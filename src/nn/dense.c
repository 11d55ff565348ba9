#include "nn/dense.h"

#include "kernels/convolve.h"

static bool sees(const dense *layer, bool turned, size_t row, size_t column) {
    return layer->mask[turned ? column * layer->outputs + row : row * layer->outputs + column] > 0;
}

/* The rows of every band of columns of the weight, or of its transpose, in which the mask leaves anything. */
static void find_bands(const dense *layer, bool turned, size_t *bands) {
    size_t depth = turned ? layer->outputs : layer->inputs, columns = turned ? layer->inputs : layer->outputs;
    size_t width = kernels()->band;
    for (size_t first = 0; first < columns; first += width, bands += 2) {
        bands[0] = depth;
        bands[1] = 0;
        for (size_t i = 0; i < depth; i++)
            for (size_t c = first; c < smaller(columns, first + width); c++) {
                if (!sees(layer, turned, i, c)) continue;
                bands[0] = smaller(bands[0], i);
                bands[1] = i + 1;
            }
        bands[0] = smaller(bands[0], bands[1]); /* nothing: 0 to 0 */
    }
}

static size_t *back_bands(const dense *layer) {
    return layer->bands ? layer->bands + 2 * tiles_of(layer->outputs, kernels()->band) : NULL;
}

static bool take_mask(dense *layer, const dense_options *options) {
    size_t count = layer->weight->count, band = kernels()->band;
    layer->mask = aligned_new(count, sizeof(real));
    layer->visible = aligned_new(count, sizeof(real));
    layer->bands = aligned_new(2 * (tiles_of(layer->inputs, band) + tiles_of(layer->outputs, band)), sizeof(size_t));
    if (!layer->mask || !layer->visible || !layer->bands) return false;
    for (size_t i = 0; i < layer->inputs; i++)
        for (size_t o = 0; o < layer->outputs; o++)
            layer->mask[i * layer->outputs + o] = options->from[i] <= options->to[o];
    find_bands(layer, false, layer->bands);
    find_bands(layer, true, back_bands(layer));
    return true;
}

static bool take_memory(dense *layer, const dense_options *options) {
    if (options->from && !take_mask(layer, options)) return false;
    layer->panels = aligned_new(panels_size(layer->outputs, layer->inputs), sizeof(real));
    if (layer->fixed) return layer->panels;
    layer->back = aligned_new(panels_size(layer->inputs, layer->outputs), sizeof(real));
    return layer->panels && layer->back;
}

vocode_status dense_build(dense *layer, param_set *set, const char *prefix, const dense_options *options,
                          vocode_error *error) {
    const size_t shape[] = {options->inputs, options->outputs};
    *layer = (dense){.inputs = options->inputs, .outputs = options->outputs, .fixed = set->fixed};
    layer->weight = param_add(set, PARAM_TRAINED, prefix, "weight", 2, shape);
    layer->bias = layer->weight ? param_add(set, PARAM_TRAINED, prefix, "bias", 1, &shape[1]) : NULL;
    if (!layer->bias || !take_memory(layer, options))
        return failed(error, VOCODE_MEMORY, "%sweight: cannot build a layer of %zu inputs and %zu outputs", prefix,
                      options->inputs, options->outputs);
    return VOCODE_OK;
}

void dense_init(dense *layer, uint64_t seed) {
    param_init_uniform(layer->weight, seed, sqrt(6 / (double)(layer->inputs ? layer->inputs : 1)));
    param_init_uniform(layer->bias, seed, 1);
}

void dense_zero(dense *layer) {
    param_fill(layer->weight, 0);
    param_fill(layer->bias, 0);
}

const real *dense_weight(const dense *layer) {
    return layer->visible ? layer->visible : layer->weight->value;
}

enum { BLOCK = 8 }; /* rows and columns that are transposed together; panels are whole blocks wide */

/* Rows i to i + BLOCK of w to their columns of the transpose's panels: zeros past the last of them. */
static void turn_rows(const dense *layer, const real *w, size_t i) {
    size_t outputs = layer->outputs, panel = kernels()->panel, count = smaller(BLOCK, layer->inputs - i);
    real *to = layer->back + i / panel * outputs * panel + i % panel;
    for (size_t start = 0; start < outputs; start += BLOCK)
        for (size_t o = start; o < smaller(outputs, start + BLOCK); o++)
            for (size_t k = 0; k < BLOCK; k++) to[o * panel + k] = k < count ? w[(i + k) * outputs + o] : 0;
}

void dense_prepare(dense *layer) {
    size_t count = layer->weight->count;
    for (size_t i = 0; layer->mask && i < count; i++) layer->visible[i] = layer->mask[i] * layer->weight->value[i];
    const real *w = dense_weight(layer);
    kernels()->pack(layer->outputs, layer->inputs, w, layer->outputs, layer->panels);
    for (size_t i = 0; !layer->fixed && i < layer->inputs; i += BLOCK) turn_rows(layer, w, i);
}

void dense_free(dense *layer) {
    aligned_free(layer->mask);
    aligned_free(layer->visible);
    aligned_free(layer->panels);
    aligned_free(layer->back);
    aligned_free(layer->bands);
    *layer = (dense){0};
}

static convolution shape_of(const dense *layer, size_t rows) {
    return (convolution){.batch = rows > 0,
                         .frames = rows,
                         .inputs = layer->inputs,
                         .outputs = layer->outputs,
                         .taps = 1,
                         .dilation = 1,
                         .ldx = layer->inputs,
                         .ldy = layer->outputs,
                         .panels = layer->panels,
                         .back = layer->back,
                         .bands = layer->bands,
                         .back_bands = back_bands(layer)};
}

void dense_forward(const dense *layer, const compute *run, size_t rows, const real *x, real *y) {
    if (measuring(run)) return;
    const convolution shape = shape_of(layer, rows);
    run_convolution(run, &shape, x, layer->bias->value, false, y);
}

void dense_forward_silu(const dense *layer, const compute *run, size_t rows, const real *x, real *room, real *y) {
    if (measuring(run)) return;
    convolution shape = shape_of(layer, rows);
    shape.silu = !run->bf16;
    if (run->bf16) run_silu(run, rows * layer->inputs, x, room);
    run_convolution(run, &shape, run->bf16 ? room : x, layer->bias->value, false, y);
}

void dense_product(const dense *layer, const compute *run, size_t rows, const real *x, real *y) {
    if (measuring(run)) return;
    const convolution shape = shape_of(layer, rows);
    run_convolution(run, &shape, x, NULL, false, y);
}

/* The rows in which the mask leaves anything of the columns [column, column + width), which begin a band. */
static size_t rows_seen(const dense *layer, size_t column, size_t width, size_t *first) {
    size_t each = kernels()->band, low = layer->inputs, high = 0;
    for (size_t i = column / each; i * each < column + width; i++) {
        const size_t *band = layer->bands + 2 * i;
        if (band[0] == band[1]) continue;
        low = smaller(low, band[0]);
        if (high < band[1]) high = band[1];
    }
    *first = low;
    return low < high ? high - low : 0;
}

/* What the mask leaves of a weight's gradient, a panel of outputs a piece. */
typedef struct masked_gradient {
    const dense *layer;
    bool bf16;
    size_t rows;
    const real *x, *dy;
    real *dw, *to;
} masked_gradient;

static void gradient_piece(void *context, size_t piece) {
    const masked_gradient *job = context;
    const dense *layer = job->layer;
    size_t inputs = layer->inputs, outputs = layer->outputs, panel = kernels()->panel, column = piece * panel;
    size_t width = smaller(panel, outputs - column), first, count = rows_seen(layer, column, width, &first);
    if (count == 0) return;
    (job->bf16 ? kernels()->gemm_tn_bf16 : kernels()->gemm_tn)(count, width, job->rows, job->x + first, inputs,
                                                               job->dy + column, outputs, 0,
                                                               job->dw + first * outputs + column, outputs);
    for (size_t i = first; i < first + count; i++) {
        const real *mask = layer->mask + i * outputs + column, *dw = job->dw + i * outputs + column;
        real *to = job->to + i * outputs + column;
        for (size_t o = 0; o < width; o++) to[o] += mask[o] * dw[o];
    }
}

void dense_product_backward(const dense *layer, compute *run, size_t rows, const real *x, const real *dy, real *dx,
                            real *grads) {
    size_t mark = run->scratch.used;
    real *dw = layer->mask ? arena_reals(&run->scratch, layer->weight->count) : NULL;
    const convolution shape = shape_of(layer, rows);
    if (!measuring(run) && grads) {
        real *to = param_grad(layer->weight, grads);
        if (dw)
            run_tasks(run, tiles_of(layer->outputs, kernels()->panel), gradient_piece,
                      &(masked_gradient){layer, run->bf16, rows, x, dy, dw, to});
        else
            run_convolution_weights(run, &shape, x, dy, true, to);
    }
    if (!measuring(run) && dx) run_convolution_data(run, &shape, dy, false, dx, layer->inputs);
    arena_release(&run->scratch, mark);
}

void dense_backward(const dense *layer, compute *run, size_t rows, const real *x, const real *dy, real *dx,
                    real *grads) {
    dense_product_backward(layer, run, rows, x, dy, dx, grads);
    if (grads) run_add_columns(run, rows, layer->outputs, dy, layer->outputs, param_grad(layer->bias, grads));
}
