/* Parameters from tensors by name. A float tensor that lies aligned in a mapped file is used where it is; the rest is
 * converted into memory of the model's own. Weight norm is a matter of storage: a model built with it takes a folded
 * "weight" (g = |w|, v = w), and one built without folds "weight_g" and "weight_v". */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "vocoder/model.h"

typedef struct tensor_index {
    const st_tensor **sorted;
    size_t count;
    bool in_place; /* tensors may be used where they are */
} tensor_index;

static int by_name(const void *a, const void *b) {
    return strcmp((*(const st_tensor *const *)a)->name, (*(const st_tensor *const *)b)->name);
}

static const st_tensor *find(const tensor_index *index, const char *name) {
    st_tensor wanted = {.name = name};
    const st_tensor *key = &wanted;
    const st_tensor *const *hit = bsearch(&key, index->sorted, index->count, sizeof *index->sorted, by_name);
    return hit ? *hit : NULL;
}

/* The tensor called p's name with its ending exchanged, or NULL where p's name does not end so. */
static const st_tensor *find_sibling(const tensor_index *index, const param *p, const char *ending, const char *other) {
    size_t length = strlen(p->name), cut = strlen(ending);
    if (length < cut || strcmp(p->name + length - cut, ending) != 0) return NULL;
    char name[PARAM_NAME_SIZE + 16];
    snprintf(name, sizeof name, "%.*s%s", (int)(length - cut), p->name, other);
    return find(index, name);
}

static void shape_text(char *text, size_t size, int rank, const size_t *shape) {
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, i ? ", %zu" : "%zu", shape[i]);
    if (used < size) snprintf(text + used, size - used, "]");
}

/* Shapes are equal when they are after dropping axes of length 1: [c, c, 1] holds what [c, c] holds. */
static bool same_shape(int rank, const size_t *shape, int other_rank, const size_t *other) {
    int i = 0, j = 0;
    for (;;) {
        while (i < rank && shape[i] == 1) i++;
        while (j < other_rank && other[j] == 1) j++;
        if (i == rank || j == other_rank) return i == rank && j == other_rank;
        if (shape[i++] != other[j++]) return false;
    }
}

static vocode_status check(const param *p, const st_tensor *tensor, int rank, const size_t *shape, const char *where,
                           vocode_error *error) {
    char expected[128], found[256];
    if (!dtype_is_float(tensor->type))
        return failed(error, VOCODE_VALUE, "%s: tensor %s: expected floating point numbers, found %s", where,
                      tensor->name, dtype_name(tensor->type));
    if (same_shape(rank, shape, tensor->rank, tensor->shape)) return VOCODE_OK;
    shape_text(expected, sizeof expected, rank, shape);
    shape_text(found, sizeof found, tensor->rank, tensor->shape);
    return failed(error, VOCODE_SHAPE, "%s: tensor %s: expected the shape %s, found %s", where, p->name, expected,
                  found);
}

static vocode_status check_finite(const param *p, const char *where, vocode_error *error) {
    for (size_t i = 0; i < p->count; i++)
        if (!isfinite(p->value[i]))
            return failed(error, VOCODE_VALUE, "%s: tensor %s: element %zu is %s", where, p->name, i,
                          isnan(p->value[i]) ? "NaN" : "infinite");
    return VOCODE_OK;
}

static double norm(const real *row, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)row[i] * (double)row[i];
    return sqrt(sum);
}

/* weight_g of a folded weight: the norm of each output's row. */
static vocode_status gain_of(param *p, const st_tensor *folded, const char *where, vocode_error *error) {
    size_t outputs = p->count, fan = outputs && folded->count % outputs == 0 ? folded->count / outputs : 0;
    real *row = fan ? aligned_new(fan, sizeof *row) : NULL;
    if (!row) return failed(error, VOCODE_SHAPE, "%s: tensor %s does not fit %s", where, folded->name, p->name);
    for (size_t o = 0; o < outputs; o++) {
        const char *bytes = folded->data;
        dtype_to_real(folded->type, bytes + o * fan * dtype_size(folded->type), 0, row, fan);
        p->value[o] = (real)norm(row, fan);
    }
    aligned_free(row);
    return VOCODE_OK;
}

/* A plain weight from a gain and a direction: w = g v / |v|. */
static vocode_status fold(param *p, const st_tensor *gain, const st_tensor *direction, const char *where,
                          vocode_error *error) {
    size_t outputs = p->shape[0], fan = p->count / (outputs ? outputs : 1);
    TRY(check(p, direction, p->rank, p->shape, where, error));
    TRY(check(p, gain, 1, &outputs, where, error));
    dtype_to_real(direction->type, direction->data, 0, p->value, p->count);
    for (size_t o = 0; o < outputs; o++) {
        const char *bytes = gain->data;
        double length = norm(p->value + o * fan, fan);
        double scale = length > 0 ? dtype_load(gain->type, bytes + o * dtype_size(gain->type), 0) / length : 0;
        for (size_t i = 0; i < fan; i++) p->value[o * fan + i] = (real)(scale * (double)p->value[o * fan + i]);
    }
    return VOCODE_OK;
}

