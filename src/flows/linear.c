/* Linear map over the channels of every frame by its factors: the determinant is there to be read, and no matrix that
 * training can reach is singular.
 *
 * Kingma, Dhariwal, "Glow", NeurIPS 2018, section 3.2, eq. 10 and 11:
 *
 *     z_t = P L (U + diag(exp d)) x_t + b          x, z [T, c]; L unit lower, U strictly upper, b and d [c]
 *     log|det dz/dx| = T sum d
 *     with M = dW = sum_t dz_t x_t':  dL = lower(P' M (U + D)'),  dU = upper((P L)' M),  dd = diag of the latter D + T
 * dlogdet
 *
 * Where we differ: P is an order drawn from the option seed instead of one found by factoring a random rotation, so it
 * needs no place in the model's file; L and U start as the identity; and signs of the diagonal are all positive, which
 * costs nothing where flows of either sign follow. The inverse is made of the factors in double when they change. */
#include <stdlib.h>

#include "flows/build.h"
#include "flows/flows.h"
#include "kernels/lu.h"

typedef struct linear {
    flow base;
    size_t *order;                       /* (P v)_i = v_order[i] */
    param *lower, *upper, *log_diagonal; /* L and U [c, c], of which only the strict triangles are read; d [c] */
    param *shift;                        /* b [c] */
    real *forth, *matrix;                /* W' and W [c, c] */
    real *back;                          /* W^-T [c, c] */
    real *forth_panels, *back_panels;    /* of what rows are multiplied by */
} linear;

static void init(flow *base, uint64_t seed) {
    (void)seed;
    const linear *self = (const linear *)base;
    param_fill(self->lower, 0);
    param_fill(self->upper, 0);
    param_fill(self->log_diagonal, 0);
    param_fill(self->shift, 0);
}

static double lower_at(const linear *self, size_t i, size_t j) {
    return i > j ? (double)self->lower->value[i * self->base.channels + j] : i == j;
}

static double upper_at(const linear *self, size_t i, size_t j) {
    if (i == j) return exp((double)self->log_diagonal->value[i]);
    return i < j ? (double)self->upper->value[i * self->base.channels + j] : 0;
}

/* lu, inverse [c, c], strip [c, LU_STRIP] and pivot [c] are room to work in. */
static void multiply_out(linear *self, double *lu, double *inverse, double *strip, size_t *pivot) {
    size_t c = self->base.channels;
    for (size_t i = 0; i < c; i++) {
        double *row = inverse; /* of L U, until the inverse is wanted */
        for (size_t j = 0; j < c; j++) row[j] = 0;
        for (size_t k = 0; k <= i; k++) {
            double l = lower_at(self, i, k);
            for (size_t j = k; j < c; j++) row[j] += l * upper_at(self, k, j);
        }
        for (size_t j = 0; j < c; j++) lu[i * c + j] = row[j];
    }
    for (size_t i = 0; i < c; i++)
        for (size_t j = 0; j < c; j++) {
            self->matrix[i * c + j] = (real)lu[self->order[i] * c + j];
            self->forth[j * c + i] = self->matrix[i * c + j];
        }
    for (size_t i = 0; i < c; i++) {
        pivot[i] = i;
        for (size_t j = 0; j < c; j++) lu[i * c + j] = i > j ? lower_at(self, i, j) : upper_at(self, i, j);
    }
    lu_inverse(c, lu, pivot, strip, inverse); /* W^-1 = (L U)^-1 P' */
    for (size_t i = 0; i < c; i++)
        for (size_t j = 0; j < c; j++) self->back[i * c + j] = (real)inverse[j * c + self->order[i]];
}

static vocode_status prepare(flow *base, vocode_error *error) {
    linear *self = (linear *)base;
    size_t c = base->channels;
    double *memory = aligned_new(c * (2 * c + LU_STRIP), sizeof *memory);
    size_t *pivot = calloc(c, sizeof *pivot);
    bool good = memory && pivot;
    if (good) {
        multiply_out(self, memory, memory + c * c, memory + 2 * c * c, pivot);
        kernels()->pack(c, c, self->forth, c, self->forth_panels);
        kernels()->pack(c, c, self->back, c, self->back_panels);
    }
    aligned_free(memory);
    free(pivot);
    return good ? VOCODE_OK : failed(error, VOCODE_MEMORY, "linear %s: out of memory to invert it", base->name);
}

static size_t rows_of(const flow_run *run) {
    return run->shape.batch * run->shape.frames;
}

static vocode_status forward(const flow *base, const flow_run *run, const real *x, real *z, double *logdet,
                             arena *tape) {
    (void)tape;
    const linear *self = (const linear *)base;
    size_t c = base->channels, rows = rows_of(run);
    run_fill_rows(run->work, rows, c, self->shift->value, z, c);
    run_gemm_packed(run->work, rows, c, c, x, c, self->forth_panels, 1, z, c);
    if (measuring(run->work)) return VOCODE_OK;
    double sum = 0;
    for (size_t i = 0; i < c; i++) sum += (double)self->log_diagonal->value[i];
    for (size_t b = 0; b < run->shape.batch; b++) logdet[b] += (double)run->shape.frames * sum;
    return VOCODE_OK;
}

