/* WaveGlow's conditioning (Prenger, Valle, Catanzaro 2018, section 2.2): the mel upsampled by a transposed convolution
 * over time (PyTorch's ConvTranspose1d without padding) and folded to one column a group of samples.
 *
 *     up[n, o] = bias[o] + sum over f, j with f stride + j = n of sum_i mel[f, i] W[i, o, j]
 *     cond[t, o group + r] = up[t group + r, o]
 *
 * Shapes: mel [batch, frames, channels], cond [batch, columns, channels * group], columns as the caller wants them:
 * what lies past the reach of the last frame, (frames - 1) stride + taps samples, is the bias alone. */
#ifndef NN_UPSAMPLER_H
#define NN_UPSAMPLER_H

#include "kernels/compute.h"
#include "nn/param.h"

typedef struct upsampler_options {
    size_t channels; /* of the mel, in and out */
    size_t taps;     /* samples that a frame reaches, any number */
    size_t stride;   /* samples from frame to frame */
    size_t group;    /* samples a column */
} upsampler_options;

typedef struct upsampler {
    upsampler_options sizes;
    param *weight, *bias; /* [channels, channels, taps], [channels] */
    bool direct;          /* the group divides the stride: products land in cond as it is folded */
    size_t parts;         /* shifted products: ceil(taps / stride) */
    param_set *set;
    real *panels;   /* every part's matrix in panels, owned */
    real *packed;   /* every part's matrix for backward passes, owned; NULL where the parameters are fixed */
    real *bias_row; /* the bias in the order of a frame's output, owned */
} upsampler;

/* Registers "weight" and "bias" under prefix. set must outlive up. On failure call upsampler_free. */
vocode_status upsampler_build(upsampler *up, param_set *set, const char *prefix, const upsampler_options *options,
                              vocode_error *error);
void upsampler_init(upsampler *up, uint64_t seed); /* PyTorch's default: uniform of 1 / sqrt(channels taps) */
void upsampler_prepare(upsampler *up);             /* sets set->failed where it has no memory */
void upsampler_free(upsampler *up);

/* cond is overwritten. Takes scratch where the group does not divide the stride. */
void upsampler_forward(const upsampler *up, compute *run, size_t batch, size_t frames, const real *mel, size_t columns,
                       real *cond);

/* As frames arrive, where the group divides the stride: mel [frames, channels] with upsampler_history frames before it
 * in memory -> cond [frames * stride / group, channels * group]. A row's bits do not depend on which others come with
 * it. */
void upsampler_window(const upsampler *up, const compute *run, size_t frames, const real *mel, real *cond);
size_t upsampler_history(const upsampler *up);

/* dmel and parameter gradients accumulate, each unless NULL. Takes scratch. */
void upsampler_backward(const upsampler *up, compute *run, size_t batch, size_t frames, const real *mel, size_t columns,
                        const real *dcond, real *dmel, real *grads);

#endif
