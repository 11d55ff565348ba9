#include "vocoder/import_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/bytes.h"

/* Names of weight norm as torch.nn.utils.parametrizations writes them, and as they are called here. */
static const struct {
    const char *written, *name;
} renamed[] = {
    {".parametrizations.weight.original0", ".weight_g"},
    {".parametrizations.weight.original1", ".weight_v"},
};

static int compare_sources(const void *a, const void *b) {
    const plan_source *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    return order ? order : (left->entry > right->entry) - (left->entry < right->entry);
}

/* Shortens the name in place where it is that of a parametrization. */
static void rename_entry(tree_entry *entry) {
    size_t length = strlen(entry->name);
    for (size_t i = 0; i < sizeof renamed / sizeof *renamed; i++) {
        size_t tail = strlen(renamed[i].written);
        if (length > tail && strcmp(entry->name + length - tail, renamed[i].written) == 0)
            strcpy(entry->name + length - tail, renamed[i].name);
    }
}

vocode_status plan_begin(plan *p, tree *t, const char *prefix, const warning_sink *warnings, vocode_error *error) {
    *p = (plan){.tree = t, .warnings = warnings, .error = error};
    p->last = &p->first;
    size_t length = strlen(prefix);
    p->sources = calloc(t->count, sizeof *p->sources);
    if (!p->sources) return failed(error, VOCODE_MEMORY, "out of memory for the names of tensors");
    for (size_t i = 0; i < t->count; i++) {
        if (strncmp(t->entries[i].name, prefix, length) != 0) continue;
        rename_entry(&t->entries[i]);
        p->sources[p->source_count++] = (plan_source){t->entries[i].name + length, &t->entries[i], 0};
    }
    qsort(p->sources, p->source_count, sizeof *p->sources, compare_sources);
    return VOCODE_OK;
}

void plan_free(plan *p) {
    while (p->first) {
        plan_target *next = p->first->next;
        free(p->first);
        p->first = next;
    }
    free(p->sources);
    *p = (plan){0};
}

static int compare_name(const void *name, const void *source) {
    return strcmp(name, ((const plan_source *)source)->name);
}

plan_source *plan_find(const plan *p, const char *name) {
    if (p->source_count == 0) return NULL;
    plan_source *found = bsearch(name, p->sources, p->source_count, sizeof *p->sources, compare_name);
    while (found && found + 1 < p->sources + p->source_count && strcmp(found[1].name, name) == 0) found++;
    return found; /* of a name that occurs twice, the last */
}

static plan_source *find_of(const plan *p, const char *layer, const char *tensor) {
    char name[TREE_NAME_SIZE];
    snprintf(name, sizeof name, "%s.%s", layer, tensor);
    return plan_find(p, name);
}

int plan_layer_shape(plan *p, const char *layer, size_t shape[PLAN_MAX_RANK]) {
    plan_source *source = find_of(p, layer, "weight_v");
    if (!source) source = find_of(p, layer, "weight");
    torch_tensor tensor;
    if (!source || source->entry->foreign ||
        torch_tensor_describe(p->tree->file, source->entry->ref, source->entry->name, &tensor, NULL) != VOCODE_OK ||
        tensor.rank > PLAN_MAX_RANK)
        return 0;
    for (int i = 0; i < PLAN_MAX_RANK; i++) shape[i] = i < tensor.rank ? tensor.shape[i] : 1;
    return 1;
}

/* "[2, 3, 1]" */
static const char *shape_text(char *text, size_t size, int rank, const size_t *shape) {
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, i ? ", %zu" : "%zu", shape[i]);
    if (used < size) snprintf(text + used, size - used, "]");
    return text;
}

/* Equal but for axes of length 1: old 1x1 weights are [c, c], gains [rows] or [rows, 1, 1]. */
static int same_shape(const torch_tensor *tensor, int rank, const size_t *shape) {
    int i = 0, j = 0;
    for (;;) {
        while (i < tensor->rank && tensor->shape[i] == 1) i++;
        while (j < rank && shape[j] == 1) j++;
        if (i == tensor->rank || j == rank) return i == tensor->rank && j == rank;
        if (tensor->shape[i++] != shape[j++]) return 0;
    }
}

/* Describes the source and holds it to the shape; from here on it is used. */
static vocode_status take(plan *p, plan_source *source, int rank, const size_t *shape, torch_tensor *tensor) {
    const tree_entry *entry = source->entry;
    source->used = 1;
    if (entry->foreign) return tree_refuse_class(p->tree, entry, p->error);
    TRY(torch_tensor_describe(p->tree->file, entry->ref, entry->name, tensor, p->error));
    char expected[80], found[240];
    if (!dtype_is_float(tensor->type))
        return failed(p->error, VOCODE_UNSUPPORTED, "tensor %s is of type %s, expected floating point numbers",
                      entry->name, dtype_name(tensor->type));
    if (same_shape(tensor, rank, shape)) return VOCODE_OK;
    return failed(p->error, VOCODE_SHAPE, "tensor %s: expected the shape %s, found %s", entry->name,
                  shape_text(expected, sizeof expected, rank, shape),
                  shape_text(found, sizeof found, tensor->rank, tensor->shape));
}

