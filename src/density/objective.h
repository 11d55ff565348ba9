/* What a fit descends: the loss of some rows and its gradients, by one thread. */
#ifndef DENSITY_OBJECTIVE_H
#define DENSITY_OBJECTIVE_H

#include "density/vectors.h"

/* Room for rows of one batch; each [rows, channels], [rows]. */
typedef struct objective_room {
    real *z, *dz, *dx;
    double *logdet, *dlogdet;
} objective_room;

/* weight times the sum of -log p of the rows x, of run->shape; gradients accumulate into run->grads. */
vocode_status likelihood_loss(const vectors_model *model, const flow_run *run, const real *x, objective_room room,
                              double weight, arena *tape, double *loss);

/* Flow matching (flows/ode.h): weight times the sum of the rows' losses, against sources drawn from the base by the
 * seed and by run->draw. */
vocode_status matching_loss(const vectors_model *model, const flow_run *run, const real *x, objective_room room,
                            uint64_t seed, double weight, arena *tape, double *loss);

/* VOCODE_UNSUPPORTED unless the model's line is one continuous flow. */
vocode_status matching_allowed(const vectors_model *model, vocode_error *error);

#endif
