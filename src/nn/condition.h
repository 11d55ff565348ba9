/* The conditioning of gated layers: one 1x1 convolution over the conditioning, each layer of the network taking its own
 * outputs of it. A layer's part is computed when it is wanted, so memory does not grow with the number of layers; on a
 * tape, where all parts have room, they are computed together. Where the network has more frames than the conditioning,
 * each column serves frames / cond_frames of them in turn. */
#ifndef NN_CONDITION_H
#define NN_CONDITION_H

#include "nn/conv1d.h"
#include "nn/network.h"

/* Outputs first to first + width of layer, in the network's frames: y [batch, frames, width], overwritten. Takes
 * scratch. */
void condition_forward(const conv1d *layer, compute *run, const network_input *in, size_t first, size_t width, real *y);

/* dcond [batch, cond_frames, conditioning] and parameter gradients accumulate, each unless NULL. Takes scratch. */
void condition_backward(const conv1d *layer, compute *run, const network_input *in, size_t first, size_t width,
                        const real *dy, real *dcond, real *grads);

/* All parts of width outputs at once, which reads the conditioning once: y [parts, batch, frames, width]. The same
 * numbers. */
void condition_forward_all(const conv1d *layer, compute *run, const network_input *in, size_t width, real *y);
void condition_backward_all(const conv1d *layer, compute *run, const network_input *in, size_t width, const real *dy,
                            real *dcond, real *grads);

#endif
