/* Checking folders of golden data: what a reference computed, in float64, from checkpoints as users hold them. */
#ifndef GOLDEN_H
#define GOLDEN_H

#include <stdbool.h>

#include "io/npy.h"
#include "vocoder/model.h"

/* The largest errors so far; a comparison past its tolerance counts as failed. */
typedef struct tally {
    size_t compared, failed;
} tally;

/* Prints one line: the largest error of found against reference [count], relative to the largest absolute reference
 * value, and whether it is within tolerance. A NaN anywhere is past it. */
void compare(tally *score, const char *label, const float *found, const float *reference, size_t count,
             double tolerance);

/* A line for what could not be compared and counts as failed. */
void complain(tally *score, const char *label, const char *reason);

/* DIR/NAME.npy, or false when there is none (a bad one is an error that is printed and counted). */
bool load_array(const char *folder, const char *name, npy_array *out, tally *score);

/* Arrays [batch, channels, time] to time-major [batch, time, channels], and back. */
real *to_rows(const npy_array *array, size_t batch, size_t channels, size_t time);
float *from_rows(const real *rows, size_t batch, size_t channels, size_t time);

/* Every array of the folder against this model. */
void check_model(const char *folder, const vocode_model *model, tally *score);

/* NAME.PRESET.npy against the mel of NAME.RATE.wav. */
void check_mels(const char *folder, tally *score);

/* Names in a folder (relative, sorted), each to be freed with the list. NULL-terminated. */
char **list_names(const char *folder);
void free_names(char **names);
bool ends_with(const char *text, const char *ending);

#endif
