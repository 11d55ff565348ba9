/* Training a field: flow matching of pairs (field.c has the equations), and carrying rows with what backward needs, for
 * losses of what comes out. */
#include <stdlib.h>

#include "core/rng.h"
#include "flows/build.h"
#include "flows/field.h"
#include "flows/streamed.h"

/* Multiples of the golden section after a draw, modulo 1: examples that follow each other have times that are spread
 * evenly, which makes the loss less noisy than a draw each (as do the evenly spaced ones of Kingma, Salimans, Poole,
 * Ho, "Variational diffusion models", 2021, appendix I.1). */
static double time_of(field_draw draw, size_t place) {
    const uint64_t section = 0x9E3779B97F4A7C15; /* of 2^64 */
    double turn = (double)((draw.first + place) * section >> 11) * 0x1p-53;
    return fmod(rng_uniform(draw.seed, 0, 0) + turn, 1.0);
}

/* y = (1 - t) source + t x and the velocity x - source. */
static void draw_places(const flow_run *run, const real *source, const real *x, field_draw draw, real *t, real *y,
                        real *target) {
    size_t batch = run->shape.batch, each = run->shape.frames * run->shape.channels;
    for (size_t b = 0; !measuring(run->work) && b < batch; b++) {
        double time = time_of(draw, b);
        t[b] = field_clock(time);
        for (size_t i = b * each; i < (b + 1) * each; i++) {
            target[i] = x[i] - source[i];
            y[i] = source[i] + (real)time * target[i];
        }
    }
}

void field_match(const flow *self, const flow_run *run, const real *source, const real *x, field_draw draw, arena *tape,
                 double *loss) {
    const network *net = field_network(self);
    size_t mark = run->work->scratch.used, start = tape->used, count = flow_shape_count(run->shape);
    real *y = arena_reals(&run->work->scratch, count), *target = arena_reals(&run->work->scratch, count);
    real *v = arena_reals(&run->work->scratch, count), *t = arena_reals(&run->work->scratch, run->shape.batch);
    bool gradients = run->grads || measuring(run->work);
    network_input in = flow_network_input(self, run, y);
    in.t = t;
    draw_places(run, source, x, draw, t, y, target);
    net->type->forward(net, run->work, &in, v, gradients ? tape : NULL);
    double sum = 0;
    for (size_t i = 0; !measuring(run->work) && i < count; i++) {
        double error = (double)v[i] - (double)target[i];
        sum += error * error;
        v[i] = (real)(2 * error / (double)count);
    }
    if (!measuring(run->work)) *loss = sum / (double)count;
    tape->used = start;
    if (gradients) net->type->backward(net, run->work, &in, v, NULL, flow_dcond(self, run), run->grads, tape);
    tape->used = start;
    arena_release(&run->work->scratch, mark);
}

/* On the tape, for each evaluation: where the network looked, its times, and what it keeps. */
typedef struct evaluation_tape {
    real *y, *t;
    size_t start; /* of the network's */
} evaluation_tape;

static void step_along(const flow_run *run, const real *from, real factor, const real *v, real *to) {
    size_t count = flow_shape_count(run->shape);
    for (size_t i = 0; !measuring(run->work) && i < count; i++) to[i] = from[i] + factor * v[i];
}

void field_carry(const flow *self, const flow_run *run, const real *z, real *x, arena *tape) {
    const network *net = field_network(self);
    size_t mark = run->work->scratch.used, count = flow_shape_count(run->shape), all = field_evaluations(self, 0);
    evaluation_tape *kept = arena_take(tape, all, sizeof *kept);
    real *v = arena_reals(&run->work->scratch, count), *middle = arena_reals(&run->work->scratch, count);
    run_copy(run->work, count, z, x);
    for (size_t e = 0; e < all; e++) {
        const field_stage stage = field_stage_of(self, 0, e);
        const real *looked = e > 0 && field_stage_of(self, 0, e - 1).middle ? middle : x;
        evaluation_tape place = {arena_reals(tape, count), arena_reals(tape, run->shape.batch), 0};
        place.start = tape->used;
        for (size_t b = 0; !measuring(run->work) && b < run->shape.batch; b++) place.t[b] = field_time(self, 0, e);
        run_copy(run->work, count, looked, place.y);
        network_input in = flow_network_input(self, run, place.y);
        in.t = place.t;
        net->type->forward(net, run->work, &in, v, tape);
        if (kept) kept[e] = place;
        step_along(run, x, stage.factor, v, stage.middle ? middle : x);
    }
    arena_release(&run->work->scratch, mark);
}

/* With x' = x + f v(m), m = x or x + g v(x): the gradient of x' is that of x plus what comes back through v. */
void field_carry_backward(const flow *self, const flow_run *run, real *dx, arena *tape) {
    const network *net = field_network(self);
    size_t mark = run->work->scratch.used, count = flow_shape_count(run->shape), all = field_evaluations(self, 0);
    const evaluation_tape *kept = arena_take(tape, all, sizeof *kept);
    real *dv = arena_reals(&run->work->scratch, count), *dm = arena_reals(&run->work->scratch, count);
    size_t width = measuring(run->work) ? 1 : all; /* evaluations take alike */
    for (size_t e = width; e-- > 0;) {
        const field_stage stage = field_stage_of(self, 0, e);
        evaluation_tape place = kept ? kept[e] : (evaluation_tape){0};
        network_input in = flow_network_input(self, run, place.y);
        in.t = place.t;
        if (kept) tape->used = place.start;
        const real *from = stage.middle ? dm : dx; /* the gradient of what this evaluation's velocities went into */
        for (size_t i = 0; !measuring(run->work) && i < count; i++) {
            dv[i] = stage.factor * from[i];
            if (stage.middle) dx[i] += dm[i];
        }
        bool to_middle = e > 0 && field_stage_of(self, 0, e - 1).middle;
        if (to_middle) run_zero(run->work, count, dm);
        net->type->backward(net, run->work, &in, dv, to_middle ? dm : dx, flow_dcond(self, run), run->grads, tape);
    }
    arena_release(&run->work->scratch, mark);
}
