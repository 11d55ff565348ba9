#include "density/fit.h"

#include <stdlib.h>
#include <string.h>

#include "density/adam.h"
#include "density/objective.h"
#include "density/rows.h"
#include "density/standard.h"
#include "nn/batch_norm.h"

const fit_options fit_defaults = {
    .method = FIT_QUICKEST, .valid = 0.1, .rate = 0, .decay = 1e-6, .clip = 10, .keep = 0.998, .seed = 0, .threads = 1};

enum {
    FIRST_BATCH = 4096,
    MOST_BAD_STEPS = 50,
    WARM_STEPS = 100,
    JUDGEMENTS = 25,

    USUAL_BATCH = 256,
    IMAGE_BATCH = 128,
    MATCHING_BATCH = 1024
};

typedef struct fit {
    vectors_model *model;
    fit_options options;
    const real *x, *context; /* as they were given */
    size_t rows, train;      /* rows for training come first in order */
    size_t *order;           /* [rows] */
    size_t shards, batch;    /* of a step */
    size_t scratch_size, tape_size;
    char *scratch, *tape; /* [shards] */
    real *batch_x, *batch_context, *z, *dz, *dx, *grads;
    double *logdet, *dlogdet, *loss; /* [batch], [batch], [shards] */
    vocode_error *errors;            /* [shards] */
    real *best;
    adam state;
    size_t now;             /* rows of the present batch */
    size_t step, all_steps; /* batches so far, and in all epochs */
} fit;

/* Rows order[first], ... of the data side by side. */
static void gather(const fit *self, size_t first, size_t count, real *x, real *context) {
    const vectors_model *model = self->model;
    size_t channels = model->channels, width = model->context;
    for (size_t t = 0; t < count; t++) {
        size_t row = self->order[first + t];
        memcpy(x + t * channels, self->x + row * channels, channels * sizeof *x);
        if (width) vectors_scale_context(model, self->context + row * width, 1, context + t * width);
    }
}

static flow_run run_of(const fit *self, compute *work, size_t rows, const real *context, vocode_error *error) {
    return (flow_run){.work = work,
                      .shape = {rows, 1, self->model->channels},
                      .cond = self->model->context ? context : NULL,
                      .cond_frames = 1,
                      .cond_channels = self->model->context,
                      .error = error};
}

/* What learns from the first batch does so. */
static vocode_status start(fit *self, vocode_error *error) {
    vectors_model *model = self->model;
    TRY(flow_prepare(model->chain, error));
    size_t rows = smaller(self->train, FIRST_BATCH), size, tape;
    compute work = {.scratch = arena_over(NULL, 0), .threads = self->options.threads};
    flow_run run = run_of(self, &work, rows, NULL, error);
    TRY(flow_measure(model->chain, &run, FLOW_FORWARD, &size, &tape));
    char *memory = aligned_new(size, 1);
    real *x = aligned_new(rows * model->channels, sizeof *x),
         *context = aligned_new(rows * model->context + 1, sizeof *x);
    vocode_status status = memory && x && context ? VOCODE_OK : failed(error, VOCODE_MEMORY, "out of memory to fit");
    if (status == VOCODE_OK) {
        gather(self, 0, rows, x, context);
        work.scratch = arena_over(memory, size);
        run = run_of(self, &work, rows, context, error);
        status = flow_init_from(model->chain, &run, x);
    }
    aligned_free(memory);
    aligned_free(x);
    aligned_free(context);
    return status == VOCODE_OK ? flow_prepare(model->chain, error) : status;
}

/* Loss and gradients of rows of the batch from `first` on. */
static vocode_status objective(const fit *self, const flow_run *run, size_t first, arena *tape, double *loss) {
    const vectors_model *model = self->model;
    size_t at = first * model->channels;
    objective_room room = {0};
    if (!measuring(run->work))
        room =
            (objective_room){self->z + at, self->dz + at, self->dx + at, self->logdet + first, self->dlogdet + first};
    double weight = 1 / (double)(self->now ? self->now : 1);
    const real *x = part_of(self->batch_x, at);
    if (self->options.method == FIT_MATCHING)
        return matching_loss(model, run, x, room, self->options.seed, weight, tape, loss);
    return likelihood_loss(model, run, x, room, weight, tape, loss);
}

