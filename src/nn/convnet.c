#include "nn/convnet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/networks.h"

/* On the tape: h_k [blocks + 1][images, pixels, channels], then p_k [blocks][the same]. */

static size_t pixels_of(const convnet *self) {
    return self->height * self->width;
}

static size_t images_of(const network_input *in) {
    return in->batch * in->frames;
}

/* rows [images, count] to their places in images [images, size], zeros elsewhere */
static void place_rows(const compute *run, size_t images, const size_t *at, size_t count, const real *rows, size_t size,
                       real *to) {
    run_zero(run, images * size, to);
    for (size_t r = 0; !measuring(run) && r < images; r++)
        for (size_t i = 0; i < count; i++) to[r * size + at[i]] = rows[r * count + i];
}

/* rows [images, count] = (add: +=) what lies at their places */
static void fetch_rows(const compute *run, size_t images, const size_t *at, size_t count, const real *from, size_t size,
                       bool add, real *rows) {
    for (size_t r = 0; !measuring(run) && r < images; r++)
        for (size_t i = 0; i < count; i++)
            rows[r * count + i] = (add ? rows[r * count + i] : 0) + from[r * size + at[i]];
}

/* h += place, and what the conditioning gives */
static void add_places(const convnet *self, compute *run, const network_input *in, real *h) {
    size_t mark = run->scratch.used, channels = self->channels, pixels = pixels_of(self), each = pixels * channels;
    size_t columns = self->base.conditioning ? in->batch * in->cond_frames : 0;
    real *given = arena_reals(&run->scratch, columns * channels);
    if (columns) dense_forward(&self->given, run, columns, in->cond, given);
    for (size_t r = 0; !measuring(run) && r < images_of(in); r++) {
        const real *row = columns ? given + r / (in->frames / in->cond_frames) * channels : NULL;
        kernels()->sum_scaled(each, h + r * each, self->place->value, 1, h + r * each);
        for (size_t p = 0; row && p < pixels; p++)
            for (size_t c = 0; c < channels; c++) h[r * each + p * channels + c] += row[c];
    }
    arena_release(&run->scratch, mark);
}

static void forward(const network *net, compute *run, const network_input *in, real *y, arena *tape) {
    const convnet *self = (const convnet *)net;
    size_t mark = run->scratch.used, images = images_of(in), rows = images * pixels_of(self);
    size_t count = rows * self->channels, entering = pixels_of(self) * self->enter_planes;
    size_t leaving = pixels_of(self) * self->exit_planes;
    real *kept = tape ? arena_reals(tape, (2 * self->blocks + 1) * count) : NULL;
    real *image = arena_reals(&run->scratch, images * entering), *out = arena_reals(&run->scratch, images * leaving);
    real *a = arena_reals(&run->scratch, count), *b = arena_reals(&run->scratch, count);
    real *own = tape ? kept : arena_reals(&run->scratch, count), *h = own;
    place_rows(run, images, self->from, net->inputs, in->x, entering, image);
    conv2d_forward(&self->enter, run, images, image, h);
    add_places(self, run, in, h);
    for (size_t k = 0; k < self->blocks; k++) {
        real *p = tape ? part_of(kept, (self->blocks + 1 + k) * count) : b;
        real *next = tape ? part_of(kept, (k + 1) * count) : own;
        run_silu(run, count, h, a);
        conv2d_forward(&self->block[k].wide, run, images, a, p);
        run_silu(run, count, p, a);
        dense_forward(&self->block[k].narrow, run, rows, a, b);
        if (next != h) run_copy(run, count, h, next);
        run_add(run, count, b, next);
        h = next;
    }
    run_silu(run, count, h, a);
    conv2d_forward(&self->exit, run, images, a, out);
    fetch_rows(run, images, self->to, net->outputs, out, leaving, false, y);
    arena_release(&run->scratch, mark);
}

