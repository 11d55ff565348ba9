#include "cli/arrays.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/interrupt.h"
#include "dsp/mel.h"
#include "io/bytes.h"
#include "io/npy.h"

static void shape_text(int rank, const size_t *shape, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, "[");
    for (int i = 0; i < rank && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, i ? ", %zu" : "%zu", shape[i]);
    if (used < size) snprintf(text + used, size - used, "]");
}

/* The last two axes of an array whose other axes are of length 1. */
static bool two_axes(int rank, const size_t *shape, size_t *rows, size_t *columns) {
    if (rank < 2) return false;
    for (int i = 0; i < rank - 2; i++)
        if (shape[i] != 1) return false;
    *rows = shape[rank - 2];
    *columns = shape[rank - 1];
    return true;
}

/* "; so many bands are those of vocos, bigvgan", or nothing. */
static void likely_presets(size_t rows, size_t columns, char *text, size_t size) {
    size_t count, used = 0;
    const mel_preset *presets = mel_preset_list(&count);
    text[0] = 0;
    for (size_t i = 0; i < count; i++) {
        const mel_convention *convention = &presets[i].convention;
        if ((convention->n_mels != rows && convention->n_mels != columns) || used >= size) continue;
        used +=
            (size_t)snprintf(text + used, size - used, "%s%s (%zu bands)",
                             used ? ", " : "; its shape is that of a mel of ", convention->preset, convention->n_mels);
    }
}

static vocode_status refuse_bands(int rank, const size_t *shape, const char *name, const mel_reading *reading,
                                  vocode_error *error) {
    char text[256], likely[512];
    size_t rows, columns, bands = reading->bands;
    shape_text(rank, shape, text, sizeof text);
    if (!two_axes(rank, shape, &rows, &columns))
        return failed(error, VOCODE_SHAPE, "%s: expected one mel spectrogram, [%zu, T] or [T, %zu], found the shape %s",
                      name, bands, bands, text);
    likely_presets(rows, columns, likely, sizeof likely);
    return failed(error, VOCODE_SHAPE,
                  "%s: expected %zu mel bands (%s), found the shape %s, neither of whose axes has %zu%s", name, bands,
                  reading->whose, text, bands, likely);
}

vocode_status mel_axes(int rank, const size_t *shape, const char *name, const mel_reading *reading, size_t *frames,
                       bool *frames_first, vocode_error *error) {
    size_t rows = 0, columns = 0, bands = reading->bands;
    const option_value *layout = reading->layout;
    if (!two_axes(rank, shape, &rows, &columns) || (rows != bands && columns != bands))
        return refuse_bands(rank, shape, name, reading, error);
    *frames_first = rows == columns ? layout->given && layout->integer == LAYOUT_FRAMES_FIRST : columns == bands;
    *frames = *frames_first ? rows : columns;
    if (*frames > 0) return VOCODE_OK;
    return failed(error, VOCODE_SHAPE, "%s: expected at least one frame, found zero frames of %zu bands", name, bands);
}

void transpose(const float *source, size_t rows, size_t columns, float *target) {
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) target[c * rows + r] = source[r * columns + c];
}

/* array, whose data is taken, as [frames, bands]. */
static vocode_status as_frames(npy_array *array, const char *name, const mel_reading *reading, mel_frames_file *out,
                               vocode_error *error) {
    bool frames_first;
    TRY(mel_axes(array->rank, array->shape, name, reading, &out->frames, &frames_first, error));
    out->bands = reading->bands;
    if (frames_first) {
        out->values = array->data;
        array->data = NULL;
        return VOCODE_OK;
    }
    out->values = malloc(array->count * sizeof *out->values);
    if (!out->values) return failed(error, VOCODE_MEMORY, "%s: no memory for %zu frames", name, out->frames);
    transpose(array->data, out->bands, out->frames, out->values);
    return VOCODE_OK;
}

vocode_status mel_read(const char *path, const mel_reading *reading, mel_frames_file *out, vocode_error *error) {
    npy_array array;
    *out = (mel_frames_file){0};
    TRY(npy_read(path, &array, error));
    vocode_status status = as_frames(&array, input_name(path), reading, out, error);
    npy_free(&array);
    return status;
}

vocode_status latent_read(const char *path, size_t channels, latent_file *out, vocode_error *error) {
    npy_array array;
    size_t rows = 0, columns = 0;
    *out = (latent_file){0};
    TRY(npy_read(path, &array, error));
    if (!two_axes(array.rank, array.shape, &rows, &columns) || rows != channels || columns == 0) {
        char shape[256];
        shape_text(array.rank, array.shape, shape, sizeof shape);
        npy_free(&array);
        return failed(error, VOCODE_SHAPE, "%s: expected a latent of shape [%zu, columns], found %s", input_name(path),
                      channels, shape);
    }
    *out = (latent_file){columns, array.data};
    return VOCODE_OK;
}

vocode_status array_put(const char *path, const float *values, int rank, const size_t *shape, vocode_error *error) {
    interrupt_hold(path);
    vocode_status status = npy_write(path, values, rank, shape, error);
    interrupt_release();
    return status;
}

vocode_status array_write(const char *path, const float *values, size_t rows, size_t columns, vocode_error *error) {
    const size_t shape[] = {rows, columns};
    return array_put(path, values, 2, shape, error);
}
