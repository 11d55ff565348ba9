/* vocode flow fit: maximum likelihood on rows of a .npy. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/flow_actions.h"
#include "cli/interrupt.h"
#include "density/fit.h"

size_t rows_width(const npy_array *rows) {
    return rows->shape[0] ? rows->count / rows->shape[0] : 0;
}

image_size rows_image(const npy_array *rows) {
    if (rows->rank < 3) return (image_size){0};
    return (image_size){rows->shape[1], rows->shape[2], rows->rank == 4 ? rows->shape[3] : 0};
}

static vocode_status read_axes(const char *path, int most, const char *expected, npy_array *out, vocode_error *error) {
    TRY(npy_read(path, out, error));
    vocode_status status = VOCODE_OK;
    if (out->rank < 1 || out->rank > most)
        status =
            failed(error, VOCODE_SHAPE, "%s: expected an array %s, found one of %d axes", path, expected, out->rank);
    else if (out->count == 0)
        status = failed(error, VOCODE_SHAPE, "%s: expected at least one row of one number, found an empty array", path);
    if (status != VOCODE_OK) npy_free(out);
    return status;
}

vocode_status rows_read(const char *path, npy_array *out, vocode_error *error) {
    return read_axes(path, 4, "[rows, columns], or images [rows, height, width] or [rows, height, width, planes]", out,
                     error);
}

vocode_status context_read(const arguments *given, size_t rows, npy_array *out, vocode_error *error) {
    *out = (npy_array){0};
    if (!given->context.given) return VOCODE_OK;
    TRY(read_axes(given->context.text, 2, "[rows, columns] of context", out, error));
    if (!rows || out->shape[0] == rows) return VOCODE_OK;
    vocode_status status = failed(error, VOCODE_SHAPE, "%s: expected %zu rows of context, found %zu",
                                  given->context.text, rows, out->shape[0]);
    npy_free(out);
    return status;
}

int threads_of(const arguments *given) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    return given->threads.given ? (int)given->threads.integer : processors > 0 ? (int)processors : 1;
}

/* One line that is written over, on a terminal; a line an epoch with -v. */
static bool see(void *context, const fit_progress *now) {
    console *out = context;
    if (out->verbose)
        console_detail(out, "epoch %zu: loss %.4f in training, %.4f nats a row held out, rate %.2g%s", now->epoch,
                       now->train_nll, now->valid_nll, now->rate, now->best ? " (best)" : "");
    else if (out->terminal && !out->quiet) {
        console_clear(out);
        fprintf(stderr, "epoch %zu of at most %zu: loss %.4f in training, %.4f nats a row held out", now->epoch,
                now->epochs, now->train_nll, now->valid_nll);
        fflush(stderr);
        out->bar_shown = true;
    }
    return !interrupt_waiting();
}

static fit_options options_of(const arguments *given) {
    fit_options options = fit_defaults;
    if (given->valid.given) options.valid = given->valid.number;
    if (given->epochs.given) options.epochs = given->epochs.integer;
    if (given->patience.given) options.patience = given->patience.integer;
    if (given->batch.given) options.batch = given->batch.integer;
    if (given->rate.given) options.rate = given->rate.number;
    if (given->train.given) options.method = (fit_method)given->train.integer;
    options.seed = given->seed.integer;
    options.threads = threads_of(given);
    return options;
}

/* --flow, with what --dequantize puts in front; free it. */
static char *spec_of(const arguments *given) {
    static const char *const fronts[] = {"dequantize,", "dequantize:noise=variational,"};
    const char *front = given->dequantize.given ? fronts[given->dequantize.integer] : "", *spec = given->flow.text;
    size_t size = strlen(front) + strlen(spec) + 1;
    char *line = malloc(size);
    if (line) snprintf(line, size, "%s%s", front, spec);
    return line;
}

static vocode_status create(const arguments *given, const npy_array *x, size_t context, vectors_model **out,
                            vocode_error *error) {
    char *spec = spec_of(given);
    *out = NULL;
    if (!spec) return failed(error, VOCODE_MEMORY, "out of memory");
    base_kind base = (base_kind)given->base.integer;
    vocode_status status =
        x->rank < 3 ? vectors_create(spec, base, rows_width(x), context, given->seed.integer, out, error)
                    : vectors_create_images(spec, base, rows_image(x), context, given->seed.integer, out, error);
    free(spec);
    return status;
}

static void tell(const vectors_model *model, const char *path, console *out) {
    char bits[64] = "";
    if (vectors_dequantize(model))
        snprintf(bits, sizeof bits, ", at most %.4f bits a number,",
                 model->valid_nll / (double)model->channels / log(2.0));
    console_note(out, "%s: %zu parameters, %.4f nats a row%s held out after %zu epochs", path, model->set.total,
                 model->valid_nll, bits, model->epochs);
}

static vocode_status fit_rows(const arguments *given, const npy_array *x, const npy_array *context, console *out,
                              vocode_error *error) {
    const char *path = given->items[2];
    const fit_options options = options_of(given);
    const fit_watch watch = {see, out};
    vectors_model *model;
    TRY(create(given, x, context->count ? rows_width(context) : 0, &model, error));
    vocode_status status =
        fit_vectors(model, x->data, context->count ? context->data : NULL, x->shape[0], &options, &watch, error);
    console_clear(out);
    if (status != VOCODE_OK) failed_in(error, status, given->items[1]);
    if (status == VOCODE_OK && interrupt_waiting()) status = failed(error, VOCODE_CANCELLED, "%s: interrupted", path);
    if (status == VOCODE_OK) status = vectors_save(model, path, error);
    if (status == VOCODE_OK) tell(model, path, out);
    vectors_free(model);
    return status;
}

vocode_status flow_fit(const arguments *given, console *out, vocode_error *error) {
    npy_array x, context;
    TRY(rows_read(given->items[1], &x, error));
    vocode_status status = context_read(given, x.shape[0], &context, error);
    if (status == VOCODE_OK) {
        interrupt_hold(given->items[2]);
        status = fit_rows(given, &x, &context, out, error);
        interrupt_release();
        npy_free(&context);
    }
    npy_free(&x);
    return status;
}
