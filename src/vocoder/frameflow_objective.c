/* What the frame-rate continuous flow is trained by. Gradients go into the field alone.
 *
 * match: u1 are the scaled columns of the data, z1 what the couplings map them to. A draft for them is what the
 * couplings make of z0 = tie z1 + sqrt(1 - tie^2) e with e standard normal: where the couplings are right z1 is
 * standard normal too, and the draft is distributed as those of synthesis, whatever the tie; and the nearer it is to
 * its datum, the straighter are the paths. The loss is flows/field.h's, of pairs (draft, u1).
 *
 * spectral: two drafts of noise at the deviation of synthesis, independent of the data but for the mel, are carried
 * through the configured steps and back to samples, and compared with the data and with each other
 * (vocoder/sample_energy.h). Gradients come back through the MDCT, which is orthonormal, and the scale, which
 * is linear in its rows: its inverse applied to a gradient is its transpose. */
#include "core/rng.h"
#include "flows/field.h"
#include "vocoder/blocks.h"
#include "vocoder/frameflow_cnf.h"

enum { NOISE_STREAM = 1 }; /* seeds of a step: the times' and the noise's */

/* One objective's run: over columns, and over samples. */
typedef struct cnf_run {
    const vocode_model *model;
    const cnf_parts *own;
    const block_task *task;
    flow_run columns, samples;
    size_t count; /* numbers of the batch */
} cnf_run;

static cnf_run begin(const vocode_model *model, const block_task *task) {
    cnf_run it = {.model = model, .own = model->own, .task = task};
    it.samples = blocks_describe(model, task->shape, task->work, task->error);
    it.samples.cond = task->cond;
    it.columns = it.samples;
    it.columns.shape = (flow_shape){task->shape.batch, task->shape.columns, model->latent_channels};
    it.columns.cond_frames = task->shape.columns;
    it.columns.grads = task->grads;
    it.columns.dcond = task->dcond;
    it.count = flow_shape_count(it.columns.shape);
    return it;
}

/* No two examples of a training share one. */
static void draw_noise(const cnf_run *it, uint64_t draft, double deviation, real *noise) {
    const block_objective *objective = it->task->objective;
    size_t rows = it->columns.shape.frames, channels = it->columns.shape.channels;
    for (size_t b = 0; !measuring(it->task->work) && b < it->columns.shape.batch; b++)
        rng_fill_normal(noise + b * rows * channels, rows, channels, objective->seed + NOISE_STREAM,
                        ((objective->first + b) * ENERGY_DRAFTS + draft) * rows, deviation);
}

/* rows <- what the couplings make of them, towards the latent or from it; spare [count] is used. */
static vocode_status run_couplings(const cnf_run *it, bool forward, real *rows, real *spare) {
    size_t mark = it->task->work->scratch.used, parts = it->own->coupling_count;
    double *logdet = arena_take(&it->task->work->scratch, it->columns.shape.batch, sizeof *logdet);
    flow_run run = it->columns;
    run.grads = run.dcond = NULL;
    for (size_t b = 0; !measuring(it->task->work) && b < it->columns.shape.batch; b++) logdet[b] = 0;
    for (size_t k = 0; k < parts; k++) { /* an even number: they end where they began */
        const flow *part = it->own->couplings[forward ? k : parts - 1 - k];
        real *from = k % 2 ? spare : rows, *to = k % 2 ? rows : spare;
        TRY(forward ? flow_forward(part, &run, from, to, logdet, NULL) : flow_inverse(part, &run, from, to));
    }
    arena_release(&it->task->work->scratch, mark);
    return VOCODE_OK;
}

