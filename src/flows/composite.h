/* Flows made of flows. Both take their parts over, also when they fail; the arrays that hold the pointers stay the
 * caller's, and out may be one of them: it is written last, on success only. A missing part (NULL) is an error. Errors:
 * VOCODE_SHAPE names the parts that do not fit together. */
#ifndef FLOWS_COMPOSITE_H
#define FLOWS_COMPOSITE_H

#include "flows/flow.h"

/* parts[count - 1] after ... after parts[0], on the way from data to latent. count >= 1. */
vocode_status sequence_new(flow **parts, size_t count, flow **out, vocode_error *error);

/* Early outputs: after levels[k], k < count - 1, the first early[k] channels leave as latent and the rest goes on to
 * levels[k + 1]. The latent's channels: those that left first, in the order of leaving, then what the last level gives.
 * Where later levels fold time, what left before is folded by the same factor (as flow "squeeze" does), so that the
 * latent is one array at the last level's frame rate. early [count], 0 < early[k] < channels after level k; the last
 * entry is not read. */
vocode_status multiscale_new(flow **levels, const size_t *early, size_t count, flow **out, vocode_error *error);

/* Side by side: first on the first channels of every frame, second on the rest. Neither may fold time or look around in
 * it (VOCODE_UNSUPPORTED). Both are taken over, also on failure; NULL is an error. */
vocode_status halves_new(flow *first, flow *second, flow **out, vocode_error *error);

#endif
