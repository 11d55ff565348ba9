/* Solving dy/dt = v(y, t, cond) for rows that do not see each other, each in steps of its own, with the integral of the
 * divergence beside it; and the gradients of the steps that were taken. Explicit Runge-Kutta methods (Hairer, Norsett,
 * Wanner, "Solving ordinary differential equations I", 1993, section II.1), s stages:
 *
 *     k_i = v(y + h sum_{j < i} a_ij k_j, t + c_i h),  y' = y + h sum_i b_i k_i,  sum' = sum + h sum_i b_i div_i
 *
 * rk4: the classical four stages, steps of one length. dopri5: Dormand, Prince, "A family of embedded Runge-Kutta
 * formulae", 1980, of order 5 with an error estimate of order 4 (II.5, table 5.2); its last stage is the next step's
 * first. A step stays where the error, each number's over atol + rtol max(|y|, |y'|), has a root mean square of at most
 * 1 (eq. 4.11); the divergence's integral counts as one of the numbers. The next one's length is found from the last
 * two errors (IV.2, eq. 2.43c, with alpha = 0.7 / 5, beta = 0.4 / 5). */
#ifndef FLOWS_ODE_SOLVE_H
#define FLOWS_ODE_SOLVE_H

#include "flows/flow.h"
#include "nn/velocity.h"

typedef enum ode_solver { ODE_DOPRI5, ODE_RK4 } ode_solver;

typedef struct ode_method {
    ode_solver solver;
    double rtol, atol; /* dopri5 */
    size_t steps;      /* rk4: steps; dopri5: most steps that a row may take */
} ode_method;

typedef struct ode_rows {
    const velocity *net;
    ode_method method;
    compute *work;
    const char *name; /* for sentences */
    vocode_error *error;
    size_t count, directions;
    const real *cond;    /* [count, conditioning] */
    const real *along;   /* [directions, count, channels] */
    bool backwards;      /* t from 1 to 0 instead of 0 to 1 */
    size_t *evaluations; /* of rows' velocities, counted by ode_solve; NULL: they are not */
} ode_rows;

/* The steps that rows took. */
typedef struct ode_record {
    size_t *taken; /* [count] */
    real *y;       /* [steps, count, channels] where each began */
    double *at;    /* [steps, count] how far it had come, 0 to 1 */
    double *step;  /* [steps, count] */
} ode_record;

/* Arrays on a tape, for rows->count rows. */
ode_record ode_take_record(const ode_rows *rows, arena *tape);

/* y [count, channels] is carried from one end of the time to the other; sum [count], unless NULL, becomes the integral
 * of the divergence. record may be NULL. VOCODE_VALUE: a row needs more steps than there may be. */
vocode_status ode_solve(const ode_rows *rows, real *y, double *sum, const ode_record *record);

/* dy [count, channels]: the gradient of what ode_solve gave, becomes that of what it was given. dsum [count]. dcond
 * [count, conditioning] and grads accumulate, each unless NULL. */
void ode_solve_backward(const ode_rows *rows, const ode_record *record, real *dy, const double *dsum, real *dcond,
                        real *grads);

#endif
