/* Permutations of channels, the same in every frame: by name, and those of images.
 *
 * Dinh, Krueger, Bengio, "NICE", ICLR workshop 2015, section 3.3 (the halves change roles between couplings); Kingma,
 * Dhariwal, "Glow", NeurIPS 2018, section 3.2 (reversal and fixed shuffle, the baselines of the 1x1).
 *
 *     x, z [T, C]: z[t, c] = x[t, order[c]];  log|det| = 0
 *
 * Where a frame is an image [height, width, planes], row by row: Dinh, Sohl-Dickstein, Bengio, "Real NVP", ICLR 2017,
 * section 3.6. squeeze2d (figure 3) makes it [height / 2, width / 2, 4 planes], the four pixels of a square one after
 * the other in the order (0, 0), (1, 1), (0, 1), (1, 0), so that half of them are a chessboard's. factor puts the first
 * half of every pixel's planes before all others, [pixels, planes / 2] twice: what leaves early, then what goes on. */
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

static vocode_status build(const char *kind, flow_dims dims, const char *prefix, permute **out, vocode_error *error) {
    flow *base;
    *out = NULL;
    TRY(flow_new(sizeof(permute), &permute_class,
                 FLOW_VOLUME_PRESERVING | FLOW_REINVERTIBLE | FLOW_SAMPLES_DIFFERENTIABLY, dims, prefix, &base, error));
    permute *self = (permute *)base;
    self->order = aligned_new(dims.channels, sizeof *self->order); /* checks for overflow */
    if (!self->order) {
        destroy(base);
        failed(error, VOCODE_MEMORY, "%s %s: out of memory for %zu channels", kind, prefix, dims.channels);
        return VOCODE_MEMORY;
    }
    *out = self;
    return VOCODE_OK;
}

vocode_status permute_build(const permute_options *options, flow_dims dims, param_set *set, const char *prefix,
                            flow **out, vocode_error *error) {
    (void)set;
    permute *self;
    *out = NULL;
    TRY(build("permute", dims, prefix, &self, error));
    permutation_fill((permutation_kind)options->order, options->seed, dims.channels, self->order);
    *out = &self->base;
    return VOCODE_OK;
}

#define MOST_PIXELS 65536

const config_key squeeze2d_keys[] = {
    {.name = "width",
     .type = CONFIG_INT,
     .offset = offsetof(squeeze2d_options, width),
     .default_value = 8,
     .least = 1,
     .most = MOST_PIXELS,
     .doc = "pixels of a row of the image"},
    {.name = "planes",
     .type = CONFIG_INT,
     .offset = offsetof(squeeze2d_options, planes),
     .default_value = 1,
     .least = 1,
     .most = MOST_PIXELS,
     .doc = "channels of a pixel"},
    {.name = NULL},
};

vocode_status squeeze2d_build(const squeeze2d_options *options, flow_dims dims, param_set *set, const char *prefix,
                              flow **out, vocode_error *error) {
    static const size_t down[] = {0, 1, 0, 1}, right[] = {0, 1, 1, 0};
    (void)set;
    size_t width = options->width, planes = options->planes, across = width * planes, next = 0;
    permute *self;
    *out = NULL;
    if (width % 2 || dims.channels % (2 * across))
        return failed(
            error, VOCODE_VALUE,
            "squeeze2d %s: expected an even number of rows of an even number of pixels of %zu channels, found "
            "rows of %zu pixels in %zu numbers",
            prefix, planes, width, dims.channels);
    TRY(build("squeeze2d", dims, prefix, &self, error));
    for (size_t i = 0; i < dims.channels / across; i += 2)
        for (size_t j = 0; j < width; j += 2)
            for (size_t k = 0; k < 4; k++)
                for (size_t p = 0; p < planes; p++)
                    self->order[next++] = ((i + down[k]) * width + j + right[k]) * planes + p;
    *out = &self->base;
    return VOCODE_OK;
}

const config_key factor_keys[] = {
    {.name = "planes",
     .type = CONFIG_INT,
     .offset = offsetof(factor_options, planes),
     .default_value = 2,
     .least = 2,
     .most = MOST_PIXELS,
     .doc = "channels of a pixel, even"},
    {.name = NULL},
};

vocode_status factor_build(const factor_options *options, flow_dims dims, param_set *set, const char *prefix,
                           flow **out, vocode_error *error) {
    (void)set;
    size_t planes = options->planes, half = planes / 2;
    permute *self;
    *out = NULL;
    if (planes % 2 || dims.channels % planes)
        return failed(error, VOCODE_VALUE, "factor %s: expected pixels of an even number of channels, found %zu in %zu",
                      prefix, planes, dims.channels);
    TRY(build("factor", dims, prefix, &self, error));
    for (size_t c = 0; c < dims.channels; c++) {
        size_t rest = c % (dims.channels / 2);
        self->order[c] = rest / half * planes + rest % half + (c < dims.channels / 2 ? 0 : half);
    }
    *out = &self->base;
    return VOCODE_OK;
}
