#include "nn/batch_norm.h"

static const double epsilon = 1e-5; /* PyTorch's default, which no published checkpoint changes */

vocode_status batch_norm_build(batch_norm *layer, param_set *set, const char *prefix, size_t channels,
                               vocode_error *error) {
    *layer = (batch_norm){.channels = channels};
    layer->weight = param_add(set, PARAM_TRAINED, prefix, "weight", 1, &channels);
    layer->bias = param_add(set, PARAM_TRAINED, prefix, "bias", 1, &channels);
    layer->mean = param_add(set, PARAM_BUFFER, prefix, "running_mean", 1, &channels);
    layer->variance = param_add(set, PARAM_BUFFER, prefix, "running_var", 1, &channels);
    if (set->failed) return failed(error, VOCODE_MEMORY, "cannot register the batch norm %sweight", prefix);
    layer->scale = aligned_new(channels, 2 * sizeof(real));
    if (!layer->scale) return failed(error, VOCODE_MEMORY, "cannot allocate the batch norm %sweight", prefix);
    layer->shift = layer->scale + channels;
    return VOCODE_OK;
}

void batch_norm_init(batch_norm *layer) {
    param_fill(layer->weight, 1);
    param_fill(layer->bias, 0);
    param_fill(layer->mean, 0);
    param_fill(layer->variance, 1);
}

static double deviation(const batch_norm *layer, size_t c) {
    return sqrt((double)layer->variance->value[c] + epsilon);
}

void batch_norm_prepare(batch_norm *layer) {
    for (size_t c = 0; c < layer->channels; c++) {
        double scale = (double)layer->weight->value[c] / deviation(layer, c);
        layer->scale[c] = (real)scale;
        layer->shift[c] = (real)((double)layer->bias->value[c] - scale * (double)layer->mean->value[c]);
    }
}

void batch_norm_free(batch_norm *layer) {
    aligned_free(layer->scale);
    layer->scale = layer->shift = NULL;
}

void batch_norm_forward(const batch_norm *layer, const compute *run, size_t rows, const real *x, real *y) {
    size_t channels = layer->channels;
    run_scale_shift(run, rows, channels, x, channels, layer->scale, layer->shift, y, channels);
}

enum { TILE_CHANNELS = 64 };

/* Sums over rows. */
typedef struct column_sums {
    size_t rows, channels;
    const real *x, *dy, *fold; /* dy and fold: of backward */
    double *sums;              /* [2, channels] */
} column_sums;

/* sum x and sum x^2 */
static void sum_squares(void *context, size_t tile) {
    const column_sums *job = context;
    size_t channels = job->channels, first = tile * TILE_CHANNELS, count = smaller(TILE_CHANNELS, channels - first);
    double plain[TILE_CHANNELS] = {0}, squares[TILE_CHANNELS] = {0};
    for (size_t t = 0; t < job->rows; t++) {
        const real *x = job->x + t * channels + first;
        for (size_t c = 0; c < count; c++) {
            double value = (double)x[c];
            plain[c] += value;
            squares[c] += value * value;
        }
    }
    for (size_t c = 0; c < count; c++) {
        job->sums[first + c] = plain[c];
        job->sums[channels + first + c] = squares[c];
    }
}

/* sum dy and sum dy h */
static void sum_gradients(void *context, size_t tile) {
    const column_sums *job = context;
    size_t channels = job->channels, first = tile * TILE_CHANNELS, count = smaller(TILE_CHANNELS, channels - first);
    const real *mean = job->fold + 2 * channels + first, *inverse = mean + channels;
    double plain[TILE_CHANNELS] = {0}, weighted[TILE_CHANNELS] = {0};
    for (size_t t = 0; t < job->rows; t++) {
        const real *x = job->x + t * channels + first, *dy = job->dy + t * channels + first;
        for (size_t c = 0; c < count; c++) {
            plain[c] += (double)dy[c];
            weighted[c] += (double)dy[c] * ((double)x[c] - (double)mean[c]);
        }
    }
    for (size_t c = 0; c < count; c++) {
        job->sums[first + c] = plain[c];
        job->sums[channels + first + c] = weighted[c] * (double)inverse[c];
    }
}

static void sum_parts(const norm_batch *batch, size_t channels, double *sums) {
    if (batch->parts > 1) batch->sum(batch->context, sums, 2 * channels);
}

static void remember(const norm_batch *batch, const param *p, size_t c, double value) {
    real *recent = param_grad(p, batch->recent);
    if (recent) recent[c] = (real)((1 - BATCH_NORM_MOMENTUM) * (double)recent[c] + BATCH_NORM_MOMENTUM * value);
}

