/* Invertible 1x1 convolution: one square matrix over the channels of every frame.
 *
 * Kingma, Dhariwal, "Glow: generative flow with invertible 1x1 convolutions", NeurIPS 2018, section 3.2:
 *
 *     z_t = W x_t, x_t = W^-1 z_t      x, z [T, c], W [c, c] stored row by row
 *     log|det dz/dx| = T log|det W|    (eq. 9)
 *     dx_t = W^T dz_t,  dW = sum_t dz_t x_t^T + T dlogdet W^-T;  of samples: dz_t = W^-T dx_t,  dW = -sum_t dz_t x_t^T
 *
 * Where we differ: W is stored whole, as the published WaveGlow checkpoints have it, not as the PLU of eq. 10.
 * Determinant and inverse come from one LU factorisation in double when parameters change; the inverse is rounded once.
 */
#include <float.h>
#include <stdlib.h>

#include "flows/build.h"
#include "flows/flows.h"
#include "kernels/lu.h"

#ifdef VOCODE_REAL_DOUBLE
static const double precision = DBL_EPSILON;
#else
static const double precision = (double)FLT_EPSILON;
#endif

/* Training stays well away from where the inverse loses its digits. */
static const double trained_condition = 1e5;

typedef struct inv1x1 {
    flow base;
    param_set *set;
    inv1x1_init start;
    param *matrix;      /* W [c, c] */
    real *forth, *back; /* panels of W^T and W^-T, in set->packed: what rows are multiplied by from the right */
    real *turned;       /* W^-T [c, c] for gradients; NULL where the parameters are fixed */
    double log_det;     /* log|det W| */
} inv1x1;

static void init_permutation(const inv1x1 *self) {
    static const permutation_kind kinds[] = {[INV1X1_IDENTITY] = PERMUTATION_identity,
                                             [INV1X1_EVEN_ODD] = PERMUTATION_even_odd,
                                             [INV1X1_SWAP_HALVES] = PERMUTATION_swap_halves};
    size_t c = self->base.channels;
    param_fill(self->matrix, 0);
    for (size_t i = 0; i < c; i++) self->matrix->value[i * c + permutation_source(kinds[self->start], c, i)] = 1;
}

/* rows [n, c] times the reflection I - 2 v v^T / v^T v, which touches the last m channels; v [m] */
static void reflect(real *rows, size_t c, const real *v, size_t m) {
    double square = 0;
    for (size_t j = 0; j < m; j++) square += (double)v[j] * (double)v[j];
    for (size_t i = 0; i < c; i++) {
        real *row = rows + i * c + (c - m);
        double product = 0;
        for (size_t j = 0; j < m; j++) product += (double)row[j] * (double)v[j];
        for (size_t j = 0; j < m; j++) row[j] = (real)((double)row[j] - 2 * product / square * (double)v[j]);
    }
}

/* A random rotation, uniform but for the last sign, which makes the determinant 1: a product of reflections (Stewart,
 * "The efficient generation of random orthogonal matrices", SIAM J. Numer. Anal. 17, 1980, section 3). */
static void init_orthogonal(inv1x1 *self, uint64_t seed) {
    size_t c = self->base.channels;
    real *w = self->matrix->value, *draws = aligned_new(c * c, sizeof *draws);
    if (!draws) {
        self->set->failed = true;
        return;
    }
    param_init_normal(self->matrix, seed, 1);
    for (size_t i = 0; i < c * c; i++) draws[i] = w[i];
    param_fill(self->matrix, 0);
    for (size_t i = 0; i < c; i++) w[i * c + i] = 1;
    bool negative = false;
    for (size_t k = 0; k + 1 < c; k++) {
        real *v = draws + k * c;
        size_t m = c - k;
        double square = 0;
        for (size_t j = 0; j < m; j++) square += (double)v[j] * (double)v[j];
        bool positive = v[0] > 0;
        v[0] += (real)(positive ? sqrt(square) : -sqrt(square)); /* away from cancellation; the sign goes to the row */
        reflect(w, c, v, m);
        if (positive)
            for (size_t i = 0; i < c; i++) w[i * c + k] = -w[i * c + k];
        else
            negative = !negative;
    }
    for (size_t i = 0; negative && i < c; i++) w[i * c] = -w[i * c];
    aligned_free(draws);
}

