/* Mel conventions: NAME.RATE.wav and NAME.PRESET.npy. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "golden.h"
#include "io/audio.h"

static const double tolerance = 1e-4;

/* Above the floor, log values are held absolutely; what the reference clipped is not compared but must be clipped here
 * too. Linear values are held to the largest. */
static void compare_log(tally *score, const char *label, const mel_convention *convention, const float *found,
                        const float *reference, size_t count) {
    double least = mel_value_of(convention, convention->floor), worst = 0;
    for (size_t i = 0; i < count; i++) {
        double difference = fabs((double)found[i] - (double)reference[i]);
        if (!(difference <= worst)) worst = difference;
    }
    bool good = worst <= tolerance;
    printf("  %-44s max error %9.3e  of %g absolute (floor %.3f)  %s\n", label, worst, tolerance, least,
           good ? "ok" : "FAILED");
    score->compared++;
    if (!good) score->failed++;
}

static void check_clip(const char *folder, const char *stem, const mel_convention *convention, const npy_array *wanted,
                       const char *label, tally *score) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.%zu.wav", folder, stem, convention->sample_rate);
    audio clip = {0};
    mel_frontend *frontend = NULL;
    vocode_error error = {0};
    vocode_status status = audio_read(path, &clip, &error);
    if (status == VOCODE_OK) status = mel_frontend_new(convention, &frontend, &error);
    size_t frames = mel_frames(convention, clip.frames), count = frames * convention->n_mels;
    float *rows = calloc(count ? count : 1, sizeof *rows), *found = calloc(count ? count : 1, sizeof *found);
    if (status == VOCODE_OK) status = mel_compute(frontend, clip.samples, clip.frames, rows, &error);
    if (status != VOCODE_OK) {
        complain(score, label, error.message);
    } else if (wanted->rank != 2 || wanted->shape[0] != convention->n_mels || wanted->shape[1] != frames) {
        complain(score, label, "another shape");
    } else {
        for (size_t t = 0; t < frames; t++)
            for (size_t m = 0; m < convention->n_mels; m++) found[m * frames + t] = rows[t * convention->n_mels + m];
        if (convention->log == MEL_LOG_NONE)
            compare(score, label, found, wanted->data, count, tolerance);
        else
            compare_log(score, label, convention, found, wanted->data, count);
    }
    free(rows);
    free(found);
    mel_frontend_free(frontend);
    free(clip.samples);
}

void check_mels(const char *folder, tally *score) {
    char **names = list_names(folder);
    for (size_t i = 0; names[i]; i++) {
        if (!ends_with(names[i], ".npy")) continue;
        char stem[256], *dot;
        snprintf(stem, sizeof stem, "%.*s", (int)strlen(names[i]) - 4, names[i]);
        if (!(dot = strrchr(stem, '.'))) continue;
        const mel_convention *convention = mel_preset_find(dot + 1);
        npy_array wanted;
        if (!convention || !load_array(folder, stem, &wanted, score)) continue;
        char label[256];
        snprintf(label, sizeof label, "%s", stem);
        *dot = 0;
        check_clip(folder, stem, convention, &wanted, label, score);
        npy_free(&wanted);
    }
    free_names(names);
}
