#include "vocoder/blocks.h"

#include <omp.h>
#include <string.h>

int block_threads(int threads) {
    return threads > 0 ? threads : omp_get_max_threads();
}

/* One run's memory: a single allocation cut in conditioning and scratch. */
typedef struct block_run {
    compute work;
    flow_run run;
    real *cond;
    void *memory;
} block_run;

flow_run blocks_describe(const vocode_model *model, block_shape shape, compute *work, vocode_error *error) {
    return (flow_run){
        .work = work,
        .shape = {shape.batch, shape.columns * model->group, 1},
        .cond_frames = shape.columns / model->columns_per_cond,
        .cond_channels = model->cond_channels,
        .error = error,
    };
}

size_t blocks_cond_count(const vocode_model *model, block_shape shape) {
    return shape.batch * (shape.columns / model->columns_per_cond) * model->cond_channels;
}

vocode_status blocks_check(const vocode_model *model, block_shape shape, vocode_error *error) {
    if (shape.batch == 0 || shape.columns == 0 || shape.columns % model->columns_per_cond ||
        shape.columns * model->group > shape.frames * model->hop)
        return failed(error, VOCODE_SHAPE, "%zu mel frames do not stand for %zu latent columns", shape.frames,
                      shape.columns);
    return VOCODE_OK;
}

static vocode_status begin(const vocode_model *model, block_shape shape, int threads, flow_use use, const real *mel,
                           block_run *block, vocode_error *error) {
    *block = (block_run){.work = {.scratch = arena_over(NULL, 0), .threads = block_threads(threads)}};
    TRY(blocks_check(model, shape, error));
    model->type->condition(model, &block->work, shape.batch, shape.frames, NULL, shape.columns, NULL);
    size_t scratch, conditioning = block->work.scratch.peak;
    block->run = blocks_describe(model, shape, &block->work, error);
    TRY(flow_measure(model->chain, &block->run, use, &scratch, NULL));
    if (conditioning > scratch) scratch = conditioning;
    arena layout = arena_over(NULL, 0);
    for (int pass = 0; pass < 2; pass++) {
        block->cond = arena_reals(&layout, blocks_cond_count(model, shape));
        block->work.scratch = arena_over(arena_take(&layout, scratch, 1), scratch);
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
