/* vocode score: the exact log-likelihood of recordings. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cli/clip.h"
#include "cli/commands.h"
#include "cli/jobs.h"
#include "cli/json_out.h"
#include "io/bytes.h"

static const option_row options[] = {
    OPTION_MODEL,
    {"mel", 0, "MEL.npy", OPTION_TEXT, offsetof(arguments, mel),
     .doc = "the mel to condition on, for one file (default: computed in the model's convention)"},
    OPTION_LAYOUT,
    {"sigma", 0, "S", OPTION_NUMBER, offsetof(arguments, sigma), .least = 1e-6, .most = 1e6,
     .doc = "standard deviation of the Gaussian (default: the one that the model was trained with)"},
    OPTION_JSON("an array of objects"),
    OPTION_THREADS,
};

typedef struct score_run {
    const arguments *given;
    console *say;
    open_model model;
    json_t *results; /* with --json */
} score_run;

static json_t *as_json(const char *file, const vocode_likelihood *of) {
    json_t *object = json_object();
    json_object_set_new(object, "file", json_name(file));
    json_object_set_new(object, "nll_nats", json_real(of->nll_nats));
    json_object_set_new(object, "nll_bits", json_real(of->nll_bits));
    json_object_set_new(object, "sigma", json_real(of->sigma));
    json_object_set_new(object, "log_determinant", json_real(of->log_determinant));
    json_object_set_new(object, "numbers", json_integer((json_int_t)of->numbers));
    return object;
}

static vocode_status run_one(void *context, const job *item, progress *bar, vocode_error *error) {
    score_run *run = context;
    const arguments *given = run->given;
    const char *name = input_name(item->input);
    clip in;
    vocode_likelihood result;
    TRY(clip_read(item->input, &run->model, given, &in, run->say, error));
    progress_item_length(bar, (double)in.sound.frames / in.sound.sample_rate);
    vocode_status status =
        vocode_score(run->model.model, in.sound.samples, in.sound.frames, in.mel.values, in.mel.frames,
                     given->sigma.number, (int)given->threads.integer, &result, error);
    clip_free(&in);
    if (status != VOCODE_OK) return failed_in(error, status, name);
    if (run->results) {
        json_array_append_new(run->results, as_json(name, &result));
        return VOCODE_OK;
    }
    console_clear(run->say);
    printf("%s  nll %.6f nats (%.6f bits) a number  log_det %.6g  sigma %g  %zu numbers\n", name, result.nll_nats,
           result.nll_bits, result.log_determinant, result.sigma, result.numbers);
    return VOCODE_OK;
}

static int run_jobs(score_run *run, console *out) {
    static const char *const endings[] = {".wav", ".flac", NULL};
    const job_kind kind = {.endings = endings};
    job_list jobs;
    vocode_error error;
    vocode_status collected = jobs_collect(run->given->items, run->given->count, &kind, NULL, &jobs, out, &error);
    int status = collected == VOCODE_OK ? jobs_run(&jobs, run_one, run, out) : console_finish(out, collected, &error);
    jobs_free(&jobs);
    if (collected != VOCODE_OK || !run->results) return status;
    vocode_status shown = json_show(json_incref(run->results), &error);
    return shown == VOCODE_OK ? status : console_finish(out, shown, &error);
}

static int run_command(const arguments *given, console *out) {
    struct stat about;
    bool many = given->count > 1 || (stat(given->items[0], &about) == 0 && S_ISDIR(about.st_mode));
    if (given->mel.given && many)
        return console_usage(out, command_score.name, "--mel is the mel of one file, expected one IN.wav");
    vocode_error error;
    score_run run = {.given = given, .say = out, .results = given->json.given ? json_array() : NULL};
    vocode_status opened = use_model(given, &run.model, out, &error);
    int status = opened == VOCODE_OK ? run_jobs(&run, out) : console_finish(out, opened, &error);
    release_model(&run.model);
    json_decref(run.results);
    return status;
}

const command command_score = {
    .name = "score",
    .synopsis = "IN.wav... [options]",
    .summary = "exact log-likelihood of recordings, a line a file",
    .details =
        "nll is the negative log-likelihood a number of the latent, the Gaussian's constant included: lower is more\n"
        "likely, and below zero is normal, since it is a density.\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least = 1,
    .run = run_command,
};