static bool usable_in_place(const tensor_index *index, const st_tensor *tensor) {
    return index->in_place && tensor && tensor->type == REAL_DTYPE && (uintptr_t)tensor->data % sizeof(real) == 0;
}

static vocode_status bind_one(param *p, const tensor_index *index, bool mapped, const char *where,
                              vocode_error *error) {
    const st_tensor *tensor = find(index, p->name);
    const st_tensor *folded = find_sibling(index, p, "weight_v", "weight");
    if (!tensor && folded) tensor = folded;
    if (tensor) {
        TRY(check(p, tensor, p->rank, p->shape, where, error));
        p->mapped = mapped && usable_in_place(index, tensor);
        if (usable_in_place(index, tensor))
            p->value = (real *)(uintptr_t)tensor->data; /* read-only memory: nothing writes a mapped model's values */
        else
            dtype_to_real(tensor->type, tensor->data, 0, p->value, p->count);
        TRY(check_finite(p, where, error));
        param_rest(p);
        return VOCODE_OK;
    }
    const st_tensor *source = find_sibling(index, p, "weight_g", "weight");
    const st_tensor *gain = find_sibling(index, p, "weight", "weight_g");
    const st_tensor *direction = find_sibling(index, p, "weight", "weight_v");
    if (source)
        TRY(gain_of(p, source, where, error));
    else if (gain && direction)
        TRY(fold(p, gain, direction, where, error));
    else
        return failed(error, VOCODE_FORMAT, "%s: tensor %s is missing", where, p->name);
    return check_finite(p, where, error);
}

/* Places in model->unmapped for every value that cannot be used in the file; the rest is bound by bind_one. */
static vocode_status give_memory(vocode_model *model, const tensor_index *index, const char *where,
                                 vocode_error *error) {
    size_t total = 0;
    for (int pass = 0; pass < 2; pass++) {
        size_t used = 0;
        for (size_t i = 0; i < model->params.count; i++) {
            param *p = model->params.items[i];
            if (usable_in_place(index, find(index, p->name))) continue;
            if (pass) p->value = model->unmapped + used;
            used += p->count;
        }
        if (pass) break;
        total = used;
        model->unmapped = aligned_new(total, sizeof(real));
        if (!model->unmapped) return failed(error, VOCODE_MEMORY, "%s: cannot allocate %zu parameters", where, total);
    }
    return VOCODE_OK;
}

static vocode_status bind_all(vocode_model *model, const tensor_index *index, const char *where, vocode_error *error) {
    TRY(give_memory(model, index, where, error));
    for (size_t i = 0; i < model->params.count; i++)
        TRY(bind_one(model->params.items[i], index, model->mapped, where, error));
    return VOCODE_OK;
}

static vocode_status make_index(const st_tensor *tensors, size_t count, const char *where, tensor_index *index,
                                vocode_error *error) {
    *index = (tensor_index){.sorted = calloc(count ? count : 1, sizeof *index->sorted), .count = count};
    if (!index->sorted)
        return failed(error, VOCODE_MEMORY, "%s: cannot allocate an index of %zu tensors", where, count);
    for (size_t i = 0; i < count; i++) index->sorted[i] = &tensors[i];
    qsort(index->sorted, count, sizeof *index->sorted, by_name);
    return VOCODE_OK;
}

vocode_status model_bind(vocode_model *model, const st_tensor *tensors, size_t count, const char *where,
                         vocode_error *error) {
    tensor_index index;
    if (model->params.failed)
        return failed(error, VOCODE_MEMORY, "%s: a parameter's name or size is impossible, or memory ran out", where);
    TRY(make_index(tensors, count, where, &index, error));
    index.in_place = true;
    vocode_status status = bind_all(model, &index, where, error);
    free(index.sorted);
    return status;
}

vocode_status model_copy_weights(vocode_model *model, const st_tensor *tensors, size_t count, const char *where,
                                 const warning_sink *missing, vocode_error *error) {
    tensor_index index;
    size_t taken = 0;
    TRY(make_index(tensors, count, where, &index, error));
    for (size_t i = 0; i < model->params.count; i++) {
        vocode_error reason = {0};
        if (bind_one(model->params.items[i], &index, false, where, &reason) == VOCODE_OK)
            taken++;
        else
            warn_caller(missing, "%s; it keeps its fresh values", reason.message);
    }
    free(index.sorted);
    return taken ? VOCODE_OK
                 : failed(error, VOCODE_VALUE, "%s: none of its %zu tensors fits the configuration", where, count);
}