static vocode_status take_memory(fit *self, vocode_error *error) {
    const vectors_model *model = self->model;
    size_t numbers = self->batch * model->channels;
    compute work = {.scratch = arena_over(NULL, 0), .threads = 1};
    arena tape = arena_over(NULL, 0);
    flow_run run = run_of(self, &work, VECTORS_SHARD, NULL, error);
    TRY(objective(self, &run, 0, &tape, NULL));
    self->tape_size = tape.peak + ARENA_ALIGNMENT - tape.peak % ARENA_ALIGNMENT;
    self->scratch_size = work.scratch.peak + ARENA_ALIGNMENT - work.scratch.peak % ARENA_ALIGNMENT;
    self->scratch = aligned_new(self->shards, self->scratch_size);
    self->tape = aligned_new(self->shards, self->tape_size);
    self->batch_x = aligned_new(numbers, sizeof(real));
    self->batch_context = aligned_new(self->batch * model->context + 1, sizeof(real));
    self->z = aligned_new(numbers, sizeof(real));
    self->dz = aligned_new(numbers, sizeof(real));
    self->dx = aligned_new(numbers, sizeof(real));
    self->grads = aligned_new(self->shards * model->set.total, sizeof(real));
    self->best = aligned_new(model->set.total, sizeof(real));
    self->logdet = aligned_new(self->batch, sizeof(double));
    self->dlogdet = aligned_new(self->batch, sizeof(double));
    self->loss = aligned_new(self->shards, sizeof(double));
    self->errors = calloc(self->shards, sizeof *self->errors);
    bool good = self->scratch && self->tape && self->batch_x && self->batch_context && self->z && self->dz &&
                self->dx && self->grads && self->best && self->logdet && self->dlogdet && self->loss && self->errors;
    if (good && adam_new(&self->state, &model->set, "standard.", self->options.keep)) return VOCODE_OK;
    return failed(error, VOCODE_MEMORY, "out of memory to fit %zu parameters", model->set.total);
}

static void free_memory(fit *self) {
    void *owned[] = {self->scratch, self->tape,   self->batch_x, self->batch_context, self->z,    self->dz,   self->dx,
                     self->grads,   self->logdet, self->dlogdet, self->loss,          self->best, self->order};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) aligned_free(owned[i]);
    free(self->errors);
    adam_free(&self->state);
}

/* Loss and gradients of one shard of the batch, by one thread. */
static void run_shard(void *context, size_t index) {
    fit *self = context;
    const vectors_model *model = self->model;
    size_t first = index * VECTORS_SHARD, total = model->set.total;
    real *grads = self->grads + index * total;
    memset(grads, 0, total * sizeof *grads);
    self->loss[index] = 0;
    self->errors[index].code = VOCODE_OK;
    if (first >= self->now) return;
    size_t rows = smaller(VECTORS_SHARD, self->now - first);
    compute work = {.scratch = arena_over(self->scratch + index * self->scratch_size, self->scratch_size),
                    .threads = 1};
    arena tape = arena_over(self->tape + index * self->tape_size, self->tape_size);
    flow_run run = run_of(self, &work, rows, self->batch_context + first * model->context, &self->errors[index]);
    run.grads = grads;
    run.draw = self->step;
    run.first = first;
    const norm_batch norm = {.parts = 1, .recent = grads};
    if (model->chain->traits & FLOW_BATCH_STATISTICS) run.norm = &norm;
    self->errors[index].code = objective(self, &run, first, &tape, &self->loss[index]);
}

/* Rises for WARM_STEPS, then falls along half a cosine. */
static double rate_of(const fit *self) {
    static const double half_turn = 3.14159265358979323846;
    double rate = self->options.rate * (1 + cos(half_turn * (double)self->step / (double)self->all_steps)) / 2;
    return self->step < WARM_STEPS ? rate * (double)(self->step + 1) / WARM_STEPS : rate;
}

