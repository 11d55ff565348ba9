#include "nn/condition.h"

static conv1d_call call_for(const network_input *in, size_t first, size_t width) {
    return (conv1d_call){.batch = in->batch, .frames = in->cond_frames, .first = first, .outputs = width, .add = true};
}

void condition_forward(const conv1d *layer, compute *run, const network_input *in, size_t first, size_t width,
                       real *y) {
    conv1d_call call = call_for(in, first, width);
    size_t mark = run->scratch.used, rows = in->batch * in->cond_frames;
    call.add = false;
    if (in->cond_frames == in->frames) {
        conv1d_run(layer, run, &call, in->cond, y);
        return;
    }
    real *columns = arena_reals(&run->scratch, rows * width);
    conv1d_run(layer, run, &call, in->cond, columns);
    run_repeat_rows(run, rows, in->frames / in->cond_frames, width, columns, width, y, width);
    arena_release(&run->scratch, mark);
}

void condition_backward(const conv1d *layer, compute *run, const network_input *in, size_t first, size_t width,
                        const real *dy, real *dcond, real *grads) {
    const conv1d_call call = call_for(in, first, width);
    size_t mark = run->scratch.used, rows = in->batch * in->cond_frames;
    const real *dcolumns = dy;
    if (in->cond_frames != in->frames) {
        real *folded = arena_reals(&run->scratch, rows * width);
        run_zero(run, rows * width, folded);
        run_fold_rows(run, rows, in->frames / in->cond_frames, width, dy, width, folded, width);
        dcolumns = folded;
    }
    conv1d_run_backward(layer, run, &call, in->cond, dcolumns, dcond, grads);
    arena_release(&run->scratch, mark);
}
