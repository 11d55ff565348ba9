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

/* Running statistics of batch norm follow what each shard's rows had, one shard after the other: at their places in
 * grads [shards][total], as norm_batch.recent (nn/batch_norm.h) leaves them. */
void follow_statistics(vectors_model *model, const real *grads, size_t shards);

/* How many of a step's rows are used: where batches have statistics of their own, a last shard of very few is left out,
 * unless it is all there is. */
size_t rows_with_statistics(const vectors_model *model, size_t rows, bool all);

/* VOCODE_UNSUPPORTED unless the model's line is one continuous flow. */
vocode_status matching_allowed(const vectors_model *model, vocode_error *error);

/* The learning rate of a fit that is given none, which serves from a few columns to some dozens: 0.004 for matching,
 * for images, whose steps are few, and for chains of MADE whose density is quick; else 0.002 for likelihood, but 0.001
 * where most parts keep volumes. Chains of additive couplings run away at higher ones, and come back only as the rate
 * falls. */
double usual_rate(const vectors_model *model, bool matching);

#endif
