/* A step's gradients on their way to the other ranks. The last batch of a step begins to reduce the gradients of each
 * flow as soon as its backward is done, while the flows before it are computed; what is left is reduced at the end. The
 * pieces and their order are the same whether they begin early or late, so numbers do not depend on it. */
#ifndef TRAIN_SHARING_H
#define TRAIN_SHARING_H

#include "flows/flow.h"
#include "train/team.h"
#include "train/trace.h"

typedef struct gradient_sharing gradient_sharing;

/* grads: flat, by param.offset. team or trace may be NULL; both and the set outlive it. */
vocode_status sharing_new(const param_set *set, real *grads, const train_team *team, train_trace *trace,
                          gradient_sharing **out, vocode_error *error);
void sharing_free(gradient_sharing *self); /* NULL is fine */

/* A batch begins. Gives what its backward is to tell, or NULL where there is nothing to share yet: it is not the last
 * of its step. */
const flow_watch *sharing_begin(gradient_sharing *self, bool last);

/* All gradients of the step are computed: reduces the rest and waits. grads are then sums over the ranks. */
void sharing_end(gradient_sharing *self);

#endif
