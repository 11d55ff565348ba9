/* vocode flow vae: an autoencoder whose posterior may be a flow, and what the other actions do with one. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/arrays.h"
#include "cli/flow_actions.h"
#include "cli/interrupt.h"

enum { LATENT = 16, HIDDEN = 128, DEPTH = 1, JUDGING_DRAWS = 100 };

/* One line that is written over, on a terminal; a line an epoch with -v. */
static bool see(void *context, const vae_progress *now) {
    console *out = context;
    if (out->verbose)
        console_detail(out, "epoch %zu: loss %.4f in training, bound %.4f nats a row held out, beta %.2f, rate %.2g%s",
                       now->epoch, now->train_loss, now->valid_elbo, now->beta, now->rate, now->best ? " (best)" : "");
    else if (out->terminal && !out->quiet) {
        console_clear(out);
        fprintf(stderr, "epoch %zu of %zu: loss %.4f in training, bound %.4f nats a row held out", now->epoch,
                now->epochs, now->train_loss, now->valid_elbo);
        fflush(stderr);
        out->bar_shown = true;
    }
    return !interrupt_waiting();
}

static vae_options options_of(const arguments *given) {
    vae_options options = vae_defaults;
    if (given->valid.given) options.valid = given->valid.number;
    if (given->epochs.given) options.epochs = given->epochs.integer;
    if (given->batch.given) options.batch = given->batch.integer;
    if (given->rate.given) options.rate = given->rate.number;
    options.warm = given->warm.given ? given->warm.integer : (options.epochs + 9) / 10;
    options.seed = given->seed.integer;
    options.threads = threads_of(given);
    return options;
}

static vae_sizes sizes_of(const arguments *given, const npy_array *x) {
    double most = 1;
    for (size_t i = 0; i < x->count; i++) most = fmax(most, (double)x->data[i]);
    size_t levels = isfinite(most) && most < (1 << 20) ? (size_t)ceil(most) : 1;
    return (vae_sizes){.channels = rows_width(x),
                       .image = rows_image(x),
                       .levels = given->levels.given ? given->levels.integer : levels,
                       .latent = given->latent.given ? given->latent.integer : LATENT,
                       .hidden = given->hidden.given ? given->hidden.integer : HIDDEN,
                       .depth = given->depth.given ? given->depth.integer : DEPTH,
                       .posterior = given->posterior.given ? given->posterior.text : "iaf"};
}

static vocode_status fit(const arguments *given, const npy_array *x, console *out, vocode_error *error) {
    const vae_options options = options_of(given);
    const vae_watch watch = {see, out};
    const vae_sizes sizes = sizes_of(given, x);
    vae *model;
    TRY(vae_create(&sizes, options.seed, &model, error));
    vocode_status status = vae_fit(model, x->data, x->shape[0], &options, &watch, error);
    console_clear(out);
    if (status != VOCODE_OK) failed_in(error, status, given->items[1]);
    if (status == VOCODE_OK && interrupt_waiting())
        status = failed(error, VOCODE_CANCELLED, "%s: interrupted", given->items[2]);
    if (status == VOCODE_OK) status = vae_save(model, given->items[2], error);
    if (status == VOCODE_OK)
        console_note(out, "%s: %zu parameters, log probability at least %.4f nats a row held out", given->items[2],
                     model->set.total, model->valid_elbo);
    vae_free(model);
    return status;
}

vocode_status flow_vae(const arguments *given, console *out, vocode_error *error) {
    npy_array x;
    TRY(rows_read(given->items[1], &x, error));
    interrupt_hold(given->items[2]);
    vocode_status status = fit(given, &x, out, error);
    interrupt_release();
    npy_free(&x);
    return status;
}

vocode_status vae_open_without_context(const arguments *given, vae **out, vocode_error *error) {
    if (given->context.given)
        return failed(error, VOCODE_UNSUPPORTED, "%s: an autoencoder takes no --context", given->items[1]);
    return vae_open(given->items[1], out, error);
}

/* The model items[1], and rows of so many numbers of items[2] unless no width is wanted. */
typedef struct opened {
    vae *model;
    npy_array rows;
} opened;

static void close_all(opened *it) {
    vae_free(it->model);
    npy_free(&it->rows);
}

static vocode_status open_all(const arguments *given, bool codes, opened *it, vocode_error *error) {
    *it = (opened){0};
    TRY(vae_open_without_context(given, &it->model, error));
    TRY(rows_read(given->items[2], &it->rows, error));
    const vae_sizes *sizes = &it->model->sizes;
    return codes ? rows_fit(given->items[2], &it->rows, sizes->latent, (image_size){0}, given->items[1], error)
                 : rows_fit(given->items[2], &it->rows, sizes->channels, sizes->image, given->items[1], error);
}

