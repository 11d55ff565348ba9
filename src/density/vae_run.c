/* What an autoencoder makes of rows. */
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "density/vae.h"
#include "kernels/pool.h"

enum { SHARD = 128 }; /* rows that one thread takes through everything */

enum { CODE_STREAM = 0x10000, LEVEL_STREAM = 0x20000, POSTERIOR_STREAM = 0x30000 }; /* added to seeds */

static const uint64_t golden = 0x9E3779B97F4A7C15u; /* between seeds */

/* log(1 + e^a) */
static double softplus(double a) {
    return a > 0 ? a + log1p(exp(-a)) : log1p(exp(a));
}

static double sigmoid(double a) {
    return a > 0 ? 1 / (1 + exp(-a)) : exp(a) / (1 + exp(a));
}

/* Arrays of rows of a run, in scratch. */
typedef struct room {
    real *scaled;                  /* [rows, channels] what the encoder sees: x on -1 to 1 */
    real *told, *dtold;            /* [rows, 2 or 3 latent]: m, s and h; gradients */
    real *start, *h, *dstart, *dh; /* [rows, latent] z_0 and h */
    real *z, *dz;                  /* [rows, latent] */
    real *a, *da;                  /* [rows, channels] */
    double *logdet, *dlogdet;      /* [rows] */
} room;

static room take_room(const vae *model, compute *work, size_t rows) {
    size_t channels = rows * model->sizes.channels, latent = rows * model->sizes.latent;
    size_t told = rows * model->encoder->outputs;
    real *numbers[11];
    const size_t sizes[] = {channels, told, told, latent, latent, latent, latent, latent, latent, channels, channels};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) numbers[i] = arena_reals(&work->scratch, sizes[i]);
    room own = {numbers[0], numbers[1], numbers[2], numbers[3],  numbers[4], numbers[5], numbers[6],
                numbers[7], numbers[8], numbers[9], numbers[10], NULL,       NULL};
    own.logdet = arena_take(&work->scratch, rows, sizeof(double));
    own.dlogdet = arena_take(&work->scratch, rows, sizeof(double));
    return own;
}

static network_input input_of(const real *x, size_t rows) {
    return (network_input){.batch = rows, .frames = 1, .cond_frames = 1, .x = x};
}

static flow_run run_of(const vae *model, compute *work, size_t rows, const real *h, vocode_error *error) {
    size_t latent = model->sizes.latent;
    return (flow_run){
        .work = work, .shape = {rows, 1, latent}, .cond = h, .cond_frames = 1, .cond_channels = latent, .error = error};
}

/* z_0 and h, from what the encoder told. */
static void start_rows(const vae *model, const room *own, const real *noise, size_t rows) {
    size_t latent = model->sizes.latent, told = model->encoder->outputs;
    for (size_t t = 0; t < rows; t++) {
        const real *m = own->told + t * told, *s = m + latent;
        for (size_t i = 0; i < latent; i++) own->start[t * latent + i] = m[i] + exp(s[i]) * noise[t * latent + i];
        if (model->flow) memcpy(own->h + t * latent, s + latent, latent * sizeof(real));
        own->logdet[t] = 0;
    }
}

/* The encoder and the flow: own->z. */
static vocode_status posterior(const vae *model, compute *work, arena *tape, const real *x, const real *noise,
                               size_t rows, const room *own, size_t *flow_tape, vocode_error *error) {
    bool dry = measuring(work) || !x;
    size_t channels = model->sizes.channels;
    double half = (double)model->sizes.levels / 2;
    for (size_t i = 0; !dry && i < rows * channels; i++) own->scaled[i] = (real)((double)x[i] / half - 1);
    const network_input in = input_of(own->scaled, rows);
    model->encoder->type->forward(model->encoder, work, &in, own->told, tape);
    if (!dry) start_rows(model, own, noise, rows);
    if (flow_tape) *flow_tape = tape->used;
    if (model->flow) {
        const flow_run run = run_of(model, work, rows, own->h, error);
        return flow_forward(model->flow, &run, own->start, own->z, own->logdet, tape);
    }
    run_copy(work, rows * model->sizes.latent, own->start, own->z);
    return VOCODE_OK;
}

