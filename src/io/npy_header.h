/* The header of a .npy file: a magic, a version, a length and a Python literal of a dict. */
#ifndef IO_NPY_HEADER_H
#define IO_NPY_HEADER_H

#include <stddef.h>

#include "core/dtype.h"
#include "core/fail.h"
#include "io/npy.h"

typedef struct npy_header {
    dtype type;
    int swap;    /* 1: bytes of an element are in the other order than the host's */
    int fortran; /* 1: the first axis runs fastest */
    int rank;
    size_t shape[NPY_MAX_RANK];
    size_t count;       /* product of shape */
    size_t data_offset; /* bytes from the beginning of the file */
} npy_header;

/* Reads the header at the start of size bytes, which need not hold the data. */
vocode_status npy_header_parse(const unsigned char *bytes, size_t size, const char *name, npy_header *out,
                               vocode_error *error);

#endif
