#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Early averages follow quickly: decay is at most (1 + t) / (10 + t) after t updates. */
static double average_decay(const train_settings *settings, uint64_t updates) {
    double t = (double)updates, early = (1 + t) / (10 + t);
    return early < settings->ema ? early : settings->ema;
}

static size_t invertible_count(const param_set *set) {
    size_t total = 0;
    for (size_t i = 0; i < set->count; i++) total += set->items[i]->invertible ? set->items[i]->count : 0;
    return total;
}

static vocode_status check_segment(const vocode_model *model, const train_config *config, vocode_error *error) {
    size_t segment = config->settings.segment, hop = model->hop;
    if (segment % hop == 0 && segment % model->group == 0 && segment / model->group % model->columns_per_cond == 0)
        return VOCODE_OK;
    return failed(error, VOCODE_VALUE, "%s: train: key \"segment\" must be a multiple of the hop, %zu, found %zu",
                  config->path, hop, segment);
}

/* For the batch of that number among all that are drawn. */
static block_objective objective_of(const trainer *self, uint64_t number, bool spectral) {
    const train_settings *settings = self->settings;
    double sigma = settings->spectral_sigma > 0 ? settings->spectral_sigma : self->model->settings.sigma;
    return (block_objective){.sigma = settings->sigma,
                             .memory = (block_memory)settings->memory,
                             .bf16 = settings->precision == TRAIN_BF16,
                             .seed = settings->seed,
                             .first = number * settings->batch,
                             .spectral = {.weight = spectral ? settings->spectral_weight : 0,
                                          .mel_weight = settings->spectral_mel_weight,
                                          .repulsion = settings->spectral_repulsion,
                                          .sigma = sigma}};
}

static vocode_status fill(trainer *self, const train_config *config, vocode_error *error) {
    const train_settings *settings = self->settings;
    const vocode_model *model = self->model;
    TRY(check_segment(model, config, error));
    self->shape = (block_shape){settings->batch, settings->segment / model->hop, settings->segment / model->group};
    TRY(optimizer_new(&self->model->params, config->groups, config->group_count, &self->arrays, error));
    if (settings->norm_statistics == TRAIN_NORMS_BATCH) self->norm.recent = self->arrays.grads;
    self->kept = aligned_new(invertible_count(&model->params) + 1, sizeof(real));
    if (!self->kept) return failed(error, VOCODE_MEMORY, "cannot allocate a copy of the invertible matrices");
    block_objective plan = objective_of(self, 0, true);
    return block_trainer_new(model, self->shape, self->threads, &plan, &self->blocks, error);
}

vocode_status trainer_new(vocode_model *model, const train_config *config, trainer **out, vocode_error *error) {
    *out = NULL;
    trainer *self = calloc(1, sizeof *self);
    if (!self) {
        vocode_model_free(model);
        return failed(error, VOCODE_MEMORY, "cannot allocate a trainer");
    }
    *self = (trainer){.model = model,
                      .settings = &config->settings,
                      .threads = block_threads((int)config->settings.threads),
                      .norm = {.parts = 1},
                      .state = {.best = INFINITY, .last_validation = NAN}};
    vocode_status status = fill(self, config, error);
    if (status == VOCODE_OK)
        *out = self;
    else
        trainer_free(self);
    return status;
}

void trainer_free(trainer *self) {
    if (!self) return;
    block_trainer_free(self->blocks);
    sharing_free(self->sharing);
    optimizer_free(&self->arrays);
    aligned_free(self->kept);
    vocode_model_free(self->model);
    free(self);
}

vocode_status trainer_gradient(trainer *self, const train_batch *batch, double *loss, vocode_error *error) {
    bool spectral = self->state.step % self->settings->spectral_every == 0;
    block_objective objective = objective_of(self, self->state.batches + team_rank(self->team), spectral);
    self->state.batches += team_size(self->team);
    self->gathered++;
    if (self->sharing) objective.watch = sharing_begin(self->sharing, self->gathered == self->settings->accumulate);
    objective.norm = self->norm.recent ? &self->norm : NULL;
    return block_trainer_run(self->blocks, &objective, batch->mel, batch->x, loss, self->arrays.grads, error);
}

vocode_status trainer_score(trainer *self, const train_batch *batch, uint64_t index, double *loss,
                            vocode_error *error) {
    block_objective objective = objective_of(self, index, true);
    return block_trainer_run(self->blocks, &objective, batch->mel, batch->x, loss, NULL, error);
}

static void share_array(const trainer *self, real *values) {
    self->team->share(self->team->context, values, self->model->params.total * sizeof *values);
}

