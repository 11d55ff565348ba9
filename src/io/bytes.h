/* Whole files as bytes, and what an unexpected file looks like. */
#ifndef IO_BYTES_H
#define IO_BYTES_H

#include <stddef.h>

#include "core/fail.h"

/* Reads all of path ("-" is standard input, pipes work) into *out, which the caller frees with free(); one zero byte
 * follows the size bytes. More than limit bytes is VOCODE_FORMAT, an unreadable file VOCODE_IO. */
vocode_status bytes_read(const char *path, size_t limit, unsigned char **out, size_t *size, vocode_error *error);

/* The same from an open descriptor, from where it stands to its end; name is what messages call it. */
vocode_status bytes_read_open(int fd, const char *name, size_t limit, unsigned char **out, size_t *size,
                              vocode_error *error);

/* What the bytes look like from their beginning, as an English noun with its article ("a WAV file", "text"); "empty"
 * for none and "unknown data" for what it does not know. */
const char *bytes_kind(const void *bytes, size_t size);

/* *product = a * b; 0 when that does not fit in a size_t. */
int size_multiply(size_t a, size_t b, size_t *product);

/* The name that messages use for a path: "standard input" for "-". */
const char *input_name(const char *path);

#endif
