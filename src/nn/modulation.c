#include "nn/modulation.h"

#include <stdio.h>

enum { DIM_PER_FEATURE = 2 }; /* of the embedding */

vocode_status modulation_build(modulation *self, param_set *set, const char *prefix, size_t features, size_t layers,
                               size_t channels, vocode_error *error) {
    *self = (modulation){.layers = layers, .channels = channels};
    size_t dim = DIM_PER_FEATURE * features;
    char name[PARAM_NAME_SIZE];
    const conv1d_options spread = {
        .inputs = dim, .outputs = modulation_width(self), .linear = true, .transposing = true};
    TRY(time_embedding_build(&self->embed, set, prefix, features, dim, error));
    snprintf(name, sizeof name, "%sspread.", prefix);
    return conv1d_build(&self->spread, set, name, &spread, error);
}

void modulation_init(modulation *self, uint64_t seed) {
    time_embedding_init(&self->embed, seed);
    conv1d_zero(&self->spread);
}

void modulation_prepare(modulation *self) {
    time_embedding_prepare(&self->embed);
    conv1d_prepare(&self->spread);
}

void modulation_free(modulation *self) {
    time_embedding_free(&self->embed);
    conv1d_free(&self->spread);
}

size_t modulation_width(const modulation *self) {
    return self->layers * 2 * self->channels;
}

void modulation_forward(const modulation *self, compute *run, size_t batch, const real *t, real *factors, arena *tape) {
    size_t mark = run->scratch.used, count = batch * self->embed.dim, width = modulation_width(self);
    real *active = arena_reals(&run->scratch, count), *e = tape ? arena_reals(tape, count) : active;
    time_embedding_forward(&self->embed, run, batch, t, e, tape);
    run_silu(run, count, e, active);
    conv1d_forward(&self->spread, run, 1, batch, active, factors, 0);
    for (size_t i = 0; !measuring(run) && i < batch * width; i++)
        if (i / self->channels % 2 == 0) factors[i] += 1;
    arena_release(&run->scratch, mark);
}

void modulation_backward(const modulation *self, compute *run, size_t batch, const real *t, const real *dfactors,
                         real *grads, arena *tape) {
    size_t mark = run->scratch.used, count = batch * self->embed.dim;
    const conv1d_call dense = {.batch = 1, .frames = batch};
    real *active = arena_reals(&run->scratch, count), *de = arena_reals(&run->scratch, count);
    const real *e = arena_reals(tape, count);
    run_silu(run, count, e, active);
    conv1d_run_backward(&self->spread, run, &dense, active, dfactors, de, grads);
    run_silu_backward(run, count, e, de, de);
    time_embedding_backward(&self->embed, run, batch, t, de, NULL, grads, tape);
    arena_release(&run->scratch, mark);
}

/* Where a batch element's factors of a layer start: 1 + g, and then b. */
static size_t place(const modulation *self, size_t element, size_t layer) {
    return element * modulation_width(self) + layer * 2 * self->channels;
}

void modulate_rows(const modulation *self, const compute *run, size_t batch, size_t frames, size_t layer,
                   const real *factors, const real *x, real *y) {
    size_t c = self->channels, each = frames * c;
    for (size_t b = 0; !measuring(run) && b < batch; b++) {
        const real *own = factors + place(self, b, layer);
        run_scale_shift(run, frames, c, x + b * each, c, own, own + c, y + b * each, c);
    }
}

void modulate_rows_backward(const modulation *self, compute *run, size_t batch, size_t frames, size_t layer,
                            const real *factors, const real *x, const real *dy, real *dx, real *dfactors) {
    size_t c = self->channels, each = frames * c, mark = run->scratch.used;
    real *zeros = arena_reals(&run->scratch, c);
    run_zero(run, c, zeros);
    for (size_t b = 0; !measuring(run) && b < batch; b++) {
        size_t at = place(self, b, layer);
        const real *from = dy + b * each;
        run_dot_columns(run, frames, c, x + b * each, zeros, from, dfactors + at);
        run_add_columns(run, frames, c, from, c, dfactors + at + c);
        run_scale_shift(run, frames, c, from, c, factors + at, zeros, dx + b * each, c);
    }
    arena_release(&run->scratch, mark);
}