static vocode_status write_rows(const char *path, const vae *model, const float *x, size_t rows, vocode_error *error) {
    return rows_put(path, x, rows, model->sizes.channels, model->sizes.image, error);
}

static float *new_rows(size_t rows, size_t width, vocode_error *error) {
    size_t count;
    float *values = __builtin_mul_overflow(rows, width, &count) ? NULL : calloc(count, sizeof *values);
    if (!values) failed(error, VOCODE_MEMORY, "out of memory for %zu rows of %zu numbers", rows, width);
    return values;
}

vocode_status vae_sample_to(const arguments *given, size_t rows, vocode_error *error) {
    vae *model;
    TRY(vae_open_without_context(given, &model, error));
    float *x = new_rows(rows, model->sizes.channels, error);
    vocode_status status =
        x ? vae_sample(model, rows, given->seed.integer, given->means.given, x, error) : VOCODE_MEMORY;
    if (status == VOCODE_OK) status = write_rows(given->items[3], model, x, rows, error);
    free(x);
    vae_free(model);
    return status;
}

typedef struct summary {
    double mean, error;
} summary;

static summary summarise(const double *values, size_t rows) {
    double sum = 0, square = 0;
    for (size_t t = 0; t < rows; t++) sum += values[t];
    double mean = sum / (double)rows;
    for (size_t t = 0; t < rows; t++) square += (values[t] - mean) * (values[t] - mean);
    return (summary){mean, rows > 1 ? sqrt(square / (double)(rows - 1) / (double)rows) : 0};
}

static vocode_status write_scores(const char *path, const double *values, size_t rows, vocode_error *error) {
    float *numbers = new_rows(rows, 1, error);
    if (!numbers) return VOCODE_MEMORY;
    for (size_t t = 0; t < rows; t++) numbers[t] = (float)values[t];
    vocode_status status = npy_write(path, numbers, 1, &rows, error);
    free(numbers);
    return status;
}

static vocode_status score(const arguments *given, const opened *it, console *out, vocode_error *error) {
    size_t rows = it->rows.shape[0], draws = given->draws.given ? given->draws.integer : JUDGING_DRAWS;
    double *elbo = calloc(2 * rows, sizeof *elbo);
    if (!elbo) return failed(error, VOCODE_MEMORY, "out of memory for %zu rows", rows);
    double *tighter = elbo + rows;
    vocode_status status =
        vae_score(it->model, it->rows.data, rows, draws, given->seed.integer, threads_of(given), elbo, tighter, error);
    if (status != VOCODE_OK) failed_in(error, status, given->items[2]);
    if (status == VOCODE_OK && given->count > 3) status = write_scores(given->items[3], elbo, rows, error);
    if (status == VOCODE_OK) {
        summary bound = summarise(elbo, rows), close = summarise(tighter, rows);
        console_clear(out);
        printf(
            "%s  log probability at least %.6f nats a row +- %.6f  with %zu weighted draws at least %.6f +- %.6f  at "
            "most %.6f bits a number  %zu rows\n",
            given->items[2], bound.mean, bound.error, draws, close.mean, close.error,
            -bound.mean / (double)it->model->sizes.channels / M_LN2, rows);
    }
    free(elbo);
    return status;
}

vocode_status vae_score_rows(const arguments *given, console *out, vocode_error *error) {
    opened it;
    vocode_status status = open_all(given, false, &it, error);
    if (status == VOCODE_OK) status = score(given, &it, out, error);
    close_all(&it);
    return status;
}

vocode_status vae_encode_to(const arguments *given, vocode_error *error) {
    opened it;
    vocode_status status = open_all(given, false, &it, error);
    if (status == VOCODE_OK) {
        const size_t shape[] = {it.rows.shape[0], it.model->sizes.latent};
        float *z = new_rows(shape[0], shape[1], error);
        const uint64_t seed = given->seed.integer, *chance = given->draw.given ? &seed : NULL;
        status = z ? vae_encode(it.model, it.rows.data, shape[0], chance, z, error) : VOCODE_MEMORY;
        if (z && status != VOCODE_OK) failed_in(error, status, given->items[2]);
        if (status == VOCODE_OK) status = array_write(given->items[3], z, shape[0], shape[1], error);
        free(z);
    }
    close_all(&it);
    return status;
}

vocode_status vae_decode_to(const arguments *given, vocode_error *error) {
    opened it;
    vocode_status status = open_all(given, true, &it, error);
    if (status == VOCODE_OK) {
        size_t rows = it.rows.shape[0];
        float *x = new_rows(rows, it.model->sizes.channels, error);
        status = x ? vae_decode(it.model, it.rows.data, rows, x, error) : VOCODE_MEMORY;
        if (x && status != VOCODE_OK) failed_in(error, status, given->items[2]);
        if (status == VOCODE_OK) status = write_rows(given->items[3], it.model, x, rows, error);
        free(x);
    }
    close_all(&it);
    return status;
}
