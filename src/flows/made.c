/* One masked autoregressive layer: every channel is scaled and shifted by functions of the channels before it.
 *
 * Germain, Gregor, Murray, Larochelle, "MADE", ICML 2015 (the masked network, eq. 8 to 10); Papamakarios, Pavlakou,
 * Murray, "Masked autoregressive flow for density estimation", NeurIPS 2017, eq. 2 to 5; Kingma et al., "Improving
 * variational inference with inverse autoregressive flow", NeurIPS 2016, eq. 8 to 10. With (m, r) = network, masked,
 * x, z [T, C], s = r or 2 tanh(r / 2), and "before" in the sense of the option order:
 *
 *     density     z_i = (x_i - m_i) exp(-s_i), (m_i, r_i) of x before i and of cond          (a layer of MAF)
 *     sampling    x_i = z_i exp(s_i) + m_i,    (m_i, r_i) of z before i and of cond          (a layer of IAF)
 *     log|det dz/dx| = -sum s in both
 *
 * The one that fast names is one run of the network; the other direction finds channel after channel, each unit of the
 * network once (nn/masked_steps.h). Gradients of the slow direction by the implicit function theorem: x = T(z) with x
 * fixed gives dz/dp = -J^-1 dT/dp, and J, the Jacobian of T, is triangular. Frames do not see each other. */
#include <stdlib.h>

#include "flows/build.h"
#include "flows/flows.h"
#include "kernels/sums.h"
#include "nn/masked_steps.h"
#include "nn/networks.h"

typedef struct made {
    flow base;
    network *net;
    masked_steps steps;
    const param_set *set;
    bool bounded, sampling;
} made;

static size_t rows_of(const flow_run *run) {
    return run->shape.batch * run->shape.frames;
}

/* Elementwise work on rows: which kernel, and what it takes. */
typedef struct affine_rows {
    const made *self;
    const real *net; /* [rows, 2 channels] */
    bool inverse;    /* (from - shift) exp(-s), else from exp(s) + shift */
    const real *from;
    real *to, *log_s;
} affine_rows;

static void affine_part(void *context, size_t first, size_t count) {
    const affine_rows *job = context;
    size_t c = job->self->base.channels;
    (job->inverse ? kernels()->affine_inverse : kernels()->affine)(count, c, job->net + first * 2 * c, 0, c, 2 * c,
                                                                   job->self->bounded, job->from + first * c, c,
                                                                   job->log_s + first * c, job->to + first * c, c);
}

enum { COST_OF_EXP = 100 }; /* multiply-adds */

static void run_affine(const flow_run *run, const affine_rows *job) {
    run_parts(run->work, rows_of(run), job->self->base.channels * COST_OF_EXP, affine_part, (void *)job);
}

static void subtract_sums(const flow_run *run, const real *log_s, double *logdet) {
    size_t each = run->shape.frames * run->shape.channels;
    for (size_t b = 0; !measuring(run->work) && b < run->shape.batch; b++) logdet[b] -= sum_of(each, log_s + b * each);
}

static void run_network(const made *self, const flow_run *run, const real *from, real *net, arena *tape) {
    network_input in = flow_network_input(&self->base, run, from);
    self->net->type->forward(self->net, run->work, &in, net, tape);
}

static masked_problem problem(const made *self, const flow_run *run) {
    return (masked_problem){flow_network_input(&self->base, run, NULL), self->bounded};
}

static vocode_status forward(const flow *base, const flow_run *run, const real *x, real *z, double *logdet,
                             arena *tape) {
    const made *self = (const made *)base;
    compute *work = run->work;
    size_t mark = work->scratch.used, count = flow_shape_count(run->shape);
    real *log_s = arena_reals(&work->scratch, count);
    real *net = arena_reals(tape && !self->sampling ? tape : &work->scratch, 2 * count);
    if (self->sampling) {
        masked_problem what = problem(self, run);
        masked_steps_solve(&self->steps, work, &what, true, x, z, log_s);
        if (tape) run_network(self, run, z, net, tape); /* what it leaves on the tape is what backward needs */
    } else {
        run_network(self, run, x, net, tape);
        run_affine(run, &(affine_rows){self, net, true, x, z, log_s});
    }
    subtract_sums(run, log_s, logdet);
    arena_release(&work->scratch, mark);
    return VOCODE_OK;
}

static vocode_status inverse(const flow *base, const flow_run *run, const real *z, real *x) {
    const made *self = (const made *)base;
    compute *work = run->work;
    size_t mark = work->scratch.used, count = flow_shape_count(run->shape);
    real *log_s = arena_reals(&work->scratch, count);
    if (self->sampling) {
        real *net = arena_reals(&work->scratch, 2 * count);
        run_network(self, run, z, net, NULL);
        run_affine(run, &(affine_rows){self, net, false, z, x, log_s});
    } else {
        masked_problem what = problem(self, run);
        masked_steps_solve(&self->steps, work, &what, false, z, x, log_s);
    }
    arena_release(&work->scratch, mark);
    return VOCODE_OK;
}

/* What the loop over rows of backward works on. */
typedef struct slopes {
    const made *self;
    size_t frames;
    const real *net, *z, *dz;
    const double *dlogdet;
    real *kept, *log_s, *dx, *dnet; /* kept [rows, 2 channels]: the network's output without its shifts */
} slopes;

