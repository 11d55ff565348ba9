/* A stack of ConvNeXt blocks (Liu et al., "A ConvNet for the 2020s", 2022; over time as in Siuzdak, "Vocos", 2023; the
 * layer scale is of Touvron et al., "Going deeper with image transformers", 2021). D channels, expansion e, time-major
 * rows, zeros outside the signal:
 *
 *     h_0 = enter([x, cond])                                      3 taps, [inputs + conditioning] -> [D]
 *     u_i = depthwise(h_i), v_i = layer norm(u_i)                 blocks.i.depthwise, .norm
 *     w_i = (1 + g_i(t)) v_i + b_i(t)                             time., where it knows one; else w_i = v_i
 *     p_i = up(w_i), q_i = gelu(p_i)                              blocks.i.up, [D] -> [e D]
 *     h_(i+1) = h_i + scale * down(q_i)                           blocks.i.down, .scale, [e D] -> [D]
 *     y = exit(h_L)                                               1x1, [D] -> [outputs]
 *
 * The layer scale folds into down, so a block ends in one product added in place. Each column of cond serves frames /
 * cond_frames frames in turn. On the tape: every h_i, u_i and p_i, and the time's factors; v_i, w_i and q_i are
 * computed again. */
#include <stdio.h>
#include <stdlib.h>

#include "nn/convnext.h"
#include "nn/networks.h"

static const double first_scale = 0.3; /* a stack of few blocks learns sooner than from the 1e-6 of deep ones */
enum { ENTER_TAPS = 3 };

typedef struct convnext_tape {
    real *h; /* [blocks + 1, rows, D] */
    real *u; /* [blocks, rows, D] */
    real *p; /* [blocks, rows, e D] */
    real *m; /* [batch, blocks, 2, D]: the time's factors; NULL where it knows none */
} convnext_tape;

static convnext_tape take_tape(const convnext *self, arena *tape, const network_input *in) {
    convnext_tape kept = {0};
    size_t rows = in->batch * in->frames;
    kept.h = arena_reals(tape, (self->blocks + 1) * rows * self->dim);
    kept.u = arena_reals(tape, self->blocks * rows * self->dim);
    kept.p = arena_reals(tape, self->blocks * rows * self->wide);
    if (self->timed) kept.m = arena_reals(tape, in->batch * modulation_width(&self->time));
    return kept;
}

/* Whether [x, cond] has to be put together: it is one of them as it stands where the other has no channels. */
static bool joins(const convnext *self, const network_input *in) {
    if (!self->base.conditioning) return false;
    return self->base.inputs || in->cond_frames != in->frames;
}

/* [x, cond] [batch, frames, inputs + conditioning], in scratch where it has to be put together. */
static const real *join(const convnext *self, compute *run, const network_input *in) {
    size_t inputs = self->base.inputs, conditioning = self->base.conditioning, width = inputs + conditioning;
    if (!joins(self, in)) return conditioning ? in->cond : in->x;
    real *joined = arena_reals(&run->scratch, in->batch * in->frames * width);
    if (inputs) run_copy_columns(run, in->batch * in->frames, inputs, in->x, inputs, joined, width);
    run_repeat_rows(run, in->batch * in->cond_frames, in->frames / in->cond_frames, conditioning, in->cond,
                    conditioning, part_of(joined, inputs), width);
    return joined;
}

/* h += the block's output. u and p are the block's own arrays; v and q may be u and p themselves. */
static void run_block(const convnext *self, size_t i, compute *run, const network_input *in, const real *m, real *h,
                      real *u, real *v, real *p, real *q) {
    const convnext_block *block = &self->block[i];
    const conv1d_call call = {.batch = in->batch, .frames = in->frames, .add = true};
    depthwise_forward(&block->depth, run, in->batch, in->frames, h, u);
    layer_norm_forward(&block->norm, run, in->batch * in->frames, u, v);
    if (self->timed) modulate_rows(&self->time, run, in->batch, in->frames, i, m, v, v);
    conv1d_forward(&block->up, run, in->batch, in->frames, v, p, 0);
    run_gelu(run, in->batch * in->frames * block->up.w.outputs, p, q);
    conv1d_run(&block->down, run, &call, q, h);
}

