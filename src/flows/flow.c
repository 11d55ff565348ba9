/* The safe calls of the flow interface, measuring by dry runs, and backward without a tape for flows without parts. */
#include "flows/flow.h"

#include "flows/build.h"

/* Room for any width of element behind a count of numbers. */
static const size_t most_numbers = SIZE_MAX / 64;

size_t flow_shape_count(flow_shape shape) {
    return shape.batch * shape.frames * shape.channels;
}

static vocode_status check_size(const flow *self, flow_shape shape, vocode_error *error) {
    size_t count;
    if (!shape.batch || !shape.frames)
        return failed(error, VOCODE_SHAPE,
                      "%s %s: expected at least one batch element of one frame, found %zu of %zu frames",
                      self->type->name, self->name, shape.batch, shape.frames);
    if (__builtin_mul_overflow(shape.batch, shape.frames, &count) ||
        __builtin_mul_overflow(count, shape.channels, &count) || count > most_numbers)
        return failed(error, VOCODE_SHAPE, "%s %s: %zu x %zu frames x %zu channels are more than memory can hold",
                      self->type->name, self->name, shape.batch, shape.frames, shape.channels);
    return VOCODE_OK;
}

vocode_status flow_latent_shape(const flow *self, flow_shape x, flow_shape *z, vocode_error *error) {
    TRY(check_size(self, x, error));
    if (x.channels != self->channels)
        return failed(error, VOCODE_SHAPE, "%s %s: expected data of %zu channels, found %zu", self->type->name,
                      self->name, self->channels, x.channels);
    if (x.frames % self->fold)
        return failed(error, VOCODE_SHAPE, "%s %s: expected a number of frames that %zu divides, found %zu",
                      self->type->name, self->name, self->fold, x.frames);
    *z = (flow_shape){x.batch, x.frames / self->fold, x.channels * self->fold};
    return VOCODE_OK;
}

vocode_status flow_data_shape(const flow *self, flow_shape z, flow_shape *x, vocode_error *error) {
    TRY(check_size(self, z, error));
    if (z.channels != self->channels * self->fold)
        return failed(error, VOCODE_SHAPE, "%s %s: expected a latent of %zu channels, found %zu", self->type->name,
                      self->name, self->channels * self->fold, z.channels);
    *x = (flow_shape){z.batch, z.frames * self->fold, self->channels}; /* as many numbers as z: no overflow */
    return VOCODE_OK;
}

/* The conditioning of a composite is checked by the parts, which know their own frame rate. */
static vocode_status check_run(const flow *self, const flow_run *run) {
    flow_shape z;
    TRY(flow_latent_shape(self, run->shape, &z, run->error));
    if (!self->cond_channels) return VOCODE_OK;
    if (run->cond_channels != self->cond_channels)
        return failed(run->error, VOCODE_SHAPE, "%s %s: expected conditioning of %zu channels, found %zu",
                      self->type->name, self->name, self->cond_channels, run->cond_channels);
    if (!run->cond && !measuring(run->work))
        return failed(run->error, VOCODE_SHAPE, "%s %s: expected conditioning of %zu channels, found none",
                      self->type->name, self->name, self->cond_channels);
    if (!run->cond_frames || run->shape.frames % run->cond_frames)
        return failed(run->error, VOCODE_SHAPE,
                      "%s %s: expected as many frames of conditioning as divide %zu, found %zu", self->type->name,
                      self->name, run->shape.frames, run->cond_frames);
    return VOCODE_OK;
}

void flow_init(flow *self, uint64_t seed) {
    if (self->type->init) self->type->init(self, seed);
}

vocode_status flow_init_from(flow *self, const flow_run *run, const real *x) {
    TRY(check_run(self, run));
    return self->traits & FLOW_DATA_DEPENDENT_INIT ? self->type->init_from(self, run, x) : VOCODE_OK;
}

vocode_status flow_prepare(flow *self, vocode_error *error) {
    return self->type->prepare ? self->type->prepare(self, error) : VOCODE_OK;
}

vocode_status flow_forward(const flow *self, const flow_run *run, const real *x, real *z, double *logdet, arena *tape) {
    TRY(check_run(self, run));
    return self->type->forward(self, run, x, z, logdet, tape);
}

vocode_status flow_inverse(const flow *self, const flow_run *run, const real *z, real *x) {
    TRY(check_run(self, run));
    return self->type->inverse(self, run, z, x);
}

/* The gradients of its parameters are complete. */
static void tell(const flow *self, const flow_run *run) {
    if (run->watch && self->param_count && !measuring(run->work)) run->watch->see(run->watch->context, self);
}

vocode_status flow_backward(const flow *self, const flow_run *run, const real *x, const real *z, const real *dz,
                            const double *dlogdet, real *dx, arena *tape) {
    TRY(check_run(self, run));
    TRY(self->type->backward(self, run, x, z, dz, dlogdet, dx, tape));
    tell(self, run);
    return VOCODE_OK;
}

flow_halo flow_find_halo(const flow *self) {
    return self->type->halo ? self->type->halo(self) : (flow_halo){0, 0};
}

size_t flow_reach(const flow *self) {
    flow_halo halo = flow_find_halo(self);
    return halo.latent > halo.cond ? halo.latent : halo.cond;
}

void flow_free(flow *self) {
    if (self) self->type->destroy(self);
}

