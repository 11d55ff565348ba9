/* Many files: what goes in, what comes out of each, and one progress line over all of them. */
#ifndef CLI_JOBS_H
#define CLI_JOBS_H

#include <stddef.h>

#include "cli/options.h"
#include "cli/progress.h"

typedef struct job {
    char *input;
    char *output; /* NULL where nothing is written */
} job;

typedef struct job_list {
    job *items;
    size_t count, room;
    size_t unreadable; /* folders that could not be read */
    bool make_folders; /* that outputs are in: those that the program named itself */
} job_list;

/* What inputs and outputs of a command look like. */
typedef struct job_kind {
    const char *const *endings; /* of the files taken from folders, any case, ends in NULL */
    const char *output_ending;  /* with its dot */
} job_kind;

/* Lists inputs [count] with the output directory/STEM<ending> of each; directory NULL: without outputs. A folder stands
 * for the files in it and in its folders, which are mirrored below directory. What cannot be read is said on the spot
 * and counted. VOCODE_ARGUMENT where two inputs have one output, VOCODE_IO where there is nothing to do. */
vocode_status jobs_collect(char *const *inputs, size_t count, const job_kind *kind, const char *directory,
                           job_list *out, console *say, vocode_error *error);
void jobs_free(job_list *jobs);

/* Does one job; tells the bar how much audio it makes or reads, for the real-time factor. */
typedef vocode_status (*job_run)(void *context, const job *item, progress *bar, vocode_error *error);

/* Runs all of them, in order, past failures, each of which is said. The exit status. */
int jobs_run(const job_list *jobs, job_run run, void *context, console *say);

/* The jobs of a command whose arguments are either IN OUT, which forms describes, or with -o DIR all inputs.
 * EXIT_SUCCESS, or the exit status after saying what is wrong. Free them with jobs_free in either case. */
int jobs_plan(const arguments *given, const command *about, const char *forms, const job_kind *kind, job_list *out,
              console *say);

#endif
