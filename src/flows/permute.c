/* Permutation of channels, the same in every frame.
 *
 * Dinh, Krueger, Bengio, "NICE", ICLR workshop 2015, section 3.3 (the halves change roles between couplings); Kingma,
 * Dhariwal, "Glow", NeurIPS 2018, section 3.2 (reversal and fixed shuffle, the baselines of the 1x1).
 *
 *     x, z [T, C]: z[t, c] = x[t, order[c]];  log|det| = 0 */
#include <stdlib.h>

#include "flows/build.h"
#include "flows/flows.h"

typedef struct permute {
    flow base;
    size_t *order; /* [channels] */
} permute;

/* to[t, c] = from[t, order[c]] */
static vocode_status gather(const flow *self, const flow_run *run, const real *from, real *to) {
    const size_t *order = ((const permute *)self)->order;
    size_t rows = run->shape.batch * run->shape.frames, channels = self->channels;
    for (size_t t = 0; !measuring(run->work) && t < rows; t++)
        for (size_t c = 0; c < channels; c++) to[t * channels + c] = from[t * channels + order[c]];
    return VOCODE_OK;
}

/* to[t, order[c]] = from[t, c]: its inverse and its transpose */
static vocode_status scatter(const flow *self, const flow_run *run, const real *from, real *to) {
    const size_t *order = ((const permute *)self)->order;
    size_t rows = run->shape.batch * run->shape.frames, channels = self->channels;
    for (size_t t = 0; !measuring(run->work) && t < rows; t++)
        for (size_t c = 0; c < channels; c++) to[t * channels + order[c]] = from[t * channels + c];
    return VOCODE_OK;
}

static vocode_status forward(const flow *self, const flow_run *run, const real *x, real *z, double *logdet,
                             arena *tape) {
    (void)logdet, (void)tape;
    return gather(self, run, x, z);
}

static vocode_status inverse(const flow *self, const flow_run *run, const real *z, real *x) {
    return scatter(self, run, z, x);
}

static vocode_status backward(const flow *self, const flow_run *run, const real *x, const real *z, const real *dz,
                              const double *dlogdet, real *dx, arena *tape) {
    (void)x, (void)z, (void)dlogdet, (void)tape;
    return scatter(self, run, dz, dx);
}

static vocode_status inverse_backward(const flow *self, const flow_run *run, const real *x, real *z, const real *dx,
                                      real *dz, arena *tape) {
    (void)tape;
    TRY(gather(self, run, x, z));
    return gather(self, run, dx, dz);
}

static void destroy(flow *self) {
    aligned_free(((permute *)self)->order);
    free(self);
}

static const flow_class permute_class = {.name = "permute",
                                         .forward = forward,
                                         .inverse = inverse,
                                         .backward = backward,
                                         .inverse_backward = inverse_backward,
                                         .destroy = destroy};

#define NAME_OF(name) #name,
static const char *const order_names[] = {PERMUTATION_LIST(NAME_OF) NULL};
#undef NAME_OF

#define MOST_SEED 0x1p53 /* JSON numbers are exact up to here */

const config_key permute_keys[] = {
    {.name = "order",
     .type = CONFIG_CHOICE,
     .offset = offsetof(permute_options, order),
     .default_text = "reverse",
     .choices = order_names,
     .doc = "the order of the channels"},
    {.name = "seed",
     .type = CONFIG_INT,
     .offset = offsetof(permute_options, seed),
     .least = 0,
     .most = MOST_SEED,
     .doc = "that order \"shuffle\" is drawn from"},
    {.name = NULL},
};

vocode_status permute_build(const permute_options *options, flow_dims dims, param_set *set, const char *prefix,
                            flow **out, vocode_error *error) {
    (void)set;
    TRY(flow_new(sizeof(permute), &permute_class,
                 FLOW_VOLUME_PRESERVING | FLOW_REINVERTIBLE | FLOW_SAMPLES_DIFFERENTIABLY, dims, prefix, out, error));
    permute *self = (permute *)*out;
    self->order = aligned_new(dims.channels, sizeof *self->order); /* checks for overflow */
    if (!self->order)
        return flow_abandon(
            out, failed(error, VOCODE_MEMORY, "permute %s: out of memory for %zu channels", prefix, dims.channels));
    permutation_fill((permutation_kind)options->order, options->seed, dims.channels, self->order);
    return VOCODE_OK;
}
