#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "density/adam.h"
#include "density/rows.h"
#include "density/vae.h"

const vae_options vae_defaults = {.valid = 0.1,
                                  .batch = 128,
                                  .epochs = 500,
                                  .warm = 50,
                                  .rate = 2e-3,
                                  .decay = 1e-6,
                                  .clip = 100,
                                  .keep = 0.99,
                                  .seed = 0,
                                  .threads = 1};

enum { SHARD = 32, MOST_BAD_STEPS = 50, WARM_STEPS = 100, DRAWS = 8 };

typedef struct fit {
    vae *model;
    vae_options options;
    const real *x;
    size_t rows, train, *order; /* rows for training come first in order */
    size_t shards, batch, scratch_size, tape_size;
    char *scratch, *tape; /* [shards] */
    real *batch_x, *noise, *grads, *held, *best;
    double *elbo, *loss;  /* [batch], [shards] */
    double *judged;       /* [rows held out] */
    vocode_error *errors; /* [shards] */
    adam state;
    double beta;
    size_t now;             /* rows of the present batch */
    size_t step, all_steps; /* batches so far, and in all epochs */
} fit;

static vocode_status take_memory(fit *self, vocode_error *error) {
    const vae *model = self->model;
    size_t channels = model->sizes.channels, total = model->set.total, held = self->rows - self->train;
    compute work = {.scratch = arena_over(NULL, 0), .threads = 1};
    arena tape = arena_over(NULL, 0);
    const vae_batch dry = {.rows = SHARD};
    TRY(vae_run(model, &work, &tape, &dry, error));
    self->tape_size = tape.peak + ARENA_ALIGNMENT - tape.peak % ARENA_ALIGNMENT;
    self->scratch_size = work.scratch.peak + ARENA_ALIGNMENT - work.scratch.peak % ARENA_ALIGNMENT;
    self->order = aligned_new(self->rows, sizeof *self->order);
    self->scratch = aligned_new(self->shards, self->scratch_size);
    self->tape = aligned_new(self->shards, self->tape_size);
    self->batch_x = aligned_new(self->batch * channels, sizeof(real));
    self->noise = aligned_new(self->batch * model->sizes.latent, sizeof(real));
    self->grads = aligned_new(self->shards * total, sizeof(real));
    self->held = aligned_new(held * channels, sizeof(real));
    self->best = aligned_new(total, sizeof(real));
    self->elbo = aligned_new(self->batch, sizeof(double));
    self->judged = aligned_new(held, sizeof(double));
    self->loss = aligned_new(self->shards, sizeof(double));
    self->errors = calloc(self->shards, sizeof *self->errors);
    bool good = self->order && self->scratch && self->tape && self->batch_x && self->noise && self->grads &&
                self->held && self->best && self->elbo && self->judged && self->loss && self->errors;
    if (good && adam_new(&self->state, &model->set, NULL, self->options.keep)) return VOCODE_OK;
    return failed(error, VOCODE_MEMORY, "out of memory to fit %zu parameters", total);
}

static void free_memory(fit *self) {
    void *owned[] = {self->order, self->scratch, self->tape, self->batch_x, self->noise, self->grads,
                     self->held,  self->best,    self->elbo, self->judged,  self->loss};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) aligned_free(owned[i]);
    free(self->errors);
    adam_free(&self->state);
}

static void run_shard(void *context, size_t index) {
    fit *self = context;
    const vae *model = self->model;
    size_t first = index * SHARD, total = model->set.total;
    real *grads = self->grads + index * total;
    memset(grads, 0, total * sizeof *grads);
    self->loss[index] = 0;
    self->errors[index].code = VOCODE_OK;
    if (first >= self->now) return;
    compute work = {.scratch = arena_over(self->scratch + index * self->scratch_size, self->scratch_size),
                    .threads = 1};
    arena tape = arena_over(self->tape + index * self->tape_size, self->tape_size);
    const vae_batch batch = {.rows = smaller(SHARD, self->now - first),
                             .x = self->batch_x + first * model->sizes.channels,
                             .noise = self->noise + first * model->sizes.latent,
                             .elbo = self->elbo + first,
                             .beta = self->beta,
                             .weight = 1 / (double)self->now,
                             .loss = &self->loss[index],
                             .grads = grads};
    self->errors[index].code = vae_run(model, &work, &tape, &batch, &self->errors[index]);
}

/* Rises for WARM_STEPS, then falls along half a cosine. */
static double rate_of(const fit *self) {
    static const double half_turn = 3.14159265358979323846;
    double rate = self->options.rate * (1 + cos(half_turn * (double)self->step / (double)self->all_steps)) / 2;
    return self->step < WARM_STEPS ? rate * (double)(self->step + 1) / WARM_STEPS : rate;
}

