#include "vocoder/blocks.h"

#include <math.h>
#include <omp.h>
#include <string.h>

int block_threads(int threads) {
    return threads > 0 ? threads : omp_get_max_threads();
}

/* One run's memory: a single allocation cut in conditioning, its gradient, tape and scratch. */
typedef struct block_run {
    compute work;
    flow_run run;
    real *cond, *dcond;
    arena tape;
    void *memory;
} block_run;

static flow_run describe(const vocode_model *model, block_shape shape, block_run *block, vocode_error *error) {
    return (flow_run){
        .work = &block->work,
        .shape = {shape.batch, shape.columns * model->group, 1},
        .cond_frames = shape.columns / model->columns_per_cond,
        .cond_channels = model->cond_channels,
        .error = error,
    };
}

static size_t cond_count(const vocode_model *model, block_shape shape) {
    return shape.batch * (shape.columns / model->columns_per_cond) * model->cond_channels;
}

/* What conditioning and its gradient need from the scratch arena. */
static size_t measure_condition(const vocode_model *model, block_shape shape, int threads, bool gradients) {
    compute dry = {arena_over(NULL, 0), threads};
    model->type->condition(model, &dry, shape.batch, shape.frames, NULL, shape.columns, NULL);
    if (gradients && model->type->condition_backward)
        model->type->condition_backward(model, &dry, shape.batch, shape.frames, NULL, shape.columns, NULL, NULL);
    return dry.scratch.peak;
}

static vocode_status check_shape(const vocode_model *model, block_shape shape, vocode_error *error) {
    if (shape.batch == 0 || shape.columns == 0 || shape.columns % model->columns_per_cond ||
        shape.columns * model->group > shape.frames * model->hop)
        return failed(error, VOCODE_SHAPE, "%zu mel frames do not stand for %zu latent columns", shape.frames,
                      shape.columns);
    return VOCODE_OK;
}

static vocode_status begin(const vocode_model *model, block_shape shape, int threads, flow_use use, const real *mel,
                           block_run *block, vocode_error *error) {
    *block = (block_run){.work = {arena_over(NULL, 0), block_threads(threads)}};
    TRY(check_shape(model, shape, error));
    bool gradients = use == FLOW_TRAIN || use == FLOW_REBUILD;
    block->run = describe(model, shape, block, error);
    size_t scratch, tape = 0, conditioning = measure_condition(model, shape, block->work.threads, gradients);
    TRY(flow_measure(model->chain, &block->run, use, &scratch, &tape));
    if (conditioning > scratch) scratch = conditioning;
    arena layout = arena_over(NULL, 0);
    size_t count = cond_count(model, shape);
    for (int pass = 0; pass < 2; pass++) {
        block->cond = arena_reals(&layout, count);
        block->dcond = gradients ? arena_reals(&layout, count) : NULL;
        block->tape = arena_over(arena_take(&layout, tape ? tape : 1, 1), tape);
        block->work.scratch = arena_over(arena_take(&layout, scratch ? scratch : 1, 1), scratch);
        if (pass) break;
        block->memory = aligned_new(layout.peak, 1);
        if (!block->memory)
            return failed(error, VOCODE_MEMORY, "cannot allocate the %zu MB that %zu frames need", layout.peak >> 20,
                          shape.frames);
        layout = arena_over(block->memory, layout.peak);
    }
    model->type->condition(model, &block->work, shape.batch, shape.frames, mel, shape.columns, block->cond);
    block->run.cond = block->cond;
    return VOCODE_OK;
}

static void end(block_run *block) {
    aligned_free(block->memory);
}

vocode_status blocks_forward(const vocode_model *model, block_shape shape, int threads, const real *mel, const real *x,
                             real *z, double *logdet, const flow_observer *observer, vocode_error *error) {
    block_run block;
    vocode_status status = begin(model, shape, threads, FLOW_FORWARD, mel, &block, error);
    if (status == VOCODE_OK) {
        block.run.observer = observer;
        memset(logdet, 0, shape.batch * sizeof *logdet);
        status = flow_forward(model->chain, &block.run, x, z, logdet, NULL);
    }
    end(&block);
    return status;
}

