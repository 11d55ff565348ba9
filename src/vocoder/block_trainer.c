/* Training steps: the memory that they need, planned once, and the objective that most models have. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "nn/batch_norm.h"
#include "vocoder/blocks.h"
#include "vocoder/sample_loss.h"

struct block_trainer {
    const vocode_model *model;
    block_shape shape;
    block_memory memory;
    block_spectral spectral;
    sample_energy *energy; /* where spectral has a weight */
    double last_spectral;
    compute work;
    arena tape;
    real *cond, *dcond;
    void *storage; /* all of the above in one allocation */
};

/* What the likelihood works on besides the task. */
typedef struct likelihood_arrays {
    real *z, *dz, *dx;
    double *logdet, *dlogdet; /* [batch] */
} likelihood_arrays;

/* The loss, and unless dz is NULL its gradients with respect to z and the log-determinants. */
static double seed_gradients(const likelihood_arrays *arrays, size_t count, size_t batch, double sigma, bool wanted) {
    double square = 0, logdet = 0, numbers = (double)count;
    for (size_t i = 0; i < count; i++) square += (double)arrays->z[i] * (double)arrays->z[i];
    for (size_t b = 0; b < batch; b++) logdet += arrays->logdet[b];
    for (size_t i = 0; wanted && i < count; i++)
        arrays->dz[i] = (real)((double)arrays->z[i] / (sigma * sigma * numbers));
    for (size_t b = 0; wanted && b < batch; b++) arrays->dlogdet[b] = -1 / numbers;
    return (square / (2 * sigma * sigma) - logdet) / numbers;
}

