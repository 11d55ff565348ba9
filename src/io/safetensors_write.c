#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/atomic.h"
#include "io/bytes.h"
#include "io/safetensors.h"
#include "io/safetensors_header.h"

#define HEADER_ALIGNMENT 8 /* the data starts at a multiple of it */

/* Puts value, which is taken over, under a key that must be new. */
static vocode_status put_new(json_t *object, const char *key, json_t *value, const char *path, vocode_error *error) {
    if (json_object_get(object, key)) {
        json_decref(value);
        return failed(error, VOCODE_ARGUMENT, "cannot write %s: the name \"%.200s\" comes twice", path, key);
    }
    if (json_object_set_new(object, key, value) != 0)
        return failed(error, VOCODE_ARGUMENT, "cannot write %s: \"%.200s\" or its value is not UTF-8 text", path, key);
    return VOCODE_OK;
}

static vocode_status put_metadata(json_t *header, const st_entry *metadata, size_t entries, const char *path,
                                  vocode_error *error) {
    json_t *object = json_object();
    if (json_object_set_new(header, ST_METADATA_KEY, object) != 0)
        return failed(error, VOCODE_MEMORY, "cannot write %s: out of memory", path);
    for (size_t i = 0; i < entries; i++)
        TRY(put_new(object, metadata[i].key, json_string(metadata[i].value), path, error));
    return VOCODE_OK;
}

/* The entry of a tensor whose bytes start at *offset, which moves to their end. */
static vocode_status put_tensor(json_t *header, const st_tensor *tensor, size_t *offset, const char *path,
                                vocode_error *error) {
    size_t product = 1, bytes, end;
    json_t *shape = json_array();
    for (int i = 0; i < tensor->rank; i++) {
        if (!size_multiply(product, tensor->shape[i], &product)) product = SIZE_MAX;
        json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i]));
    }
    if (product != tensor->count || !size_multiply(product, dtype_size(tensor->type), &bytes) ||
        __builtin_add_overflow(*offset, bytes, &end) || end > INT64_MAX) {
        json_decref(shape);
        return failed(error, VOCODE_ARGUMENT, "cannot write %s: tensor \"%.200s\" has %zu elements, its shape %zu",
                      path, tensor->name, tensor->count, product);
    }
    json_t *entry = json_pack("{s:s, s:o, s:[I, I]}", "dtype", dtype_name(tensor->type), "shape", shape, "data_offsets",
                              (json_int_t)*offset, (json_int_t)end);
    if (!entry) return failed(error, VOCODE_MEMORY, "cannot write %s: out of memory", path);
    *offset = end;
    return put_new(header, tensor->name, entry, path, error);
}

static vocode_status make_header(json_t *header, const st_tensor *tensors, size_t count, const st_entry *metadata,
                                 size_t entries, const char *path, vocode_error *error) {
    size_t offset = 0;
    if (entries > 0) TRY(put_metadata(header, metadata, entries, path, error));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(tensors[i].name, ST_METADATA_KEY) == 0)
            return failed(error, VOCODE_ARGUMENT, "cannot write %s: no tensor may be called %s", path, ST_METADATA_KEY);
        TRY(put_tensor(header, &tensors[i], &offset, path, error));
    }
    return VOCODE_OK;
}

/* Length, header padded with spaces, tensors. */
static vocode_status write_all(atomic_file *file, const char *text, const st_tensor *tensors, size_t count,
                               vocode_error *error) {
    size_t size = strlen(text), padded = (size + HEADER_ALIGNMENT - 1) / HEADER_ALIGNMENT * HEADER_ALIGNMENT;
    unsigned char length[ST_LENGTH_SIZE];
    for (size_t i = 0; i < ST_LENGTH_SIZE; i++) length[i] = (unsigned char)(padded >> (8 * i));
    TRY(atomic_write(file, length, sizeof length, error));
    TRY(atomic_write(file, text, size, error));
    TRY(atomic_write(file, "       ", padded - size, error)); /* at most HEADER_ALIGNMENT - 1 */
    for (size_t i = 0; i < count; i++)
        TRY(atomic_write(file, tensors[i].data, tensors[i].count * dtype_size(tensors[i].type), error));
    return VOCODE_OK;
}

vocode_status st_write(const char *path, const st_tensor *tensors, size_t count, const st_entry *metadata,
                       size_t entries, vocode_error *error) {
    atomic_file *file;
    json_t *header = json_object();
    vocode_status status = make_header(header, tensors, count, metadata, entries, path, error);
    char *text = status == VOCODE_OK ? json_dumps(header, JSON_COMPACT) : NULL;
    json_decref(header);
    if (status != VOCODE_OK) return status;
    if (!text) return failed(error, VOCODE_MEMORY, "cannot write %s: out of memory", path);
    status = strlen(text) > ST_MAX_HEADER
                 ? failed(error, VOCODE_ARGUMENT, "cannot write %s: a header of %zu bytes, at most %zu are read back",
                          path, strlen(text), ST_MAX_HEADER)
                 : atomic_open(path, &file, error);
    if (status == VOCODE_OK) {
        status = write_all(file, text, tensors, count, error);
        if (status == VOCODE_OK)
            status = atomic_commit(file, error);
        else
            atomic_abort(file);
    }
    free(text);
    return status;
}