vocode_status trainer_join(trainer *self, const train_team *team, train_trace *trace, vocode_error *error) {
    if (!team && !trace) return VOCODE_OK;
    TRY(sharing_new(&self->model->params, self->arrays.grads, team, trace, &self->sharing, error));
    self->team = team;
    if (!team) return VOCODE_OK;
    self->norm.parts = team->size;
    self->norm.sum = team->sum;
    self->norm.context = team->context;
    share_array(self, self->arrays.weights);
    share_array(self, self->arrays.average);
    share_array(self, self->arrays.first);
    share_array(self, self->arrays.second);
    team->share(team->context, &self->arrays.updates, sizeof self->arrays.updates);
    team->share(team->context, &self->state, sizeof self->state);
    return model_prepare(self->model, error);
}

/* Copies the invertible matrices out of the weights, or back with their moments forgotten. */
static void keep_matrices(trainer *self, bool back) {
    real *kept = self->kept;
    for (size_t i = 0; i < self->model->params.count; i++) {
        const param *p = self->model->params.items[i];
        if (!p->invertible) continue;
        memcpy(back ? p->value : kept, back ? kept : p->value, p->count * sizeof *kept);
        if (back) optimizer_reset(&self->arrays, p);
        kept += p->count;
    }
}

/* A matrix that came near to singular would make every later number wrong: its update is taken back, and those of the
 * other matrices with it. */
static vocode_status prepare_guarded(trainer *self, train_outcome *outcome, vocode_error *error) {
    vocode_status status = model_prepare(self->model, error);
    if (status != VOCODE_VALUE) return status;
    keep_matrices(self, true);
    outcome->undone = true;
    self->state.undone++;
    return model_prepare(self->model, error);
}

static vocode_status skip(trainer *self, vocode_error *error) {
    train_state *state = &self->state;
    optimizer_drop(&self->arrays, self->threads);
    state->skipped++;
    if (++state->skipped_in_row < self->settings->most_skipped) return VOCODE_OK;
    return failed(
        error, VOCODE_VALUE,
        "step %llu: loss or gradient was not finite in %llu steps in a row: a lower learning_rate or clip, or "
        "other data, may help",
        (unsigned long long)state->step, (unsigned long long)state->skipped_in_row);
}

static optimizer_step describe_update(const trainer *self, const train_outcome *outcome, double share) {
    const train_settings *settings = self->settings;
    bool long_one = settings->clip > 0 && outcome->norm > settings->clip;
    return (optimizer_step){
        .rate = outcome->rate,
        .scale = share * (long_one ? settings->clip / outcome->norm : 1),
        .beta1 = settings->beta1,
        .beta2 = settings->beta2,
        .epsilon = settings->epsilon,
        .decay = settings->weight_decay,
        .ema = average_decay(settings, self->arrays.updates),
        .keep = self->norm.recent ? pow(1 - BATCH_NORM_MOMENTUM, (double)settings->accumulate) : 1,
        .gain = self->norm.recent ? 1 / (double)team_size(self->team) : 0, /* each rank has the same */
    };
}

vocode_status trainer_update(trainer *self, double loss, train_outcome *outcome, vocode_error *error) {
    const train_settings *settings = self->settings;
    double ranks = (double)team_size(self->team), share = 1 / ((double)settings->accumulate * ranks);
    if (self->sharing) sharing_end(self->sharing);
    self->gathered = 0;
    loss = team_sum(self->team, loss) / ranks;
    *outcome = (train_outcome){.loss = loss,
                               .norm = share * optimizer_norm(&self->arrays, self->threads),
                               .rate = settings->learning_rate * schedule_factor(settings, self->state.step)};
    outcome->skipped = !isfinite(loss) || !isfinite(outcome->norm);
    self->state.step++;
    if (outcome->skipped) return skip(self, error);
    self->state.skipped_in_row = 0;
    optimizer_step update = describe_update(self, outcome, share);
    keep_matrices(self, false);
    optimizer_update(&self->arrays, &update, self->threads);
    return prepare_guarded(self, outcome, error);
}

vocode_status trainer_exchange(trainer *self, vocode_error *error) {
    real *weights = self->arrays.weights, *average = self->arrays.average;
    for (size_t i = 0; i < self->model->params.total; i++) {
        real kept = weights[i];
        weights[i] = average[i];
        average[i] = kept;
    }
    return model_prepare(self->model, error);
}

vocode_status trainer_load(trainer *self, const char *path, vocode_error *error) {
    TRY(checkpoint_read(path, &self->arrays, &self->state, error));
    return model_prepare(self->model, error);
}

double trainer_spectral(const trainer *self) {
    return block_trainer_spectral(self->blocks);
}

double trainer_constant(const trainer *self) {
    if (self->model->type->objective) return NAN;
    return log(self->settings->sigma * sqrt(2 * M_PI));
}
