#include "flows/parts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernels/pool.h"

static const unsigned all_must =
    FLOW_VOLUME_PRESERVING | FLOW_AUTOREGRESSIVE | FLOW_REINVERTIBLE | FLOW_SAMPLES_DIFFERENTIABLY;
static const unsigned one_suffices = FLOW_NO_ANALYTIC_INVERSE | FLOW_SEQUENTIAL_FORWARD | FLOW_SEQUENTIAL_INVERSE |
                                     FLOW_DATA_DEPENDENT_INIT | FLOW_STOCHASTIC_LOGDET | FLOW_MATCHED | FLOW_SOLVED |
                                     FLOW_DEQUANTIZES | FLOW_BATCH_STATISTICS;

static vocode_status check_conditioning(flow *base, const flow *part, size_t k, vocode_error *error) {
    if (part->cond_channels && base->cond_channels && part->cond_channels != base->cond_channels)
        return failed(error, VOCODE_SHAPE,
                      "%s: part %zu (%s %s) expects conditioning of %zu channels, those before it %zu",
                      base->type->name, k, part->type->name, part->name, part->cond_channels, base->cond_channels);
    if (part->cond_channels) base->cond_channels = part->cond_channels;
    return VOCODE_OK;
}

static vocode_status describe(flow_parts *parts, flow *base, const size_t *dropped, vocode_error *error) {
    size_t channels = parts->items[0]->channels;
    base->channels = channels;
    base->traits = all_must | (parts->items[0]->traits & FLOW_POSITIVE_DATA);
    parts->fold[0] = 1;
    for (size_t k = 0; k < parts->count; k++) {
        const flow *part = parts->items[k];
        if (part->channels != channels)
            return failed(error, VOCODE_SHAPE, "%s: part %zu (%s %s) expects %zu channels, what is before it gives %zu",
                          base->type->name, k, part->type->name, part->name, part->channels, channels);
        TRY(check_conditioning(base, part, k, error));
        base->traits = (base->traits & (part->traits | ~all_must)) | (part->traits & one_suffices);
        if (__builtin_mul_overflow(channels, part->fold, &channels) ||
            __builtin_mul_overflow(parts->fold[k], part->fold, &parts->fold[k + 1]))
            return failed(error, VOCODE_SHAPE, "%s: more channels than memory can hold", base->type->name);
        if (!dropped || k + 1 == parts->count) continue;
        if (dropped[k] == 0 || dropped[k] >= channels)
            return failed(error, VOCODE_SHAPE,
                          "%s: expected 1 to %zu early channels after level %zu (%s %s), found %zu", base->type->name,
                          channels - 1, k, part->type->name, part->name, dropped[k]);
        channels -= dropped[k];
    }
    base->fold = parts->fold[parts->count];
    return VOCODE_OK;
}

vocode_status parts_take(flow_parts *parts, flow *base, flow **items, const size_t *dropped, size_t count,
                         vocode_error *error) {
    *parts = (flow_parts){calloc(count, sizeof *parts->items), count, calloc(count + 1, sizeof *parts->fold)};
    if (!parts->items || !parts->fold) {
        for (size_t k = 0; k < count; k++) flow_free(items[k]);
        parts->count = 0;
        return failed(error, VOCODE_MEMORY, "%s: out of memory for %zu parts", base->type->name, count);
    }
    memcpy(parts->items, items, count * sizeof *items);
    for (size_t k = 0; k < count; k++)
        if (!items[k]) return failed(error, VOCODE_ARGUMENT, "%s: part %zu is missing", base->type->name, k);
    return describe(parts, base, dropped, error);
}

void parts_free(flow_parts *parts) {
    for (size_t k = 0; k < parts->count; k++) flow_free(parts->items[k]);
    free(parts->items);
    free(parts->fold);
}

flow_run parts_run(const flow_parts *parts, size_t k, const flow_run *run) {
    flow_run part = *run;
    part.shape.frames = run->shape.frames / parts->fold[k];
    part.shape.channels = parts->items[k]->channels;
    return part;
}

void parts_init(const flow_parts *parts, uint64_t seed) {
    for (size_t k = 0; k < parts->count; k++) flow_init(parts->items[k], seed);
}

/* Every part on its own; the first failure in their order is the one that is told. */
typedef struct preparation {
    flow **items;
    vocode_error *errors; /* [count] */
} preparation;

static void prepare_one(void *context, size_t k) {
    const preparation *job = context;
    flow_prepare(job->items[k], &job->errors[k]);
}

enum { FEW_PARTS = 2 }; /* so few are composites themselves more often than not: their own parts are shared */

vocode_status parts_prepare(const flow_parts *parts, vocode_error *error) {
    preparation job = {parts->items, calloc(parts->count, sizeof *job.errors)};
    if (!job.errors) return failed(error, VOCODE_MEMORY, "out of memory to prepare %zu flows", parts->count);
    long processors = parts->count > FEW_PARTS ? sysconf(_SC_NPROCESSORS_ONLN) : 1;
    pool_run((int)processors, parts->count, prepare_one, &job);
    vocode_status status = VOCODE_OK;
    for (size_t k = 0; status == VOCODE_OK && k < parts->count; k++) {
        status = job.errors[k].code;
        if (status != VOCODE_OK && error) *error = job.errors[k];
    }
    free(job.errors);
    return status;
}

/* A data frame reaches through the halo of the parts before k to frames of part k's data, and from there on. One frame
 * of the whole latent holds several of part k's where later parts fold. */
flow_halo parts_halo(const flow_parts *parts) {
    flow_halo whole = {0, 0};
    for (size_t k = 0; k < parts->count; k++) {
        flow_halo part = flow_find_halo(parts->items[k]);
        size_t later = parts->fold[parts->count] / parts->fold[k + 1];
        size_t latent = (part.latent + later - 1) / later, cond = (part.cond + later - 1) / later;
        if (whole.latent + cond > whole.cond) whole.cond = whole.latent + cond;
        whole.latent += latent;
    }
    return whole;
}
