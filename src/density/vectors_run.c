/* Rows through a model, shared out to threads. */
#include <stdlib.h>

#include "density/vectors.h"
#include "flows/streamed.h"
#include "kernels/pool.h"

void vectors_scale_context(const vectors_model *model, const real *context, size_t rows, real *to) {
    size_t width = model->context;
    for (size_t i = 0; i < rows * width; i++)
        to[i] = (context[i] - model->context_mean->value[i % width]) / model->context_deviation->value[i % width];
}

/* Rows shared out: lane k of `lanes` takes shards k, k + lanes, ... with memory of its own. */
typedef struct job {
    const vectors_model *model;
    const real *from, *context;
    size_t rows, lanes, scratch;
    bool to_data, drawn; /* drawn: from is drawn from the seed, from row number first on */
    uint64_t seed, first;
    real *to;             /* NULL: not wanted */
    double *log_density;  /* NULL: not wanted */
    vocode_error *errors; /* [lanes] */
} job;

/* A lane's memory, which nothing is read of before it is written. */
typedef struct lane {
    char *memory;
    real *context, *drawn, *to, *again;
    double *logdet;
} lane;

static bool lane_new(const job *work, lane *own) {
    size_t channels = work->model->channels;
    own->memory = aligned_unset(work->scratch, 1);
    own->context = aligned_unset(VECTORS_SHARD * work->model->context + 1, sizeof(real));
    own->drawn = aligned_unset(VECTORS_SHARD * channels, sizeof(real));
    own->to = aligned_unset(VECTORS_SHARD * channels, sizeof(real));
    own->again = aligned_unset(VECTORS_SHARD * channels, sizeof(real));
    own->logdet = aligned_unset(VECTORS_SHARD, sizeof(double));
    return own->memory && own->context && own->drawn && own->to && own->again && own->logdet;
}

static void lane_free(lane *own) {
    void *parts[] = {own->memory, own->context, own->drawn, own->to, own->again, own->logdet};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) aligned_free(parts[i]);
}

static flow_run run_of(const vectors_model *model, compute *work, size_t rows, const real *context,
                       vocode_error *error) {
    return (flow_run){.work = work,
                      .shape = {rows, 1, model->channels},
                      .cond = model->context ? context : NULL,
                      .cond_frames = 1,
                      .cond_channels = model->context,
                      .error = error};
}

/* Whether the chain's forward is the way that is asked for. */
static bool is_forward(const job *work) {
    return work->to_data == work->model->turned;
}

/* from, latent or data, to the other, and the log-determinant of the chain there. */
static vocode_status carry(const job *work, const flow_run *run, lane *own, const real *from, real *to) {
    const flow *chain = work->model->chain;
    for (size_t i = 0; i < run->shape.batch; i++) own->logdet[i] = 0;
    if (is_forward(work)) return flow_forward(chain, run, from, to, own->logdet, NULL);
    TRY(flow_inverse(chain, run, from, to));
    return work->log_density ? flow_forward(chain, run, to, own->again, own->logdet, NULL) : VOCODE_OK;
}

static vocode_status run_shard(const job *work, lane *own, size_t first, vocode_error *error) {
    const vectors_model *model = work->model;
    size_t channels = model->channels, rows = smaller(VECTORS_SHARD, work->rows - first);
    compute alone = {.scratch = arena_over(own->memory, work->scratch), .threads = 1};
    flow_run run = run_of(model, &alone, rows, own->context, error);
    run.first = work->first + first;
    if (model->context) vectors_scale_context(model, work->context + first * model->context, rows, own->context);
    if (work->drawn) base_draw(model->base, work->seed, work->first + first, rows, channels, own->drawn);
    const real *from = work->drawn ? own->drawn : work->from + first * channels;
    real *to = work->to ? work->to + first * channels : own->to;
    TRY(carry(work, &run, own, from, to));
    const real *z = work->to_data ? from : to;
    for (size_t i = 0; work->log_density && i < rows; i++)
        work->log_density[first + i] = base_log_density(model->base, z + i * channels, channels) +
                                       (model->turned ? -own->logdet[i] : own->logdet[i]);
    return VOCODE_OK;
}

