/* The orthonormal MDCT as a flow: samples to columns of coefficients, edges included.
 *
 * Princen, Johnson, Bradley, "Subband/transform coding using filter bank designs based on time domain aliasing
 * cancellation", ICASSP 1987; the equations are in dsp/mdct.h.
 *
 *     x [n T, 1] -> z [T, n];  the matrix is orthogonal: inverse and gradient are its transpose, log|det| = 0
 *
 * Where we differ: the outermost folds have radius zero, so a finite signal has as many coefficients as samples. */
#include "dsp/mdct.h"

#include <stdlib.h>

#include "flows/build.h"
#include "flows/flows.h"
#include "flows/streamed.h"

typedef struct mdct_flow {
    flow base;
    mdct *transform;
} mdct_flow;

typedef void transform_fn(const mdct *transform, const real *from, real *to, size_t blocks, arena *memory);

static vocode_status each_element(const flow *base, const flow_run *run, transform_fn *apply, const real *from,
                                  real *to) {
    const mdct_flow *self = (const mdct_flow *)base;
    size_t mark = run->work->scratch.used, size = mdct_scratch(self->transform), frames = run->shape.frames;
    void *room = arena_take(&run->work->scratch, size, 1);
    for (size_t b = 0; !measuring(run->work) && b < run->shape.batch; b++) {
        arena memory = arena_over(room, size);
        apply(self->transform, from + b * frames, to + b * frames, frames / base->fold, &memory);
    }
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status forward(const flow *self, const flow_run *run, const real *x, real *z, double *logdet,
                             arena *tape) {
    (void)logdet, (void)tape;
    return each_element(self, run, mdct_forward, x, z);
}

static vocode_status inverse(const flow *self, const flow_run *run, const real *z, real *x) {
    return each_element(self, run, mdct_inverse, z, x);
}

static vocode_status backward(const flow *self, const flow_run *run, const real *x, const real *z, const real *dz,
                              const double *dlogdet, real *dx, arena *tape) {
    (void)x, (void)z, (void)dlogdet, (void)tape;
    return each_element(self, run, mdct_inverse, dz, dx);
}

static vocode_status inverse_backward(const flow *self, const flow_run *run, const real *x, real *z, const real *dx,
                                      real *dz, arena *tape) {
    (void)tape;
    TRY(each_element(self, run, mdct_forward, x, z));
    return each_element(self, run, mdct_forward, dx, dz);
}

/* A sample lies in its own column's block and half of one neighbour's. */
static flow_halo halo(const flow *self) {
    (void)self;
    return (flow_halo){1, 0};
}

static void destroy(flow *base) {
    mdct_free(((mdct_flow *)base)->transform);
    free(base);
}

const mdct *mdct_flow_transform(const flow *base) {
    return ((const mdct_flow *)base)->transform;
}

static const flow_class mdct_class = {.name = "mdct",
                                      .forward = forward,
                                      .inverse = inverse,
                                      .backward = backward,
                                      .inverse_backward = inverse_backward,
                                      .halo = halo,
                                      .stream = mdct_stream_new,
                                      .destroy = destroy};

#define DEFAULT_BINS 256
#define MOST_BINS 65536

const config_key mdct_keys[] = {
    {.name = "bins",
     .type = CONFIG_INT,
     .offset = offsetof(mdct_options, bins),
     .default_value = DEFAULT_BINS,
     .least = 2,
     .most = MOST_BINS,
     .doc = "coefficients a column, even: samples that one column stands for"},
    {.name = NULL},
};

vocode_status mdct_build(const mdct_options *options, flow_dims dims, param_set *set, const char *prefix, flow **out,
                         vocode_error *error) {
    (void)set;
    *out = NULL;
    if (dims.channels != 1)
        return failed(error, VOCODE_VALUE, "mdct %s: expected one channel of samples, found %zu", prefix,
                      dims.channels);
    TRY(flow_new(sizeof(mdct_flow), &mdct_class,
                 FLOW_VOLUME_PRESERVING | FLOW_REINVERTIBLE | FLOW_SAMPLES_DIFFERENTIABLY, dims, prefix, out, error));
    vocode_status status = mdct_new(options->bins, &((mdct_flow *)*out)->transform, error);
    if (status != VOCODE_OK) return flow_abandon(out, status);
    (*out)->fold = options->bins;
    return VOCODE_OK;
}
