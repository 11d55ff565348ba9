/* A training run in a folder: starts, resumes, feeds, validates, saves, logs and stops.
 *
 * The folder holds config.json (every key with its value), last.safetensors, best.safetensors (the lowest validation
 * loss), checkpoint-STEP.safetensors (the newest settings.keep of them), log.jsonl, TensorBoard event files and
 * samples/ (samples.h). A run that is killed at any moment and resumed gives the weights of an unbroken one, at the
 * same number of threads. */
#ifndef TRAIN_RUN_H
#define TRAIN_RUN_H

#include "train/trainer.h"

/* What a person watches. Losses are means since the last report; with a likelihood they are nats a sample with the
 * Gaussian's constant, as vocode score prints them. */
typedef struct train_progress {
    uint64_t step, steps, skipped;
    bool likelihood;
    double loss, norm, rate; /* norm: of the gradient; rate: of learning */
    double spectral;         /* loss of samples; NAN where no step since the last report had one */
    double audio_rate;       /* seconds of audio a second */
    double seconds, seconds_left;
} train_progress;

typedef struct train_validation {
    uint64_t step;
    bool likelihood, best;
    double loss;
    double spectral; /* loss of samples; NAN where there is none */
} train_validation;

/* Each function may be NULL. */
typedef struct train_watcher {
    void *context;
    void (*note)(void *context, const char *sentence);
    void (*step)(void *context, const train_progress *now); /* after every step */
    /* After a validation; the model is the averaged one meanwhile. */
    void (*validated)(void *context, const train_validation *now, const vocode_model *model);
    bool (*stop)(void *context); /* asked after every step and while samples are made: true saves and ends the run */
    warning_sink warnings;
} train_watcher;

typedef struct train_request {
    const char *config;
    const char *const *data; /* [data_count] paths */
    size_t data_count;
    const char *folder;
    bool resume;
    const char *warm_start;  /* NULL, or a model file */
    const char *const *sets; /* [set_count] KEY=VALUE */
    size_t set_count;
    train_team *team;  /* NULL: alone. Rank 0 alone writes and takes notes; batch is each rank's. */
    const char *trace; /* NULL, or the file that the first steps' trace goes to; of rank 0 */
} train_request;

/* VOCODE_CANCELLED where the watcher stopped it; what was reached is saved then. */
vocode_status train_run(const train_request *request, const train_watcher *watcher, vocode_error *error);

#endif
