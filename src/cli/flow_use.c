/* vocode flow sample, score, encode, decode and list. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/arrays.h"
#include "cli/flow_actions.h"
#include "density/spec.h"

/* What all of them read. */
typedef struct opened {
    vectors_model *model;
    npy_array rows, context;
} opened;

static void close_all(opened *it) {
    vectors_free(it->model);
    npy_free(&it->rows);
    npy_free(&it->context);
}

static const float *context_of(const opened *it) {
    return it->context.count ? it->context.data : NULL;
}

static vocode_status check_finite(const char *path, const npy_array *rows, vocode_error *error) {
    size_t width = rows_width(rows);
    for (size_t i = 0; i < rows->count; i++)
        if (!isfinite(rows->data[i]))
            return failed(error, VOCODE_VALUE, "%s: expected finite numbers, found %g in row %zu, column %zu", path,
                          (double)rows->data[i], i / width, i % width);
    return VOCODE_OK;
}

vocode_status context_check(const arguments *given, const vectors_model *model, const npy_array *context,
                            vocode_error *error) {
    size_t width = context->count ? rows_width(context) : 0;
    if (width != model->context)
        return failed(error, VOCODE_SHAPE, "%s: expected %zu numbers of context a row (--context), found %zu",
                      given->items[1], model->context, width);
    return width ? check_finite(given->context.text, context, error) : VOCODE_OK;
}

vocode_status rows_fit(const char *path, const npy_array *rows, size_t channels, image_size wanted, const char *model,
                       vocode_error *error) {
    image_size found = rows_image(rows);
    if (rows_width(rows) != channels)
        return failed(error, VOCODE_SHAPE, "%s: expected rows of %zu numbers for %s, found %zu", path, channels, model,
                      rows_width(rows));
    if (found.height && wanted.height && (found.height != wanted.height || found.width != wanted.width))
        return failed(error, VOCODE_SHAPE, "%s: expected images of %zu x %zu pixels for %s, found %zu x %zu", path,
                      wanted.height, wanted.width, model, found.height, found.width);
    return VOCODE_OK;
}

/* The model items[1], the rows items[2] where path says so, and the context of count rows. */
static vocode_status open_all(const arguments *given, const char *path, size_t count, opened *it, vocode_error *error) {
    TRY(vectors_open(given->items[1], &it->model, error));
    if (path) {
        TRY(rows_read(path, &it->rows, error));
        count = it->rows.shape[0];
        TRY(rows_fit(path, &it->rows, it->model->channels, it->model->image, given->items[1], error));
        TRY(check_finite(path, &it->rows, error));
    }
    TRY(context_read(given, count, &it->context, error));
    return context_check(given, it->model, &it->context, error);
}

typedef vocode_status work(const arguments *given, const opened *it, size_t count, console *out, vocode_error *error);

static vocode_status with_model(const arguments *given, const char *path, size_t count, work *body, console *out,
                                vocode_error *error) {
    opened it = {0};
    vocode_status status = open_all(given, path, count, &it, error);
    if (status == VOCODE_OK) status = body(given, &it, path ? it.rows.shape[0] : count, out, error);
    close_all(&it);
    return status;
}

/* An array [rows, channels] to fill and to write; NULL, with a sentence, where there is no memory. */
static float *new_rows(const opened *it, size_t rows, vocode_error *error) {
    size_t count;
    float *values = __builtin_mul_overflow(rows, it->model->channels, &count) ? NULL : calloc(count, sizeof *values);
    if (!values) failed(error, VOCODE_MEMORY, "out of memory for %zu rows of %zu numbers", rows, it->model->channels);
    return values;
}

vocode_status rows_put(const char *path, const float *values, size_t rows, size_t channels, image_size image,
                       vocode_error *error) {
    const size_t shape[] = {rows, image.height ? image.height : channels, image.width, image.planes};
    return array_put(path, values, image.planes ? 4 : image.height ? 3 : 2, shape, error);
}

/* Data have the shape of those that the model was fitted to. */
static vocode_status finish_data(const char *path, const opened *it, size_t rows, vocode_status status, float *values,
                                 vocode_error *error) {
    const vectors_model *model = it->model;
    if (status == VOCODE_OK) status = rows_put(path, values, rows, model->channels, model->image, error);
    free(values);
    return status;
}

static vocode_status sample(const arguments *given, const opened *it, size_t rows, console *out, vocode_error *error) {
    (void)out;
    float *x = new_rows(it, rows, error);
    if (!x) return VOCODE_MEMORY;
    vocode_status status =
        vectors_sample(it->model, context_of(it), rows, given->seed.integer, threads_of(given), x, error);
    return finish_data(given->items[3], it, rows, status, x, error);
}

