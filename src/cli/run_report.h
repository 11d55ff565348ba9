/* The page about a training run. */
#ifndef CLI_RUN_REPORT_H
#define CLI_RUN_REPORT_H

#include <stdio.h>

#include "cli/console.h"
#include "cli/run_samples.h"
#include "train/history.h"

typedef struct run_about {
    const char *folder;
    run_history history;
    run_samples samples;
    json_t *config;    /* of config.json, else of the log; or NULL */
    size_t parameters; /* of the run's checkpoint; 0: there is none that can be read */
    console *out;      /* for warnings about single files */
} run_about;

/* Writes the page to a stream; context is a run_about whose history has a step. */
vocode_status run_report_write(void *context, FILE *to, vocode_error *error);

/* The part with pictures and sound. */
vocode_status run_report_samples(const run_about *run, FILE *to, vocode_error *error);

#endif