static void forward(const network *net, compute *run, const network_input *in, real *y, arena *tape) {
    const convnext *self = (const convnext *)net;
    size_t mark = run->scratch.used, rows = in->batch * in->frames, d = self->dim, wide = self->wide;
    convnext_tape kept = tape ? take_tape(self, tape, in) : (convnext_tape){0};
    real *h = tape ? kept.h : arena_reals(&run->scratch, rows * d), *v = arena_reals(&run->scratch, rows * d);
    if (self->timed && !tape) kept.m = arena_reals(&run->scratch, in->batch * modulation_width(&self->time));
    if (self->timed) modulation_forward(&self->time, run, in->batch, in->t, kept.m, tape);
    size_t joining = run->scratch.used;
    conv1d_forward(&self->enter, run, in->batch, in->frames, join(self, run, in), h, 0);
    arena_release(&run->scratch, joining);
    real *q = arena_reals(&run->scratch, rows * wide);
    for (size_t i = 0; i < self->blocks; i++) {
        if (tape) {
            real *next = part_of(kept.h, (i + 1) * rows * d);
            run_copy(run, rows * d, h, next);
            h = next;
        }
        real *u = tape ? part_of(kept.u, i * rows * d) : v, *p = tape ? part_of(kept.p, i * rows * wide) : q;
        run_block(self, i, run, in, kept.m, h, u, v, p, q);
    }
    conv1d_forward(&self->exit, run, in->batch, in->frames, h, y, 0);
    arena_release(&run->scratch, mark);
}

/* Gradients of block i; dh [rows, D] is the gradient of h_(i+1) and becomes that of h_i; dm accumulates. */
static void backward_block(const convnext *self, compute *run, const network_input *in, size_t i,
                           const convnext_tape *kept, real *dm, real *dh, real *grads) {
    const convnext_block *block = &self->block[i];
    size_t mark = run->scratch.used, rows = in->batch * in->frames, d = self->dim, wide = self->wide;
    const conv1d_call dense = {.batch = in->batch, .frames = in->frames};
    const real *h = part_of(kept->h, i * rows * d), *u = part_of(kept->u, i * rows * d);
    const real *p = part_of(kept->p, i * rows * wide);
    real *q = arena_reals(&run->scratch, rows * wide), *dwide = arena_reals(&run->scratch, rows * wide);
    real *v = arena_reals(&run->scratch, rows * d), *dv = arena_reals(&run->scratch, rows * d);
    real *w = self->timed ? arena_reals(&run->scratch, rows * d) : v;
    run_gelu(run, rows * wide, p, q);
    conv1d_run_backward(&block->down, run, &dense, q, dh, dwide, grads);
    run_gelu_backward(run, rows * wide, p, dwide, dwide);
    layer_norm_forward(&block->norm, run, rows, u, v);
    if (self->timed) modulate_rows(&self->time, run, in->batch, in->frames, i, kept->m, v, w);
    conv1d_run_backward(&block->up, run, &dense, w, dwide, dv, grads);
    if (self->timed) modulate_rows_backward(&self->time, run, in->batch, in->frames, i, kept->m, v, dv, dv, dm);
    real *du = v;
    layer_norm_backward(&block->norm, run, rows, u, dv, du, grads);
    depthwise_backward(&block->depth, run, in->batch, in->frames, h, du, dh, grads);
    arena_release(&run->scratch, mark);
}