static void init(flow *base, uint64_t seed) {
    inv1x1 *self = (inv1x1 *)base;
    if (self->start == INV1X1_ORTHOGONAL)
        init_orthogonal(self, seed);
    else
        init_permutation(self);
}

/* The largest column sum of magnitudes; sums [n] is room to work in. */
static double one_norm(size_t n, const double *a, double *sums) {
    double most = 0;
    for (size_t j = 0; j < n; j++) sums[j] = 0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) sums[j] += fabs(a[i * n + j]);
    for (size_t j = 0; j < n; j++)
        if (!(sums[j] <= most)) most = sums[j]; /* keeps NaN */
    return most;
}

/* What a factorisation works in. */
typedef struct inversion {
    double *lu, *inverse; /* [c, c] */
    double *strip;        /* [c, LU_STRIP] */
    size_t *pivot;        /* [c] */
} inversion;

static vocode_status factor(inv1x1 *self, const inversion *room, vocode_error *error) {
    size_t c = self->base.channels;
    for (size_t i = 0; i < c * c; i++) room->lu[i] = (double)self->matrix->value[i];
    double norm = one_norm(c, room->lu, room->strip);
    if (!lu_factor(c, room->lu, room->pivot))
        return failed(error, VOCODE_VALUE, "%s: expected an invertible matrix, found a singular or non-finite one",
                      self->matrix->name);
    lu_inverse(c, room->lu, room->pivot, room->strip, room->inverse);
    double condition = norm * one_norm(c, room->inverse, room->strip), most = 1 / precision;
    if (!self->set->fixed && trained_condition < most) most = trained_condition;
    if (!(condition < most))
        return failed(error, VOCODE_VALUE,
                      "%s: expected an invertible matrix of a condition below %.2g, found one of %.2g",
                      self->matrix->name, most, condition);
    self->log_det = lu_log_determinant(c, room->lu, room->pivot, NULL);
    return VOCODE_OK;
}

/* turned [c, c] becomes W^T, then W^-T. */
static void pack_both(inv1x1 *self, const double *inverse, real *turned) {
    size_t c = self->base.channels;
    for (size_t i = 0; i < c; i++)
        for (size_t j = 0; j < c; j++) turned[j * c + i] = self->matrix->value[i * c + j];
    kernels()->pack(c, c, turned, c, self->forth);
    for (size_t i = 0; i < c; i++)
        for (size_t j = 0; j < c; j++) turned[j * c + i] = (real)inverse[i * c + j];
    kernels()->pack(c, c, turned, c, self->back);
}

static vocode_status prepare(flow *base, vocode_error *error) {
    inv1x1 *self = (inv1x1 *)base;
    size_t c = self->base.channels;
    double *memory = aligned_new(c * (2 * c + LU_STRIP), sizeof *memory);
    size_t *pivot = calloc(c, sizeof *pivot);
    if (!self->turned) self->turned = aligned_new(c * c, sizeof *self->turned);
    vocode_status status = VOCODE_OK;
    if (memory && pivot && self->turned) {
        inversion room = {memory, memory + c * c, memory + 2 * c * c, pivot};
        status = factor(self, &room, error);
        if (status == VOCODE_OK) pack_both(self, room.inverse, self->turned);
    } else {
        status = failed(error, VOCODE_MEMORY, "%s: out of memory to invert it", self->matrix->name);
    }
    if (self->set->fixed) {
        aligned_free(self->turned);
        self->turned = NULL;
    }
    aligned_free(memory);
    free(pivot);
    return status;
}

static size_t rows_of(const flow_run *run) {
    return run->shape.batch * run->shape.frames;
}

static vocode_status forward(const flow *base, const flow_run *run, const real *x, real *z, double *logdet,
                             arena *tape) {
    (void)tape;
    const inv1x1 *self = (const inv1x1 *)base;
    size_t c = base->channels;
    run_gemm_packed(run->work, rows_of(run), c, c, x, c, self->forth, 0, z, c);
    if (measuring(run->work)) return VOCODE_OK;
    double gain = (double)run->shape.frames * self->log_det;
    for (size_t b = 0; b < run->shape.batch; b++) logdet[b] += gain;
    real seen = (real)gain;
    if (run->observer)
        run->observer->see(run->observer->context, "log_det", base->name, &seen, 1, (flow_shape){1, 1, 1});
    return VOCODE_OK;
}

