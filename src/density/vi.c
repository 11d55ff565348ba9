#include "density/vi.h"

#include <stdlib.h>
#include <string.h>

#include "density/adam.h"

const vi_options vi_defaults = {
    .tries = 3, .steps = 20000, .batch = 256, .rate = 0.02, .decay = 0, .clip = 10, .threads = 1};

enum { FIRST_BATCH = 4096, MOST_BAD_STEPS = 50, REPORTS = 200, COMPARED = 20000 };

typedef struct fit {
    vectors_model *model;
    const energy *target;
    const vi_options *options;
    size_t shards, batch, step;
    double beta;
    size_t scratch_size, tape_size;
    char *scratch, *tape;             /* [shards] */
    real *noise, *z, *dz, *dnoise;    /* [batch, channels]; dz: the energy's slope, then the loss's */
    real *grads;                      /* [shards, parameters] */
    double *logdet, *dlogdet, *value; /* [batch] */
    vocode_error *errors;             /* [shards] */
    real *best;                       /* [parameters] of the best try so far */
    adam state;
} fit;

static flow_run run_of(const fit *self, compute *work, size_t rows, vocode_error *error) {
    return (flow_run){.work = work, .shape = {rows, 1, self->model->channels}, .cond_frames = 1, .error = error};
}

/* What learns from the first batch does so, of noise. */
static vocode_status start(fit *self, vocode_error *error) {
    vectors_model *model = self->model;
    size_t size, tape;
    compute work = {.scratch = arena_over(NULL, 0), .threads = self->options->threads};
    flow_run run = run_of(self, &work, FIRST_BATCH, error);
    TRY(flow_measure(model->chain, &run, FLOW_FORWARD, &size, &tape));
    char *memory = aligned_new(size, 1);
    real *noise = aligned_new(FIRST_BATCH * model->channels, sizeof *noise);
    vocode_status status = memory && noise ? VOCODE_OK : failed(error, VOCODE_MEMORY, "out of memory to fit");
    if (status == VOCODE_OK) {
        base_draw(model->base, self->options->seed, 0, FIRST_BATCH, model->channels, noise);
        work.scratch = arena_over(memory, size);
        status = flow_init_from(model->chain, &run, noise);
    }
    aligned_free(memory);
    aligned_free(noise);
    return status == VOCODE_OK ? flow_prepare(model->chain, error) : status;
}

static vocode_status take_memory(fit *self, vocode_error *error) {
    const vectors_model *model = self->model;
    size_t numbers = self->batch * model->channels;
    compute work = {.scratch = arena_over(NULL, 0), .threads = 1};
    flow_run run = run_of(self, &work, VECTORS_SHARD, error);
    TRY(flow_measure(model->chain, &run, FLOW_TRAIN, &self->scratch_size, &self->tape_size));
    self->scratch_size += ARENA_ALIGNMENT - self->scratch_size % ARENA_ALIGNMENT;
    self->tape_size += ARENA_ALIGNMENT - self->tape_size % ARENA_ALIGNMENT;
    self->scratch = aligned_new(self->shards, self->scratch_size);
    self->tape = aligned_new(self->shards, self->tape_size);
    real **rows[] = {&self->noise, &self->z, &self->dz, &self->dnoise};
    double **numbers_of_rows[] = {&self->logdet, &self->dlogdet, &self->value};
    bool good = self->scratch && self->tape;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        good = (*rows[i] = aligned_new(numbers, sizeof(real))) && good;
    for (size_t i = 0; i < sizeof numbers_of_rows / sizeof *numbers_of_rows; i++)
        good = (*numbers_of_rows[i] = aligned_new(self->batch, sizeof(double))) && good;
    self->grads = aligned_new(self->shards * model->set.total, sizeof(real));
    self->errors = calloc(self->shards, sizeof *self->errors);
    self->best = aligned_new(model->set.total, sizeof(real));
    if (good && self->grads && self->errors && self->best) return VOCODE_OK;
    return failed(error, VOCODE_MEMORY, "out of memory to fit %zu parameters", model->set.total);
}

static void free_memory(fit *self) {
    void *owned[] = {self->scratch, self->tape,    self->noise, self->z,     self->dz,  self->dnoise,
                     self->logdet,  self->dlogdet, self->value, self->grads, self->best};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) aligned_free(owned[i]);
    free(self->errors);
    adam_free(&self->state);
}

/* A shard of the batch in one thread's memory. */
typedef struct part {
    size_t rows, start;
    compute work;
    arena tape;
    flow_run run;
} part;

static void part_of_batch(fit *self, size_t index, part *out) {
    size_t first = index * VECTORS_SHARD;
    out->rows = smaller(VECTORS_SHARD, self->batch - first);
    out->start = first * self->model->channels;
    out->work =
        (compute){.scratch = arena_over(self->scratch + index * self->scratch_size, self->scratch_size), .threads = 1};
    out->tape = arena_over(self->tape + index * self->tape_size, self->tape_size);
    out->run = run_of(self, &out->work, out->rows, &self->errors[index]);
    out->run.first = first;
    self->errors[index].code = VOCODE_OK;
}

