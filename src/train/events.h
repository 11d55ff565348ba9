/* TensorBoard event files: scalars, sound and pictures over the steps of a run, one file a process.
 *
 * Every call hands its record to the operating system before it returns. Where that fails (a full disk), the file is
 * cut back to its last whole record, the status says so, and the next call may succeed. */
#ifndef TRAIN_EVENTS_H
#define TRAIN_EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include "core/fail.h"

typedef struct event_file event_file;

/* A new file in folder, which exists, named so that TensorBoard reads it after those that are there. step is the one
 * that the run goes on after: what the older files say of later steps is void, being written anew; 0 for a run that
 * begins, which voids all. */
vocode_status events_open(const char *folder, uint64_t step, event_file **out, vocode_error *error);
void events_close(event_file *file); /* NULL is fine */

const char *events_path(const event_file *file);

typedef struct event_scalar {
    const char *tag; /* "loss/validation": TensorBoard groups by what is before the slash */
    double value;    /* kept in single precision; NaN and infinity are allowed */
} event_scalar;

/* scalars [count] of one step, in one record. */
vocode_status events_scalars(event_file *file, uint64_t step, const event_scalar *scalars, size_t count,
                             vocode_error *error);

/* wav [size]: a WAV file of `frames` samples of one channel at sample_rate Hz. */
vocode_status events_sound(event_file *file, uint64_t step, const char *tag, const void *wav, size_t size,
                           size_t frames, unsigned sample_rate, vocode_error *error);

/* png [size]: an RGB picture of width x height. */
vocode_status events_picture(event_file *file, uint64_t step, const char *tag, const void *png, size_t size,
                             size_t width, size_t height, vocode_error *error);

#endif
