/* The way from latent to data, part by part. */
#include <string.h>

#include "density/vectors.h"
#include "flows/streamed.h"

size_t vectors_steps(const vectors_model *model) {
    return sequence_parts(model->chain)->count;
}

static vocode_status step(const flow *part, bool forward, size_t rows, const real *z, real *x, vocode_error *error) {
    size_t size, tape;
    compute work = {.scratch = arena_over(NULL, 0), .threads = 1};
    flow_run run = {.work = &work, .shape = {rows, 1, part->channels}, .error = error};
    TRY(flow_measure(part, &run, forward ? FLOW_FORWARD : FLOW_INVERSE, &size, &tape));
    void *memory = aligned_new(size, 1);
    double *logdet = aligned_new(rows, sizeof *logdet);
    if (!memory || !logdet) {
        aligned_free(memory);
        aligned_free(logdet);
        return failed(error, VOCODE_MEMORY, "out of memory to follow %zu rows", rows);
    }
    work.scratch = arena_over(memory, size);
    vocode_status status = forward ? flow_forward(part, &run, z, x, logdet, NULL) : flow_inverse(part, &run, z, x);
    aligned_free(memory);
    aligned_free(logdet);
    return status;
}

vocode_status vectors_follow(const vectors_model *model, const real *z, size_t rows, size_t steps, real *x,
                             vocode_error *error) {
    const flow_parts *parts = sequence_parts(model->chain);
    size_t count = rows * model->channels;
    if (model->context)
        return failed(error, VOCODE_UNSUPPORTED, "expected a model without a context, found one of %zu numbers",
                      model->context);
    real *now = aligned_new(count, sizeof *now);
    if (!now) return failed(error, VOCODE_MEMORY, "out of memory to follow %zu rows", rows);
    vocode_status status = VOCODE_OK;
    memcpy(x, z, count * sizeof *x);
    for (size_t k = 0; status == VOCODE_OK && k < steps && k < parts->count; k++) {
        memcpy(now, x, count * sizeof *x);
        const flow *part = parts->items[model->turned ? k : parts->count - 1 - k];
        status = step(part, model->turned, rows, now, x, error);
    }
    aligned_free(now);
    return status;
}
