/* What the files of flows share: making the base, conditioning for their networks, rows in tiles. */
#ifndef FLOWS_BUILD_H
#define FLOWS_BUILD_H

#include "flows/flow.h"
#include "nn/network.h"

/* *out: a zeroed struct of size bytes whose first member is the flow, with that type, these traits, dims.channels, fold
 * 1 and the name. VOCODE_VALUE for no channels or too long a name, VOCODE_MEMORY; *out is then NULL. cond_channels
 * stays 0: a flow with a network sets it. Free it with flow_free. */
vocode_status flow_new(size_t size, const flow_class *type, unsigned traits, flow_dims dims, const char *name,
                       flow **out, vocode_error *error);

/* Frees what a builder has made so far and returns the status of what failed. */
vocode_status flow_abandon(flow **out, vocode_status status);

/* The input of a flow's network: x and the run's conditioning, or none where self wants none. */
network_input flow_network_input(const flow *self, const flow_run *run, const real *x);

/* The place for the conditioning's gradient, or NULL where self has none or nobody wants it. */
real *flow_dcond(const flow *self, const flow_run *run);

/* For flow_class.inverse_backward. Forward once more: z, and on the tape (which stands where it stood) what backward
 * needs. */
vocode_status flow_retrace(const flow *self, const flow_run *run, const real *x, real *z, arena *tape);

/* What is left to do when dz is known: run->grads and run->dcond gain what backward makes of -dz. */
vocode_status flow_give_back(const flow *self, const flow_run *run, const real *x, const real *z, const real *dz,
                             arena *tape);

/* Zeros [batch] in scratch: gradients of log-determinants that no loss asks for. */
double *flow_no_gain(const flow_run *run);

/* Rows of a batch in tiles of TILE_ROWS that start anew with every batch element, so that an element's numbers do not
 * depend on its neighbours. */
typedef struct row_tile {
    size_t batch;        /* element that the rows are of */
    size_t first, count; /* rows, counted over the whole batch */
} row_tile;
size_t row_tile_count(flow_shape shape);
row_tile row_tile_at(flow_shape shape, size_t index);

/* logdet[b] += sign * the sums [row_tile_count] of b's tiles, in their order; nothing while measuring. */
void add_tile_sums(const compute *work, flow_shape shape, const double *sums, double sign, double *logdet);

#endif
