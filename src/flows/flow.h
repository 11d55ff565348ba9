/* The one flow interface. A flow is an invertible map with a tractable Jacobian determinant:
 *
 *     forward: data x -> latent z, adds log|det dz/dx| to logdet[batch]      inverse: latent z -> data x
 *
 * Arrays are time-major: x [batch, frames, channels]. A flow may change the shape (squeeze, MDCT) but never the count
 * of numbers. sequence and multiscale implement the same interface, so what holds of a flow is tested of a whole model.
 *
 * Two phases: flow_measure says what scratch and tape a shape needs; runs never allocate. Conditioning is one array
 * [batch, cond_frames, cond_channels] for a whole chain. Parameters live in a param_set (nn/param.h). */
#ifndef FLOWS_FLOW_H
#define FLOWS_FLOW_H

#include "kernels/compute.h"
#include "nn/param.h"

/* X(NAME, bit, meaning): traits say the truth; the conformance test holds each flow to its own. */
#define FLOW_TRAITS(X)                                                                                                 \
    X(VOLUME_PRESERVING, 0, "the log-determinant is zero for every input")                                             \
    X(NO_ANALYTIC_INVERSE, 1, "the inverse is found numerically")                                                      \
    X(SEQUENTIAL_FORWARD, 2, "forward computes one element after another")                                             \
    X(SEQUENTIAL_INVERSE, 3, "inverse computes one element after another")                                             \
    X(AUTOREGRESSIVE, 4, "output i depends on inputs up to i only, in memory order")                                   \
    X(DATA_DEPENDENT_INIT, 5, "the first batch sets parameters (flow_class.init_from)")                                \
    X(STOCHASTIC_LOGDET, 6, "the log-determinant is an estimate")                                                      \
    X(REINVERTIBLE, 7, "backward may rebuild x from z: training memory need not grow with depth")                      \
    X(MATCHED, 8, "trained by matching velocities (flows/field.h): backward through it is refused")                    \
    X(POSITIVE_DATA, 9, "data that are not positive are refused (VOCODE_VALUE)")                                       \
    X(SOLVED, 10, "both directions and the log-determinant are as exact as a solver's steps")                          \
    X(DEQUANTIZES, 11,                                                                                                 \
      "forward adds noise to whole numbers, inverse takes the fraction away; the log-determinant's mean is a bound's") \
    X(BATCH_STATISTICS, 12, "in training (flow_run.norm) rows are normalised by the batch's own statistics")           \
    X(SAMPLES_DIFFERENTIABLY, 13, "losses of samples have gradients (flow_inverse_backward)")

typedef enum flow_trait {
#define FLOW_TRAIT_ENUM(name, bit, meaning) FLOW_##name = 1 << (bit),
    FLOW_TRAITS(FLOW_TRAIT_ENUM)
#undef FLOW_TRAIT_ENUM
} flow_trait;

typedef struct flow_shape {
    size_t batch, frames, channels;
} flow_shape;

/* What a caller may watch: "log_s" [batch, frames, channels] of every coupling, "log_det" [1] (log|det W| of one
 * 1x1 matrix times frames, one batch element). where is the parameter prefix of the flow. Values are borrowed. */
typedef struct flow_observer {
    void (*see)(void *context, const char *what, const char *where, const real *values, size_t count, flow_shape shape);
    void *context;
} flow_observer;

typedef struct flow flow;

/* Told as backward goes, flow by flow: each one with parameters, whose gradients are then complete; before the first,
 * NULL. */
typedef struct flow_watch {
    void (*see)(void *context, const flow *part);
    void *context;
} flow_watch;

typedef struct flow_run {
    compute *work;
    flow_shape shape; /* of x, the data side */
    const real *cond; /* [batch, cond_frames, cond_channels], or NULL where no flow of the chain wants it */
    size_t cond_frames, cond_channels;
    uint64_t draw; /* flows that draw numbers do so by this, the element's number and a seed of their own */
    size_t first;  /* the number of the first batch element */
    real *dcond;   /* backward: accumulates; NULL where not wanted */
    real *grads;   /* backward: flat array by param.offset, accumulates; NULL where not wanted */
    const flow_observer *observer; /* forward; may be NULL */
    const struct norm_batch *norm; /* of training (nn/batch_norm.h); NULL: batch norm has its running statistics */
    const flow_watch *watch;       /* backward; may be NULL */
    size_t *evaluations;           /* grows by how often solvers ask for rows' velocities; may be NULL */
    vocode_error *error;
} flow_run;

struct stream_setting;
struct flow_stream;

/* What a data frame depends on besides its own latent frame, in both directions of time: at most so many latent frames,
 * and so many frames of conditioning, both counted at the latent's rate. */
typedef struct flow_halo {
    size_t latent, cond;
} flow_halo;

