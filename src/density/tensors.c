#include "density/tensors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

vocode_status tensors_write(const param_set *set, char *config, const char *path, vocode_error *error) {
    st_tensor *tensors = calloc(set->count, sizeof *tensors);
    for (size_t i = 0; tensors && i < set->count; i++) {
        const param *p = set->items[i];
        tensors[i] =
            (st_tensor){.name = p->name, .type = REAL_DTYPE, .rank = p->rank, .count = p->count, .data = p->value};
        memcpy(tensors[i].shape, p->shape, (size_t)p->rank * sizeof *p->shape);
    }
    const st_entry metadata[] = {{"format", "vocode"}, {"version", "1"}, {"config", config}};
    vocode_status status =
        tensors && config ? st_write(path, tensors, set->count, metadata, sizeof metadata / sizeof *metadata, error)
                          : failed(error, VOCODE_MEMORY, "%s: out of memory to write it", path);
    free(tensors);
    free(config);
    return status;
}

vocode_status tensors_open(const char *path, st_file **file, json_t **config, vocode_error *error) {
    *config = NULL;
    TRY(st_open(path, file, error));
    const char *format = st_metadata(*file, "format"), *version = st_metadata(*file, "version");
    const char *text = st_metadata(*file, "config");
    vocode_status status = VOCODE_OK;
    if (!format || strcmp(format, "vocode") != 0 || !text || !version || strcmp(version, "1") != 0)
        status = failed(error, VOCODE_FORMAT, "%s: a safetensors file, but not a vocode model of version 1", path);
    if (status == VOCODE_OK) status = json_parse(text, strlen(text), NULL, path, config, error);
    if (status != VOCODE_OK) {
        st_close(*file);
        *file = NULL;
    }
    return status;
}

size_t tensors_limit(const st_file *file) {
    size_t total = 0;
    for (size_t i = 0; i < st_count(file); i++) total += st_at(file, i)->count; /* cannot wrap: they are in the file */
    return total;
}

vocode_status tensors_read(param_set *set, const st_file *file, const char *of, const char *path, vocode_error *error) {
    if (st_count(file) != set->count)
        return failed(error, VOCODE_SHAPE, "%s: expected %zu tensors for %.200s, found %zu", path, set->count, of,
                      st_count(file));
    for (size_t i = 0; i < set->count; i++) {
        param *p = set->items[i];
        const st_tensor *tensor = st_find(file, p->name);
        if (!tensor) return failed(error, VOCODE_SHAPE, "%s: expected a tensor %s, found none", path, p->name);
        bool fits = tensor->rank == p->rank && dtype_is_float(tensor->type);
        for (int axis = 0; fits && axis < p->rank; axis++) fits = tensor->shape[axis] == p->shape[axis];
        if (!fits)
            return failed(error, VOCODE_SHAPE, "%s: tensor %s: expected %zu floating point numbers, found %zu of %s",
                          path, p->name, p->count, tensor->count, dtype_name(tensor->type));
        dtype_to_real(tensor->type, tensor->data, 0, p->value, p->count);
        for (size_t k = 0; k < p->count; k++)
            if (!isfinite(p->value[k]))
                return failed(error, VOCODE_VALUE, "%s: tensor %s: element %zu is not finite", path, p->name, k);
    }
    return VOCODE_OK;
}