static vocode_status inverse(const flow *base, const flow_run *run, const real *z, real *x) {
    const linear *self = (const linear *)base;
    size_t mark = run->work->scratch.used, c = base->channels, rows = rows_of(run);
    real *centred = arena_reals(&run->work->scratch, rows * c);
    for (size_t i = 0; !measuring(run->work) && i < rows * c; i++) centred[i] = z[i] - self->shift->value[i % c];
    run_gemm_packed(run->work, rows, c, c, centred, c, self->back_panels, 0, x, c);
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

/* dpermuted [c, c] = P' dW */
static void accumulate(const linear *self, const flow_run *run, const double *dlogdet, const real *dpermuted) {
    size_t c = self->base.channels;
    real *dlower = param_grad(self->lower, run->grads), *dupper = param_grad(self->upper, run->grads);
    real *ddiagonal = param_grad(self->log_diagonal, run->grads);
    double each = 0;
    for (size_t b = 0; b < run->shape.batch; b++) each += dlogdet[b] * (double)run->shape.frames;
    for (size_t i = 0; i < c; i++)
        for (size_t j = 0; j < i; j++) {
            double sum = 0;
            for (size_t k = j; k < c; k++) sum += (double)dpermuted[i * c + k] * upper_at(self, j, k);
            dlower[i * c + j] += (real)sum;
        }
    for (size_t i = 0; i < c; i++)
        for (size_t j = i; j < c; j++) {
            double sum = 0;
            for (size_t k = i; k < c; k++) sum += lower_at(self, k, i) * (double)dpermuted[k * c + j];
            if (i == j)
                ddiagonal[i] += (real)(sum * upper_at(self, i, i) + each);
            else
                dupper[i * c + j] += (real)sum;
        }
}

static vocode_status backward(const flow *base, const flow_run *run, const real *x, const real *z, const real *dz,
                              const double *dlogdet, real *dx, arena *tape) {
    (void)z, (void)tape;
    const linear *self = (const linear *)base;
    size_t mark = run->work->scratch.used, c = base->channels, rows = rows_of(run);
    real *dmatrix = arena_reals(&run->work->scratch, c * c), *dpermuted = arena_reals(&run->work->scratch, c * c);
    run_gemm_nn(run->work, rows, c, c, dz, c, self->matrix, c, 0, dx, c);
    if (!measuring(run->work) && run->grads) {
        run_gemm_tn(run->work, c, c, rows, dz, c, x, c, 0, dmatrix, c);
        for (size_t i = 0; i < c; i++)
            for (size_t j = 0; j < c; j++) dpermuted[self->order[i] * c + j] = dmatrix[i * c + j];
        accumulate(self, run, dlogdet, dpermuted);
        run_add_columns(run->work, rows, c, dz, c, param_grad(self->shift, run->grads));
    }
    arena_release(&run->work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status inverse_backward(const flow *base, const flow_run *run, const real *x, real *z, const real *dx,
                                      real *dz, arena *tape) {
    const linear *self = (const linear *)base;
    size_t c = base->channels;
    TRY(flow_retrace(base, run, x, z, tape));
    run_gemm_nt(run->work, rows_of(run), c, c, dx, c, self->back, c, 0, dz, c);
    return flow_give_back(base, run, x, z, dz, tape);
}

static void destroy(flow *base) {
    linear *self = (linear *)base;
    void *owned[] = {self->order, self->forth, self->matrix, self->back, self->forth_panels, self->back_panels};
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) aligned_free(owned[i]);
    free(self);
}

static const flow_class linear_class = {.name = "linear",
                                        .init = init,
                                        .prepare = prepare,
                                        .forward = forward,
                                        .inverse = inverse,
                                        .backward = backward,
                                        .inverse_backward = inverse_backward,
                                        .destroy = destroy};

const config_key linear_keys[] = {
    {.name = "seed",
     .type = CONFIG_INT,
     .offset = offsetof(linear_options, seed),
     .least = 0,
     .most = 1e9,
     .doc = "that the order of the channels is drawn from"},
    {.name = NULL},
};

static bool take_memory(linear *self, param_set *set, const char *prefix) {
    size_t c = self->base.channels;
    const size_t shape[] = {c, c};
    self->lower = param_add(set, PARAM_TRAINED, prefix, "lower", 2, shape);
    self->upper = param_add(set, PARAM_TRAINED, prefix, "upper", 2, shape);
    self->log_diagonal = param_add(set, PARAM_TRAINED, prefix, "log_diagonal", 1, shape);
    self->shift = param_add(set, PARAM_TRAINED, prefix, "shift", 1, shape);
    if (!self->lower || !self->upper || !self->log_diagonal || !self->shift) return false;
    self->order = aligned_new(c, sizeof *self->order);
    self->forth = aligned_new(c * c, sizeof(real));
    self->matrix = aligned_new(c * c, sizeof(real));
    self->back = aligned_new(c * c, sizeof(real));
    self->forth_panels = aligned_new(panels_size(c, c), sizeof(real));
    self->back_panels = aligned_new(panels_size(c, c), sizeof(real));
    return self->order && self->forth && self->matrix && self->back && self->forth_panels && self->back_panels;
}

vocode_status linear_build(const linear_options *options, flow_dims dims, param_set *set, const char *prefix,
                           flow **out, vocode_error *error) {
    TRY(flow_new(sizeof(linear), &linear_class, FLOW_REINVERTIBLE | FLOW_SAMPLES_DIFFERENTIABLY, dims, prefix, out,
                 error));
    linear *self = (linear *)*out;
    if (!take_memory(self, set, prefix))
        return flow_abandon(
            out, failed(error, VOCODE_MEMORY, "cannot build the linear map %s of %zu channels", prefix, dims.channels));
    permutation_fill(PERMUTATION_shuffle, options->seed, dims.channels, self->order);
    return VOCODE_OK;
}
