#include "io/npy.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/atomic.h"
#include "io/bytes.h"
#include "io/npy_header.h"

#define HEADER_ALIGNMENT 64 /* numpy.lib.format.ARRAY_ALIGN: the data starts at a multiple of it */
#define HEADER_ROOM 512     /* eight sizes of 20 digits and the fixed text */

void npy_free(npy_array *array) {
    free(array->data);
    *array = (npy_array){0};
}

/* Elements stand with the first axis fastest; target gets the last axis fastest. */
static void convert_fortran(const npy_header *header, const unsigned char *source, float *target) {
    size_t width = dtype_size(header->type), index[NPY_MAX_RANK] = {0}, stride[NPY_MAX_RANK], position = 0;
    for (size_t i = 0, step = 1; i < (size_t)header->rank; step *= header->shape[i++]) stride[i] = step;
    for (size_t i = 0; i < header->count; i++) {
        dtype_to_float(header->type, source + position * width, header->swap, &target[i], 1);
        for (int axis = header->rank - 1; axis >= 0; axis--) {
            position += stride[axis];
            if (++index[axis] < header->shape[axis]) break;
            position -= stride[axis] * header->shape[axis];
            index[axis] = 0;
        }
    }
}

vocode_status npy_parse(const void *bytes, size_t size, const char *name, npy_array *out, vocode_error *error) {
    npy_header header;
    size_t needed, room;
    *out = (npy_array){0};
    TRY(npy_header_parse(bytes, size, name, &header, error));
    size_t present = size - header.data_offset;
    if (!size_multiply(header.count, dtype_size(header.type), &needed) || needed > present)
        return failed(error, VOCODE_FORMAT,
                      "%s: truncated: %zu elements of %zu bytes announced, %zu bytes of data found", name, header.count,
                      dtype_size(header.type), present);
    if (needed < present)
        return failed(error, VOCODE_FORMAT, "%s: %zu bytes follow the array of %zu bytes", name, present - needed,
                      needed);
    if (!size_multiply(header.count, sizeof(float), &room))
        return failed(error, VOCODE_MEMORY, "%s: no memory for %zu elements", name, header.count);
    float *data = malloc(room ? room : sizeof(float));
    if (!data) return failed(error, VOCODE_MEMORY, "%s: no memory for %zu bytes", name, room);
    const unsigned char *source = (const unsigned char *)bytes + header.data_offset;
    if (header.fortran && header.rank > 1)
        convert_fortran(&header, source, data);
    else
        dtype_to_float(header.type, source, header.swap, data, header.count);
    out->rank = header.rank;
    memcpy(out->shape, header.shape, sizeof out->shape);
    out->count = header.count;
    out->data = data;
    return VOCODE_OK;
}

vocode_status npy_read(const char *path, npy_array *out, vocode_error *error) {
    unsigned char *bytes;
    size_t size;
    *out = (npy_array){0};
    TRY(bytes_read(path, SIZE_MAX / 2, &bytes, &size, error));
    vocode_status status = npy_parse(bytes, size, input_name(path), out, error);
    free(bytes);
    return status;
}

/* Writes magic, version, length and dict to header and returns their size, a multiple of HEADER_ALIGNMENT. */
static size_t make_header(char header[HEADER_ROOM], int rank, const size_t *shape) {
    const size_t before = 10;      /* magic, version and the u16 length */
    const int growing_digits = 21; /* numpy reserves room so that the first axis can grow in place */
    size_t used = before;
    used += (size_t)sprintf(header + used, "{'descr': '<f4', 'fortran_order': False, 'shape': (");
    for (int i = 0; i < rank; i++) {
        used += (size_t)sprintf(header + used, i == 0 ? "%zu" : ", %zu", shape[i]);
        if (rank == 1) header[used++] = ',';
    }
    used += (size_t)sprintf(header + used, "), }");
    size_t reserved = used;
    if (rank > 0) reserved += (size_t)(growing_digits - snprintf(NULL, 0, "%zu", shape[0]));
    size_t size = ((reserved + 1) / HEADER_ALIGNMENT + 1) * HEADER_ALIGNMENT; /* numpy pads 1 to 64 bytes */
    memset(header + used, ' ', size - used);
    header[size - 1] = '\n';
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)((size - before) & 0xff);
    header[9] = (char)((size - before) >> 8);
    return size;
}

vocode_status npy_write(const char *path, const float *data, int rank, const size_t *shape, vocode_error *error) {
    char header[HEADER_ROOM];
    atomic_file *file;
    size_t bytes = sizeof(float);
    if (rank < 0 || rank > NPY_MAX_RANK)
        return failed(error, VOCODE_ARGUMENT, "%s: cannot write %d dimensions, at most %d", path, rank, NPY_MAX_RANK);
    for (int i = 0; i < rank; i++)
        if (!size_multiply(bytes, shape[i], &bytes))
            return failed(error, VOCODE_ARGUMENT, "%s: the array to write has more bytes than fit in memory", path);
    size_t header_size = make_header(header, rank, shape);
    TRY(atomic_open(path, &file, error));
    vocode_status status = atomic_write(file, header, header_size, error);
    if (status == VOCODE_OK) status = atomic_write(file, data, bytes, error);
    if (status == VOCODE_OK) return atomic_commit(file, error);
    atomic_abort(file);
    return status;
}