/* The gradients of place and of the conditioning's layer, from dh of h_0. */
static void places_backward(const convnet *self, compute *run, const network_input *in, const real *dh, real *dcond,
                            real *grads) {
    size_t mark = run->scratch.used, channels = self->channels, pixels = pixels_of(self), each = pixels * channels;
    size_t conditioning = self->base.conditioning, columns = conditioning ? in->batch * in->cond_frames : 0;
    real *dgiven = arena_reals(&run->scratch, columns * channels);
    real *back = arena_reals(&run->scratch, columns * conditioning);
    if (grads) run_add_columns(run, images_of(in), each, dh, each, param_grad(self->place, grads));
    run_zero(run, columns * channels, dgiven);
    if (columns)
        run_fold_rows(run, columns, in->frames / in->cond_frames * pixels, channels, dh, channels, dgiven, channels);
    if (columns) dense_backward(&self->given, run, columns, in->cond, dgiven, dcond ? back : NULL, grads);
    if (columns && dcond) run_add(run, columns * conditioning, back, dcond);
    arena_release(&run->scratch, mark);
}

static void blocks_backward(const convnet *self, compute *run, size_t images, const real *kept, real *dh, real *grads) {
    size_t mark = run->scratch.used, rows = images * pixels_of(self), count = rows * self->channels;
    real *a = arena_reals(&run->scratch, count), *da = arena_reals(&run->scratch, count);
    real *dp = arena_reals(&run->scratch, count);
    for (size_t k = self->blocks; k-- > 0;) {
        const real *h = kept ? kept + k * count : NULL, *p = kept ? kept + (self->blocks + 1 + k) * count : NULL;
        run_silu(run, count, p, a);
        dense_backward(&self->block[k].narrow, run, rows, a, dh, dp, grads);
        run_silu_backward(run, count, p, dp, dp);
        run_silu(run, count, h, a);
        conv2d_backward(&self->block[k].wide, run, images, a, dp, da, grads);
        run_silu_backward(run, count, h, da, da);
        run_add(run, count, da, dh);
    }
    arena_release(&run->scratch, mark);
}

static void backward(const network *net, compute *run, const network_input *in, const real *dy, real *dx, real *dcond,
                     real *grads, arena *tape) {
    const convnet *self = (const convnet *)net;
    size_t mark = run->scratch.used, images = images_of(in), count = images * pixels_of(self) * self->channels;
    size_t entering = pixels_of(self) * self->enter_planes, leaving = pixels_of(self) * self->exit_planes;
    const real *kept = arena_reals(tape, (2 * self->blocks + 1) * count);
    const real *last = kept ? kept + self->blocks * count : NULL;
    real *image = arena_reals(&run->scratch, images * entering),
         *dimage = arena_reals(&run->scratch, images * entering);
    real *dout = arena_reals(&run->scratch, images * leaving), *a = arena_reals(&run->scratch, count);
    real *dh = arena_reals(&run->scratch, count);
    place_rows(run, images, self->to, net->outputs, dy, leaving, dout);
    run_silu(run, count, last, a);
    conv2d_backward(&self->exit, run, images, a, dout, dh, grads);
    run_silu_backward(run, count, last, dh, dh);
    blocks_backward(self, run, images, kept, dh, grads);
    places_backward(self, run, in, dh, dcond, grads);
    place_rows(run, images, self->from, net->inputs, in->x, entering, image);
    conv2d_backward(&self->enter, run, images, image, dh, dx ? dimage : NULL, grads);
    if (dx) fetch_rows(run, images, self->from, net->inputs, dimage, entering, true, dx);
    arena_release(&run->scratch, mark);
}

static void init(network *net, uint64_t seed) {
    convnet *self = (convnet *)net;
    param_fill(self->place, 0);
    if (net->conditioning) dense_init(&self->given, seed);
    conv2d_init(&self->enter, seed);
    for (size_t k = 0; k < self->blocks; k++) {
        conv2d_init(&self->block[k].wide, seed);
        dense_init(&self->block[k].narrow, seed);
    }
    conv2d_zero(&self->exit);
}

static void prepare(network *net) {
    convnet *self = (convnet *)net;
    if (net->conditioning) dense_prepare(&self->given);
    conv2d_prepare(&self->enter);
    for (size_t k = 0; k < self->blocks; k++) {
        conv2d_prepare(&self->block[k].wide);
        dense_prepare(&self->block[k].narrow);
    }
    conv2d_prepare(&self->exit);
}

static size_t reach(const network *net) {
    (void)net;
    return 0;
}