vocode_status blocks_inverse(const vocode_model *model, block_shape shape, int threads, const real *mel, const real *z,
                             real *x, vocode_error *error) {
    block_run block;
    vocode_status status = begin(model, shape, threads, FLOW_INVERSE, mel, &block, error);
    if (status == VOCODE_OK) status = flow_inverse(model->chain, &block.run, z, x);
    end(&block);
    return status;
}

/* The arrays of a gradient pass besides the run's own. */
typedef struct gradient_arrays {
    real *z, *dz, *dx, *rebuilt;
    double *logdet, *dlogdet;
    void *memory;
} gradient_arrays;

static vocode_status take_arrays(size_t count, size_t batch, gradient_arrays *arrays, vocode_error *error) {
    arena layout = arena_over(NULL, 0);
    for (int pass = 0; pass < 2; pass++) {
        *arrays = (gradient_arrays){.memory = layout.base,
                                    .z = arena_reals(&layout, count),
                                    .dz = arena_reals(&layout, count),
                                    .dx = arena_reals(&layout, count),
                                    .rebuilt = arena_reals(&layout, count),
                                    .logdet = arena_take(&layout, batch, sizeof(double)),
                                    .dlogdet = arena_take(&layout, batch, sizeof(double))};
        if (pass) break;
        void *memory = aligned_new(layout.peak, 1);
        if (!memory) return failed(error, VOCODE_MEMORY, "cannot allocate the gradients of %zu numbers", count);
        layout = arena_over(memory, layout.peak);
    }
    return VOCODE_OK;
}

/* The loss and its gradients with respect to z and the log-determinants. */
static double seed_gradients(const gradient_arrays *arrays, size_t count, size_t batch, double sigma) {
    double square = 0, logdet = 0, numbers = (double)count;
    for (size_t i = 0; i < count; i++) {
        square += (double)arrays->z[i] * (double)arrays->z[i];
        arrays->dz[i] = (real)((double)arrays->z[i] / (sigma * sigma * numbers));
    }
    for (size_t b = 0; b < batch; b++) {
        logdet += arrays->logdet[b];
        arrays->dlogdet[b] = -1 / numbers;
    }
    return (square / (2 * sigma * sigma) - logdet) / numbers;
}

static vocode_status gradient(const vocode_model *model, block_shape shape, block_run *block,
                              const gradient_arrays *arrays, const real *mel, const real *x, double sigma,
                              block_memory memory, double *loss, real *grads) {
    flow *chain = model->chain;
    size_t count = shape.batch * shape.columns * model->group;
    arena *tape = memory == BLOCKS_TAPED ? &block->tape : NULL;
    TRY(flow_forward(chain, &block->run, x, arrays->z, arrays->logdet, tape));
    *loss = seed_gradients(arrays, count, shape.batch, sigma);
    block->run.grads = grads;
    block->run.dcond = block->dcond; /* zeroed: fresh memory */
    block->tape.used = 0;
    if (tape)
        TRY(flow_backward(chain, &block->run, x, arrays->z, arrays->dz, arrays->dlogdet, arrays->dx, tape));
    else
        TRY(flow_backward_rebuild(chain, &block->run, arrays->z, arrays->rebuilt, arrays->dz, arrays->dlogdet,
                                  arrays->dx, &block->tape));
    if (model->type->condition_backward)
        model->type->condition_backward(model, &block->work, shape.batch, shape.frames, mel, shape.columns,
                                        block->dcond, grads);
    return VOCODE_OK;
}

vocode_status blocks_gradient(const vocode_model *model, block_shape shape, int threads, const real *mel, const real *x,
                              double sigma, block_memory memory, double *loss, real *grads, vocode_error *error) {
    block_run block;
    gradient_arrays arrays = {0};
    flow_use use = memory == BLOCKS_TAPED ? FLOW_TRAIN : FLOW_REBUILD;
    if (model->params.fixed)
        return failed(error, VOCODE_ARGUMENT,
                      "the model was opened for synthesis: expected model_prepare_training first");
    vocode_status status = begin(model, shape, threads, use, mel, &block, error);
    if (status == VOCODE_OK)
        status = take_arrays(shape.batch * shape.columns * model->group, shape.batch, &arrays, error);
    if (status == VOCODE_OK) status = gradient(model, shape, &block, &arrays, mel, x, sigma, memory, loss, grads);
    aligned_free(arrays.memory);
    end(&block);
    return status;
}