vocode_status flow_sample(const arguments *given, console *out, vocode_error *error) {
    char *end;
    unsigned long long count = strtoull(given->items[2], &end, 10);
    if (*end || given->items[2][0] < '0' || given->items[2][0] > '9' || count == 0 || count > SIZE_MAX / 64)
        return failed(error, VOCODE_ARGUMENT, "expected a number of samples, found \"%s\"", given->items[2]);
    if (vae_is(given->items[1])) return vae_sample_to(given, count, error);
    return with_model(given, NULL, count, sample, out, error);
}

static vocode_status encode(const arguments *given, const opened *it, size_t rows, console *out, vocode_error *error) {
    (void)out;
    float *z = new_rows(it, rows, error);
    if (!z) return VOCODE_MEMORY;
    vocode_status status =
        vectors_encode(it->model, it->rows.data, context_of(it), rows, threads_of(given), z, NULL, error);
    if (status == VOCODE_OK) status = array_write(given->items[3], z, rows, it->model->channels, error);
    free(z);
    return status;
}

vocode_status flow_encode(const arguments *given, console *out, vocode_error *error) {
    if (vae_is(given->items[1])) return vae_encode_to(given, error);
    return with_model(given, given->items[2], 0, encode, out, error);
}

static vocode_status decode(const arguments *given, const opened *it, size_t rows, console *out, vocode_error *error) {
    (void)out;
    float *x = new_rows(it, rows, error);
    if (!x) return VOCODE_MEMORY;
    vocode_status status = vectors_decode(it->model, it->rows.data, context_of(it), rows, threads_of(given), x, error);
    return finish_data(given->items[3], it, rows, status, x, error);
}

vocode_status flow_decode(const arguments *given, console *out, vocode_error *error) {
    if (vae_is(given->items[1])) return vae_decode_to(given, error);
    return with_model(given, given->items[2], 0, decode, out, error);
}

static void print_score(const char *path, const vectors_model *model, const double *log_density, size_t rows) {
    double sum = 0, square = 0;
    for (size_t t = 0; t < rows; t++) sum += log_density[t];
    double mean = sum / (double)rows;
    for (size_t t = 0; t < rows; t++) square += (log_density[t] - mean) * (log_density[t] - mean);
    printf("%s  %s %.6f nats a row", path, vectors_dequantize(model) ? "log probability at least" : "log density",
           mean);
    if (rows > 1) printf(" +- %.6f", sqrt(square / (double)(rows - 1) / (double)rows));
    printf("  %s%.6f bits a number  %zu rows\n", vectors_dequantize(model) ? "at most " : "",
           -mean / (double)model->channels / log(2.0), rows);
}

static vocode_status score(const arguments *given, const opened *it, size_t rows, console *out, vocode_error *error) {
    double *log_density = calloc(rows + 1, sizeof *log_density);
    if (!log_density) return failed(error, VOCODE_MEMORY, "out of memory for %zu rows", rows);
    vocode_status status =
        vectors_encode(it->model, it->rows.data, context_of(it), rows, threads_of(given), NULL, log_density, error);
    if (status == VOCODE_OK && given->count > 3) {
        float *values = calloc(rows + 1, sizeof *values);
        status = values ? VOCODE_OK : failed(error, VOCODE_MEMORY, "out of memory for %zu rows", rows);
        for (size_t t = 0; values && t < rows; t++) values[t] = (float)log_density[t];
        if (status == VOCODE_OK) status = npy_write(given->items[3], values, 1, &rows, error);
        free(values);
    }
    if (status == VOCODE_OK) {
        console_clear(out);
        print_score(given->items[2], it->model, log_density, rows);
    }
    free(log_density);
    return status;
}

vocode_status flow_score(const arguments *given, console *out, vocode_error *error) {
    if (vae_is(given->items[1])) return vae_score_rows(given, out, error);
    return with_model(given, given->items[2], 0, score, out, error);
}

vocode_status flow_list(const arguments *given, console *out, vocode_error *error) {
    (void)given, (void)out, (void)error;
    printf("%-10s %-58s %-27s %s\n", "flow", "what it does", "a density costs", "a sample costs");
    for (size_t i = 0; i < flow_family_count(); i++) {
        const flow_family *family = flow_family_at(i);
        printf("%-10s %-58s %-27s %s\n", family->name, family->summary, family->density, family->sample);
    }
    printf("\nd: columns of the data. A network costs about depth x hidden^2 multiply-adds a row; one of convolutions "
           "over\n"
           "images about 10 x blocks x channels^2 a pixel.\nA context (--context) has no effect on");
    for (size_t i = 0, told = 0; i < flow_family_count(); i++)
        if (!flow_family_at(i)->conditioned) printf(told++ ? ", %s" : " %s", flow_family_at(i)->name);
    printf(", which\nhave no network; the noise of dequantize:noise=variational has one. All others hear it.\n");
    for (size_t i = 0; i < flow_family_count(); i++) {
        const flow_family *family = flow_family_at(i);
        printf("\n%s (%s)\n", family->name, family->paper);
        config_help(family->keys, family->key_count, stdout);
    }
    return VOCODE_OK;
}