static vocode_status inverse(const flow *base, const flow_run *run, const real *z, real *x) {
    size_t c = base->channels;
    run_gemm_packed(run->work, rows_of(run), c, c, z, c, ((const inv1x1 *)base)->back, 0, x, c);
    return VOCODE_OK;
}

static vocode_status backward(const flow *base, const flow_run *run, const real *x, const real *z, const real *dz,
                              const double *dlogdet, real *dx, arena *tape) {
    (void)z, (void)tape;
    const inv1x1 *self = (const inv1x1 *)base;
    size_t c = base->channels;
    run_gemm_nn(run->work, rows_of(run), c, c, dz, c, self->matrix->value, c, 0, dx, c);
    if (measuring(run->work) || !run->grads) return VOCODE_OK;
    real *dmatrix = param_grad(self->matrix, run->grads);
    run_gemm_tn(run->work, c, c, rows_of(run), dz, c, x, c, 1, dmatrix, c);
    double sum = 0;
    for (size_t b = 0; b < run->shape.batch; b++) sum += dlogdet[b];
    real weight = (real)(sum * (double)run->shape.frames);
    for (size_t i = 0; i < c * c; i++) dmatrix[i] += weight * self->turned[i];
    return VOCODE_OK;
}

static vocode_status inverse_backward(const flow *base, const flow_run *run, const real *x, real *z, const real *dx,
                                      real *dz, arena *tape) {
    const inv1x1 *self = (const inv1x1 *)base;
    size_t c = base->channels;
    TRY(flow_retrace(base, run, x, z, tape));
    run_gemm_nt(run->work, rows_of(run), c, c, dx, c, self->turned, c, 0, dz, c);
    return flow_give_back(base, run, x, z, dz, tape);
}

static void destroy(flow *base) {
    inv1x1 *self = (inv1x1 *)base;
    aligned_free(self->turned);
    free(self);
}

static const flow_class inv1x1_class = {.name = "inv1x1",
                                        .init = init,
                                        .prepare = prepare,
                                        .forward = forward,
                                        .inverse = inverse,
                                        .backward = backward,
                                        .inverse_backward = inverse_backward,
                                        .destroy = destroy};

static const char *const init_names[] = {[INV1X1_ORTHOGONAL] = "orthogonal",
                                         [INV1X1_IDENTITY] = "identity",
                                         [INV1X1_EVEN_ODD] = "even_odd",
                                         [INV1X1_SWAP_HALVES] = "swap_halves",
                                         NULL};

const config_key inv1x1_keys[] = {
    {.name = "init",
     .type = CONFIG_CHOICE,
     .offset = offsetof(inv1x1_options, init),
     .default_text = "orthogonal",
     .choices = init_names,
     .doc = "the matrix of a fresh model: a random rotation, or an order of the channels"},
    {.name = "conv",
     .type = CONFIG_BOOL,
     .offset = offsetof(inv1x1_options, conv),
     .doc = "the matrix is stored with a third axis of 1, as of a convolution"},
    {.name = NULL},
};

vocode_status inv1x1_build(const inv1x1_options *options, flow_dims dims, param_set *set, const char *prefix,
                           flow **out, vocode_error *error) {
    TRY(flow_new(sizeof(inv1x1), &inv1x1_class, FLOW_REINVERTIBLE | FLOW_SAMPLES_DIFFERENTIABLY, dims, prefix, out,
                 error));
    inv1x1 *self = (inv1x1 *)*out;
    const size_t shape[] = {dims.channels, dims.channels, 1};
    self->start = (inv1x1_init)options->init;
    self->matrix = param_add(set, PARAM_TRAINED, prefix, "", options->conv ? 3 : 2, shape);
    if (!self->matrix) /* also where its number of elements overflows */
        return flow_abandon(out, failed(error, VOCODE_MEMORY, "cannot build the matrix %s", prefix));
    self->matrix->invertible = true;
    self->set = set;
    self->forth = memory_pool_take(&set->packed, panels_size(dims.channels, dims.channels), sizeof(real));
    self->back = memory_pool_take(&set->packed, panels_size(dims.channels, dims.channels), sizeof(real));
    if (!self->forth || !self->back)
        return flow_abandon(out, failed(error, VOCODE_MEMORY, "cannot build the matrix %s", prefix));
    return VOCODE_OK;
}