/* Noise to z. */
static void draw_part(void *context, size_t index) {
    fit *self = context;
    const vectors_model *model = self->model;
    size_t first = index * VECTORS_SHARD;
    part it;
    part_of_batch(self, index, &it);
    base_draw(model->base, self->options->seed, FIRST_BATCH + (uint64_t)self->step * self->batch + first, it.rows,
              model->channels, self->noise + it.start);
    for (size_t i = 0; i < it.rows; i++) self->logdet[first + i] = 0;
    self->errors[index].code =
        flow_forward(model->chain, &it.run, self->noise + it.start, self->z + it.start, self->logdet + first, &it.tape);
}

/* The gradient of the mean of beta U - log|det|. */
static void learn_part(void *context, size_t index) {
    fit *self = context;
    const vectors_model *model = self->model;
    size_t first = index * VECTORS_SHARD, total = model->set.total;
    double weight = 1 / (double)self->batch;
    part it;
    part_of_batch(self, index, &it);
    it.run.grads = self->grads + index * total;
    memset(it.run.grads, 0, total * sizeof(real));
    for (size_t i = 0; i < it.rows; i++) self->dlogdet[first + i] = -weight;
    for (size_t i = 0; i < it.rows * model->channels; i++) self->dz[it.start + i] *= (real)(self->beta * weight);
    self->errors[index].code =
        flow_backward(model->chain, &it.run, self->noise + it.start, self->z + it.start, self->dz + it.start,
                      self->dlogdet + first, self->dnoise + it.start, &it.tape);
}

static vocode_status run_parts_of(fit *self, const compute *team, void (*body)(void *, size_t), vocode_error *error) {
    run_tasks(team, self->shards, body, self);
    for (size_t s = 0; s < self->shards; s++)
        if (self->errors[s].code != VOCODE_OK) {
            if (error) *error = self->errors[s];
            return self->errors[s].code;
        }
    return VOCODE_OK;
}

/* One step; *free_energy is the batch's, and *moved whether it was taken. */
static vocode_status step(fit *self, const compute *team, double rate, double *free_energy, bool *moved,
                          vocode_error *error) {
    vectors_model *model = self->model;
    double sum = 0;
    *moved = false;
    TRY(run_parts_of(self, team, draw_part, error));
    if (!self->target->find(self->target->context, self->z, self->batch, self->value, self->dz))
        return failed(error, VOCODE_CANCELLED, "the energy gave up");
    for (size_t i = 0; i < self->batch; i++)
        sum += base_log_density(model->base, self->noise + i * model->channels, model->channels) - self->logdet[i] +
               self->value[i];
    *free_energy = sum / (double)self->batch;
    if (!isfinite(sum)) return VOCODE_OK;
    TRY(run_parts_of(self, team, learn_part, error));
    *moved = adam_step(&self->state, &model->set, team, self->grads, self->shards, rate, self->options->decay,
                       self->options->clip);
    return flow_prepare(model->chain, error);
}

static vocode_status run_steps(fit *self, size_t attempt, const vi_watch *watch, bool *stopped, vocode_error *error) {
    static const double half_turn = 3.14159265358979323846, coolest = 0.01;
    const vi_options *options = self->options;
    compute team = {.scratch = arena_over(NULL, 0), .threads = options->threads};
    team.scratch.base = self->scratch; /* it is a run, not a dry one */
    size_t anneal = options->anneal ? options->anneal : tiles_of(options->steps, 2), seen = 0;
    size_t every = tiles_of(options->steps, REPORTS), bad = 0;
    vi_progress now = {.attempt = attempt + 1, .attempts = options->tries, .steps = options->steps};
    double sum = 0;
    for (self->step = 0; self->step < options->steps; self->step++) {
        double free_energy;
        bool moved;
        now.beta = self->beta = fmin(1, coolest + (double)self->step / (double)anneal);
        now.rate = options->rate * (1 + cos(half_turn * (double)self->step / (double)options->steps)) / 2;
        TRY(step(self, &team, now.rate, &free_energy, &moved, error));
        bad = moved ? 0 : bad + 1;
        now.skipped += !moved;
        if (bad == MOST_BAD_STEPS)
            return failed(error, VOCODE_VALUE,
                          "the fit ran away: expected finite energies and slopes, found none in %d steps; try a lower "
                          "rate",
                          MOST_BAD_STEPS);
        sum += moved ? free_energy : 0;
        seen += moved;
        now.step = self->step + 1;
        if (now.step % every && now.step < now.steps) continue;
        now.free_energy = sum / (double)seen;
        sum = 0;
        seen = 0;
        *stopped = watch && watch->see && !watch->see(watch->context, &now);
        if (*stopped) break;
    }
    self->model->epochs = now.step;
    return VOCODE_OK;
}

/* One fit from fresh parameters. */
static vocode_status attempt_fit(fit *self, size_t attempt, const vi_watch *watch, bool *stopped, vocode_error *error) {
    vectors_model *model = self->model;
    flow_init(model->chain, self->options->seed + attempt);
    TRY(flow_prepare(model->chain, error));
    TRY(start(self, error));
    adam_free(&self->state);
    if (!adam_new(&self->state, &model->set, NULL, 0))
        return failed(error, VOCODE_MEMORY, "out of memory to fit %zu parameters", model->set.total);
    return run_steps(self, attempt, watch, stopped, error);
}

