#include "density/standard.h"

#include <stdlib.h>

/* Rows of a table, some of them. */
typedef struct table {
    const real *values; /* [., width] */
    size_t width;
    const size_t *order; /* [rows] */
    size_t rows;
} table;

typedef struct moments {
    double mean, square; /* square: of the deviation */
} moments;

/* square is 0 where a column is constant, but for rounding. */
static moments moments_of(const table *of, size_t column) {
    double sum = 0, square = 0;
    for (size_t t = 0; t < of->rows; t++) sum += (double)of->values[of->order[t] * of->width + column];
    double mean = sum / (double)of->rows;
    for (size_t t = 0; t < of->rows; t++) {
        double distance = (double)of->values[of->order[t] * of->width + column] - mean;
        square += distance * distance;
    }
    square /= (double)of->rows;
    return (moments){mean, sqrt(square) > 1e-6 * fabs(mean) ? square : 0};
}

/* Those of all pixels of a plane together, at every one of them. */
static void pool(size_t channels, size_t planes, moments *of) {
    size_t pixels = channels / planes;
    for (size_t plane = 0; plane < planes; plane++) {
        moments all = {0, 0};
        for (size_t c = plane; c < channels; c += planes) all.mean += of[c].mean / (double)pixels;
        for (size_t c = plane; c < channels; c += planes) {
            double distance = of[c].mean - all.mean;
            all.square += (of[c].square + distance * distance) / (double)pixels;
        }
        for (size_t c = plane; c < channels; c += planes) of[c] = all;
    }
}

static vocode_status find_moments(const vectors_model *model, const table *data, moments *of, vocode_error *error) {
    image_size image = model->image;
    for (size_t c = 0; c < data->width; c++) {
        of[c] = moments_of(data, c);
        if (of[c].square == 0 && !vectors_dequantize(model))
            return failed(error, VOCODE_VALUE,
                          "column %zu: expected numbers that vary, found %g everywhere: a density needs it removed, or "
                          "noise added",
                          c, of[c].mean);
    }
    if (image.height) pool(data->width, image.planes ? image.planes : 1, of);
    return VOCODE_OK;
}

vocode_status standardise(vectors_model *model, const real *x, const real *context, const size_t *order, size_t rows,
                          vocode_error *error) {
    static const double of_noise = 1.0 / 12; /* the variance of uniform noise on (0, 1), which has the mean 1 / 2 */
    const table data = {x, model->channels, order, rows}, given = {context, model->context, order, rows};
    bool noisy = vectors_dequantize(model);
    moments *of = calloc(model->channels, sizeof *of);
    vocode_status status = of ? find_moments(model, &data, of, error) : failed(error, VOCODE_MEMORY, "out of memory");
    for (size_t c = 0; status == VOCODE_OK && c < model->channels; c++) {
        double square = of[c].square + (noisy ? of_noise : 0);
        model->mean->value[c] = (real)(of[c].mean + (noisy ? 0.5 : 0));
        model->log_deviation->value[c] = (real)(log(square) / 2);
    }
    free(of);
    for (size_t c = 0; status == VOCODE_OK && context && c < model->context; c++) {
        moments own = moments_of(&given, c);
        model->context_mean->value[c] = (real)own.mean;
        model->context_deviation->value[c] = own.square > 0 ? (real)sqrt(own.square) : 1;
    }
    return status;
}