static void run_lane(void *context, size_t index) {
    const job *work = context;
    lane own = {0};
    vocode_status status =
        lane_new(work, &own) ? VOCODE_OK : failed(&work->errors[index], VOCODE_MEMORY, "out of memory to run the flow");
    for (size_t first = index * VECTORS_SHARD; status == VOCODE_OK && first < work->rows;
         first += work->lanes * VECTORS_SHARD)
        status = run_shard(work, &own, first, &work->errors[index]);
    work->errors[index].code = status;
    lane_free(&own);
}

static vocode_status run_job(job *work, int threads, vocode_error *error) {
    size_t tape, forward, inverse;
    compute dry = {.scratch = arena_over(NULL, 0), .threads = 1};
    flow_run shape = run_of(work->model, &dry, VECTORS_SHARD, NULL, error);
    TRY(flow_measure(work->model->chain, &shape, FLOW_FORWARD, &forward, &tape));
    TRY(flow_measure(work->model->chain, &shape, FLOW_INVERSE, &inverse, &tape));
    work->scratch = forward > inverse ? forward : inverse;
    work->lanes = smaller((size_t)threads, tiles_of(work->rows, VECTORS_SHARD));
    work->errors = calloc(work->lanes + 1, sizeof *work->errors);
    if (!work->errors) return failed(error, VOCODE_MEMORY, "out of memory to run the flow");
    pool_run(threads, work->lanes, run_lane, work);
    vocode_status status = VOCODE_OK;
    for (size_t i = 0; status == VOCODE_OK && i < work->lanes; i++) {
        status = work->errors[i].code;
        if (status != VOCODE_OK && error) *error = work->errors[i];
    }
    free(work->errors);
    return status;
}

static vocode_status check_context(const vectors_model *model, const real *context, vocode_error *error) {
    if (!model->context == !context) return VOCODE_OK;
    return failed(error, VOCODE_SHAPE, "expected %zu numbers of context a row, found %s", model->context,
                  context ? "some" : "none");
}

bool vectors_dequantize(const vectors_model *model) {
    return model->chain->traits & FLOW_DEQUANTIZES;
}

const char *vectors_noise(const vectors_model *model) {
    unsigned first = sequence_parts(model->chain)->items[0]->traits;
    if (!vectors_dequantize(model)) return "none";
    return first & FLOW_DATA_DEPENDENT_INIT ? "variational" : "uniform";
}

vocode_status vectors_check_whole(const vectors_model *model, const real *x, size_t rows, vocode_error *error) {
    size_t channels = model->channels;
    for (size_t i = 0; vectors_dequantize(model) && i < rows * channels; i++)
        if (x[i] != floor(x[i]))
            return failed(error, VOCODE_VALUE, "expected whole numbers to dequantize, found %g in row %zu, column %zu",
                          (double)x[i], i / channels, i % channels);
    return VOCODE_OK;
}

vocode_status vectors_encode(const vectors_model *model, const real *x, const real *context, size_t rows, int threads,
                             real *z, double *log_density, vocode_error *error) {
    TRY(check_context(model, context, error));
    TRY(vectors_check_whole(model, x, rows, error));
    double *kept = log_density ? log_density : aligned_new(rows + 1, sizeof *kept);
    if (!kept) return failed(error, VOCODE_MEMORY, "out of memory to run the flow");
    job work = {.model = model, .from = x, .context = context, .rows = rows, .to = z, .log_density = kept};
    vocode_status status = run_job(&work, threads, error);
    if (!log_density) aligned_free(kept);
    return status;
}

vocode_status vectors_decode(const vectors_model *model, const real *z, const real *context, size_t rows, int threads,
                             real *x, vocode_error *error) {
    TRY(check_context(model, context, error));
    job work = {.model = model, .from = z, .context = context, .rows = rows, .to_data = true, .to = x};
    return run_job(&work, threads, error);
}

vocode_status vectors_draw(const vectors_model *model, const real *context, size_t first, size_t rows, uint64_t seed,
                           int threads, real *x, double *log_density, vocode_error *error) {
    TRY(check_context(model, context, error));
    job work = {.model = model,
                .context = context,
                .rows = rows,
                .to_data = true,
                .drawn = true,
                .seed = seed,
                .first = first,
                .to = x,
                .log_density = log_density};
    return run_job(&work, threads, error);
}

vocode_status vectors_sample(const vectors_model *model, const real *context, size_t rows, uint64_t seed, int threads,
                             real *x, vocode_error *error) {
    return vectors_draw(model, context, 0, rows, seed, threads, x, NULL, error);
}
