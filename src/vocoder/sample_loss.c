#include "vocoder/sample_loss.h"

#include "core/rng.h"
#include "vocoder/blocks.h"

enum { NOISE_STREAM = 2 }; /* a seed apart from those of the data and of other objectives */

vocode_status sample_loss_check(const vocode_model *model, size_t samples, vocode_error *error) {
    if (model->type->objective || !(model->chain->traits & FLOW_SAMPLES_DIFFERENTIABLY))
        return failed(error, VOCODE_VALUE, "key \"spectral_weight\" must be 0 for the kind %s, which %s",
                      model->type->kind,
                      model->type->objective ? "has an objective of its own" : "has no gradients of samples");
    return sample_energy_check(samples, error);
}

/* y: samples of the draft's noise, no two of a training the same. */
static vocode_status make_samples(const vocode_model *model, const block_task *task, const flow_run *run,
                                  uint64_t draft, real *y) {
    arena *scratch = &task->work->scratch;
    size_t mark = scratch->used, columns = task->shape.columns;
    const block_objective *objective = task->objective;
    real *z = arena_reals(scratch, flow_shape_count(run->shape));
    for (size_t b = 0; !measuring(task->work) && b < task->shape.batch; b++)
        rng_fill_normal(z + b * columns * model->latent_channels, columns, model->latent_channels,
                        objective->seed + NOISE_STREAM, ((objective->first + b) * ENERGY_DRAFTS + draft) * columns,
                        objective->spectral.sigma);
    TRY(flow_inverse(model->chain, run, z, y));
    arena_release(scratch, mark);
    return VOCODE_OK;
}

static vocode_status samples_backward(const vocode_model *model, const block_task *task, const flow_run *run,
                                      const real *y, const real *dy) {
    arena *scratch = &task->work->scratch;
    size_t mark = scratch->used, count = flow_shape_count(run->shape);
    flow_run back = *run;
    back.grads = task->grads;
    back.dcond = task->dcond;
    task->tape->used = 0;
    real *z = arena_reals(scratch, count), *dz = arena_reals(scratch, count);
    TRY(flow_inverse_backward(model->chain, &back, y, z, dy, dz, task->tape));
    arena_release(scratch, mark);
    return VOCODE_OK;
}

vocode_status sample_loss(const vocode_model *model, const block_task *task, const sample_energy *energy,
                          double *loss) {
    arena *scratch = &task->work->scratch;
    size_t mark = scratch->used;
    bool dry = measuring(task->work), gradients = dry || task->grads;
    flow_run run = blocks_describe(model, task->shape, task->work, task->error);
    run.cond = task->cond;
    real *y[ENERGY_DRAFTS], *dy[ENERGY_DRAFTS] = {NULL, NULL};
    for (size_t i = 0; i < ENERGY_DRAFTS; i++) {
        y[i] = arena_reals(scratch, flow_shape_count(run.shape));
        if (gradients) dy[i] = arena_reals(scratch, flow_shape_count(run.shape));
        TRY(make_samples(model, task, &run, i, y[i]));
    }
    double sum = sample_energy_run(energy, task->work, run.shape, task->x, y, task->objective->spectral.weight, dy);
    if (!dry) *loss = sum;
    for (size_t i = 0; gradients && i < ENERGY_DRAFTS; i++) TRY(samples_backward(model, task, &run, y[i], dy[i]));
    arena_release(scratch, mark);
    return VOCODE_OK;
}
