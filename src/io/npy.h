/* NumPy .npy files, as float: versions 1 to 3; dtypes f2 f4 f8, integers and bool; either byte order; C or Fortran
 * order. Format: numpy/lib/format.py, NEP 1. */
#ifndef IO_NPY_H
#define IO_NPY_H

#include <stddef.h>

#include "core/fail.h"

#define NPY_MAX_RANK 8

typedef struct npy_array {
    int rank; /* 0 for a single number */
    size_t shape[NPY_MAX_RANK];
    size_t count; /* product of shape; may be 0 */
    float *data;  /* [count] in C order, owned, never NULL after success */
} npy_array;

/* Reads path ("-" is standard input). The whole file must be one array: trailing bytes and truncation are
 * VOCODE_FORMAT, dtypes without a float meaning VOCODE_UNSUPPORTED. On failure *out is empty. Free with npy_free. */
vocode_status npy_read(const char *path, npy_array *out, vocode_error *error);

/* The same from memory; name is what messages call it. */
vocode_status npy_parse(const void *bytes, size_t size, const char *name, npy_array *out, vocode_error *error);

/* Writes data [shape...] in C order as version 1.0, little-endian float32, byte for byte what numpy.save writes; path
 * "-" is standard output. The file appears whole or not at all. */
vocode_status npy_write(const char *path, const float *data, int rank, const size_t *shape, vocode_error *error);

/* Frees the data and empties the array; an empty array is fine. */
void npy_free(npy_array *array);

#endif