/* All of them; the model is then the one whose draws give the highest bound. One that runs away is none. */
static vocode_status run_tries(fit *self, const vi_watch *watch, vocode_error *error) {
    vectors_model *model = self->model;
    const vi_options *options = self->options;
    size_t bytes = model->set.total * sizeof(real);
    bool stopped = false, found = false;
    double most = -INFINITY;
    vocode_status status = VOCODE_OK;
    for (size_t i = 0; i < options->tries && !stopped; i++) {
        vi_evidence evidence;
        status = attempt_fit(self, i, watch, &stopped, error);
        if (status == VOCODE_OK && options->tries == 1) return VOCODE_OK;
        if (status == VOCODE_OK)
            status = vi_measure(model, self->target, COMPARED, options->seed, options->threads, &evidence, error);
        if (status == VOCODE_VALUE) continue;
        TRY(status);
        if (found && !(evidence.bound > most)) continue;
        found = true;
        most = evidence.bound;
        memcpy(self->best, model->set.storage, bytes);
    }
    if (!found) return status;
    memcpy(model->set.storage, self->best, bytes);
    return flow_prepare(model->chain, error);
}

vocode_status vi_fit(vectors_model *model, const energy *target, const vi_options *options, const vi_watch *watch,
                     vocode_error *error) {
    if (!model->turned || model->context)
        return failed(error, VOCODE_UNSUPPORTED, "expected a flow from noise, without a context");
    if (model->chain->traits & FLOW_MATCHED)
        return failed(error, VOCODE_UNSUPPORTED, "flow \"%.200s\" has no gradient of its log-determinant", model->spec);
    fit self = {.model = model,
                .target = target,
                .options = options,
                .batch = options->batch,
                .shards = tiles_of(options->batch, VECTORS_SHARD)};
    vocode_status status = take_memory(&self, error);
    if (status == VOCODE_OK) status = run_tries(&self, watch, error);
    free_memory(&self);
    return status;
}

/* Sums of numbers given by their logarithms, relative to the largest. */
typedef struct log_sums {
    double most, sum, square;
} log_sums;

static void add_log(log_sums *to, double value) {
    if (value > to->most) {
        double scale = exp(to->most - value);
        to->sum *= scale;
        to->square *= scale * scale;
        to->most = value;
    }
    double share = exp(value - to->most);
    to->sum += share;
    to->square += share * share;
}

enum { DRAWN_AT_ONCE = 1 << 14 };

/* Adds rows [first, first + rows) of the draws; each is log w. */
static vocode_status add_draws(const vectors_model *model, const energy *target, size_t first, size_t rows,
                               uint64_t seed, int threads, real *z, double *density, double *value, log_sums *weights,
                               double *bound, double *square, vocode_error *error) {
    TRY(vectors_draw(model, NULL, first, rows, seed, threads, z, density, error));
    if (!target->find(target->context, z, rows, value, NULL))
        return failed(error, VOCODE_CANCELLED, "the energy gave up");
    for (size_t i = 0; i < rows; i++) {
        double log_weight = -value[i] - density[i];
        if (isnan(log_weight))
            return failed(error, VOCODE_VALUE, "expected energies, found NaN in draw %zu", first + i);
        *bound += log_weight;
        *square += log_weight * log_weight;
        if (log_weight > -INFINITY) add_log(weights, log_weight);
    }
    return VOCODE_OK;
}

vocode_status vi_measure(const vectors_model *model, const energy *target, size_t draws, uint64_t seed, int threads,
                         vi_evidence *out, vocode_error *error) {
    size_t most = smaller(draws, DRAWN_AT_ONCE);
    real *z = aligned_new(most * model->channels, sizeof *z);
    double *density = aligned_new(most, sizeof *density), *value = aligned_new(most, sizeof *value);
    double bound = 0, square = 0, n = (double)draws;
    log_sums weights = {.most = -INFINITY};
    vocode_status status =
        z && density && value ? VOCODE_OK : failed(error, VOCODE_MEMORY, "out of memory for %zu draws", most);
    for (size_t first = 0; status == VOCODE_OK && first < draws; first += most)
        status = add_draws(model, target, first, smaller(most, draws - first), seed, threads, z, density, value,
                           &weights, &bound, &square, error);
    aligned_free(z);
    aligned_free(density);
    aligned_free(value);
    if (status != VOCODE_OK) return status;
    double mean = bound / n, share = weights.sum / n;
    *out = (vi_evidence){.bound = mean,
                         .bound_error = sqrt(fmax(0, square / n - mean * mean) / n),
                         .log_z = weights.most + log(share),
                         .log_z_error = sqrt(fmax(0, weights.square / n / (share * share) - 1) / n),
                         .effective = weights.sum * weights.sum / weights.square,
                         .draws = draws};
    return VOCODE_OK;
}
