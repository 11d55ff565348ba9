/* Reading what was planned, and what becomes of the rest. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "vocoder/import_plan.h"

static int begins(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* What older modules keep beside their parameters: a cached inverse, the residual half of the last layer, whose output
 * goes nowhere, and the count of batches behind a batch norm. */
static int is_harmless(const char *name) {
    return strstr(name, "W_inverse") || strstr(name, ".res_layers.") || strstr(name, ".num_batches_tracked");
}

vocode_status plan_end(plan *p) {
    const char *first = NULL;
    for (size_t i = 0; i < p->source_count; i++) {
        const plan_source *source = &p->sources[i];
        const char *name = source->name;
        int twice = i + 1 < p->source_count && strcmp(name, p->sources[i + 1].name) == 0;
        if (source->used || is_harmless(name) || twice) continue;
        if (begins(name, "WN.") || begins(name, "convinv.") || begins(name, "upsample.")) {
            if (source->entry->foreign) return tree_refuse_class(p->tree, source->entry, p->error);
            return failed(p->error, VOCODE_UNSUPPORTED, "tensor %s has no place in this model", source->entry->name);
        }
        if (p->ignored++ == 0) first = source->entry->name;
    }
    if (p->ignored)
        warn_caller(p->warnings, "%s: ignored %zu tensors or objects that the model has no place for, the first is %s",
                    torch_name(p->tree->file), p->ignored, first);
    return VOCODE_OK;
}

/* values [rows, width] become gain[row] * values / |values| by rows (Salimans and Kingma 2016, eq. 2). */
static vocode_status fold(const plan *p, const plan_part *part, float *values) {
    size_t rows = part->gain.count, width = rows ? part->tensor.count / rows : 0;
    float *gain = malloc((rows ? rows : 1) * sizeof *gain);
    if (!gain) return failed(p->error, VOCODE_MEMORY, "no memory for %zu gains", rows);
    vocode_status status = torch_tensor_read(p->tree->file, &part->gain, part->name, gain, p->error);
    for (size_t r = 0; status == VOCODE_OK && r < rows; r++) {
        double sum = 0;
        float *row = values + r * width;
        for (size_t i = 0; i < width; i++) sum += (double)row[i] * (double)row[i];
        double scale = sum > 0 ? (double)gain[r] / sqrt(sum) : 0;
        for (size_t i = 0; i < width; i++) row[i] = (float)((double)row[i] * scale);
    }
    free(gain);
    return status;
}

static vocode_status read_target(const plan *p, const plan_target *target, float *values) {
    size_t at = 0;
    for (size_t i = 0; i < target->parts; i++) {
        const plan_part *part = &target->part[i];
        TRY(torch_tensor_read(p->tree->file, &part->tensor, part->name, values + at, p->error));
        if (part->gain.rank >= 0) TRY(fold(p, part, values + at));
        for (size_t j = at; j < at + part->tensor.count; j++)
            if (!isfinite(values[j]))
                return failed(p->error, VOCODE_VALUE, "tensor %s holds %s at element %zu", part->name,
                              isnan(values[j]) ? "NaN" : "infinity", j - at);
        at += part->tensor.count;
    }
    return VOCODE_OK;
}

vocode_status plan_read(const plan *p, tensor_set *out) {
    tensor_memory *own = calloc(1, sizeof *own);
    if (own) {
        own->tensors = calloc(p->target_count, sizeof *own->tensors);
        own->names = calloc(p->target_count, sizeof *own->names);
    }
    *out = (tensor_set){.own = own};
    if (!own || !own->tensors || !own->names)
        return failed(p->error, VOCODE_MEMORY, "out of memory for %zu tensors", p->target_count);
    out->tensors = own->tensors;
    for (const plan_target *target = p->first; target; target = target->next) {
        st_tensor *tensor = &own->tensors[out->count];
        float *values = aligned_new(target->count ? target->count : 1, sizeof *values);
        if (!values) return failed(p->error, VOCODE_MEMORY, "no memory for tensor %s", target->name);
        memcpy(own->names[out->count], target->name, sizeof target->name);
        *tensor = (st_tensor){.name = own->names[out->count],
                              .type = DTYPE_F32,
                              .rank = target->rank,
                              .count = target->count,
                              .data = values};
        for (int i = 0; i < target->rank; i++) tensor->shape[i] = target->shape[i];
        out->count++;
        TRY(read_target(p, target, values));
    }
    return VOCODE_OK;
}

const st_tensor *tensor_set_find(const tensor_set *set, const char *name) {
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->tensors[i].name, name) == 0) return &set->tensors[i];
    return NULL;
}

void tensor_set_free(tensor_set *set) {
    tensor_memory *own = set->own;
    if (own) {
        for (size_t i = 0; i < set->count; i++) aligned_free((void *)(uintptr_t)own->tensors[i].data);
        free(own->tensors);
        free(own->names);
        free(own->config);
        free(own);
    }
    *set = (tensor_set){0};
}