/* From dh, the gradient of h_0, to those of x and cond. */
static void backward_enter(const convnext *self, compute *run, const network_input *in, const real *dh, real *dx,
                           real *dcond, real *grads) {
    size_t mark = run->scratch.used, rows = in->batch * in->frames;
    size_t inputs = self->base.inputs, conditioning = self->base.conditioning, width = inputs + conditioning;
    const real *joined = join(self, run, in);
    if (!joins(self, in)) {
        conv1d_backward(&self->enter, run, in->batch, in->frames, joined, dh, 0, conditioning ? dcond : dx, grads);
        return;
    }
    real *djoined = arena_reals(&run->scratch, rows * width);
    const conv1d_call dense = {.batch = in->batch, .frames = in->frames};
    conv1d_run_backward(&self->enter, run, &dense, joined, dh, dx || dcond ? djoined : NULL, grads);
    if (dx && inputs) run_accumulate_columns(run, rows, inputs, djoined, width, dx, inputs);
    if (dcond)
        run_fold_rows(run, in->batch * in->cond_frames, in->frames / in->cond_frames, conditioning,
                      part_of(djoined, inputs), width, dcond, conditioning);
    arena_release(&run->scratch, mark);
}

static void backward(const network *net, compute *run, const network_input *in, const real *dy, real *dx, real *dcond,
                     real *grads, arena *tape) {
    const convnext *self = (const convnext *)net;
    size_t mark = run->scratch.used, rows = in->batch * in->frames, d = self->dim;
    convnext_tape kept = take_tape(self, tape, in);
    size_t factors = self->timed ? in->batch * modulation_width(&self->time) : 0;
    real *dh = arena_reals(&run->scratch, rows * d), *dm = arena_reals(&run->scratch, factors);
    run_zero(run, factors, dm);
    const conv1d_call dense = {.batch = in->batch, .frames = in->frames};
    conv1d_run_backward(&self->exit, run, &dense, part_of(kept.h, self->blocks * rows * d), dy, dh, grads);
    for (size_t i = self->blocks; i-- > 0;) backward_block(self, run, in, i, &kept, dm, dh, grads);
    if (self->timed) modulation_backward(&self->time, run, in->batch, in->t, dm, grads, tape);
    backward_enter(self, run, in, dh, dx, dcond, grads);
    arena_release(&run->scratch, mark);
}

static void init(network *net, uint64_t seed) {
    convnext *self = (convnext *)net;
    conv1d_init(&self->enter, seed);
    if (self->timed) modulation_init(&self->time, seed);
    for (size_t i = 0; i < self->blocks; i++) {
        convnext_block *block = &self->block[i];
        param_fill(block->scale, first_scale);
        depthwise_init(&block->depth, seed);
        layer_norm_init(&block->norm);
        conv1d_init(&block->up, seed);
        conv1d_init(&block->down, seed);
    }
    conv1d_zero(&self->exit);
}

static void prepare(network *net) {
    convnext *self = (convnext *)net;
    conv1d_prepare(&self->enter);
    if (self->timed) modulation_prepare(&self->time);
    conv1d_prepare(&self->exit);
    for (size_t i = 0; i < self->blocks; i++) {
        convnext_block *block = &self->block[i];
        depthwise_prepare(&block->depth);
        conv1d_prepare(&block->up);
        conv1d_prepare(&block->down);
    }
}

static size_t reach(const network *net) {
    const convnext *self = (const convnext *)net;
    size_t sum = conv1d_reach(&self->enter);
    for (size_t i = 0; i < self->blocks; i++) sum += self->block[i].depth.taps / 2;
    return sum;
}

static void destroy(network *net) {
    convnext *self = (convnext *)net;
    conv1d_free(&self->enter);
    modulation_free(&self->time);
    conv1d_free(&self->exit);
    for (size_t i = 0; i < self->blocks; i++) {
        convnext_block *block = &self->block[i];
        depthwise_free(&block->depth);
        conv1d_free(&block->up);
        conv1d_free(&block->down);
    }
    free(self);
}

static size_t factors(const network *net) {
    const convnext *self = (const convnext *)net;
    return self->timed ? modulation_width(&self->time) : 0;
}

static void modulate(const network *net, compute *run, real t, real *to) {
    const convnext *self = (const convnext *)net;
    if (self->timed) modulation_forward(&self->time, run, 1, &t, to, NULL);
}

static const network_class convnext_class = {
    .name = "convnext",
    .init = init,
    .prepare = prepare,
    .forward = forward,
    .backward = backward,
    .reach = reach,
    .destroy = destroy,
    .factors = factors,
    .modulate = modulate,
    .stages = &convnext_stages,
};