/* For flows without parts: inverse, then forward again for its tape, then backward. */
static vocode_status rebuild_whole(const flow *self, const flow_run *run, const real *z, real *x, const real *dz,
                                   const double *dlogdet, real *dx, arena *tape) {
    size_t mark = run->work->scratch.used, start = tape->used, count = flow_shape_count(run->shape);
    real *again = arena_reals(&run->work->scratch, count);
    double *logdet = arena_take(&run->work->scratch, run->shape.batch, sizeof *logdet);
    for (size_t b = 0; !measuring(run->work) && b < run->shape.batch; b++) logdet[b] = 0;
    flow_run silent = *run;
    silent.observer = NULL;
    TRY(self->type->inverse(self, &silent, z, x));
    TRY(self->type->forward(self, &silent, x, again, logdet, tape));
    tape->used = start;
    TRY(self->type->backward(self, &silent, x, z, dz, dlogdet, dx, tape));
    tape->used = start;
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

vocode_status flow_backward_rebuild(const flow *self, const flow_run *run, const real *z, real *x, const real *dz,
                                    const double *dlogdet, real *dx, arena *tape) {
    TRY(check_run(self, run));
    if (!(self->traits & FLOW_REINVERTIBLE))
        return failed(run->error, VOCODE_UNSUPPORTED, "%s %s: cannot rebuild its input from its output exactly enough",
                      self->type->name, self->name);
    TRY(self->type->rebuild ? self->type->rebuild(self, run, z, x, dz, dlogdet, dx, tape)
                            : rebuild_whole(self, run, z, x, dz, dlogdet, dx, tape));
    tell(self, run);
    return VOCODE_OK;
}

vocode_status flow_inverse_backward(const flow *self, const flow_run *run, const real *x, real *z, const real *dx,
                                    real *dz, arena *tape) {
    TRY(check_run(self, run));
    if (!(self->traits & FLOW_SAMPLES_DIFFERENTIABLY))
        return failed(run->error, VOCODE_UNSUPPORTED, "%s %s: its samples have no gradient", self->type->name,
                      self->name);
    return self->type->inverse_backward(self, run, x, z, dx, dz, tape);
}

vocode_status flow_retrace(const flow *self, const flow_run *run, const real *x, real *z, arena *tape) {
    size_t mark = run->work->scratch.used, start = tape->used;
    double *logdet = flow_no_gain(run);
    flow_run silent = *run;
    silent.observer = NULL;
    TRY(self->type->forward(self, &silent, x, z, logdet, tape));
    tape->used = start;
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

double *flow_no_gain(const flow_run *run) {
    double *zeros = arena_take(&run->work->scratch, run->shape.batch, sizeof *zeros);
    for (size_t b = 0; !measuring(run->work) && b < run->shape.batch; b++) zeros[b] = 0;
    return zeros;
}

vocode_status flow_give_back(const flow *self, const flow_run *run, const real *x, const real *z, const real *dz,
                             arena *tape) {
    size_t mark = run->work->scratch.used, start = tape->used, count = flow_shape_count(run->shape);
    real *negative = arena_reals(&run->work->scratch, count), *ignored = arena_reals(&run->work->scratch, count);
    const double *dlogdet = flow_no_gain(run);
    for (size_t i = 0; !measuring(run->work) && i < count; i++) negative[i] = -dz[i];
    TRY(self->type->backward(self, run, x, z, negative, dlogdet, ignored, tape));
    tape->used = start;
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status dry_run(flow *self, const flow_run *run, flow_use use, arena *tape) {
    arena again = *tape;
    switch (use) {
    case FLOW_FORWARD: TRY(flow_init_from(self, run, NULL)); return flow_forward(self, run, NULL, NULL, NULL, NULL);
    case FLOW_INVERSE: return flow_inverse(self, run, NULL, NULL);
    case FLOW_TRAIN:
        TRY(flow_forward(self, run, NULL, NULL, NULL, tape));
        return flow_backward(self, run, NULL, NULL, NULL, NULL, NULL, &again);
    case FLOW_REBUILD:
        TRY(flow_forward(self, run, NULL, NULL, NULL, NULL));
        return flow_backward_rebuild(self, run, NULL, NULL, NULL, NULL, NULL, tape);
    case FLOW_SAMPLE:
        TRY(flow_inverse(self, run, NULL, NULL));
        return flow_inverse_backward(self, run, NULL, NULL, NULL, NULL, tape);
    }
    return failed(run->error, VOCODE_ARGUMENT, "there is no use %d of a flow", (int)use);
}

vocode_status flow_measure(const flow *self, const flow_run *run, flow_use use, size_t *scratch, size_t *tape) {
    compute work = {.scratch = arena_over(NULL, 0), .threads = run->work->threads};
    arena kept = arena_over(NULL, 0);
    flow_run dry = {.work = &work,
                    .shape = run->shape,
                    .cond_frames = run->cond_frames,
                    .cond_channels = run->cond_channels,
                    .error = run->error};
    TRY(dry_run((flow *)self, &dry, use, &kept)); /* a dry run changes nothing */
    if (work.scratch.peak >= SIZE_MAX / 2 || kept.peak >= SIZE_MAX / 2)
        return failed(run->error, VOCODE_MEMORY, "%s %s: %zu x %zu frames need more memory than can be addressed",
                      self->type->name, self->name, run->shape.batch, run->shape.frames);
    /* never 0: an arena without memory means a dry run */
    *scratch = work.scratch.peak ? work.scratch.peak : ARENA_ALIGNMENT;
    if (tape) *tape = kept.peak;
    return VOCODE_OK;
}
