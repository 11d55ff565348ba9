/* Flow matching on arcs (field.c has the paper and the equations): the loss of a batch and its gradients. The times of
 * a batch are spread evenly around one draw, which makes the loss less noisy than a draw each (Kingma, Salimans, Poole,
 * Ho, "Variational diffusion models", 2021, appendix I.1). */
#include "core/rng.h"
#include "flows/build.h"
#include "flows/field.h"
#include "flows/streamed.h"

/* The noise, the place on the path y and the velocity there. */
static void draw_examples(const flow_run *run, const real *x, field_draw draw, real *t, real *y, real *target) {
    size_t batch = run->shape.batch, frames = run->shape.frames, each = frames * run->shape.channels;
    double first = rng_uniform(draw.seed, 0, draw.step);
    for (size_t b = 0; !measuring(run->work) && b < batch; b++) {
        double time = fmod(first + (double)b / (double)batch, 1.0), angle = field_angle(time);
        t[b] = field_clock(time);
        real c = (real)cos(angle), s = (real)sin(angle), *noise = target + b * each;
        /* positions that no other example of a training has */
        rng_fill_normal(noise, frames, run->shape.channels, draw.seed + 1, (draw.step * batch + b) * frames, 1);
        for (size_t i = b * each; i < (b + 1) * each; i++) {
            y[i] = c * target[i] + s * x[i];
            target[i] = c * x[i] - s * target[i];
        }
    }
}

void field_match(const flow *self, const flow_run *run, const real *x, field_draw draw, double weight, arena *tape,
                 double *loss) {
    const network *net = field_network(self);
    size_t mark = run->work->scratch.used, start = tape->used, count = flow_shape_count(run->shape);
    real *y = arena_reals(&run->work->scratch, count), *target = arena_reals(&run->work->scratch, count);
    real *v = arena_reals(&run->work->scratch, count), *t = arena_reals(&run->work->scratch, run->shape.batch);
    bool gradients = run->grads || measuring(run->work);
    network_input in = flow_network_input(self, run, y);
    in.t = t;
    draw_examples(run, x, draw, t, y, target);
    net->type->forward(net, run->work, &in, v, gradients ? tape : NULL);
    double sum = 0;
    for (size_t i = 0; !measuring(run->work) && i < count; i++) {
        double error = (double)v[i] - (double)target[i];
        sum += error * error;
        v[i] = (real)(2 * weight * error / (double)count);
    }
    if (!measuring(run->work)) *loss = sum / (double)count;
    tape->used = start;
    if (gradients) net->type->backward(net, run->work, &in, v, NULL, flow_dcond(self, run), run->grads, tape);
    tape->used = start;
    arena_release(&run->work->scratch, mark);
}
