/* Reading golden files, for the tests of this floor. */
#ifndef TESTS_DSP_GOLDEN_H
#define TESTS_DSP_GOLDEN_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "io/audio.h"
#include "io/npy.h"

typedef struct matrix {
    size_t rows, columns;
    float *data; /* [rows, columns]; free() it */
} matrix;

/* A .npy of [columns, rows] or [1, columns, rows] (bands before time), turned around: time-major. */
static inline matrix load_time_major(const char *path) {
    npy_array array = {0};
    vocode_error error = {0};
    if (npy_read(path, &array, &error) != VOCODE_OK) {
        fprintf(stderr, "%s\n", error.message);
        return (matrix){0};
    }
    matrix m = {array.shape[array.rank - 1], array.shape[array.rank - 2], NULL};
    m.data = malloc(array.count * sizeof *m.data);
    for (size_t t = 0; m.data && t < m.rows; t++)
        for (size_t c = 0; c < m.columns; c++) m.data[t * m.columns + c] = array.data[c * m.rows + t];
    npy_free(&array);
    return m;
}

static inline audio load_audio(const char *path) {
    audio sound = {0};
    vocode_error error = {0};
    if (audio_read_mono(path, 0, &sound, NULL, &error) != VOCODE_OK) fprintf(stderr, "%s\n", error.message);
    return sound;
}

static inline int have(const char *path) {
    return access(path, R_OK) == 0;
}

#endif
