/* safetensors files: a u64 header length, a JSON header, the tensors' bytes. Everything in the header is checked before
 * it is believed: lengths, offsets, overlaps, gaps, shapes and dtypes. Format: github.com/huggingface/safetensors. */
#ifndef IO_SAFETENSORS_H
#define IO_SAFETENSORS_H

#include <stddef.h>

#include "core/dtype.h"
#include "core/fail.h"

#define ST_MAX_RANK 8
#define ST_MAX_HEADER ((size_t)100000000) /* bytes, as in the reference implementation */

typedef struct st_tensor {
    const char *name; /* borrowed: lives as long as the file */
    dtype type;
    int rank;
    size_t shape[ST_MAX_RANK];
    size_t count;     /* product of shape */
    const void *data; /* count elements in C order, little-endian; may be unaligned: read them through core/dtype.h */
} st_tensor;

typedef struct st_file st_file; /* immutable once open: any number of threads may read it */

/* Maps path into memory. The tensors point into the mapping and live until st_close. */
vocode_status st_open(const char *path, st_file **out, vocode_error *error);

/* The same over bytes that the caller keeps alive until st_close; name is what messages call it. */
vocode_status st_parse(const void *bytes, size_t size, const char *name, st_file **out, vocode_error *error);

void st_close(st_file *file); /* NULL is fine */

size_t st_count(const st_file *file);
const st_tensor *st_at(const st_file *file, size_t index);       /* in the header's order; index < st_count */
const st_tensor *st_find(const st_file *file, const char *name); /* NULL when absent */
const char *st_metadata(const st_file *file, const char *key);   /* NULL when absent; lives as long as the file */

typedef struct st_entry {
    const char *key, *value; /* UTF-8 */
} st_entry;

/* Writes the tensors in the given order with the metadata (entries may be 0) before them. The same input gives the same
 * bytes, and the file appears whole or not at all. Each tensor's count must be the product of its shape. */
vocode_status st_write(const char *path, const st_tensor *tensors, size_t count, const st_entry *metadata,
                       size_t entries, vocode_error *error);

#endif