static void destroy(network *net) {
    convnet *self = (convnet *)net;
    dense_free(&self->given);
    conv2d_free(&self->enter);
    for (size_t k = 0; k < self->blocks; k++) {
        conv2d_free(&self->block[k].wide);
        dense_free(&self->block[k].narrow);
    }
    conv2d_free(&self->exit);
    aligned_free(self->from);
    aligned_free(self->to);
    free(self);
}

static const network_class convnet_class = {.name = "convnet",
                                            .init = init,
                                            .prepare = prepare,
                                            .forward = forward,
                                            .backward = backward,
                                            .reach = reach,
                                            .destroy = destroy};

static vocode_status build_conv(const convnet *self, size_t inputs, size_t outputs, param_set *set, const char *prefix,
                                const char *name, conv2d *out, vocode_error *error) {
    char full[2 * PARAM_NAME_SIZE]; /* too long a name is refused when it is registered */
    const conv2d_options shape = {self->height, self->width, 3, inputs, outputs};
    snprintf(full, sizeof full, "%s%s.", prefix, name);
    return conv2d_build(out, set, full, &shape, error);
}

static vocode_status build_layers(convnet *self, param_set *set, const char *prefix, vocode_error *error) {
    size_t channels = self->channels, conditioning = self->base.conditioning;
    const size_t place[] = {pixels_of(self), channels};
    char name[PARAM_NAME_SIZE];
    self->place = param_add(set, PARAM_TRAINED, prefix, "place", 2, place);
    if (!self->place) return failed(error, VOCODE_MEMORY, "%splace: out of memory", prefix);
    TRY(build_conv(self, self->enter_planes, channels, set, prefix, "enter", &self->enter, error));
    snprintf(name, sizeof name, "%sgiven.", prefix);
    const dense_options given = {.inputs = conditioning, .outputs = channels};
    if (conditioning) TRY(dense_build(&self->given, set, name, &given, error));
    for (size_t k = 0; k < self->blocks; k++) {
        snprintf(name, sizeof name, "blocks.%zu.wide", k);
        TRY(build_conv(self, channels, channels, set, prefix, name, &self->block[k].wide, error));
        snprintf(name, sizeof name, "%sblocks.%zu.narrow.", prefix, k);
        const dense_options narrow = {.inputs = channels, .outputs = channels};
        TRY(dense_build(&self->block[k].narrow, set, name, &narrow, error));
    }
    return build_conv(self, channels, self->exit_planes, set, prefix, "exit", &self->exit, error);
}

static size_t *copy_places(const size_t *from, size_t count) {
    size_t *copy = aligned_new(count, sizeof *copy);
    if (copy) memcpy(copy, from, count * sizeof *copy);
    return copy;
}

enum { MOST_BLOCKS = 64 };

vocode_status convnet_build(const convnet_options *options, param_set *set, const char *prefix, network **out,
                            vocode_error *error) {
    size_t pixels;
    *out = NULL;
    if (options->blocks > MOST_BLOCKS || !options->channels || !options->inputs || !options->outputs ||
        __builtin_mul_overflow(options->height, options->width, &pixels) || !pixels)
        return failed(
            error, VOCODE_VALUE,
            "%sblocks: expected at most %d blocks of at least 1 channel for images of at least a pixel, found "
            "%zu of %zu channels for %zu x %zu pixels",
            prefix, MOST_BLOCKS, options->blocks, options->channels, options->height, options->width);
    convnet *self = calloc(1, sizeof *self + options->blocks * sizeof *self->block);
    if (!self) return failed(error, VOCODE_MEMORY, "%sblocks: out of memory", prefix);
    self->base = (network){&convnet_class, options->inputs, options->outputs, options->conditioning};
    self->height = options->height;
    self->width = options->width;
    self->enter_planes = options->enter_planes;
    self->exit_planes = options->exit_planes;
    self->channels = options->channels;
    self->blocks = options->blocks;
    self->from = copy_places(options->from, options->inputs);
    self->to = copy_places(options->to, options->outputs);
    vocode_status status = self->from && self->to ? build_layers(self, set, prefix, error)
                                                  : failed(error, VOCODE_MEMORY, "%sblocks: out of memory", prefix);
    if (status == VOCODE_OK)
        *out = &self->base;
    else
        destroy(&self->base);
    return status;
}