/* dx = dz exp(-s): the affine map without a shift, which the kernel has in vectors. */
static void slope_rows(void *context, size_t first, size_t count) {
    const slopes *job = context;
    size_t c = job->self->base.channels;
    bool bounded = job->self->bounded;
    real *kept = job->kept + first * 2 * c, *log_s = job->log_s + first * c, *dx = job->dx + first * c;
    for (size_t t = 0; t < count; t++)
        for (size_t i = 0; i < c; i++) {
            kept[2 * t * c + i] = 0;
            kept[(2 * t + 1) * c + i] = job->net[(2 * (first + t) + 1) * c + i];
        }
    kernels()->affine_inverse(count, c, kept, 0, c, 2 * c, bounded, job->dz + first * c, c, log_s, dx, c);
    for (size_t t = 0; t < count; t++) {
        const real *z = job->z + (first + t) * c, *dz = job->dz + (first + t) * c, *s = log_s + t * c;
        real *dshift = job->dnet + (first + t) * 2 * c, *draw = dshift + c;
        real dlogdet = (real)job->dlogdet[(first + t) / job->frames];
        for (size_t i = 0; i < c; i++) {
            dshift[i] = -dx[t * c + i];
            draw[i] = -dz[i] * z[i] - dlogdet;
        }
        for (size_t i = 0; bounded && i < c; i++) draw[i] *= 1 - s[i] * s[i] / 4;
    }
}

static vocode_status backward(const flow *base, const flow_run *run, const real *x, const real *z, const real *dz,
                              const double *dlogdet, real *dx, arena *tape) {
    const made *self = (const made *)base;
    compute *work = run->work;
    size_t mark = work->scratch.used, count = flow_shape_count(run->shape);
    real *dnet = arena_reals(&work->scratch, 2 * count);
    network_input in = flow_network_input(base, run, self->sampling ? z : x);
    if (self->sampling) {
        masked_problem what = problem(self, run);
        masked_steps_adjoint(&self->steps, work, &what, z, dz, dlogdet, dx, dnet);
    } else {
        slopes job = {self, run->shape.frames, arena_reals(tape, 2 * count), z, dz, dlogdet, .dx = dx, .dnet = dnet};
        job.kept = arena_reals(&work->scratch, 2 * count);
        job.log_s = arena_reals(&work->scratch, count);
        run_parts(work, rows_of(run), base->channels * COST_OF_EXP, slope_rows, &job);
    }
    self->net->type->backward(self->net, work, &in, dnet, self->sampling ? NULL : dx, flow_dcond(base, run), run->grads,
                              tape);
    arena_release(&work->scratch, mark);
    return VOCODE_OK;
}

static void init(flow *base, uint64_t seed) {
    network *net = ((made *)base)->net;
    net->type->init(net, seed);
}

static vocode_status prepare(flow *base, vocode_error *error) {
    (void)error;
    made *self = (made *)base;
    self->net->type->prepare(self->net);
    if (self->sampling || !self->set->training) masked_steps_prepare(&self->steps);
    return VOCODE_OK;
}

static void destroy(flow *base) {
    made *self = (made *)base;
    masked_steps_free(&self->steps);
    network_free(self->net);
    free(self);
}

static const flow_class made_class = {.name = "made",
                                      .init = init,
                                      .prepare = prepare,
                                      .forward = forward,
                                      .inverse = inverse,
                                      .backward = backward,
                                      .destroy = destroy};

static vocode_status build_parts(made *self, const made_options *options, flow_dims dims, param_set *set,
                                 const char *prefix, vocode_error *error) {
    size_t *source = aligned_new(2 * dims.channels, sizeof *source);
    if (!source) return failed(error, VOCODE_MEMORY, "made %s: out of memory for %zu channels", prefix, dims.channels);
    size_t *degree = source + dims.channels;
    permutation_fill((permutation_kind)options->order, options->seed, dims.channels, source);
    for (size_t i = 0; i < dims.channels; i++) degree[source[i]] = i + 1;
    const mlp_options shape = {.inputs = dims.channels,
                               .outputs = 2 * dims.channels,
                               .conditioning = dims.cond_channels,
                               .layers = options->layers,
                               .channels = options->channels,
                               .order = degree};
    vocode_status status = mlp_build(&shape, set, prefix, &self->net, error);
    aligned_free(source);
    return status == VOCODE_OK ? masked_steps_build(&self->steps, self->net, error) : status;
}

vocode_status made_build(const made_options *options, flow_dims dims, param_set *set, const char *prefix, flow **out,
                         vocode_error *error) {
    bool sampling = options->fast == MADE_SAMPLING;
    unsigned traits = FLOW_REINVERTIBLE | (sampling ? FLOW_SEQUENTIAL_FORWARD : FLOW_SEQUENTIAL_INVERSE);
    *out = NULL;
    if (dims.channels > SIZE_MAX / 64)
        return failed(error, VOCODE_VALUE, "made %s: %zu channels are too many", prefix, dims.channels);
    if (options->order == PERMUTATION_identity || dims.channels == 1) traits |= FLOW_AUTOREGRESSIVE;
    TRY(flow_new(sizeof(made), &made_class, traits, dims, prefix, out, error));
    made *self = (made *)*out;
    self->sampling = sampling;
    self->set = set;
    self->bounded = options->scale == COUPLING_BOUNDED;
    self->base.cond_channels = dims.cond_channels;
    vocode_status status = build_parts(self, options, dims, set, prefix, error);
    return status == VOCODE_OK ? VOCODE_OK : flow_abandon(out, status);
}