/* A new target of that shape at the end of the list, its parts zero. */
static vocode_status add_target(plan *p, const char *layer, const char *tensor, int rank, const size_t *shape,
                                size_t parts, plan_target **out) {
    plan_target *target = calloc(1, sizeof *target + parts * sizeof *target->part);
    if (!target) return failed(p->error, VOCODE_MEMORY, "out of memory for the plan of tensor %s", layer);
    *p->last = target;
    p->last = &target->next;
    p->target_count++;
    snprintf(target->name, sizeof target->name, "%s%s%s", layer, tensor ? "." : "", tensor ? tensor : "");
    target->rank = rank;
    target->parts = parts;
    target->count = 1;
    size_t bytes, limit = TORCH_BELIEVED(torch_size(p->tree->file));
    int fits = 1;
    for (int i = 0; i < rank; i++) {
        target->shape[i] = shape[i];
        fits = fits && size_multiply(target->count, shape[i], &target->count);
    }
    fits = fits && size_multiply(target->count, sizeof(float), &bytes) && bytes <= limit - p->bytes &&
           p->target_count * sizeof(st_tensor) <= limit;
    if (!fits)
        return failed(p->error, VOCODE_FORMAT,
                      "tensor %s and those before it take more than %zu bytes, too many for a "
                      "file of %zu",
                      target->name, limit, torch_size(p->tree->file));
    p->bytes += bytes;
    for (size_t i = 0; i < parts; i++) target->part[i].gain.rank = -1;
    *out = target;
    return VOCODE_OK;
}

static vocode_status missing(plan *p, const char *layer, const char *tensor) {
    return failed(p->error, VOCODE_FORMAT, "tensor %s.%s is missing", layer, tensor);
}

vocode_status plan_tensor(plan *p, const char *name, int rank, const size_t *shape) {
    plan_source *source = plan_find(p, name);
    if (!source) return failed(p->error, VOCODE_FORMAT, "tensor %s is missing", name);
    plan_target *target = NULL;
    TRY(add_target(p, name, NULL, rank, shape, 1, &target));
    target->part[0].name = source->entry->name;
    return take(p, source, rank, shape, &target->part[0].tensor);
}

/* Plans tensor ("bias", "weight_g", ...) of the merged layers. shape[0] is the sum of their rows. */
static vocode_status plan_rows_of(plan *p, const char *layer, const char *tensor, const plan_rows *from, size_t count,
                                  int rank, const size_t *shape) {
    plan_target *target = NULL;
    TRY(add_target(p, layer, tensor, rank, shape, count, &target));
    for (size_t i = 0; i < count; i++) {
        size_t part[PLAN_MAX_RANK] = {from[i].rows, rank > 1 ? shape[1] : 1, rank > 2 ? shape[2] : 1};
        plan_source *source = find_of(p, from[i].layer, tensor);
        plan_source *gain = source || strcmp(tensor, "weight") != 0 ? NULL : find_of(p, from[i].layer, "weight_g");
        if (gain) {
            source = find_of(p, from[i].layer, "weight_v");
            TRY(take(p, gain, 1, part, &target->part[i].gain));
        }
        if (!source) return missing(p, from[i].layer, gain ? "weight_v" : tensor);
        target->part[i].name = source->entry->name;
        TRY(take(p, source, rank, part, &target->part[i].tensor));
    }
    return VOCODE_OK;
}

vocode_status plan_layers(plan *p, const char *layer, const plan_rows *from, size_t count, size_t columns, size_t taps,
                          int normed) {
    size_t shape[PLAN_MAX_RANK] = {0, columns, taps};
    for (size_t i = 0; i < count; i++) {
        shape[0] += from[i].rows;
        normed = normed && find_of(p, from[i].layer, "weight_g") && find_of(p, from[i].layer, "weight_v");
    }
    if (normed) {
        TRY(plan_rows_of(p, layer, "weight_g", from, count, PLAN_MAX_RANK, (size_t[]){shape[0], 1, 1}));
        TRY(plan_rows_of(p, layer, "weight_v", from, count, PLAN_MAX_RANK, shape));
        for (size_t i = 0; i < count; i++) { /* the product that some writers keep beside its factors */
            plan_source *product = find_of(p, from[i].layer, "weight");
            if (product) product->used = 1;
        }
    } else {
        TRY(plan_rows_of(p, layer, "weight", from, count, PLAN_MAX_RANK, shape));
    }
    return plan_rows_of(p, layer, "bias", from, count, 1, shape);
}

vocode_status plan_layer(plan *p, const char *layer, size_t rows, size_t columns, size_t taps, int normed) {
    plan_rows from = {.rows = rows};
    snprintf(from.layer, sizeof from.layer, "%s", layer);
    return plan_layers(p, layer, &from, 1, columns, taps, normed);
}
