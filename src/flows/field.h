/* What continuous flows are trained by and run by (field.c has the equations). */
#ifndef FLOWS_FIELD_H
#define FLOWS_FIELD_H

#include "flows/flow.h"

/* Where training examples lie on their paths: times are a function of the seed and of an example's number in the whole
 * training, first + its place in the batch. */
typedef struct field_draw {
    uint64_t seed, first;
} field_draw;

/* self: a field, here and below. The flow matching loss of pairs source and x [batch, frames, channels] of the run
 * (run->shape, run->cond): the mean over all numbers of |v(y, t) - (x - source)|^2. Where run->grads is given, its
 * gradients accumulate into it and into run->dcond; source and x get none. Takes scratch; tape is an arena for what the
 * network keeps, given back. While measuring, it makes the calls of a run with gradients. */
void field_match(const flow *self, const flow_run *run, const real *source, const real *x, field_draw draw, arena *tape,
                 double *loss);

/* z -> x [batch, frames, channels] as the inverse, in the configured steps, with a tape; then from dx, which becomes
 * the gradient of z, those of the parameters and of the conditioning (run->grads, run->dcond: accumulate, unless NULL).
 * tape: as forward and backward of flows. Both take scratch. */
void field_carry(const flow *self, const flow_run *run, const real *z, real *x, arena *tape);
void field_carry_backward(const flow *self, const flow_run *run, real *dx, arena *tape);

/* What the network is told of a time in [0, 1]. */
real field_clock(double t);

/* Evaluations of the network that so many steps take; steps 0: the flow's own number. */
size_t field_evaluations(const flow *self, size_t steps);

/* When the network is run: what it is told as the time of evaluation e of those of so many steps. */
real field_time(const flow *self, size_t steps, size_t e);

/* By what the velocity that evaluation e finds is multiplied before it is added to rows, and whether what comes out is
 * a middle: the rows that evaluation e + 1 looks at, while it adds to the same rows again. */
typedef struct field_stage {
    real factor;
    bool middle;
} field_stage;
field_stage field_stage_of(const flow *self, size_t steps, size_t e);

#endif
