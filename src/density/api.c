/* The public face of densities of vectors (include/vocode/flow.h): options and arrays are checked here. */
#include "density/api.h"

#include <omp.h>
#include <string.h>

#include "core/versioned.h"
#include "density/fit.h"

enum { MOST_EPOCHS = 1000000, MOST_THREADS = 1024 };
static const double most_valid = 0.9;

vocode_status api_find_threads(int given, int *out, vocode_error *error) {
    if (given < 0 || given > MOST_THREADS)
        return failed(error, VOCODE_ARGUMENT, "expected threads from 0 to %d, found %d", MOST_THREADS, given);
    *out = given ? given : omp_get_max_threads();
    return VOCODE_OK;
}

vocode_status api_find_base(const char *name, base_kind *out, vocode_error *error) {
    *out = BASE_gaussian;
    if (!name || strcmp(name, base_names[BASE_gaussian]) == 0) return VOCODE_OK;
    *out = BASE_logistic;
    if (strcmp(name, base_names[BASE_logistic]) == 0) return VOCODE_OK;
    return failed(error, VOCODE_VALUE, "expected the base gaussian or logistic, found \"%.40s\"", name);
}

vocode_status api_check_number(const char *name, double value, double most, vocode_error *error) {
    if (value >= 0 && value <= most) return VOCODE_OK;
    return failed(error, VOCODE_ARGUMENT, "expected options.%s from 0 (the default) to %g, found %g", name, most,
                  value);
}

vocode_status api_check_count(const char *name, size_t value, size_t most, vocode_error *error) {
    if (value <= most) return VOCODE_OK;
    return failed(error, VOCODE_ARGUMENT, "expected options.%s from 0 (the default) to %zu, found %zu", name, most,
                  value);
}

/* What a caller gave, in full. */
typedef struct request {
    vocode_flow_options given;
    base_kind base;
    fit_options fit;
    bool cancelled;
} request;

static vocode_status read_options(const vocode_flow_options *from, request *out, vocode_error *error) {
    static const versioned about = {"vocode_flow_options", offsetof(vocode_flow_options, context) + sizeof(void *),
                                    sizeof(vocode_flow_options)};
    *out = (request){.fit = fit_defaults};
    TRY(versioned_read(&about, from, &out->given, error));
    const vocode_flow_options *given = &out->given;
    fit_options *fit = &out->fit;
    TRY(api_find_base(given->base, &out->base, error));
    TRY(api_check_number("valid", given->valid, most_valid, error));
    TRY(api_check_number("rate", given->rate, 1, error));
    TRY(api_check_number("clip", given->clip, HUGE_VAL, error));
    TRY(api_check_count("batch", given->batch, MOST_ROWS_OF_A_STEP, error));
    TRY(api_check_count("epochs", given->epochs, MOST_EPOCHS, error));
    TRY(api_check_count("patience", given->patience, MOST_EPOCHS, error));
    if (!(given->decay <= 1))
        return failed(error, VOCODE_ARGUMENT, "expected options.decay up to 1, found %g", given->decay);
    TRY(api_find_threads(given->threads, &fit->threads, error));
    if (given->valid > 0) fit->valid = given->valid;
    if (given->rate > 0) fit->rate = given->rate;
    if (given->clip > 0) fit->clip = given->clip;
    if (given->decay != 0) fit->decay = given->decay > 0 ? given->decay : 0;
    if (given->batch) fit->batch = given->batch;
    fit->epochs = given->epochs;
    fit->patience = given->patience;
    fit->seed = given->seed;
    return VOCODE_OK;
}

static vocode_status check_rows(size_t rows, vocode_error *error) {
    return rows ? VOCODE_OK : failed(error, VOCODE_SHAPE, "expected at least one row, found none");
}

static vocode_status check_finite(const char *what, const float *values, size_t rows, size_t columns,
                                  vocode_error *error) {
    for (size_t i = 0; i < rows * columns; i++)
        if (!isfinite(values[i]))
            return failed(error, VOCODE_VALUE, "%s: expected finite numbers, found %g in row %zu, column %zu", what,
                          (double)values[i], i / columns, i % columns);
    return VOCODE_OK;
}

