/* A program outside the tree, C and C++ alike, that uses the installed library: consumer MODEL. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vocode/vocode.h>

#define FRAMES ((size_t)12)

/* Speaks FRAMES frames of a flat, quiet mel; 1 where the audio has no sound in it or is not finite. */
static int speak(const vocode_model *model, const vocode_model_info *info) {
    vocode_error error;
    float *mel = (float *)malloc(FRAMES * info->n_mels * sizeof *mel);
    float *audio = (float *)calloc(FRAMES * info->hop, sizeof *audio);
    double power = 0;
    if (mel && audio) {
        for (size_t i = 0; i < FRAMES * info->n_mels; i++) mel[i] = -5.0f;
        if (vocode_synthesize(model, mel, FRAMES, info->n_mels, NULL, audio, &error) != VOCODE_OK)
            fprintf(stderr, "%s\n", error.message);
        for (size_t i = 0; i < FRAMES * info->hop; i++) power += (double)audio[i] * (double)audio[i];
    }
    free(mel);
    free(audio);
    return !(isfinite(power) && power > 0);
}

int main(int count, char **arguments) {
    vocode_error error;
    vocode_model *model = NULL;
    vocode_model_info info;
    if (count != 2) return 2;
    memset(&error, 0, sizeof error);
    if (vocode_model_open(arguments[1], &model, &error) != VOCODE_OK) {
        fprintf(stderr, "%s (%s)\n", error.message, vocode_status_text(error.code));
        return 1;
    }
    vocode_model_describe(model, &info);
    printf("libvocode %s: %s, %lu parameters\n", vocode_version(), info.kind, (unsigned long)info.parameters);
    int silent = speak(model, &info);
    vocode_model_free(model);
    return silent;
}