/* sums: of x and x^2, over n rows of all parts */
static void fold_batch(const batch_norm *layer, const norm_batch *batch, double n, const double *sums, real *fold) {
    size_t channels = layer->channels;
    for (size_t c = 0; c < channels; c++) {
        double mean = sums[c] / n, spread = sums[channels + c] / n - mean * mean;
        double variance = spread < 0 ? 0 : spread; /* by rounding; NaN stays */
        double inverse = 1 / sqrt(variance + epsilon), scale = (double)layer->weight->value[c] * inverse;
        fold[c] = (real)scale;
        fold[channels + c] = (real)((double)layer->bias->value[c] - scale * mean);
        fold[2 * channels + c] = (real)mean;
        fold[3 * channels + c] = (real)inverse;
        remember(batch, layer->mean, c, mean);
        remember(batch, layer->variance, c, variance * (n > 1 ? n / (n - 1) : 1));
    }
}

void batch_norm_fold(const batch_norm *layer, compute *run, const norm_batch *batch, size_t rows, const real *x,
                     real *fold) {
    size_t mark = run->scratch.used, channels = layer->channels;
    double *sums = arena_take(&run->scratch, 2 * channels, sizeof *sums);
    if (!measuring(run) && batch) {
        run_tasks(run, tiles_of(channels, TILE_CHANNELS), sum_squares,
                  &(column_sums){.rows = rows, .channels = channels, .x = x, .sums = sums});
        sum_parts(batch, channels, sums);
        fold_batch(layer, batch, (double)rows * (double)batch->parts, sums, fold);
    }
    for (size_t c = 0; !measuring(run) && !batch && c < channels; c++) {
        fold[c] = layer->scale[c];
        fold[channels + c] = layer->shift[c];
        fold[2 * channels + c] = layer->mean->value[c];
        fold[3 * channels + c] = (real)(1 / deviation(layer, c));
    }
    arena_release(&run->scratch, mark);
}

void batch_norm_apply(const batch_norm *layer, const compute *run, size_t rows, const real *fold, const real *x,
                      real *y) {
    size_t channels = layer->channels;
    if (!measuring(run)) run_scale_shift(run, rows, channels, x, channels, fold, fold + channels, y, channels);
}

/* dx = scale dy + along (x - mean) + constant, in place */
typedef struct norm_gradient {
    size_t channels;
    const real *x, *fold, *along, *constant;
    real *dy;
} norm_gradient;

static void gradient_rows(void *context, size_t first, size_t count) {
    const norm_gradient *job = context;
    size_t channels = job->channels;
    const real *restrict scale = job->fold, *restrict mean = job->fold + 2 * channels;
    const real *restrict along = job->along, *restrict constant = job->constant;
    for (size_t t = first; t < first + count; t++) {
        const real *restrict x = job->x + t * channels;
        real *restrict dy = job->dy + t * channels;
        for (size_t c = 0; c < channels; c++) dy[c] = scale[c] * dy[c] + along[c] * (x[c] - mean[c]) + constant[c];
    }
}

/* sums: of dy and dy h, over this part; they become those over all parts */
static void find_slopes(const batch_norm *layer, const norm_batch *batch, size_t rows, const real *fold, double *sums,
                        real *along, real *constant) {
    size_t channels = layer->channels;
    sum_parts(batch, channels, sums);
    double n = (double)rows * (double)batch->parts;
    for (size_t c = 0; c < channels; c++) {
        double scale = (double)fold[c], inverse = (double)fold[3 * channels + c];
        along[c] = (real)(-scale * inverse * sums[channels + c] / n);
        constant[c] = (real)(-scale * sums[c] / n);
    }
}

void batch_norm_backward(const batch_norm *layer, compute *run, const norm_batch *batch, size_t rows, const real *fold,
                         const real *x, real *dy, real *grads) {
    size_t mark = run->scratch.used, channels = layer->channels;
    double *sums = arena_take(&run->scratch, 2 * channels, sizeof *sums);
    real *along = arena_reals(&run->scratch, channels), *constant = arena_reals(&run->scratch, channels);
    run_zero(run, channels, along);
    run_zero(run, channels, constant);
    if (!measuring(run)) {
        run_tasks(run, tiles_of(channels, TILE_CHANNELS), sum_gradients,
                  &(column_sums){.rows = rows, .channels = channels, .x = x, .dy = dy, .fold = fold, .sums = sums});
        for (size_t c = 0; grads && c < channels; c++) {
            param_grad(layer->bias, grads)[c] += (real)sums[c];
            param_grad(layer->weight, grads)[c] += (real)sums[channels + c];
        }
        if (batch) find_slopes(layer, batch, rows, fold, sums, along, constant);
        run_parts(run, rows, channels, gradient_rows, &(norm_gradient){channels, x, fold, along, constant, dy});
    }
    arena_release(&run->scratch, mark);
}