static vocode_status train_epoch(fit *self, size_t epoch, fit_progress *now, vocode_error *error) {
    const fit_options *options = &self->options;
    compute team = {.scratch = arena_over(NULL, 0), .threads = options->threads};
    team.scratch.base = (char *)self->scratch; /* it is a run, not a dry one */
    double sum = 0;
    size_t seen = 0, bad = 0;
    rows_shuffle(self->order, self->train, options->seed, epoch);
    for (size_t first = 0; first < self->train; first += self->batch) {
        self->now = rows_with_statistics(self->model, smaller(self->batch, self->train - first), first == 0);
        if (!self->now) break;
        gather(self, first, self->now, self->batch_x, self->batch_context);
        run_tasks(&team, self->shards, run_shard, self);
        now->rate = rate_of(self);
        self->step++;
        double loss = 0;
        for (size_t s = 0; s < self->shards; s++) {
            if (self->errors[s].code != VOCODE_OK) {
                if (error) *error = self->errors[s];
                return self->errors[s].code;
            }
            loss += self->loss[s];
        }
        if (isfinite(loss)) follow_statistics(self->model, self->grads, tiles_of(self->now, VECTORS_SHARD));
        if (!isfinite(loss) || !adam_step(&self->state, &self->model->set, &team, self->grads, self->shards, now->rate,
                                          options->decay, options->clip)) {
            now->skipped++;
            if (++bad < MOST_BAD_STEPS) continue;
            return failed(error, VOCODE_VALUE,
                          "the fit ran away: expected finite losses, found none in %d steps; try a lower rate",
                          MOST_BAD_STEPS);
        }
        sum += loss * (double)self->now;
        seen += self->now;
        TRY(flow_prepare(self->model->chain, error));
    }
    now->train_nll = sum / (double)seen;
    return VOCODE_OK;
}

static vocode_status validate(fit *self, const real *x, const real *context, double *log_density, double *nll,
                              vocode_error *error) {
    size_t rows = self->rows - self->train;
    double sum = 0;
    TRY(vectors_encode(self->model, x, context, rows, self->options.threads, NULL, log_density, error));
    for (size_t t = 0; t < rows; t++) sum += log_density[t];
    *nll = -sum / (double)rows;
    return VOCODE_OK;
}

/* Images have many numbers a row, which are soon known by heart. */
enum { USUAL_STEPS = 20000, IMAGE_STEPS = 800, LEAST_EPOCHS = 50, MOST_EPOCHS = 1000 };

static size_t epochs_of(const fit *self) {
    size_t steps = tiles_of(self->train, self->batch),
           epochs = tiles_of(self->model->image.height ? IMAGE_STEPS : USUAL_STEPS, steps);
    if (self->options.epochs) return self->options.epochs;
    return epochs < LEAST_EPOCHS ? LEAST_EPOCHS : smaller(epochs, MOST_EPOCHS);
}

static void keep_best(fit *self, double nll) {
    vectors_model *model = self->model;
    model->valid_nll = nll;
    memcpy(self->best, model->set.storage, model->set.total * sizeof(real));
}

/* The held-out rows' likelihood of the parameters' mean, which is kept where it is the best so far. */
static vocode_status judge(fit *self, const real *x, const real *context, double *log_density, fit_progress *now,
                           vocode_error *error) {
    vectors_model *model = self->model;
    adam_swap(&self->state, &model->set);
    TRY(flow_prepare(model->chain, error));
    TRY(validate(self, x, context, log_density, &now->valid_nll, error));
    now->best = now->valid_nll < model->valid_nll || (isfinite(now->valid_nll) && !isfinite(model->valid_nll));
    if (now->best) keep_best(self, now->valid_nll);
    adam_swap(&self->state, &model->set);
    return flow_prepare(model->chain, error);
}

/* Epochs until nothing improves any more. x, context: the held-out rows. Where the likelihood costs much more than an
 * epoch, it is asked for less often. */
