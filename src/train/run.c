#include "train/run.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "io/atomic.h"
#include "train/board.h"
#include "train/feed.h"
#include "train/folder.h"
#include "train/log.h"
#include "train/mean.h"
#include "train/samples.h"
#include "train/warm_start.h"

typedef struct run {
    const train_request *request;
    const train_watcher *watcher;
    train_config config;
    trainer *trainer;
    train_feed *feed;
    train_log *log;
    train_board *board;
    train_samples *samples; /* NULL: none are asked for */
    bool likelihood;
    double constant;   /* added to losses */
    double tick;       /* when the present step began */
    double pace;       /* seconds a step, smoothed */
    double loss, norm; /* sums since the last line of the log */
    uint64_t summed;   /* steps in them */
    mean spectral;     /* of batches since then */
    uint64_t saved;    /* the step of last.safetensors; SAVED_NONE before there is one */
    bool best;         /* the last validation was the best, and is not saved yet */
    bool leads;        /* rank 0, or alone */
    train_trace *trace;
} run;

#define SAVED_NONE UINT64_MAX

static const double pace_memory = 0.95; /* of the smoothed seconds a step */

__attribute__((format(printf, 2, 3))) static void note(const run *self, const char *format, ...) {
    char text[2048];
    va_list values;
    if (!self->watcher->note) return;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    self->watcher->note(self->watcher->context, text);
}

/* A file that could not be written is no reason to lose what was learned: it is said, and tried again when due. */
static void warn_of(const run *self, const vocode_error *error) {
    warn_caller(&self->watcher->warnings, "%s", error->message);
}

static vocode_status make_trainer(run *self, vocode_error *error) {
    vocode_model *model;
    train_config *config = &self->config;
    TRY(model_create(config->root, self->request->config, config->settings.seed, &model, error));
    if (self->request->warm_start) {
        vocode_status status = warm_start(model, self->request->warm_start, &self->watcher->warnings, error);
        if (status != VOCODE_OK) {
            vocode_model_free(model);
            return status;
        }
    }
    TRY(trainer_new(model, config, &self->trainer, error));
    self->likelihood = !isnan(trainer_constant(self->trainer));
    self->constant = self->likelihood ? trainer_constant(self->trainer) : 0;
    return VOCODE_OK;
}

static vocode_status resume(run *self, vocode_error *error) {
    bool found;
    trainer *training = self->trainer;
    TRY(folder_load(self->request->folder, &training->arrays, &training->state, &found, &self->watcher->warnings,
                    error));
    if (!found) {
        note(self, "%s: no checkpoint yet: starts from the beginning", self->request->folder);
        return VOCODE_OK;
    }
    self->saved = training->state.step;
    note(self, "%s: goes on after step %llu", self->request->folder, (unsigned long long)training->state.step);
    return model_prepare(training->model, error);
}

/* config.json: the model's configuration, with what training was told. */
static vocode_status write_config(const run *self, vocode_error *error) {
    char *path = folder_file(self->request->folder, "config.json"), *text = NULL;
    const char *config = self->trainer->model->config;
    json_t *root = NULL;
    atomic_file *file;
    vocode_status status = json_parse(config, strlen(config), NULL, "config", &root, error);
    if (status == VOCODE_OK && (!path || !(text = json_print(root, 2))))
        status = failed(error, VOCODE_MEMORY, "%s: out of memory for config.json", self->request->folder);
    if (status == VOCODE_OK) status = atomic_open(path, &file, error);
    if (status == VOCODE_OK) {
        status = atomic_write(file, text, strlen(text), error);
        if (status == VOCODE_OK) status = atomic_write(file, "\n", 1, error);
        if (status == VOCODE_OK)
            status = atomic_commit(file, error);
        else
            atomic_abort(file);
    }
    json_decref(root);
    free(text);
    free(path);
    return status;
}

static vocode_status open_log(run *self, vocode_error *error) {
    uint64_t step = self->trainer->state.step;
    char *path = folder_file(self->request->folder, "log.jsonl");
    vocode_status status = path ? train_log_open(path, step, &self->log, error)
                                : failed(error, VOCODE_MEMORY, "%s: out of memory", self->request->folder);
    free(path);
    TRY(status);
    folder_clean(self->request->folder);
    note(self, "%s", train_log_explanation(self->likelihood));
    return step ? VOCODE_OK : train_log_start(self->log, self->trainer->model->config, self->likelihood, error);
}