static vocode_status build_block(convnext *self, size_t i, const convnext_options *options, param_set *set,
                                 const char *prefix, vocode_error *error) {
    convnext_block *block = &self->block[i];
    char own[PARAM_NAME_SIZE], name[PARAM_NAME_SIZE];
    snprintf(own, sizeof own, "%sblocks.%zu.", prefix, i);
    block->scale = param_add(set, PARAM_TRAINED, own, "scale", 1, &self->dim);
    if (!block->scale) return failed(error, VOCODE_MEMORY, "cannot register %sscale", own);
    const conv1d_options up = {
        .inputs = self->dim, .outputs = self->wide, .linear = true, .transposing = options->transposing};
    const conv1d_options down = {.inputs = self->wide,
                                 .outputs = self->dim,
                                 .linear = true,
                                 .transposing = options->transposing,
                                 .scale = block->scale};
    snprintf(name, sizeof name, "%sblocks.%zu.depthwise.", prefix, i);
    TRY(depthwise_build(&block->depth, set, name, self->dim, options->kernel, error));
    snprintf(name, sizeof name, "%sblocks.%zu.norm.", prefix, i);
    TRY(layer_norm_build(&block->norm, set, name, self->dim, error));
    snprintf(name, sizeof name, "%sblocks.%zu.up.", prefix, i);
    TRY(conv1d_build(&block->up, set, name, &up, error));
    snprintf(name, sizeof name, "%sblocks.%zu.down.", prefix, i);
    return conv1d_build(&block->down, set, name, &down, error);
}

static vocode_status build_all(convnext *self, const convnext_options *options, param_set *set, const char *prefix,
                               vocode_error *error) {
    const conv1d_options enter = {.pairs = true,
                                  .inputs = options->inputs + options->conditioning,
                                  .outputs = self->dim,
                                  .taps = ENTER_TAPS,
                                  .transposing = options->transposing};
    const conv1d_options leave = {
        .inputs = self->dim, .outputs = options->outputs, .transposing = options->transposing};
    char name[PARAM_NAME_SIZE];
    snprintf(name, sizeof name, "%senter.", prefix);
    TRY(conv1d_build(&self->enter, set, name, &enter, error));
    snprintf(name, sizeof name, "%stime.", prefix);
    if (self->timed) TRY(modulation_build(&self->time, set, name, options->features, self->blocks, self->dim, error));
    for (size_t i = 0; i < options->blocks; i++) TRY(build_block(self, i, options, set, prefix, error));
    snprintf(name, sizeof name, "%sexit.", prefix);
    return conv1d_build(&self->exit, set, name, &leave, error);
}

enum { MOST_BLOCKS = 1024 };

vocode_status convnext_build(const convnext_options *options, param_set *set, const char *prefix, network **out,
                             vocode_error *error) {
    size_t wide, joined;
    *out = NULL;
    if (options->blocks > MOST_BLOCKS || !options->dim ||
        __builtin_mul_overflow(options->dim, options->expansion, &wide) || !wide ||
        __builtin_add_overflow(options->inputs, options->conditioning, &joined) || !joined)
        return failed(
            error, VOCODE_VALUE,
            "%senter: expected up to %d blocks and at least 1 dimension, expansion and input, found %zu, %zu, "
            "%zu and %zu with %zu of conditioning",
            prefix, MOST_BLOCKS, options->blocks, options->dim, options->expansion, options->inputs,
            options->conditioning);
    convnext *self = calloc(1, sizeof *self + options->blocks * sizeof *self->block);
    if (!self) return failed(error, VOCODE_MEMORY, "%senter: cannot allocate %zu blocks", prefix, options->blocks);
    self->base = (network){&convnext_class, options->inputs, options->outputs, options->conditioning};
    self->blocks = options->blocks;
    self->dim = options->dim;
    self->wide = wide;
    self->timed = options->features && options->blocks; /* factors are the blocks' */
    vocode_status status = build_all(self, options, set, prefix, error);
    if (status == VOCODE_OK)
        *out = &self->base;
    else
        destroy(&self->base);
    return status;
}
