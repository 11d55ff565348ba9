/* The clips that a run's folder holds: samples/recording/NAME.wav and what was generated of them after some steps,
 * samples/STEP/NAME.wav. */
#ifndef CLI_RUN_SAMPLES_H
#define CLI_RUN_SAMPLES_H

#include <stddef.h>
#include <stdint.h>

#include "core/fail.h"

typedef struct run_samples {
    char *folder;
    uint64_t *steps; /* [step_count], growing */
    size_t step_count;
    char **names; /* [name_count] with their ending, sorted: clips of any of the steps */
    size_t name_count;
} run_samples;

/* Steps up to `last` alone: a run that went back makes later ones anew. A folder without samples is an empty one. Free
 * it with samples_free, also after a failure. */
vocode_status samples_find(const char *run_folder, uint64_t last, run_samples *out, vocode_error *error);
void samples_free(run_samples *samples);

/* The file of a clip, of a step or of the recording (NULL); the caller frees it. NULL when out of memory. */
char *samples_path(const run_samples *samples, const uint64_t *step, const char *name);

#endif