/* Samples <-> scaled columns by the front's parts. */
static vocode_status scaled_columns(const cnf_run *it, const real *x, real *u, real *spare) {
    size_t mark = it->task->work->scratch.used;
    double *logdet = arena_take(&it->task->work->scratch, it->columns.shape.batch, sizeof *logdet);
    for (size_t b = 0; !measuring(it->task->work) && b < it->columns.shape.batch; b++) logdet[b] = 0;
    TRY(flow_forward(it->own->front[0], &it->samples, x, spare, logdet, NULL));
    TRY(flow_forward(it->own->front[1], &it->columns, spare, u, logdet, NULL));
    arena_release(&it->task->work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status match(const cnf_run *it, double *loss) {
    arena *scratch = &it->task->work->scratch;
    size_t mark = scratch->used;
    const cnf_sizes *sizes = it->model->sizes;
    const double tie = sizes->tie, rest = sqrt(1 - tie * tie);
    real *u = arena_reals(scratch, it->count), *draft = arena_reals(scratch, it->count);
    real *spare = arena_reals(scratch, it->count);
    TRY(scaled_columns(it, it->task->x, u, spare));
    run_copy(it->task->work, it->count, u, draft);
    TRY(run_couplings(it, true, draft, spare));
    draw_noise(it, 0, rest, spare);
    for (size_t i = 0; !measuring(it->task->work) && i < it->count; i++) draft[i] = (real)tie * draft[i] + spare[i];
    TRY(run_couplings(it, false, draft, spare));
    const field_draw draw = {it->task->objective->seed, it->task->objective->first};
    field_match(it->own->field, &it->columns, draft, u, draw, it->task->tape, loss);
    arena_release(scratch, mark);
    return VOCODE_OK;
}

/* A draft carried to samples, which lie in y; the tape keeps what backward needs. */
static vocode_status make_samples(const cnf_run *it, uint64_t which, real *y, real *spare, arena *tape) {
    size_t mark = it->task->work->scratch.used;
    real *u = arena_reals(&it->task->work->scratch, it->count);
    draw_noise(it, which, it->model->settings.sigma, y);
    TRY(run_couplings(it, false, y, spare));
    field_carry(it->own->field, &it->columns, y, u, tape);
    TRY(flow_inverse(it->own->front[1], &it->columns, u, spare));
    TRY(flow_inverse(it->own->front[0], &it->samples, spare, y));
    arena_release(&it->task->work->scratch, mark);
    return VOCODE_OK;
}

/* From the gradient of samples, dy, to that of the field. */
static vocode_status samples_backward(const cnf_run *it, const real *dy, real *spare, arena *tape) {
    size_t mark = it->task->work->scratch.used;
    double *logdet = arena_take(&it->task->work->scratch, it->columns.shape.batch, sizeof *logdet);
    real *du = arena_reals(&it->task->work->scratch, it->count);
    TRY(flow_forward(it->own->front[0], &it->samples, dy, spare, logdet, NULL));
    TRY(flow_inverse(it->own->front[1], &it->columns, spare, du));
    field_carry_backward(it->own->field, &it->columns, du, tape);
    arena_release(&it->task->work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status spectral(const cnf_run *it, double *loss) {
    arena *scratch = &it->task->work->scratch, *tape = it->task->tape;
    size_t mark = scratch->used, starts[ENERGY_DRAFTS];
    bool gradients = it->task->grads || measuring(it->task->work);
    real *y[ENERGY_DRAFTS], *dy[ENERGY_DRAFTS] = {NULL, NULL}, *spare = arena_reals(scratch, it->count);
    TRY(sample_energy_check(it->samples.shape.frames, it->task->error));
    for (size_t i = 0; i < ENERGY_DRAFTS; i++) {
        starts[i] = tape->used;
        y[i] = arena_reals(scratch, it->count);
        TRY(make_samples(it, i, y[i], spare, tape));
    }
    for (size_t i = 0; gradients && i < ENERGY_DRAFTS; i++) dy[i] = arena_reals(scratch, it->count);
    double energy = sample_energy_run(it->own->energy, it->task->work, it->samples.shape, it->task->x, y, 1, dy);
    if (!measuring(it->task->work)) *loss = energy;
    for (size_t i = 0; gradients && i < ENERGY_DRAFTS; i++) {
        tape->used = starts[i];
        TRY(samples_backward(it, dy[i], spare, tape));
    }
    arena_release(scratch, mark);
    return VOCODE_OK;
}

vocode_status frameflow_cnf_objective(const vocode_model *model, const block_task *task, double *loss) {
    const cnf_run it = begin(model, task);
    const cnf_sizes *sizes = model->sizes;
    return sizes->objective == CNF_MATCH ? match(&it, loss) : spectral(&it, loss);
}