static vocode_status open_samples(run *self, vocode_error *error) {
    const trainer *training = self->trainer;
    TRY(board_new(self->request->folder, training->state.step, &self->watcher->warnings, &self->board, error));
    if (!training->settings->sample_every) return VOCODE_OK;
    return train_samples_open(self->request->folder, feed_data(self->feed), training->settings, training->model,
                              &self->samples, error);
}

/* What every rank does by itself. */
static vocode_status begin(run *self, vocode_error *error) {
    const train_request *request = self->request;
    TRY(train_config_read(request->config, request->sets, request->set_count, &self->config, error));
    vocode_status made = make_trainer(self, error);
    if (made == VOCODE_VALUE && error)
        return train_config_blame(&self->config, request->sets, request->set_count, error);
    TRY(made);
    TRY(feed_open(request->data, request->data_count, self->trainer->model, &self->config, &self->watcher->warnings,
                  &self->feed, error));
    char data[1024];
    feed_describe(self->feed, data, sizeof data);
    note(self, "%s", data);
    if (request->trace && self->leads) TRY(trace_open(request->trace, &self->trace, error));
    return VOCODE_OK;
}

static vocode_status open_run_folder(run *self, vocode_error *error) {
    if (!self->leads) return VOCODE_OK;
    TRY(folder_open(self->request->folder, self->request->resume, error));
    return self->request->resume ? resume(self, error) : VOCODE_OK;
}

static vocode_status open_outputs(run *self, vocode_error *error) {
    const train_team *team = self->request->team;
    TRY(feed_seek(self->feed, self->trainer->state.batches + team_rank(team), team_size(team), error));
    if (!self->leads) return VOCODE_OK;
    if (team)
        note(self, "%zu processes train together: steps of %zu segments, %zu in each", team->size,
             team->size * self->config.settings.batch * self->config.settings.accumulate,
             self->config.settings.batch * self->config.settings.accumulate);
    TRY(open_log(self, error));
    TRY(open_samples(self, error));
    return write_config(self, error);
}

static vocode_status check_team(const run *self, vocode_error *error) {
    char data[1024];
    train_team *team = self->request->team;
    feed_describe(self->feed, data, sizeof data);
    TRY(team_check_same(team, data, "the ranks do not see the same recordings", error));
    return team_check_same(team, self->trainer->model->config, "the ranks do not have the same configuration", error);
}

/* In a team what fails somewhere fails everywhere, and is said once. */
static vocode_status start(run *self, vocode_error *error) {
    train_team *team = self->request->team;
    TRY(team_agree(team, begin(self, error), error));
    TRY(team_agree(team, check_team(self, error), error));
    TRY(team_agree(team, open_run_folder(self, error), error));
    TRY(team_agree(team, trainer_join(self->trainer, team, self->trace, error), error));
    return team_agree(team, open_outputs(self, error), error);
}

/* The model's configuration with what has become of it: "training" is for people. */
static char *described(const run *self) {
    const train_state *state = &self->trainer->state;
    const char *config = self->trainer->model->config;
    json_t *root;
    if (json_parse(config, strlen(config), NULL, "config", &root, NULL) != VOCODE_OK) return NULL;
    json_t *facts = json_pack("{s:I, s:f}", "steps", (json_int_t)state->step, "hours", state->seconds / 3600);
    if (isfinite(state->last_validation))
        json_object_set_new(facts, self->likelihood ? "validation_nll" : "validation_loss",
                            json_real(state->last_validation));
    json_object_set_new(root, "training", facts);
    char *text = json_print(root, 0);
    json_decref(root);
    return text;
}

static vocode_status save(run *self, bool numbered, vocode_error *error) {
    const trainer *training = self->trainer;
    char *config = self->leads ? described(self) : NULL;
    vocode_status status =
        !self->leads ? VOCODE_OK
        : config ? folder_save(self->request->folder, config, &training->arrays, &training->state, self->best, numbered,
                               training->settings->keep, error)
                 : failed(error, VOCODE_MEMORY, "%s: out of memory for a checkpoint", self->request->folder);
    free(config);
    if (status != VOCODE_OK) return status;
    self->saved = training->state.step;
    self->best = false;
    return VOCODE_OK;
}

