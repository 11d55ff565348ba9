/* An output file that appears whole or not at all: written under a temporary name in the same folder, synced, renamed.
 * A replaced file's mode bits are kept, a new file's follow the umask, and a symbolic link stays a link. Pipes,
 * devices, /dev/stdout and the like, and "-" (standard output) are written directly. */
#ifndef IO_ATOMIC_H
#define IO_ATOMIC_H

#include <stddef.h>
#include <stdio.h>

#include "core/fail.h"

typedef struct atomic_file atomic_file;

/* VOCODE_IO names the path when it cannot be written: a missing folder, a directory, no permission. */
vocode_status atomic_open(const char *path, atomic_file **out, vocode_error *error);

FILE *atomic_stream(atomic_file *file);
int atomic_fd(atomic_file *file); /* of that stream: flush the stream before using it */

/* What messages call it: the path, or "standard output". */
const char *atomic_name(const atomic_file *file);

/* 1 when the beginning can be rewritten before the commit (a regular file), 0 for pipes and devices. */
int atomic_can_seek(const atomic_file *file);

/* Writes all of bytes to the stream; the sentence says why when that fails. */
vocode_status atomic_write(atomic_file *file, const void *bytes, size_t size, vocode_error *error);

/* A whole file: open, write and commit in one. */
vocode_status atomic_put(const char *path, const void *bytes, size_t size, vocode_error *error);

/* Flushes, syncs, renames into place and frees the object. When anything failed, also an earlier write to the stream,
 * the temporary is removed and whatever stood at path still stands. */
vocode_status atomic_commit(atomic_file *file, vocode_error *error);

void atomic_abort(atomic_file *file); /* removes the temporary and frees the object; NULL is fine */

#endif
