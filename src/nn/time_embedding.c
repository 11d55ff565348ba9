#include "nn/time_embedding.h"

#include <stdio.h>

static const double time_scale = 1000; /* t in [0, 1] as the steps of a diffusion, which the longest period is for */
static const double longest_period = 10000;

vocode_status time_embedding_build(time_embedding *layer, param_set *set, const char *prefix, size_t features,
                                   size_t dim, vocode_error *error) {
    /* backward for a network's rows goes through these small layers, too */
    const conv1d_options first = {.inputs = features, .outputs = dim, .linear = true, .transposing = true};
    const conv1d_options second = {.inputs = dim, .outputs = dim, .linear = true, .transposing = true};
    char name[PARAM_NAME_SIZE];
    *layer = (time_embedding){.features = features, .dim = dim};
    if (!features || features % 2 || !dim)
        return failed(error, VOCODE_VALUE,
                      "%slinear_1: expected an even number of features and at least 1 dimension, found %zu and %zu",
                      prefix, features, dim);
    snprintf(name, sizeof name, "%slinear_1.", prefix);
    TRY(conv1d_build(&layer->first, set, name, &first, error));
    snprintf(name, sizeof name, "%slinear_2.", prefix);
    return conv1d_build(&layer->second, set, name, &second, error);
}

void time_embedding_init(time_embedding *layer, uint64_t seed) {
    conv1d_init(&layer->first, seed);
    conv1d_init(&layer->second, seed);
}

void time_embedding_prepare(time_embedding *layer) {
    conv1d_prepare(&layer->first);
    conv1d_prepare(&layer->second);
}

void time_embedding_free(time_embedding *layer) {
    conv1d_free(&layer->first);
    conv1d_free(&layer->second);
}

static double frequency(const time_embedding *layer, size_t k) {
    return time_scale * pow(longest_period, -2.0 * (double)k / (double)layer->features);
}

static void sinusoids(const time_embedding *layer, const compute *run, size_t batch, const real *t, real *e) {
    size_t half = layer->features / 2;
    for (size_t b = 0; !measuring(run) && b < batch; b++, e += layer->features)
        for (size_t k = 0; k < half; k++) {
            double angle = frequency(layer, k) * (double)t[b];
            e[k] = (real)sin(angle);
            e[half + k] = (real)cos(angle);
        }
}

/* dt += sum_k w_k (cos(w_k t) de_k - sin(w_k t) de_(K + k)); e holds the sines and cosines. */
static void sinusoids_backward(const time_embedding *layer, const compute *run, size_t batch, const real *e,
                               const real *de, real *dt) {
    size_t half = layer->features / 2;
    for (size_t b = 0; !measuring(run) && dt && b < batch; b++, e += layer->features, de += layer->features) {
        double sum = 0;
        for (size_t k = 0; k < half; k++)
            sum += frequency(layer, k) * ((double)e[half + k] * (double)de[k] - (double)e[k] * (double)de[half + k]);
        dt[b] += (real)sum;
    }
}

void time_embedding_forward(const time_embedding *layer, compute *run, size_t batch, const real *t, real *y,
                            arena *tape) {
    size_t mark = run->scratch.used, count = batch * layer->dim;
    real *e = arena_reals(&run->scratch, batch * layer->features), *active = arena_reals(&run->scratch, count);
    real *hidden = tape ? arena_reals(tape, count) : active;
    sinusoids(layer, run, batch, t, e);
    conv1d_forward(&layer->first, run, 1, batch, e, hidden, 0);
    run_silu(run, count, hidden, active);
    conv1d_forward(&layer->second, run, 1, batch, active, y, 0);
    arena_release(&run->scratch, mark);
}

void time_embedding_backward(const time_embedding *layer, compute *run, size_t batch, const real *t, const real *dy,
                             real *dt, real *grads, arena *tape) {
    size_t mark = run->scratch.used, count = batch * layer->dim;
    real *e = arena_reals(&run->scratch, batch * layer->features), *active = arena_reals(&run->scratch, count);
    real *de = arena_reals(&run->scratch, batch * layer->features), *dactive = arena_reals(&run->scratch, count);
    const real *hidden = arena_reals(tape, count);
    const conv1d_call dense = {.batch = 1, .frames = batch};
    sinusoids(layer, run, batch, t, e);
    run_silu(run, count, hidden, active);
    conv1d_run_backward(&layer->second, run, &dense, active, dy, dactive, grads);
    run_silu_backward(run, count, hidden, dactive, dactive);
    conv1d_run_backward(&layer->first, run, &dense, e, dactive, de, grads);
    sinusoids_backward(layer, run, batch, e, de, dt);
    arena_release(&run->scratch, mark);
}