/* The terms of row t: log p(x | z), and log q(z | x) - log p(z). */
static void terms_of(const vae *model, const vae_batch *batch, const room *own, size_t t, double *fit, double *excess) {
    size_t channels = model->sizes.channels, latent = model->sizes.latent;
    double levels = (double)model->sizes.levels;
    const real *x = batch->x + t * channels, *a = own->a + t * channels;
    const real *s = own->told + t * model->encoder->outputs + latent;
    *fit = 0;
    *excess = -own->logdet[t];
    for (size_t i = 0; i < channels; i++)
        *fit += model->choices[(size_t)x[i]] + (double)x[i] * (double)a[i] - levels * softplus((double)a[i]);
    for (size_t i = 0; i < latent; i++) {
        double e = (double)batch->noise[t * latent + i], z = (double)own->z[t * latent + i];
        *excess += (z * z - e * e) / 2 - (double)s[i];
    }
}

/* From da and beta to the gradients of everything; tape stands after the forward passes' takes. */
static vocode_status descend(const vae *model, compute *work, arena *tape, const vae_batch *batch, const room *own,
                             const size_t marks[3], vocode_error *error) {
    bool dry = measuring(work) || !batch->x;
    size_t latent = model->sizes.latent, told = model->encoder->outputs, count = batch->rows * latent;
    double share = batch->beta * batch->weight;
    const network_input code = input_of(own->z, batch->rows), in = input_of(own->scaled, batch->rows);
    for (size_t i = 0; !dry && i < count; i++) own->dz[i] = (real)(share * (double)own->z[i]);
    tape->used = marks[2];
    model->decoder->type->backward(model->decoder, work, &code, own->da, own->dz, NULL, batch->grads, tape);
    tape->used = marks[1];
    if (model->flow) {
        flow_run run = run_of(model, work, batch->rows, own->h, error);
        run.grads = batch->grads;
        run.dcond = own->dh;
        for (size_t t = 0; !dry && t < batch->rows; t++) own->dlogdet[t] = -share;
        if (!dry) memset(own->dh, 0, count * sizeof(real));
        TRY(flow_backward(model->flow, &run, own->start, own->z, own->dz, own->dlogdet, own->dstart, tape));
    } else {
        run_copy(work, count, own->dz, own->dstart);
    }
    for (size_t t = 0; !dry && t < batch->rows; t++) {
        real *dm = own->dtold + t * told, *ds = dm + latent;
        const real *s = own->told + t * told + latent, *d = own->dstart + t * latent;
        for (size_t i = 0; i < latent; i++) {
            dm[i] = d[i];
            ds[i] = d[i] * exp(s[i]) * batch->noise[t * latent + i] - (real)share;
        }
        if (model->flow) memcpy(ds + latent, own->dh + t * latent, latent * sizeof(real));
    }
    tape->used = marks[0];
    model->encoder->type->backward(model->encoder, work, &in, own->dtold, NULL, NULL, batch->grads, tape);
    return VOCODE_OK;
}

/* own->da, and what each row is worth. */
static void judge(const vae *model, const vae_batch *batch, const room *own) {
    size_t channels = model->sizes.channels;
    double levels = (double)model->sizes.levels, loss = 0;
    for (size_t t = 0; t < batch->rows; t++) {
        double fit, excess;
        terms_of(model, batch, own, t, &fit, &excess);
        batch->elbo[t] = fit - excess;
        loss += batch->beta * excess - fit;
    }
    if (batch->loss) *batch->loss = batch->weight * loss;
    for (size_t i = 0; batch->grads && i < batch->rows * channels; i++)
        own->da[i] = (real)(batch->weight * (levels * sigmoid((double)own->a[i]) - (double)batch->x[i]));
}