static vocode_status score_held_out(run *self, size_t count, train_validation *now, vocode_error *error) {
    double sum = 0;
    mean spectral = {0, 0};
    const train_team *team = self->request->team;
    for (size_t i = team_rank(team); i < count; i += team_size(team)) {
        train_batch batch;
        double one;
        TRY(feed_validation(self->feed, i, &batch, error));
        TRY(trainer_score(self->trainer, &batch, i, &one, error));
        sum += one;
        mean_add(&spectral, trainer_spectral(self->trainer));
    }
    double spectral_sum = team_sum(team, spectral.sum), spectral_count = team_sum(team, (double)spectral.count);
    now->loss = team_sum(team, sum) / (double)count + self->constant;
    now->spectral = spectral_count > 0 ? spectral_sum / spectral_count : NAN;
    return VOCODE_OK;
}

/* What is trained: a loss of samples counts too. */
static double total_of(const run *self, const train_validation *now) {
    return now->loss + (isnan(now->spectral) ? 0 : self->trainer->settings->spectral_weight * now->spectral);
}

static vocode_status validate(run *self, vocode_error *error) {
    trainer *training = self->trainer;
    train_state *state = &training->state;
    size_t count = feed_held_out(self->feed);
    if (count == 0) return VOCODE_OK;
    train_validation now = {.step = state->step, .likelihood = self->likelihood};
    TRY(trainer_exchange(training, error));
    vocode_status status = score_held_out(self, count, &now, error);
    if (status == VOCODE_OK) {
        now.best = total_of(self, &now) < state->best;
        if (self->watcher->validated) self->watcher->validated(self->watcher->context, &now, training->model);
    }
    vocode_status back = trainer_exchange(training, status == VOCODE_OK ? error : NULL);
    if (status != VOCODE_OK || back != VOCODE_OK) return status != VOCODE_OK ? status : back;
    state->last_validation = now.loss;
    if (now.best) {
        state->best = total_of(self, &now);
        state->best_step = state->step;
        self->best = true;
    }
    vocode_error trouble;
    if (train_log_validation(self->log, &now, &trouble) != VOCODE_OK) warn_of(self, &trouble);
    board_validation(self->board, &now);
    return VOCODE_OK;
}

/* What cannot be made or written is said, and ends nothing. */
static vocode_status make_samples(run *self, vocode_error *error) {
    trainer *training = self->trainer;
    if (!self->samples || train_samples_count(self->samples) == 0) return VOCODE_OK;
    const sample_order order = {.model = training->model,
                                .step = training->state.step,
                                .seed = training->settings->seed,
                                .threads = training->threads,
                                .stop = self->watcher->stop,
                                .context = self->watcher->context};
    vocode_error trouble;
    vocode_status status = trainer_exchange(training, &trouble);
    if (status == VOCODE_OK) status = train_samples_make(self->samples, &order, self->board, &trouble);
    if (status != VOCODE_OK && status != VOCODE_CANCELLED) warn_of(self, &trouble);
    return trainer_exchange(training, error);
}

/* Time, sums and reports after a step. */
static void report(run *self, const train_outcome *outcome) {
    const train_settings *settings = self->trainer->settings;
    train_state *state = &self->trainer->state;
    double now = clock_seconds(), took = now - self->tick;
    self->tick = now;
    state->seconds += took;
    self->pace = self->pace > 0 ? pace_memory * self->pace + (1 - pace_memory) * took : took;
    if (!outcome->skipped) {
        self->loss += outcome->loss + self->constant;
        self->norm += outcome->norm;
        self->summed++;
    }
    size_t ranks = team_size(self->request->team);
    double audio = (double)(ranks * settings->batch * settings->accumulate * settings->segment) /
                   (double)self->trainer->model->settings.sample_rate;
    train_progress progress = {.step = state->step,
                               .steps = settings->steps,
                               .skipped = state->skipped,
                               .likelihood = self->likelihood,
                               .loss = self->summed ? self->loss / (double)self->summed : NAN,
                               .norm = self->summed ? self->norm / (double)self->summed : NAN,
                               .rate = outcome->rate,
                               .spectral = mean_of(&self->spectral),
                               .audio_rate = audio / self->pace,
                               .seconds = state->seconds,
                               .seconds_left = self->pace * (double)(settings->steps - state->step)};
    if (self->watcher->step) self->watcher->step(self->watcher->context, &progress);
    if (state->step % settings->log_every != 0) return;
    vocode_error trouble;
    if (train_log_step(self->log, &progress, &trouble) != VOCODE_OK) warn_of(self, &trouble);
    board_step(self->board, &progress);
    self->loss = self->norm = 0;
    self->summed = 0;
    self->spectral = (mean){0, 0};
}