static vocode_status rebuild(const vocode_model *model, const block_task *task, const flow_run *forward,
                             const likelihood_arrays *arrays) {
    size_t mark = task->work->scratch.used;
    real *x = arena_reals(&task->work->scratch, flow_shape_count(forward->shape));
    flow_run run = *forward;
    norm_batch again = {.parts = 1};
    if (forward->norm) {
        again = *forward->norm;
        again.recent = NULL; /* it has been seen */
        run.norm = &again;
    }
    TRY(flow_backward_rebuild(model->chain, &run, arrays->z, x, arrays->dz, arrays->dlogdet, arrays->dx, task->tape));
    arena_release(&task->work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status likelihood_backward(const vocode_model *model, const block_task *task, flow_run *run,
                                         const likelihood_arrays *arrays) {
    run->grads = task->grads;
    run->dcond = task->dcond;
    run->watch = measuring(task->work) ? NULL : task->objective->watch;
    if (run->watch) run->watch->see(run->watch->context, NULL);
    task->tape->used = 0;
    if (task->objective->memory == BLOCKS_REBUILT) return rebuild(model, task, run, arrays);
    return flow_backward(model->chain, run, task->x, arrays->z, arrays->dz, arrays->dlogdet, arrays->dx, task->tape);
}

/* sum(z^2) / (2 sigma^2) - sum(logdet) over count(z), through the chain. */
static vocode_status likelihood(const vocode_model *model, const block_task *task, double *loss) {
    arena *scratch = &task->work->scratch;
    size_t mark = scratch->used, batch = task->shape.batch;
    bool dry = measuring(task->work), wanted = dry || task->grads;
    flow_run run = blocks_describe(model, task->shape, task->work, task->error);
    run.cond = task->cond;
    run.norm = wanted ? task->objective->norm : NULL;
    size_t count = flow_shape_count(run.shape);
    likelihood_arrays arrays = {.z = arena_reals(scratch, count)};
    arrays.logdet = arena_take(scratch, batch, sizeof(double));
    arrays.dz = wanted ? arena_reals(scratch, count) : NULL;
    arrays.dx = wanted ? arena_reals(scratch, count) : NULL;
    arrays.dlogdet = wanted ? arena_take(scratch, batch, sizeof(double)) : NULL;
    for (size_t b = 0; !dry && b < batch; b++) arrays.logdet[b] = 0;
    bool taped = wanted && task->objective->memory == BLOCKS_TAPED;
    TRY(flow_forward(model->chain, &run, task->x, arrays.z, arrays.logdet, taped ? task->tape : NULL));
    if (!dry) *loss = seed_gradients(&arrays, count, batch, task->objective->sigma, wanted);
    if (wanted) TRY(likelihood_backward(model, task, &run, &arrays));
    arena_release(scratch, mark);
    return VOCODE_OK;
}

static vocode_status run_objective(const vocode_model *model, const block_task *task, double *loss) {
    return model->type->objective ? model->type->objective(model, task, loss) : likelihood(model, task, loss);
}

/* The loss of samples beside it, where the step asks for one. It comes first: the objective's watch is told of
 * gradients to which nothing is added afterwards. */
static vocode_status run_spectral(const block_trainer *trainer, const block_task *task, double *loss) {
    if (!trainer->energy || !(task->objective->spectral.weight > 0)) return VOCODE_OK;
    return sample_loss(trainer->model, task, trainer->energy, loss);
}

/* What conditioning, objective and the conditioning's gradient need from the two arenas: a dry run of a step. */
static vocode_status measure(const block_trainer *trainer, arena *scratch, arena *tape, vocode_error *error) {
    const vocode_model *model = trainer->model;
    block_shape shape = trainer->shape;
    compute dry = {.scratch = arena_over(NULL, 0), .threads = trainer->work.threads};
    block_objective objective = {.sigma = 1, .memory = trainer->memory, .spectral = trainer->spectral};
    *tape = arena_over(NULL, 0);
    block_task task = {.shape = shape, .work = &dry, .tape = tape, .objective = &objective, .error = error};
    model->type->condition(model, &dry, shape.batch, shape.frames, NULL, shape.columns, NULL);
    TRY(run_spectral(trainer, &task, NULL));
    TRY(run_objective(model, &task, NULL));
    if (model->type->condition_backward)
        model->type->condition_backward(model, &dry, shape.batch, shape.frames, NULL, shape.columns, NULL, NULL);
    *scratch = dry.scratch;
    if (scratch->peak >= SIZE_MAX / 4 || tape->peak >= SIZE_MAX / 4)
        return failed(error, VOCODE_MEMORY, "a batch of %zu x %zu frames needs more memory than can be addressed",
                      shape.batch, shape.frames);
    return VOCODE_OK;
}

static vocode_status plan(block_trainer *trainer, vocode_error *error) {
    arena scratch, tape, layout = arena_over(NULL, 0);
    TRY(blocks_check(trainer->model, trainer->shape, error));
    if (trainer->spectral.weight > 0) {
        TRY(sample_loss_check(trainer->model, trainer->shape.columns * trainer->model->group, error));
        TRY(sample_energy_new(trainer->model, trainer->spectral.repulsion, trainer->spectral.mel_weight,
                              &trainer->energy, error));
    }
    TRY(measure(trainer, &scratch, &tape, error));
    size_t count = blocks_cond_count(trainer->model, trainer->shape), room = scratch.peak + ARENA_ALIGNMENT;
    for (int pass = 0; pass < 2; pass++) {
        trainer->cond = arena_reals(&layout, count);
        trainer->dcond = arena_reals(&layout, count);
        trainer->tape = arena_over(arena_take(&layout, tape.peak + 1, 1), tape.peak);
        trainer->work.scratch = arena_over(arena_take(&layout, room, 1), room);
        if (pass) break;
        trainer->storage = aligned_new(layout.peak, 1);
        if (!trainer->storage)
            return failed(error, VOCODE_MEMORY, "cannot allocate the %zu MB that a batch of %zu x %zu frames needs",
                          layout.peak >> 20, trainer->shape.batch, trainer->shape.frames);
        layout = arena_over(trainer->storage, layout.peak);
    }
    return VOCODE_OK;
}

vocode_status block_trainer_new(const vocode_model *model, block_shape shape, int threads,
                                const block_objective *plan_for, block_trainer **out, vocode_error *error) {
    *out = NULL;
    if (model->params.fixed)
        return failed(error, VOCODE_ARGUMENT,
                      "the model was opened for synthesis: expected model_prepare_training first");
    block_trainer *trainer = calloc(1, sizeof *trainer);
    if (!trainer) return failed(error, VOCODE_MEMORY, "cannot allocate a trainer");
    *trainer = (block_trainer){.model = model,
                               .shape = shape,
                               .memory = plan_for->memory,
                               .spectral = plan_for->spectral,
                               .last_spectral = NAN,
                               .work = {.scratch = arena_over(NULL, 0), .threads = block_threads(threads)}};
    vocode_status status = plan(trainer, error);
    if (status != VOCODE_OK) {
        block_trainer_free(trainer);
        return status;
    }
    *out = trainer;
    return VOCODE_OK;
}

vocode_status block_trainer_run(block_trainer *trainer, const block_objective *objective, const real *mel,
                                const real *x, double *loss, real *grads, vocode_error *error) {
    const vocode_model *model = trainer->model;
    block_shape shape = trainer->shape;
    if (grads && objective->memory != trainer->memory)
        return failed(error, VOCODE_ARGUMENT, "the trainer was planned for the other use of memory");
    block_task task = {.shape = shape,
                       .work = &trainer->work,
                       .tape = &trainer->tape,
                       .mel = mel,
                       .cond = trainer->cond,
                       .x = x,
                       .objective = objective,
                       .grads = grads,
                       .dcond = grads ? trainer->dcond : NULL,
                       .error = error};
    trainer->work.bf16 = grads && objective->bf16;
    trainer->work.scratch.used = trainer->tape.used = 0; /* whatever a failed step left */
    model->type->condition(model, &trainer->work, shape.batch, shape.frames, mel, shape.columns, trainer->cond);
    if (grads) memset(trainer->dcond, 0, blocks_cond_count(model, shape) * sizeof(real));
    trainer->last_spectral = NAN;
    TRY(run_spectral(trainer, &task, &trainer->last_spectral));
    trainer->tape.used = 0;
    TRY(run_objective(model, &task, loss));
    if (grads && model->type->condition_backward)
        model->type->condition_backward(model, &trainer->work, shape.batch, shape.frames, mel, shape.columns,
                                        trainer->dcond, grads);
    return VOCODE_OK;
}

double block_trainer_spectral(const block_trainer *trainer) {
    return trainer->last_spectral;
}

void block_trainer_free(block_trainer *trainer) {
    if (!trainer) return;
    sample_energy_free(trainer->energy);
    aligned_free(trainer->storage);
    free(trainer);
}

vocode_status blocks_gradient(const vocode_model *model, block_shape shape, int threads,
                              const block_objective *objective, const real *mel, const real *x, double *loss,
                              real *grads, vocode_error *error) {
    block_trainer *trainer;
    TRY(block_trainer_new(model, shape, threads, objective, &trainer, error));
    vocode_status status = block_trainer_run(trainer, objective, mel, x, loss, grads, error);
    block_trainer_free(trainer);
    return status;
}
