#include "kernels/groups.h"

/* Rows that pass all products while they are in the second-level cache, and rows of which all pieces of the weights'
 * gradients are taken while they are in the third: several times the depth that kernels take at once. */
enum { BLOCK_STRIPS = 12, GRADIENT_ROWS = 2 * 384 };
/* Pieces of a weight's gradient: whole strips and panels of AVX-512. */
enum { PIECE_INPUTS = 9 * 14 };

typedef struct group_job {
    const product_group *group;
    const kernel_table *table;
    bool bf16;
    const real *x, *dy, *bias;
    real *target;
    size_t block, start, rows; /* rows of a block; the weights' block */
} group_job;

static group_job job_of(const compute *run, const product_group *group, real *target) {
    const kernel_table *table = kernels();
    return (group_job){
        .group = group, .table = table, .bf16 = run->bf16, .target = target, .block = BLOCK_STRIPS * table->strip};
}

static size_t block_of(const group_job *job, size_t i, size_t *rows) {
    size_t first = i * job->block;
    *rows = smaller(job->block, job->group->rows - first);
    return first;
}

static void forward_block(void *context, size_t block) {
    const group_job *job = context;
    const product_group *group = job->group;
    size_t rows, first = block_of(job, block, &rows), each = group->rows * group->outputs;
    for (size_t i = 0; i < group->count; i++)
        (job->bf16 ? job->table->gemm_packed_bf16 : job->table->gemm_packed)(
            rows, group->outputs, group->inputs, job->x + first * group->inputs, group->inputs,
            group->panels + i * group->panel_step, job->bias ? job->bias + i * group->outputs : NULL, 0,
            job->target + i * each + first * group->outputs, group->outputs);
}

void run_group(const compute *run, const product_group *group, const real *x, const real *bias, real *y) {
    group_job job = job_of(run, group, y);
    job.x = x;
    job.bias = bias;
    run_tasks(run, tiles_of(group->rows, job.block), forward_block, &job);
}

static void data_block(void *context, size_t block) {
    const group_job *job = context;
    const product_group *group = job->group;
    size_t rows, first = block_of(job, block, &rows), each = group->rows * group->outputs;
    for (size_t i = group->count; i-- > 0;)
        (job->bf16 ? job->table->gemm_packed_bf16 : job->table->gemm_packed)(
            rows, group->inputs, group->outputs, job->dy + i * each + first * group->outputs, group->outputs,
            group->back + i * group->back_step, NULL, 1, job->target + first * group->inputs, group->inputs);
}

void run_group_data(const compute *run, const product_group *group, const real *dy, real *dx) {
    group_job job = job_of(run, group, dx);
    job.dy = dy;
    run_tasks(run, tiles_of(group->rows, job.block), data_block, &job);
}

static void weight_piece(void *context, size_t piece) {
    const group_job *job = context;
    const product_group *group = job->group;
    size_t row = piece / group->count * PIECE_INPUTS, i = piece % group->count, width = group->count * group->outputs;
    (job->bf16 ? job->table->gemm_tn_bf16
               : job->table->gemm_tn)(smaller(PIECE_INPUTS, group->inputs - row), group->outputs, job->rows,
                                      job->x + job->start * group->inputs + row, group->inputs,
                                      job->dy + (i * group->rows + job->start) * group->outputs, group->outputs,
                                      job->start > 0, job->target + row * width + i * group->outputs, width);
}

void run_group_weights(const compute *run, const product_group *group, const real *x, const real *dy, real *dw) {
    group_job job = job_of(run, group, dw);
    job.x = x;
    job.dy = dy;
    for (; job.start < group->rows; job.start += GRADIENT_ROWS) {
        job.rows = smaller(GRADIENT_ROWS, group->rows - job.start);
        run_tasks(run, tiles_of(group->inputs, PIECE_INPUTS) * group->count, weight_piece, &job);
    }
}
