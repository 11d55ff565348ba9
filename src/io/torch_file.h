/* Checkpoints that torch.save wrote: the zip container (since 1.6) and the legacy one before it. What was saved is a
 * graph of plain nodes (io/torch_pickle.h); tensors in it are read one by one, when asked for, so what nobody asks for
 * (an optimizer's state) is never read. Nothing in the file is executed or believed unchecked. */
#ifndef IO_TORCH_FILE_H
#define IO_TORCH_FILE_H

#include <stddef.h>

#include "core/dtype.h"
#include "core/fail.h"
#include "io/torch_pickle.h"

#define TORCH_MAX_RANK 8

/* Bytes that all entries inflated from one file may take together, and all tensors read from it: compressed entries and
 * tensors with stride 0 could claim any size. The widest honest ones are half-precision weights, doubled. */
#define TORCH_BELIEVED(file_size) (4 * (file_size) + ((size_t)60 << 10))

typedef struct torch_file torch_file; /* for one thread at a time */

/* Maps path ("-" is standard input) and reads its objects. VOCODE_IO for an unreadable file, VOCODE_FORMAT for a
 * damaged one, VOCODE_UNSUPPORTED for what is no such checkpoint (TorchScript, .npy, safetensors, a tar of 2017, ...):
 * the sentence says what it is. Sentences begin with the file's name. Free with torch_close. */
vocode_status torch_open(const char *path, torch_file **out, vocode_error *error);

/* The same over bytes that the caller keeps alive until torch_close; name is what messages call it. */
vocode_status torch_parse(const void *bytes, size_t size, const char *name, torch_file **out, vocode_error *error);

void torch_close(torch_file *file); /* NULL is fine */

const char *torch_name(const torch_file *file);
size_t torch_size(const torch_file *file); /* bytes */
const pickle *torch_graph(const torch_file *file);

/* Where a tensor's elements lie. */
typedef struct torch_tensor {
    dtype type;
    int rank;
    size_t shape[TORCH_MAX_RANK], stride[TORCH_MAX_RANK]; /* in elements */
    size_t count;                                         /* product of shape */
    size_t offset;                                        /* of the first element, in elements of its storage */
    size_t limit;                                         /* elements the storage is said to hold */
    pickle_ref key;                                       /* the storage's name */
} torch_tensor;

/* Nonzero where ref is a call that makes a tensor or a parameter of one of the kinds that are understood. */
int torch_is_tensor(const pickle *graph, pickle_ref ref);

/* The tensor that ref makes, with its bounds checked against the size that its storage is said to have; name is what
 * messages call it. VOCODE_FORMAT, or VOCODE_UNSUPPORTED for element types without a float meaning. */
vocode_status torch_tensor_describe(const torch_file *file, pickle_ref ref, const char *name, torch_tensor *out,
                                    vocode_error *error);

/* Its elements in C order, each rounded to float, to target [count]; name as above. */
vocode_status torch_tensor_read(torch_file *file, const torch_tensor *tensor, const char *name, float *target,
                                vocode_error *error);

#endif