/* One step; the loss of its rows is added to *sum, and *moved says whether it was taken. */
static vocode_status step(fit *self, const compute *team, size_t first, double rate, double *sum, bool *moved,
                          vocode_error *error) {
    vae *model = self->model;
    size_t channels = model->sizes.channels;
    double loss = 0;
    self->now = smaller(self->batch, self->train - first);
    for (size_t t = 0; t < self->now; t++)
        memcpy(self->batch_x + t * channels, self->x + self->order[first + t] * channels, channels * sizeof(real));
    rng_fill_normal(self->noise, self->now, model->sizes.latent, ~self->options.seed, self->step * self->batch, 1);
    run_tasks(team, self->shards, run_shard, self);
    for (size_t s = 0; s < self->shards; s++) {
        if (self->errors[s].code != VOCODE_OK) {
            if (error) *error = self->errors[s];
            return self->errors[s].code;
        }
        loss += self->loss[s];
    }
    self->step++;
    *moved = isfinite(loss) && adam_step(&self->state, &model->set, team, self->grads, self->shards, rate,
                                         self->options.decay, self->options.clip);
    if (*moved) *sum += loss * (double)self->now;
    return vae_prepare(model, error);
}

static vocode_status train_epoch(fit *self, size_t epoch, vae_progress *now, vocode_error *error) {
    compute team = {.scratch = arena_over(NULL, 0), .threads = self->options.threads};
    team.scratch.base = self->scratch; /* it is a run, not a dry one */
    double sum = 0;
    size_t seen = 0, bad = 0;
    rows_shuffle(self->order, self->train, self->options.seed, epoch);
    for (size_t first = 0; first < self->train; first += self->batch) {
        bool moved;
        double done = self->options.warm ? (double)self->step * (double)now->epochs /
                                               ((double)self->all_steps * (double)self->options.warm)
                                         : 1;
        now->beta = self->beta = fmin(1, done);
        now->rate = rate_of(self);
        TRY(step(self, &team, first, now->rate, &sum, &moved, error));
        bad = moved ? 0 : bad + 1;
        now->skipped += !moved;
        seen += moved ? self->now : 0;
        if (bad == MOST_BAD_STEPS)
            return failed(error, VOCODE_VALUE,
                          "the fit ran away: expected finite losses, found none in %d steps; try a lower rate",
                          MOST_BAD_STEPS);
    }
    now->train_loss = sum / (double)seen;
    return VOCODE_OK;
}

/* The held-out rows' ELBO of the parameters' mean, which is kept where it is the best so far. */
static vocode_status judge(fit *self, vae_progress *now, vocode_error *error) {
    vae *model = self->model;
    size_t held = self->rows - self->train;
    double sum = 0;
    adam_swap(&self->state, &model->set);
    TRY(vae_prepare(model, error));
    TRY(vae_score(model, self->held, held, DRAWS, self->options.seed, self->options.threads, self->judged, NULL,
                  error));
    for (size_t t = 0; t < held; t++) sum += self->judged[t];
    now->valid_elbo = sum / (double)held;
    now->best = isfinite(now->valid_elbo) && !(now->valid_elbo <= model->valid_elbo);
    if (now->best) {
        model->valid_elbo = now->valid_elbo;
        memcpy(self->best, model->set.storage, model->set.total * sizeof(real));
    }
    adam_swap(&self->state, &model->set);
    return vae_prepare(model, error);
}

static vocode_status run_epochs(fit *self, const vae_watch *watch, vocode_error *error) {
    vae *model = self->model;
    vae_progress now = {.epochs = self->options.epochs};
    self->all_steps = now.epochs * tiles_of(self->train, self->batch);
    for (now.epoch = 1; now.epoch <= now.epochs; now.epoch++) {
        TRY(train_epoch(self, now.epoch, &now, error));
        TRY(judge(self, &now, error));
        model->epochs = now.epoch;
        if (watch && watch->see && !watch->see(watch->context, &now)) break;
    }
    if (!isfinite(model->valid_elbo))
        return failed(error, VOCODE_VALUE, "the fit gives the held-out rows no finite bound");
    memcpy(model->set.storage, self->best, model->set.total * sizeof(real));
    return vae_prepare(model, error);
}

static vocode_status start(fit *self, vocode_error *error) {
    size_t channels = self->model->sizes.channels;
    TRY(take_memory(self, error));
    for (size_t i = 0; i < self->rows; i++) self->order[i] = i;
    rows_shuffle(self->order, self->rows, self->options.seed, 0);
    for (size_t t = self->train; t < self->rows; t++)
        memcpy(self->held + (t - self->train) * channels, self->x + self->order[t] * channels, channels * sizeof(real));
    self->model->rows = self->rows;
    self->model->valid_elbo = NAN;
    return VOCODE_OK;
}

vocode_status vae_fit(vae *model, const real *x, size_t rows, const vae_options *options, const vae_watch *watch,
                      vocode_error *error) {
    if (rows < 2)
        return failed(error, VOCODE_VALUE, "expected at least 2 rows to fit and to hold out, found %zu", rows);
    TRY(rows_check(x, rows, model->sizes.channels, "rows", error));
    TRY(vae_check(model, x, rows, error));
    size_t alike = 1, all = rows * model->sizes.channels;
    while (alike < all && x[alike] == x[0]) alike++;
    if (alike == all)
        return failed(error, VOCODE_VALUE, "expected numbers that vary, found %g everywhere", (double)x[0]);
    fit self = {.model = model, .options = *options, .x = x, .rows = rows};
    self.train = rows_for_training(rows, options->valid);
    self.batch = smaller(options->batch, self.train);
    self.shards = tiles_of(self.batch, SHARD);
    vocode_status status = start(&self, error);
    if (status == VOCODE_OK) status = run_epochs(&self, watch, error);
    free_memory(&self);
    return status;
}