vocode_status api_borrow(const float *from, size_t count, borrowed *out, vocode_error *error) {
    *out = (borrowed){.values = (real *)(void *)from};
    if (!from || sizeof(real) == sizeof(float)) return VOCODE_OK;
    out->values = out->copy = aligned_new(count, sizeof(real));
    if (!out->copy) return failed(error, VOCODE_MEMORY, "out of memory for %zu numbers", count);
    for (size_t i = 0; i < count; i++) out->copy[i] = (real)from[i];
    return VOCODE_OK;
}

void api_give_back(borrowed *it, size_t count, float *to) {
    for (size_t i = 0; it->copy && to && i < count; i++) to[i] = (float)it->copy[i];
    aligned_free(it->copy);
}

/* A fresh one of rows of so many numbers, or of images of as many. */
static vocode_status create(const char *spec, size_t channels, size_t context, const request *asked,
                            vocode_flow **model, vocode_error *error) {
    const vocode_image *given = &asked->given.image;
    const image_size image = {given->height, given->width, given->planes};
    if (channels == 0) return failed(error, VOCODE_SHAPE, "expected rows of at least one number, found none");
    if (!image.height && !image.width && !image.planes)
        return vectors_create(spec, asked->base, channels, context, asked->given.seed, model, error);
    if (image_count(image) != channels)
        return failed(error, VOCODE_SHAPE,
                      "expected options.image of %zu numbers, found %zu x %zu pixels of %zu planes", channels,
                      image.height, image.width, image.planes);
    return vectors_create_images(spec, asked->base, image, context, asked->given.seed, model, error);
}

vocode_status vocode_flow_create(const char *spec, size_t channels, size_t context, const vocode_flow_options *options,
                                 vocode_flow **model, vocode_error *error) {
    request asked;
    *model = NULL;
    TRY(read_options(options, &asked, error));
    return create(spec, channels, context, &asked, model, error);
}

static bool see(void *context, const fit_progress *now) {
    request *asked = context;
    const vocode_flow_progress shown = {.epoch = now->epoch,
                                        .epochs = now->epochs,
                                        .skipped = now->skipped,
                                        .train_nll = now->train_nll,
                                        .valid_nll = now->valid_nll,
                                        .rate = now->rate,
                                        .best = now->best};
    int answer = asked->given.watch(asked->given.context, &shown);
    asked->cancelled = answer < 0;
    return answer == 0;
}

static vocode_status fit(vocode_flow *model, const float *x, const float *context, size_t rows, request *asked,
                         vocode_error *error) {
    borrowed data = {0}, given = {0};
    const fit_watch watch = {asked->given.watch ? see : NULL, asked};
    vocode_status status = api_borrow(x, rows * model->channels, &data, error);
    if (status == VOCODE_OK) status = api_borrow(context, rows * model->context, &given, error);
    if (status == VOCODE_OK) status = fit_vectors(model, data.values, given.values, rows, &asked->fit, &watch, error);
    if (asked->cancelled) status = failed(error, VOCODE_CANCELLED, "the fit was cancelled");
    api_give_back(&data, 0, NULL);
    api_give_back(&given, 0, NULL);
    return status;
}

vocode_status vocode_flow_fit(const char *spec, const float *x, size_t rows, size_t channels, const float *context,
                              size_t context_channels, const vocode_flow_options *options, vocode_flow **model,
                              vocode_error *error) {
    request asked;
    *model = NULL;
    TRY(read_options(options, &asked, error));
    TRY(check_rows(rows, error));
    if (!context != !context_channels)
        return failed(error, VOCODE_SHAPE, "expected a context and its number of columns or neither, found %s",
                      context ? "no columns" : "no context");
    TRY(create(spec, channels, context_channels, &asked, model, error));
    vocode_status status = fit(*model, x, context, rows, &asked, error);
    if (status != VOCODE_OK) {
        vectors_free(*model);
        *model = NULL;
    }
    return status;
}

