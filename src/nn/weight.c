#include "nn/weight.h"

#include <string.h>

vocode_status weight_build(weight *w, param_set *set, const char *prefix, const weight_options *options,
                           vocode_error *error) {
    const size_t shape[] = {options->outputs, options->inputs, options->taps}, gain[] = {options->outputs, 1, 1};
    int rank = options->linear ? 2 : 3;
    *w = (weight){.outputs = options->outputs,
                  .inputs = options->inputs,
                  .taps = options->taps,
                  .group = options->group ? options->group : options->outputs,
                  .pairs = options->pairs && options->taps == 3,
                  .transposing = options->transposing,
                  .set = set,
                  .scale = options->scale};
    if (options->style == WEIGHT_NORMED) {
        w->gain = param_add(set, PARAM_TRAINED, prefix, "weight_g", rank, gain);
        w->direction = param_add(set, PARAM_TRAINED, prefix, "weight_v", rank, shape);
    } else {
        w->plain = param_add(set, PARAM_TRAINED, prefix, "weight", rank, shape);
    }
    if (set->failed) return failed(error, VOCODE_MEMORY, "cannot register the weight %sweight", prefix);
    return VOCODE_OK;
}

static double row_norm(const real *row, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)row[i] * (double)row[i];
    return sqrt(sum);
}

void weight_init(weight *w, uint64_t seed) {
    size_t fan = w->inputs * w->taps;
    double bound = 1 / sqrt((double)fan);
    if (w->plain) {
        param_init_uniform(w->plain, seed, bound);
        return;
    }
    param_init_uniform(w->direction, seed, bound);
    for (size_t o = 0; o < w->outputs; o++) w->gain->value[o] = (real)row_norm(w->direction->value + o * fan, fan);
}

void weight_zero(weight *w) {
    param_fill(w->plain ? w->plain : w->gain, 0);
}

/* g / |v| or s of output o, or 1. A zero direction gives a zero weight. */
static double row_scale(const weight *w, size_t o) {
    if (w->scale) return (double)w->scale->value[o];
    if (w->plain) return 1;
    size_t fan = w->inputs * w->taps;
    double norm = row_norm(w->direction->value + o * fan, fan);
    return norm > 0 ? (double)w->gain->value[o] / norm : 0;
}

/* Reals of a tap's panels, and where group g's start among them. */
size_t weight_panel_step(const weight *w) {
    return w->group ? tiles_of(w->outputs, w->group) * panels_size(w->group, w->inputs) : 0;
}

const real *weight_panels(const weight *w, size_t first) {
    if (!w->panels || !w->group) return w->panels;
    return w->panels + first / w->group * panels_size(w->group, w->inputs) + first % w->group * w->inputs;
}

/* Whether products with the transposed weight will be asked for. */
static bool needs_back(const weight *w) {
    return w->transposing || !w->set->fixed;
}

/* Reals of the panels of one group's transposes. */
static size_t back_group(const weight *w) {
    return panels_size(w->inputs, w->group);
}

size_t weight_back_step(const weight *w) {
    return w->group ? tiles_of(w->outputs, w->group) * back_group(w) : 0;
}

const real *weight_back(const weight *w, size_t first) {
    return w->back && w->group ? w->back + first / w->group * back_group(w) : NULL;
}

static bool take_memory(weight *w) {
    size_t outputs = weight_panel_step(w) / (w->inputs ? w->inputs : 1), count;
    size_t matrices = w->taps + (w->pairs ? 2 : 0);
    if (!w->panels && !__builtin_mul_overflow(outputs, w->inputs * matrices, &count))
        w->panels = memory_pool_take(&w->set->packed, count, sizeof(real));
    if (!w->back && needs_back(w))
        w->back = memory_pool_take(&w->set->packed, w->taps * weight_back_step(w), sizeof(real));
    return w->panels && (w->back || !needs_back(w));
}

/* The transposes of outputs [first, past), a group, side by side in panels of inputs. */
static void fill_back(const weight *w, size_t first, size_t past) {
    const real *value = (w->plain ? w->plain : w->direction)->value;
    size_t fan = w->inputs * w->taps, width = kernels()->panel, step = weight_back_step(w), depth = past - first;
    real *start = w->back + first / w->group * back_group(w);
    for (size_t o = 0; o < depth; o++) {
        double scale = row_scale(w, first + o);
        const real *from = value + (first + o) * fan;
        for (size_t i = 0; i < w->inputs; i++)
            for (size_t j = 0; j < w->taps; j++)
                start[j * step + (i / width * depth + o) * width + i % width] = (real)(scale * (double)*from++);
    }
}

/* The columns of outputs [first, first + count), at most a panel of them, to panels (one of tap 0's). Reads count rows
 * of the weight side by side, and writes in order. */