static vocode_status run_epochs(fit *self, const real *x, const real *context, double *log_density,
                                const fit_watch *watch, vocode_error *error) {
    const fit_options *options = &self->options;
    vectors_model *model = self->model;
    fit_progress now = {.epochs = epochs_of(self)};
    size_t patience = options->patience ? options->patience : tiles_of(now.epochs, 2), stale = 0;
    size_t every = options->method == FIT_MATCHING ? tiles_of(now.epochs, JUDGEMENTS) : 1;
    self->all_steps = now.epochs * tiles_of(self->train, self->batch);
    TRY(validate(self, x, context, log_density, &now.valid_nll, error));
    keep_best(self, now.valid_nll);
    model->set.training = true;
    for (now.epoch = 1; now.epoch <= now.epochs && stale < patience; now.epoch++) {
        TRY(train_epoch(self, now.epoch, &now, error));
        now.best = false;
        if (now.epoch % every == 0 || now.epoch == now.epochs) TRY(judge(self, x, context, log_density, &now, error));
        stale = now.best ? 0 : stale + 1;
        model->epochs = now.epoch;
        if (watch && watch->see && !watch->see(watch->context, &now)) break;
    }
    model->set.training = false;
    memcpy(model->set.storage, self->best, model->set.total * sizeof(real));
    if (!isfinite(model->valid_nll))
        return failed(error, VOCODE_VALUE, "the fit gives the held-out rows no density: %g nats a row",
                      -model->valid_nll);
    return flow_prepare(model->chain, error);
}

static vocode_status run_fit(fit *self, const fit_watch *watch, vocode_error *error) {
    const vectors_model *model = self->model;
    size_t held = self->rows - self->train;
    TRY(standardise(self->model, self->x, self->context, self->order, self->train, error));
    TRY(start(self, error));
    TRY(take_memory(self, error));
    real *x = aligned_new(held * model->channels, sizeof *x),
         *context = aligned_new(held * model->context + 1, sizeof *x);
    double *log_density = aligned_new(held, sizeof *log_density);
    vocode_status status =
        x && context && log_density ? VOCODE_OK : failed(error, VOCODE_MEMORY, "out of memory to fit");
    for (size_t t = 0; status == VOCODE_OK && t < held; t++) {
        size_t row = self->order[self->train + t];
        memcpy(x + t * model->channels, self->x + row * model->channels, model->channels * sizeof *x);
        if (model->context)
            memcpy(context + t * model->context, self->context + row * model->context, model->context * sizeof *x);
    }
    if (status == VOCODE_OK) status = run_epochs(self, x, model->context ? context : NULL, log_density, watch, error);
    aligned_free(x);
    aligned_free(context);
    aligned_free(log_density);
    return status;
}

vocode_status fit_vectors(vectors_model *model, const real *x, const real *context, size_t rows,
                          const fit_options *options, const fit_watch *watch, vocode_error *error) {
    if (rows < 2)
        return failed(error, VOCODE_VALUE, "expected at least 2 rows to fit and to hold out, found %zu", rows);
    if (model->base == BASE_uniform)
        return failed(error, VOCODE_UNSUPPORTED,
                      "a uniform base gives no slope to follow: expected gaussian or logistic");
    if (model->chain->traits & FLOW_MATCHED)
        return failed(error, VOCODE_UNSUPPORTED, "flow \"%.200s\" has no likelihood gradient", model->spec);
    if (options->method == FIT_MATCHING) TRY(matching_allowed(model, error));
    TRY(rows_check(x, rows, model->channels, "rows", error));
    TRY(vectors_check_whole(model, x, rows, error));
    if (context) TRY(rows_check(context, rows, model->context, "rows of context", error));
    fit self = {.model = model, .options = *options, .x = x, .context = context, .rows = rows};
    vocode_error unused;
    if (options->method == FIT_QUICKEST)
        self.options.method = matching_allowed(model, &unused) == VOCODE_OK ? FIT_MATCHING : FIT_LIKELIHOOD;
    size_t usual = model->image.height ? IMAGE_BATCH : USUAL_BATCH;
    if (!options->batch) self.options.batch = self.options.method == FIT_MATCHING ? MATCHING_BATCH : usual;
    if (!(options->rate > 0)) self.options.rate = usual_rate(model, self.options.method == FIT_MATCHING);
    self.train = rows_for_training(rows, options->valid);
    self.batch = smaller(self.options.batch, self.train);
    self.shards = tiles_of(self.batch, VECTORS_SHARD);
    self.order = aligned_new(rows, sizeof *self.order);
    vocode_status status = self.order ? VOCODE_OK : failed(error, VOCODE_MEMORY, "out of memory for %zu rows", rows);
    if (status == VOCODE_OK) {
        for (size_t i = 0; i < rows; i++) self.order[i] = i;
        rows_shuffle(self.order, rows, options->seed, 0);
        model->rows = rows;
        status = run_fit(&self, watch, error);
    }
    free_memory(&self);
    return status;
}
