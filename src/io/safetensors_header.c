#include "io/safetensors_header.h"

#include <string.h>

#include "io/bytes.h"

/* A real header has an object and two arrays with up to ten numbers a tensor: room for some 100,000 tensors. */
static const json_limits header_limits = {.bytes = ST_MAX_HEADER, .depth = 32, .array = 64, .values = (size_t)1 << 20};

vocode_status st_header_parse(const unsigned char *bytes, size_t size, const char *name, json_t **header,
                              size_t *data_offset, vocode_error *error) {
    uint64_t length = 0;
    *header = NULL;
    if (size <= ST_LENGTH_SIZE || bytes[ST_LENGTH_SIZE] != '{')
        return failed(error, VOCODE_FORMAT, "%s: not a safetensors file: it is %s (%zu bytes)", name,
                      bytes_kind(bytes, size), size);
    for (size_t i = 0; i < ST_LENGTH_SIZE; i++) length |= (uint64_t)bytes[i] << (8 * i);
    if (length > ST_MAX_HEADER)
        return failed(error, VOCODE_FORMAT, "%s: the safetensors header claims %llu bytes, at most %zu are read", name,
                      (unsigned long long)length, ST_MAX_HEADER);
    if (length > size - ST_LENGTH_SIZE)
        return failed(
            error, VOCODE_FORMAT,
            "%s: truncated, or it claims more than it holds: the safetensors header needs %llu bytes, the file "
            "has %zu",
            name, (unsigned long long)length + ST_LENGTH_SIZE, size);
    *data_offset = ST_LENGTH_SIZE + (size_t)length;
    vocode_status status =
        json_parse((const char *)bytes + ST_LENGTH_SIZE, (size_t)length, &header_limits, "its header", header, error);
    if (status != VOCODE_OK) return failed_in(error, status, name);
    if (json_is_object(*header)) return VOCODE_OK;
    json_decref(*header);
    *header = NULL;
    return failed(error, VOCODE_FORMAT, "%s: the safetensors header is not a JSON object", name);
}

vocode_status st_header_metadata(const json_t *value, const char *name, vocode_error *error) {
    const char *key;
    json_t *item;
    if (!json_is_object(value))
        return failed(error, VOCODE_FORMAT, "%s: %s is not a JSON object", name, ST_METADATA_KEY);
    json_object_foreach((json_t *)value, key, item) { /* jansson's iterators are not const; nothing is written */
        if (!json_is_string(item))
            return failed(error, VOCODE_FORMAT, "%s: the metadata \"%.200s\" is not a string", name, key);
    }
    return VOCODE_OK;
}

/* A whole number, 0 or more. */
static int size_of(const json_t *value, size_t *out) {
    if (!json_is_integer(value) || json_integer_value(value) < 0) return 0;
    *out = (size_t)json_integer_value(value);
    return 1;
}

static vocode_status read_shape(const char *key, const json_t *shape, const char *name, st_tensor *out,
                                vocode_error *error) {
    const size_t rank = json_array_size(shape);
    if (!json_is_array(shape)) return failed(error, VOCODE_FORMAT, "%s: tensor \"%.200s\" has no shape", name, key);
    if (rank > ST_MAX_RANK)
        return failed(error, VOCODE_UNSUPPORTED, "%s: tensor \"%.200s\" has %zu dimensions, at most %d are read", name,
                      key, rank, ST_MAX_RANK);
    out->rank = (int)rank;
    out->count = 1;
    int empty = 0;
    for (size_t i = 0; i < rank; i++) {
        if (!size_of(json_array_get(shape, i), &out->shape[i]))
            return failed(error, VOCODE_FORMAT, "%s: size %zu of tensor \"%.200s\" is not a whole number", name, i,
                          key);
        if (out->shape[i] == 0)
            empty = 1;
        else if (!size_multiply(out->count, out->shape[i], &out->count))
            return failed(error, VOCODE_FORMAT,
                          "%s: the shape of tensor \"%.200s\" has more elements than fit in memory", name, key);
    }
    if (empty) out->count = 0;
    return VOCODE_OK;
}

static vocode_status read_dtype(const char *key, const json_t *type, const char *name, st_tensor *out,
                                vocode_error *error) {
    const char *text = json_string_value(type);
    if (!text) return failed(error, VOCODE_FORMAT, "%s: tensor \"%.200s\" has no dtype", name, key);
    out->type = dtype_from_name(text, strlen(text));
    if (out->type == DTYPE_COUNT)
        return failed(error, VOCODE_UNSUPPORTED, "%s: tensor \"%.200s\" has the unsupported dtype \"%.40s\"", name, key,
                      text);
    return VOCODE_OK;
}

vocode_status st_header_tensor(const char *key, const json_t *value, const char *data, size_t size, const char *name,
                               st_tensor *out, vocode_error *error) {
    size_t begin, end, bytes;
    *out = (st_tensor){.name = key};
    if (!json_is_object(value) || json_object_size(value) != 3)
        return failed(error, VOCODE_FORMAT,
                      "%s: the entry of tensor \"%.200s\" is not an object of dtype, shape and data_offsets", name,
                      key);
    TRY(read_dtype(key, json_object_get(value, "dtype"), name, out, error));
    TRY(read_shape(key, json_object_get(value, "shape"), name, out, error));
    const json_t *offsets = json_object_get(value, "data_offsets");
    if (json_array_size(offsets) != 2 || !size_of(json_array_get(offsets, 0), &begin) ||
        !size_of(json_array_get(offsets, 1), &end) || begin > end)
        return failed(error, VOCODE_FORMAT, "%s: tensor \"%.200s\" has no data_offsets of a begin and an end", name,
                      key);
    if (!size_multiply(out->count, dtype_size(out->type), &bytes) || bytes != end - begin)
        return failed(error, VOCODE_FORMAT,
                      "%s: tensor \"%.200s\" has %zu elements of %zu bytes by its shape, but %zu bytes by its offsets",
                      name, key, out->count, dtype_size(out->type), end - begin);
    if (end > size)
        return failed(error, VOCODE_FORMAT,
                      "%s: truncated, or it claims more than it holds: tensor \"%.200s\" ends at byte %zu of the data, "
                      "the file has %zu",
                      name, key, end, size);
    out->data = data + begin;
    return VOCODE_OK;
}