static vocode_status take_step(run *self, train_outcome *outcome, vocode_error *error) {
    double sum = 0;
    size_t batches = self->trainer->settings->accumulate;
    for (size_t i = 0; i < batches; i++) {
        train_batch batch;
        double loss;
        TRY(feed_next(self->feed, &batch, error));
        TRY(trainer_gradient(self->trainer, &batch, &loss, error));
        sum += loss;
        mean_add(&self->spectral, trainer_spectral(self->trainer));
    }
    vocode_status status = trainer_update(self->trainer, sum / (double)batches, outcome, error);
    if (outcome->skipped) status = team_agree(self->request->team, status, error);
    if (status == VOCODE_OK || !outcome->skipped || self->saved == SAVED_NONE || !error) return status;
    size_t used = strlen(error->message);
    snprintf(error->message + used, sizeof error->message - used,
             "; the last good checkpoint is of step %llu in %s/last.safetensors", (unsigned long long)self->saved,
             self->request->folder);
    return status;
}

static bool due(uint64_t step, size_t every) {
    return every && step % every == 0;
}

/* What the end of a step asks for. */
static vocode_status keep_house(run *self, vocode_error *error) {
    const train_settings *settings = self->trainer->settings;
    uint64_t step = self->trainer->state.step;
    bool last = step >= settings->steps, numbered = due(step, settings->checkpoint_every);
    vocode_error trouble;
    if (settings->validate_every && (last || due(step, settings->validate_every))) TRY(validate(self, error));
    if ((numbered || self->best) && save(self, numbered, &trouble) != VOCODE_OK) warn_of(self, &trouble);
    if (last || due(step, settings->sample_every)) TRY(make_samples(self, error));
    self->tick = clock_seconds(); /* none of this is the step's time */
    return VOCODE_OK;
}

static vocode_status loop(run *self, vocode_error *error) {
    const train_watcher *watcher = self->watcher;
    const train_state *state = &self->trainer->state;
    bool stopped = false;
    if (state->step == 0 && self->request->warm_start && self->trainer->settings->validate_every)
        TRY(validate(self, error));
    self->tick = clock_seconds();
    while (!stopped && state->step < self->trainer->settings->steps) {
        train_outcome outcome;
        TRY(take_step(self, &outcome, error));
        report(self, &outcome);
        TRY(keep_house(self, error));
        stopped = team_any(self->request->team, watcher->stop && watcher->stop(watcher->context));
    }
    if (state->step && (self->saved != state->step || self->best)) TRY(save(self, false, error));
    if (!stopped || state->step == self->trainer->settings->steps) return VOCODE_OK;
    failed(error, VOCODE_CANCELLED, "stopped after step %llu and saved: --resume goes on",
           (unsigned long long)state->step);
    return team_agree(self->request->team, VOCODE_CANCELLED, error);
}

vocode_status train_run(const train_request *request, const train_watcher *watcher, vocode_error *error) {
    run self = {.request = request, .watcher = watcher, .saved = SAVED_NONE, .leads = team_rank(request->team) == 0};
    vocode_status status = start(&self, error);
    if (status == VOCODE_OK) status = loop(&self, error);
    vocode_error trouble;
    if (trace_close(self.trace, &trouble) != VOCODE_OK) warn_of(&self, &trouble);
    train_samples_free(self.samples);
    board_free(self.board);
    train_log_close(self.log);
    feed_close(self.feed);
    trainer_free(self.trainer);
    train_config_free(&self.config);
    return status;
}