vocode_status vae_run(const vae *model, compute *work, arena *tape, const vae_batch *batch, vocode_error *error) {
    bool dry = measuring(work) || !batch->x, gradients = dry || batch->grads;
    size_t mark = work->scratch.used, marks[3] = {tape->used, 0, 0};
    const room own = take_room(model, work, batch->rows);
    arena *kept = gradients ? tape : NULL;
    vocode_status status =
        posterior(model, work, kept, batch->x, batch->noise, batch->rows, &own, gradients ? &marks[1] : NULL, error);
    if (status == VOCODE_OK) {
        const network_input code = input_of(own.z, batch->rows);
        marks[2] = tape->used;
        model->decoder->type->forward(model->decoder, work, &code, own.a, kept);
        if (!dry) judge(model, batch, &own);
        if (gradients) status = descend(model, work, tape, batch, &own, marks, error);
    }
    tape->used = marks[0];
    arena_release(&work->scratch, mark);
    return status;
}

/* Memory of the size that a dry run of rows takes. */
typedef struct memory {
    compute work;
    arena tape;
} memory;

static vocode_status take_memory(const vae *model, size_t rows, memory *own, vocode_error *error) {
    *own = (memory){.work = {.scratch = arena_over(NULL, 0), .threads = 1}, .tape = arena_over(NULL, 0)};
    const vae_batch dry = {.rows = rows};
    TRY(vae_run(model, &own->work, &own->tape, &dry, error));
    size_t size = own->work.scratch.peak;
    own->work.scratch = arena_over(aligned_new(size, 1), size);
    own->tape = arena_over(NULL, 0); /* no gradients */
    return own->work.scratch.base ? VOCODE_OK : failed(error, VOCODE_MEMORY, "out of memory to run the model");
}

static void give_back(memory *own) {
    aligned_free(own->work.scratch.base);
}

typedef struct scoring {
    const vae *model;
    const real *x;
    size_t rows, draws, lanes;
    uint64_t seed;
    double *elbo, *tighter;
    vocode_error *errors; /* [lanes] */
} scoring;

/* Rows [first, first + rows): running sums of weights relative to the largest. */
static vocode_status score_rows(const scoring *job, memory *own, size_t first, size_t rows, real *noise, double *one,
                                vocode_error *error) {
    size_t latent = job->model->sizes.latent;
    double mean[SHARD] = {0}, most[SHARD], sum[SHARD] = {0};
    for (size_t t = 0; t < rows; t++) most[t] = -INFINITY;
    for (size_t k = 0; k < job->draws; k++) {
        rng_fill_normal(noise, rows, latent, job->seed + golden * (1 + k), first, 1);
        const vae_batch batch = {
            .rows = rows, .x = job->x + first * job->model->sizes.channels, .noise = noise, .elbo = one, .beta = 1};
        TRY(vae_run(job->model, &own->work, &own->tape, &batch, error));
        for (size_t t = 0; t < rows; t++) {
            mean[t] += one[t] / (double)job->draws;
            if (one[t] > most[t]) {
                sum[t] *= exp(most[t] - one[t]);
                most[t] = one[t];
            }
            sum[t] += exp(one[t] - most[t]);
        }
    }
    for (size_t t = 0; t < rows; t++) {
        if (job->elbo) job->elbo[first + t] = mean[t];
        if (job->tighter) job->tighter[first + t] = most[t] + log(sum[t] / (double)job->draws);
    }
    return VOCODE_OK;
}

static void score_lane(void *context, size_t index) {
    const scoring *job = context;
    vocode_error *error = &job->errors[index];
    memory own;
    real *noise = aligned_new(SHARD * job->model->sizes.latent, sizeof *noise);
    double one[SHARD] = {0};
    error->code = take_memory(job->model, SHARD, &own, error);
    if (error->code == VOCODE_OK && !noise) failed(error, VOCODE_MEMORY, "out of memory to run the model");
    for (size_t first = index * SHARD; error->code == VOCODE_OK && first < job->rows; first += job->lanes * SHARD)
        error->code = score_rows(job, &own, first, smaller(SHARD, job->rows - first), noise, one, error);
    give_back(&own);
    aligned_free(noise);
}

