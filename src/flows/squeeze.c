/* Squeeze: factor g frames become one.
 *
 * Dinh, Sohl-Dickstein, Bengio, "Density estimation using Real NVP", ICLR 2017, section 3.6, in one dimension as in
 * Prenger, Valle, Catanzaro, "WaveGlow", 2018, section 2 ("groups of 8 audio samples as vectors").
 *
 *     x [T, C] -> z [T / g, g C],  z[t, j C + c] = x[g t + j, c]
 *
 * In time-major memory these are the same numbers in the same places, so the map is a copy; Jacobian: the identity. */
#include <stdlib.h>

#include "flows/build.h"
#include "flows/flows.h"

static vocode_status copy(const flow_run *run, const real *from, real *to) {
    run_copy(run->work, flow_shape_count(run->shape), from, to);
    return VOCODE_OK;
}

static vocode_status forward(const flow *self, const flow_run *run, const real *x, real *z, double *logdet,
                             arena *tape) {
    (void)self, (void)logdet, (void)tape;
    return copy(run, x, z);
}

static vocode_status inverse(const flow *self, const flow_run *run, const real *z, real *x) {
    (void)self;
    return copy(run, z, x);
}

static vocode_status backward(const flow *self, const flow_run *run, const real *x, const real *z, const real *dz,
                              const double *dlogdet, real *dx, arena *tape) {
    (void)self, (void)x, (void)z, (void)dlogdet, (void)tape;
    return copy(run, dz, dx);
}

static vocode_status inverse_backward(const flow *self, const flow_run *run, const real *x, real *z, const real *dx,
                                      real *dz, arena *tape) {
    (void)tape;
    (void)self;
    TRY(copy(run, x, z));
    return copy(run, dx, dz);
}

static void destroy(flow *self) {
    free(self);
}

static const flow_class squeeze_class = {.name = "squeeze",
                                         .forward = forward,
                                         .inverse = inverse,
                                         .backward = backward,
                                         .inverse_backward = inverse_backward,
                                         .destroy = destroy};

#define MOST_FACTOR 65536

const config_key squeeze_keys[] = {
    {.name = "factor",
     .type = CONFIG_INT,
     .offset = offsetof(squeeze_options, factor),
     .default_value = 2,
     .least = 1,
     .most = MOST_FACTOR,
     .doc = "frames that become one"},
    {.name = NULL},
};

vocode_status squeeze_build(const squeeze_options *options, flow_dims dims, param_set *set, const char *prefix,
                            flow **out, vocode_error *error) {
    (void)set;
    size_t channels;
    *out = NULL;
    if (!options->factor || __builtin_mul_overflow(dims.channels, options->factor, &channels))
        return failed(error, VOCODE_VALUE, "squeeze %s: expected a factor between 1 and %d, found %zu", prefix,
                      MOST_FACTOR, options->factor);
    TRY(flow_new(sizeof **out, &squeeze_class,
                 FLOW_VOLUME_PRESERVING | FLOW_AUTOREGRESSIVE | FLOW_REINVERTIBLE | FLOW_SAMPLES_DIFFERENTIABLY, dims,
                 prefix, out, error));
    (*out)->fold = options->factor;
    return VOCODE_OK;
}