/* The functions of a flow. They trust run->shape: the safe calls below check it. */
typedef struct flow_class {
    const char *name;
    /* Draws fresh parameters, a function of the seed. NULL: nothing to draw. */
    void (*init)(flow *self, uint64_t seed);
    /* Sets parameters from a first batch of data (trait DATA_DEPENDENT_INIT), else NULL. Prepared parts stay prepared;
     * the scratch of FLOW_FORWARD serves. */
    vocode_status (*init_from)(flow *self, const flow_run *run, const real *x);
    /* Folds, packs and factors after parameters changed. Fails on a singular matrix, naming it. NULL: nothing to do. */
    vocode_status (*prepare)(flow *self, vocode_error *error);
    /* x is not changed; z must not overlap it. logdet [batch] gains. tape: NULL, or an arena that keeps what backward
     * needs. */
    vocode_status (*forward)(const flow *self, const flow_run *run, const real *x, real *z, double *logdet,
                             arena *tape);
    vocode_status (*inverse)(const flow *self, const flow_run *run, const real *z, real *x);
    /* x as given to forward, z as forward made it, dz and dlogdet [batch] the loss's gradients: writes dx (overwritten,
     * must not overlap dz), accumulates into run->grads and run->dcond. tape: an arena over what forward left, with
     * used as it was when that forward began; where used stands afterwards means nothing. */
    vocode_status (*backward)(const flow *self, const flow_run *run, const real *x, const real *z, const real *dz,
                              const double *dlogdet, real *dx, arena *tape);
    /* Backward without forward's tape (trait REINVERTIBLE): as flow_backward_rebuild below. NULL: inverse, forward with
     * a tape, backward, which serves every flow that has no parts. */
    vocode_status (*rebuild)(const flow *self, const flow_run *run, const real *z, real *x, const real *dz,
                             const double *dlogdet, real *dx, arena *tape);
    /* As flow_inverse_backward below. NULL without the trait SAMPLES_DIFFERENTIABLY. */
    vocode_status (*inverse_backward)(const flow *self, const flow_run *run, const real *x, real *z, const real *dx,
                                      real *dz, arena *tape);
    flow_halo (*halo)(const flow *self); /* NULL: none */
    /* Its inverse as latent rows arrive (flows/stream.h). NULL: rows do not look around, inverse serves. */
    vocode_status (*stream)(const flow *self, const struct stream_setting *setting, struct flow_stream **out,
                            vocode_error *error);
    void (*destroy)(flow *self); /* frees self too */
} flow_class;

/* Every flow's struct starts with one. Data [frames, channels] has the latent [frames / fold, channels * fold]. */
struct flow {
    const flow_class *type;
    unsigned traits;      /* flow_trait bits; an instance may have fewer or more than its siblings */
    size_t channels;      /* of the data */
    size_t fold;          /* data frames that one latent frame holds: 1 but for squeezes and what holds them */
    size_t cond_channels; /* of the conditioning that it wants; 0: none, whatever the run brings */
    size_t first_param, param_count; /* its own, side by side in the set, as flow_build registered them; else 0 */
    char name[PARAM_NAME_SIZE];      /* the parameter prefix, such as "WN.0." */
};

/* What a flow is built for. */
typedef struct flow_dims {
    size_t channels, cond_channels;
} flow_dims;

/* Safe calls: they check shapes and conditioning (VOCODE_SHAPE and a sentence that names the flow), and take NULL
 * entries of the class for what they mean. Composites call their parts through them. */
vocode_status flow_latent_shape(const flow *self, flow_shape x, flow_shape *z, vocode_error *error);
vocode_status flow_data_shape(const flow *self, flow_shape z, flow_shape *x, vocode_error *error);
void flow_init(flow *self, uint64_t seed);
vocode_status flow_init_from(flow *self, const flow_run *run, const real *x); /* nothing without the trait */
vocode_status flow_prepare(flow *self, vocode_error *error);
vocode_status flow_forward(const flow *self, const flow_run *run, const real *x, real *z, double *logdet, arena *tape);
vocode_status flow_inverse(const flow *self, const flow_run *run, const real *z, real *x);
vocode_status flow_backward(const flow *self, const flow_run *run, const real *x, const real *z, const real *dz,
                            const double *dlogdet, real *dx, arena *tape);
flow_halo flow_find_halo(const flow *self);
size_t flow_reach(const flow *self); /* the larger of the two: what a stream looks ahead */
void flow_free(flow *self);          /* NULL is fine */

typedef enum flow_use { FLOW_FORWARD, FLOW_INVERSE, FLOW_TRAIN, FLOW_REBUILD, FLOW_SAMPLE } flow_use;

/* Bytes of scratch (never 0) and of tape (0 for FLOW_FORWARD and FLOW_INVERSE; may be NULL) for data of run->shape: a
 * dry run of the real thing. Of run, only shape, cond_frames, cond_channels, error and work->threads are read.
 * FLOW_FORWARD serves flow_init_from too. FLOW_TRAIN: forward with a tape, then backward. FLOW_REBUILD: forward without
 * one, then flow_backward_rebuild. FLOW_SAMPLE: inverse, then flow_inverse_backward. */
vocode_status flow_measure(const flow *self, const flow_run *run, flow_use use, size_t *scratch, size_t *tape);

/* Backward without a tape from forward (VOCODE_UNSUPPORTED unless REINVERTIBLE): rebuilds x from z, flow by flow. x is
 * overwritten with the rebuilt data and must not overlap the others; tape is scratch of the size that FLOW_REBUILD
 * measured. */
vocode_status flow_backward_rebuild(const flow *self, const flow_run *run, const real *z, real *x, const real *dz,
                                    const double *dlogdet, real *dx, arena *tape);

/* The gradients of a loss of samples x = f^-1(z), J = dz/dx, from its gradient dx (VOCODE_UNSUPPORTED unless
 * SAMPLES_DIFFERENTIABLY): with z held, f(x; p) = z gives dx/dp = -J^-1 df/dp, so
 *
 *     dz = J^-T dx,  run->grads and run->dcond gain -(df/dp)' dz
 *
 * Flow by flow from the data on, each by its forward pass: z is overwritten with f(x), dz with the gradient; neither
 * may overlap the others. tape is scratch of the size that FLOW_SAMPLE measured: that of one flow. */
vocode_status flow_inverse_backward(const flow *self, const flow_run *run, const real *x, real *z, const real *dx,
                                    real *dz, arena *tape);

size_t flow_shape_count(flow_shape shape); /* numbers in an array of that shape */

#endif
