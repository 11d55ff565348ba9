/* vocode train: a model learns from recordings. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/interrupt.h"
#include "cli/ranks.h"
#include "core/clock.h"
#include "train/run.h"

static const option_row options[] = {
    {"data", 0, "PATH...", OPTION_LIST, offsetof(arguments, data),
     .doc = "recordings: folders, an LJSpeech metadata.csv, lists of paths (.txt) or audio files"},
    {"out", 0, "RUN_DIR", OPTION_TEXT, offsetof(arguments, out),
     .doc = "the run's folder: config.json, last.safetensors, best.safetensors, checkpoint-STEP.safetensors, "
            "log.jsonl, samples/, "
            "event files for TensorBoard"},
    {"resume", 0, NULL, OPTION_FLAG, offsetof(arguments, resume),
     .doc = "go on from the folder's last checkpoint, or begin where there is none"},
    {"warm-start", 0, "MODEL", OPTION_TEXT, offsetof(arguments, warm_start),
     .doc = "begin with the weights of a model file; tensors that it lacks are named"},
    {"set", 0, "KEY=VALUE", OPTION_EACH, offsetof(arguments, set),
     .doc = "change a key of the configuration, such as learning_rate=1e-4 or frameflow.dim=256; may be repeated"},
    {"trace", 0, "FILE", OPTION_TEXT, offsetof(arguments, trace),
     .doc = "when forward, backward and the sharing of gradients ran in the first steps: JSON for chrome://tracing"},
    OPTION_THREADS,
};

/* What the watcher's functions work with. */
typedef struct watching {
    console *out;
    bool silent;   /* a rank that does not lead: the first one says what is to be said */
    double shown;  /* when a line was last drawn */
    uint64_t said; /* the step of the last line where no terminal is */
} watching;

static const double redraw_interval = 0.2, say_interval = 30; /* seconds: on a terminal, elsewhere */

static void say_note(void *context, const char *sentence) {
    console_note(((watching *)context)->out, "%s", sentence);
}

static void say_warning(void *context, const char *sentence) {
    const watching *self = context;
    if (!self->silent) console_warning(self->out, "%s", sentence);
}

/* spectral: NAN where there is none */
static void loss_text(char *text, size_t size, bool likelihood, double loss, double spectral) {
    int used = likelihood ? snprintf(text, size, "nll %.4f nats, %.4f bits", loss, loss / M_LN2)
                          : snprintf(text, size, "loss %.5f", loss);
    if (!isnan(spectral) && (size_t)used < size)
        snprintf(text + used, size - (size_t)used, ", spectral %.4f", spectral);
}

static void time_text(char *text, size_t size, double seconds) {
    unsigned long long minutes = (unsigned long long)(seconds / 60 + 0.5);
    if (minutes >= 60)
        snprintf(text, size, "%llu h %02llu min left", minutes / 60, minutes % 60);
    else
        snprintf(text, size, "%llu min left", minutes);
}

static void show_step(void *context, const train_progress *now) {
    watching *self = context;
    console *out = self->out;
    double time = clock_seconds();
    bool last = now->step == now->steps;
    if (out->quiet || (!last && time - self->shown < (out->terminal ? redraw_interval : say_interval))) return;
    char loss[128], left[64];
    loss_text(loss, sizeof loss, now->likelihood, now->loss, now->spectral);
    time_text(left, sizeof left, now->seconds_left);
    self->shown = time;
    if (out->terminal) {
        fprintf(stderr, "\r\033[Kstep %llu of %llu  %s  gradient %.3g  %.1f s of audio a second  %s",
                (unsigned long long)now->step, (unsigned long long)now->steps, loss, now->norm, now->audio_rate, left);
        fflush(stderr);
        out->bar_shown = true;
    } else {
        console_note(out, "step %llu of %llu: %s, gradient %.3g, %.1f s of audio a second, %s",
                     (unsigned long long)now->step, (unsigned long long)now->steps, loss, now->norm, now->audio_rate,
                     left);
    }
}

static void show_validation(void *context, const train_validation *now, const vocode_model *model) {
    (void)model;
    char loss[128];
    loss_text(loss, sizeof loss, now->likelihood, now->loss, now->spectral);
    console_note(((watching *)context)->out, "step %llu: validation %s%s", (unsigned long long)now->step, loss,
                 now->best ? ", the best so far" : "");
}

static bool asked_to_stop(void *context) {
    (void)context;
    return interrupt_waiting();
}

/* Says why a run failed, in one rank, and then ends the team: of a rank that failed alone, the others too. The sentence
 * comes first: mpirun ends every process once one has ended with a failure. */
static int end_run(console *out, train_team *team, vocode_status status, vocode_error *error) {
    bool alone = team && status != VOCODE_OK && !team->agreed;
    int result = status == VOCODE_OK ? EXIT_SUCCESS : EXIT_FAILURE;
    if (alone)
        console_error(out, "rank %zu of %zu: %s", team->rank, team->size, error->message);
    else if (status == VOCODE_CANCELLED && !(team && team->silent))
        console_note(out, "%s", error->message);
    else if (!(team && team->silent))
        result = console_finish(out, status, error);
    if (team) team->leave(team, alone);
    interrupt_release(); /* ends here where a signal stopped the run */
    return result;
}

static int run_command(const arguments *given, console *out) {
    vocode_error error = {0};
    train_team *team;
    if (!given->data.count) return console_usage(out, "train", "expected recordings: --data PATH...");
    if (!given->out.given) return console_usage(out, "train", "expected a folder for the run: --out RUN_DIR");
    if (ranks_join(&team, &error) != VOCODE_OK) return console_finish(out, error.code, &error);
    if (team && team->rank > 0) out->quiet = true;
    char threads[64];
    size_t sets = given->set.count;
    const char **all = calloc(sets + 1, sizeof *all);
    if (!all) return end_run(out, team, failed(&error, VOCODE_MEMORY, "out of memory"), &error);
    for (size_t i = 0; i < sets; i++) all[i] = given->set.items[i];
    snprintf(threads, sizeof threads, "threads=%s", given->threads.given ? given->threads.text : "");
    if (given->threads.given) all[sets++] = threads;
    watching self = {.out = out, .silent = team && team->rank > 0};
    train_watcher watcher = {.context = &self,
                             .note = say_note,
                             .step = show_step,
                             .validated = show_validation,
                             .stop = asked_to_stop,
                             .warnings = {say_warning, &self}};
    train_request request = {.config = given->items[0],
                             .data = given->data.items,
                             .data_count = given->data.count,
                             .folder = given->out.text,
                             .resume = given->resume.given,
                             .warm_start = given->warm_start.text,
                             .sets = all,
                             .set_count = sets,
                             .team = team,
                             .trace = given->trace.text};
    interrupt_hold_all();
    vocode_status status = train_run(&request, &watcher, &error);
    free(all);
    return end_run(out, team, status, &error);
}

const command command_train = {
    .name = "train",
    .synopsis = "CONFIG.json --data PATH... --out RUN_DIR [options]",
    .summary = "a model learns from recordings, by maximum likelihood",
    .details = "SIGINT and SIGTERM save and stop. A run that was stopped or killed goes on with --resume, to the same\n"
               "weights as if it had not been. The model that is kept is the average of the weights over steps;\n"
               "'vocode synth --model RUN_DIR/best.safetensors' uses it.\n"
               "'mpirun -np N vocode train ...' trains with N processes, each on batches of its own.\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least = 1,
    .most = 1,
    .run = run_command,
    .more_help = train_keys_help,
};
