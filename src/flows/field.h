/* What continuous flows are trained by and run by (field.c has the equations). */
#ifndef FLOWS_FIELD_H
#define FLOWS_FIELD_H

#include "flows/flow.h"

/* Where a training example lies on its path: its time and its noise are a function of
 * (seed, step, place in the batch). */
typedef struct field_draw {
    uint64_t seed, step;
} field_draw;

/* self: a field. The flow matching loss of noise and of data x [batch, frames, channels] of the run (run->shape,
 * run->cond): the mean over all numbers of |v(y, a) - dy/da|^2, 1 where nothing of white data is known. Where
 * run->grads is given, the gradients of weight * loss accumulate into it and into run->dcond; x gets none. Takes
 * scratch; tape is an arena for what the network keeps, given back. While measuring, it makes the calls of a run with
 * gradients. */
void field_match(const flow *self, const flow_run *run, const real *x, field_draw draw, double weight, arena *tape,
                 double *loss);

/* The angle a of a time t, and the time that the network is told. */
double field_angle(double t);
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
