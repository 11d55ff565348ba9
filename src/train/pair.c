/* A recording's mel from the .npy beside it: what a text-to-speech model predicted, say. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/npy.h"
#include "train/recording.h"

static char *pair_path(const char *path) {
    char *result = malloc(strlen(path) + sizeof ".npy");
    if (!result) return NULL;
    strcpy(result, path);
    char *dot = strrchr(result, '.'), *slash = strrchr(result, '/');
    strcpy(dot && (!slash || dot > slash) ? dot : result + strlen(result), ".npy");
    return result;
}

/* [n_mels, T] or [T, n_mels], with axes of length 1 before them. Where both fit, bands
 * come first. */
static vocode_status axes(const npy_array *array, const char *path, size_t bands, size_t *frames, bool *frames_first,
                          vocode_error *error) {
    bool flat = array->rank >= 2;
    for (int i = 0; i < array->rank - 2; i++) flat &= array->shape[i] == 1;
    if (!flat)
        return failed(error, VOCODE_SHAPE, "%s: expected one mel, [%zu, T] or [T, %zu], found an array of %d axes",
                      path, bands, bands, array->rank);
    size_t rows = array->shape[array->rank - 2], columns = array->shape[array->rank - 1];
    if (rows != bands && columns != bands)
        return failed(error, VOCODE_SHAPE, "%s: expected a mel of %zu bands, found the shape [%zu, %zu]", path, bands,
                      rows, columns);
    *frames_first = rows != bands;
    *frames = *frames_first ? rows : columns;
    return VOCODE_OK;
}

static vocode_status check_length(const char *path, size_t frames, size_t expected, vocode_error *error) {
    if (frames > 0 && frames + 1 >= expected && frames <= expected + 1) return VOCODE_OK;
    return failed(error, VOCODE_SHAPE, "%s: expected %zu frames, give or take one, for its audio, found %zu", path,
                  expected, frames);
}

static vocode_status take(recording *self, const npy_array *array, const char *path, const mel_convention *convention,
                          vocode_error *error) {
    size_t bands = convention->n_mels, frames;
    bool frames_first;
    TRY(axes(array, path, bands, &frames, &frames_first, error));
    TRY(check_length(path, frames, mel_frames(convention, self->samples), error));
    for (size_t i = 0; i < array->count; i++)
        if (!isfinite(array->data[i]))
            return failed(error, VOCODE_VALUE, "%s: value %zu of %zu is %s", path, i, array->count,
                          isnan(array->data[i]) ? "NaN" : "infinite");
    self->mel = calloc(frames, bands * sizeof *self->mel);
    if (!self->mel) return failed(error, VOCODE_MEMORY, "%s: no memory for %zu frames", path, frames);
    for (size_t t = 0; t < frames; t++)
        for (size_t m = 0; m < bands; m++)
            self->mel[t * bands + m] = array->data[frames_first ? t * bands + m : m * frames + t];
    self->mel_frames = frames;
    return VOCODE_OK;
}

vocode_status recording_pair(recording *self, const mel_convention *convention, bool *found, vocode_error *error) {
    char *path = pair_path(self->path);
    if (!path) return failed(error, VOCODE_MEMORY, "%s: out of memory", self->path);
    npy_array array = {0};
    vocode_status status = VOCODE_OK;
    *found = access(path, F_OK) == 0;
    if (*found) status = npy_read(path, &array, error);
    if (*found && status == VOCODE_OK) status = take(self, &array, path, convention, error);
    npy_free(&array);
    free(path);
    return status;
}
