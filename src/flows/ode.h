/* The continuous flow for vectors (ode.c has the equations): what its files share, and training it by flow matching. */
#ifndef FLOWS_ODE_H
#define FLOWS_ODE_H

#include "flows/flow.h"

/* Whether a flow is one. */
bool ode_is(const flow *self);

/* The flow matching loss of pairs source and x (both as run->shape): weight times the sum over all numbers of
 * |v(y, t) - (x - source)|^2, at y = (1 - t) source + t x and a time for each row, drawn by run->draw and the row's
 * number, more often near the data. Gradients accumulate into run->grads unless it is NULL. Takes scratch; tape as in
 * flow.h. While measuring, it makes the calls of a run with gradients. */
void ode_match(const flow *self, const flow_run *run, const real *source, const real *x, double weight, arena *tape,
               double *loss);

#endif