static void fill_panel(const weight *w, size_t first, size_t count, real *panel) {
    const real *value = (w->plain ? w->plain : w->direction)->value;
    size_t fan = w->inputs * w->taps, width = kernels()->panel, step = weight_panel_step(w);
    double scale[WIDEST_PANEL];
    for (size_t o = 0; o < count; o++) scale[o] = row_scale(w, first + o);
    for (size_t i = 0; i < w->inputs; i++)
        for (size_t j = 0; j < w->taps; j++) {
            real *to = panel + j * step + i * width;
            const real *from = value + first * fan + i * w->taps + j;
            for (size_t o = 0; o < count; o++) to[o] = (real)(scale[o] * (double)from[o * fan]);
        }
}

/* The same for the two matrices of pairs. */
static void fill_pairs(const weight *w, size_t first, size_t count, real *panel) {
    const real *value = (w->plain ? w->plain : w->direction)->value + first * 3 * w->inputs;
    size_t width = kernels()->panel, step = weight_panel_step(w);
    for (size_t o = 0; o < count; o++) {
        double half = row_scale(w, first + o) / 2;
        const real *from = value + o * 3 * w->inputs;
        real *to = panel + 3 * step + o;
        for (size_t i = 0; i < w->inputs; i++, from += 3, to += width) {
            double ends = (double)from[0] + (double)from[2], middle = (double)from[1];
            to[0] = (real)(half * (ends + middle));
            to[step] = (real)(half * (ends - middle));
        }
    }
}

void weight_prepare(weight *w) {
    if (!take_memory(w)) {
        w->set->failed = true;
        return;
    }
    size_t width = kernels()->panel;
    for (size_t start = 0; start < w->outputs; start += w->group) {
        size_t past = start + smaller(w->group, w->outputs - start);
        real *panel = w->panels + start / w->group * panels_size(w->group, w->inputs);
        for (size_t o = start; o < past; o += width, panel += width * w->inputs) {
            fill_panel(w, o, smaller(width, past - o), panel);
            if (w->pairs) fill_pairs(w, o, smaller(width, past - o), panel);
        }
        if (w->back) fill_back(w, start, past);
    }
    if (w->set->fixed) param_rest(w->plain ? w->plain : w->direction);
}

typedef struct unpacking {
    const weight *w;
    size_t first, count;
    const real *dpacked;
    real *grads;
} unpacking;

/* dot = sum of dw v over the inputs and taps of the slice's output o. */
static double along(const unpacking *job, size_t o, const real *v) {
    double sum = 0;
    for (size_t i = 0; i < job->w->inputs; i++)
        for (size_t j = 0; j < job->w->taps; j++)
            sum += (double)job->dpacked[(j * job->w->inputs + i) * job->count + o] * (double)*v++;
    return sum;
}

/* to += scale dw - shrink v */
static void add_row(const unpacking *job, size_t o, double scale, double shrink, const real *v, real *to) {
    for (size_t i = 0; i < job->w->inputs; i++)
        for (size_t j = 0; j < job->w->taps; j++)
            *to++ +=
                (real)(scale * (double)job->dpacked[(j * job->w->inputs + i) * job->count + o] - shrink * (double)*v++);
}

/* With u = v / |v|: dg = dw . u, dv = g / |v| (dw - (dw . u) u)  (eq. 3). With a layer scale: ds = dw . v, dv = s dw.
 */
static void unpack_row(const unpacking *job, size_t o) {
    const weight *w = job->w;
    size_t fan = w->inputs * w->taps, output = job->first + o;
    const real *v = (w->plain ? w->plain->value : w->direction->value) + output * fan;
    if (w->plain) {
        if (w->scale) param_grad(w->scale, job->grads)[output] += (real)along(job, o, v);
        add_row(job, o, row_scale(w, output), 0, v, param_grad(w->plain, job->grads) + output * fan);
        return;
    }
    double norm = row_norm(v, fan);
    if (!(norm > 0)) return;
    double slope = along(job, o, v) / norm, scale = (double)w->gain->value[output] / norm;
    param_grad(w->gain, job->grads)[output] += (real)slope;
    add_row(job, o, scale, scale * slope / norm, v, param_grad(w->direction, job->grads) + output * fan);
}

enum { OUTPUTS_A_TASK = 16 }; /* a cache line of dpacked */

static void unpack_rows(void *context, size_t task) {
    const unpacking *job = context;
    size_t last = smaller(job->count, (task + 1) * OUTPUTS_A_TASK);
    for (size_t o = task * OUTPUTS_A_TASK; o < last; o++) unpack_row(job, o);
}

void weight_backward(const weight *w, const compute *run, size_t first, size_t count, const real *dpacked,
                     real *grads) {
    if (grads)
        run_tasks(run, tiles_of(count, OUTPUTS_A_TASK), unpack_rows, &(unpacking){w, first, count, dpacked, grads});
}