vocode_status vae_score(const vae *model, const real *x, size_t rows, size_t draws, uint64_t seed, int threads,
                        double *elbo, double *tighter, vocode_error *error) {
    TRY(vae_check(model, x, rows, error));
    scoring job = {model, x, rows, draws, smaller((size_t)threads, tiles_of(rows, SHARD)), seed, elbo, tighter, NULL};
    job.errors = calloc(job.lanes + 1, sizeof *job.errors);
    if (!job.errors) return failed(error, VOCODE_MEMORY, "out of memory to run the model");
    pool_run(threads, job.lanes, score_lane, &job);
    vocode_status status = VOCODE_OK;
    for (size_t i = 0; status == VOCODE_OK && i < job.lanes; i++) {
        status = job.errors[i].code;
        if (status != VOCODE_OK && error) *error = job.errors[i];
    }
    free(job.errors);
    return status;
}

vocode_status vae_encode(const vae *model, const real *x, size_t rows, const uint64_t *seed, real *z,
                         vocode_error *error) {
    size_t channels = model->sizes.channels, latent = model->sizes.latent;
    memory own;
    TRY(vae_check(model, x, rows, error));
    real *noise = aligned_new(SHARD * latent, sizeof *noise);
    vocode_status status =
        noise ? take_memory(model, SHARD, &own, error) : failed(error, VOCODE_MEMORY, "out of memory to run the model");
    for (size_t first = 0; status == VOCODE_OK && first < rows; first += SHARD) {
        size_t count = smaller(SHARD, rows - first);
        const room its = take_room(model, &own.work, count);
        if (seed) rng_fill_normal(noise, count, latent, *seed + POSTERIOR_STREAM, first, 1);
        status = posterior(model, &own.work, NULL, x + first * channels, noise, count, &its, NULL, error);
        memcpy(z + first * latent, its.z, count * latent * sizeof *z);
        arena_release(&own.work.scratch, 0);
    }
    if (noise) give_back(&own);
    aligned_free(noise);
    return status;
}

vocode_status vae_decode(const vae *model, const real *z, size_t rows, real *x, vocode_error *error) {
    size_t channels = model->sizes.channels, latent = model->sizes.latent;
    memory own;
    for (size_t i = 0; i < rows * latent; i++)
        if (!isfinite(z[i]))
            return failed(error, VOCODE_VALUE, "expected finite numbers, found %g in row %zu, column %zu", (double)z[i],
                          i / latent, i % latent);
    vocode_status status = take_memory(model, SHARD, &own, error);
    for (size_t first = 0; status == VOCODE_OK && first < rows; first += SHARD) {
        const network_input in = input_of(z + first * latent, smaller(SHARD, rows - first));
        model->decoder->type->forward(model->decoder, &own.work, &in, x + first * channels, NULL);
    }
    for (size_t i = 0; status == VOCODE_OK && i < rows * channels; i++)
        x[i] = (real)((double)model->sizes.levels * sigmoid((double)x[i]));
    give_back(&own);
    return status;
}

vocode_status vae_sample(const vae *model, size_t rows, uint64_t seed, bool means, real *x, vocode_error *error) {
    size_t channels = model->sizes.channels, latent = model->sizes.latent, levels = model->sizes.levels;
    real *z = aligned_new(rows * latent, sizeof *z);
    if (!z) return failed(error, VOCODE_MEMORY, "out of memory for %zu rows", rows);
    rng_fill_normal(z, rows, latent, seed + CODE_STREAM, 0, 1);
    vocode_status status = vae_decode(model, z, rows, x, error);
    aligned_free(z);
    for (size_t i = 0; status == VOCODE_OK && !means && i < rows * channels; i++) {
        double chance = (double)x[i] / (double)levels;
        size_t count = 0;
        for (size_t k = 0; k < levels; k++) count += rng_uniform(seed + LEVEL_STREAM, k, i) < chance;
        x[i] = (real)count;
    }
    return status;
}