vocode_status vocode_flow_open(const char *path, vocode_flow **model, vocode_error *error) {
    return vectors_open(path, model, error);
}

vocode_status vocode_flow_save(const vocode_flow *model, const char *path, vocode_error *error) {
    return vectors_save(model, path, error);
}

void vocode_flow_free(vocode_flow *model) {
    vectors_free(model);
}

void vocode_flow_describe(const vocode_flow *model, vocode_flow_info *info) {
    *info = (vocode_flow_info){.spec = model->spec,
                               .base = base_names[model->base],
                               .channels = model->channels,
                               .parameters = param_set_trained(&model->set),
                               .context = model->context,
                               .rows = model->rows,
                               .epochs = model->epochs,
                               .valid_nll = model->valid_nll,
                               .turned = model->turned};
}

void vocode_flow_image(const vocode_flow *model, vocode_image *image) {
    *image = (vocode_image){model->image.height, model->image.width, model->image.planes};
}

/* One of the four uses of a flow. */
typedef struct use {
    const vocode_flow *model;
    const char *what;            /* from is */
    const float *from, *context; /* from: NULL where it is drawn */
    float *to;                   /* NULL: nothing */
    size_t rows;
    uint64_t seed;
    double *log_density;
    bool inverse;
} use;

static vocode_status run(const use *it, const real *from, const real *context, real *to, int threads,
                         vocode_error *error) {
    if (!from) return vectors_sample(it->model, context, it->rows, it->seed, threads, to, error);
    if (it->inverse) return vectors_decode(it->model, from, context, it->rows, threads, to, error);
    return vectors_encode(it->model, from, context, it->rows, threads, to, it->log_density, error);
}

static vocode_status use_flow(const use *it, int threads, vocode_error *error) {
    size_t channels = it->model->channels, width = it->model->context, numbers = it->rows * channels;
    borrowed from = {0}, context = {0}, to = {0};
    TRY(api_find_threads(threads, &threads, error));
    TRY(check_rows(it->rows, error));
    if (!width != !it->context)
        return failed(error, VOCODE_SHAPE, "expected %zu numbers of context a row, found %s", width,
                      it->context ? "some" : "none");
    if (it->from) TRY(check_finite(it->what, it->from, it->rows, channels, error));
    if (it->context) TRY(check_finite("context", it->context, it->rows, width, error));
    vocode_status status = api_borrow(it->from, numbers, &from, error);
    if (status == VOCODE_OK) status = api_borrow(it->context, it->rows * width, &context, error);
    if (status == VOCODE_OK) status = api_borrow(it->to, numbers, &to, error);
    if (status == VOCODE_OK) status = run(it, from.values, context.values, to.values, threads, error);
    api_give_back(&from, 0, NULL);
    api_give_back(&context, 0, NULL);
    api_give_back(&to, numbers, it->to);
    return status;
}

vocode_status vocode_flow_sample(const vocode_flow *model, const float *context, size_t rows, uint64_t seed,
                                 int threads, float *x, vocode_error *error) {
    const use it = {.model = model, .context = context, .rows = rows, .seed = seed, .to = x};
    return use_flow(&it, threads, error);
}

vocode_status vocode_flow_score(const vocode_flow *model, const float *x, const float *context, size_t rows,
                                int threads, double *log_density, vocode_error *error) {
    const use it = {
        .model = model, .what = "x", .from = x, .context = context, .rows = rows, .log_density = log_density};
    return use_flow(&it, threads, error);
}

vocode_status vocode_flow_encode(const vocode_flow *model, const float *x, const float *context, size_t rows,
                                 int threads, float *z, vocode_error *error) {
    const use it = {.model = model, .what = "x", .from = x, .context = context, .rows = rows, .to = z};
    return use_flow(&it, threads, error);
}

vocode_status vocode_flow_decode(const vocode_flow *model, const float *z, const float *context, size_t rows,
                                 int threads, float *x, vocode_error *error) {
    const use it = {.model = model, .what = "z", .from = z, .context = context, .rows = rows, .to = x, .inverse = true};
    return use_flow(&it, threads, error);
}
