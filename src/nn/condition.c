#include "nn/condition.h"

#include "kernels/groups.h"

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

static product_group group_for(const conv1d *layer, const network_input *in, size_t width) {
    const weight *w = &layer->w;
    product_group group = {.count = w->outputs / width,
                           .rows = in->batch * in->frames,
                           .inputs = w->inputs,
                           .outputs = width,
                           .panels = weight_panels(w, 0),
                           .back = weight_back(w, 0)};
    if (group.count > 1) {
        group.panel_step = (size_t)(weight_panels(w, width) - group.panels);
        group.back_step = group.back ? (size_t)(weight_back(w, width) - group.back) : 0;
    }
    return group;
}

void condition_forward_all(const conv1d *layer, compute *run, const network_input *in, size_t width, real *y) {
    size_t parts = layer->w.outputs / width, each = in->batch * in->frames * width;
    if (in->cond_frames != in->frames) {
        for (size_t i = 0; i < parts; i++) condition_forward(layer, run, in, i * width, width, part_of(y, i * each));
        return;
    }
    if (measuring(run)) return;
    const product_group group = group_for(layer, in, width);
    run_group(run, &group, in->cond, layer->bias ? layer->bias->value : NULL, y);
}

static void gather_gradients(const conv1d *layer, compute *run, const network_input *in, size_t width, const real *dy,
                             real *grads) {
    const weight *w = &layer->w;
    size_t mark = run->scratch.used, rows = in->batch * in->frames;
    real *dpacked = arena_reals(&run->scratch, w->inputs * w->outputs);
    if (!measuring(run) && grads) {
        const product_group group = group_for(layer, in, width);
        run_group_weights(run, &group, in->cond, dy, dpacked);
        weight_backward(w, run, 0, w->outputs, dpacked, grads);
        for (size_t i = 0; layer->bias && i < group.count; i++)
            run_add_columns(run, rows, width, dy + i * rows * width, width, param_grad(layer->bias, grads) + i * width);
    }
    arena_release(&run->scratch, mark);
}

void condition_backward_all(const conv1d *layer, compute *run, const network_input *in, size_t width, const real *dy,
                            real *dcond, real *grads) {
    size_t parts = layer->w.outputs / width, each = in->batch * in->frames * width;
    if (in->cond_frames != in->frames) {
        for (size_t i = parts; i-- > 0;)
            condition_backward(layer, run, in, i * width, width, part_of((real *)dy, i * each), dcond, grads);
        return;
    }
    gather_gradients(layer, run, in, width, dy, grads);
    if (measuring(run) || !dcond) return;
    const product_group group = group_for(layer, in, width);
    run_group_data(run, &group, dy, dcond);
}
