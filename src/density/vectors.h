/* A density of vectors: a flow written as a line (density/spec.h), a base distribution, and the data's own mean and
 * deviation as the flow's first part, so that what goes in and comes out is the data as they are.
 *
 * Arrays are batch-first: x and z [rows, channels], context [rows, context] (NULL where the model has none). A row's
 * outcome does not depend on the other rows, nor on the number of threads. The model file is a safetensors file like
 * those of the vocoders, of the kind "vectors". */
#ifndef DENSITY_VECTORS_H
#define DENSITY_VECTORS_H

#include <vocode/flow.h>

#include "density/base.h"
#include "density/image.h"
#include "flows/flow.h"

typedef struct vocode_flow {
    size_t channels, context;
    image_size image; /* the shape of a row, for those who write arrays; a row is its numbers side by side */
    char *spec;
    base_kind base;
    bool turned; /* the chain goes from latent to data: what it is trained by has to be quick on that way (vi.h) */
    param_set set;
    flow *chain;
    param *mean, *log_deviation;             /* of the data, [channels] */
    param *context_mean, *context_deviation; /* [context], NULL where there is none */
    double valid_nll;                        /* nats a row, as fitted; NaN where it was not */
    size_t rows, epochs;                     /* it was fitted to */
} vectors_model;

/* A fresh one, parameters drawn from the seed; prepared. channels and context are limited by what memory can hold. */
vocode_status vectors_create(const char *spec, base_kind base, size_t channels, size_t context, uint64_t seed,
                             vectors_model **out, vocode_error *error);
/* The same for rows that are images of that size, which the line's couplings then know. */
vocode_status vectors_create_images(const char *spec, base_kind base, image_size image, size_t context, uint64_t seed,
                                    vectors_model **out, vocode_error *error);
/* The same with a chain that goes from latent to data, spec in that order, without a context. Its first part, whose
 * parameters are mean and log_deviation, scales and shifts the latent. */
vocode_status vectors_create_turned(const char *spec, base_kind base, size_t channels, uint64_t seed,
                                    vectors_model **out, vocode_error *error);
vocode_status vectors_open(const char *path, vectors_model **out, vocode_error *error);
vocode_status vectors_save(const vectors_model *model, const char *path, vocode_error *error);
void vectors_free(vectors_model *model); /* NULL is fine */

/* z [rows, channels] and log_density [rows], each unless NULL. VOCODE_VALUE names a row that is not finite. */
vocode_status vectors_encode(const vectors_model *model, const real *x, const real *context, size_t rows, int threads,
                             real *z, double *log_density, vocode_error *error);
vocode_status vectors_decode(const vectors_model *model, const real *z, const real *context, size_t rows, int threads,
                             real *x, vocode_error *error);
/* Row first + i is a function of the seed and of first + i. log_density [rows], unless NULL, is that of the samples. */
vocode_status vectors_draw(const vectors_model *model, const real *context, size_t first, size_t rows, uint64_t seed,
                           int threads, real *x, double *log_density, vocode_error *error);
/* The same from row 0 on. */
vocode_status vectors_sample(const vectors_model *model, const real *context, size_t rows, uint64_t seed, int threads,
                             real *x, vocode_error *error);

/* Whether data are whole numbers, so that log densities are bounds of log probabilities (flow dequantize). */
bool vectors_dequantize(const vectors_model *model);

/* The noise that does so: "none", "uniform", or "variational" where it has a flow of its own. */
const char *vectors_noise(const vectors_model *model);

/* VOCODE_VALUE names a row that does not consist of whole numbers, where they are wanted. */
vocode_status vectors_check_whole(const vectors_model *model, const real *x, size_t rows, vocode_error *error);

/* Without a context: what becomes of z [rows, channels] on the way to data after the first `steps` of the flow's parts,
 * counted from the latent; all of them, the standardising one included, at vectors_steps. By one thread. */
vocode_status vectors_follow(const vectors_model *model, const real *z, size_t rows, size_t steps, real *x,
                             vocode_error *error);
size_t vectors_steps(const vectors_model *model);

/* to [rows, context] = (context - mean) / deviation */
void vectors_scale_context(const vectors_model *model, const real *context, size_t rows, real *to);

enum { VECTORS_SHARD = 128 }; /* rows that one thread takes through the whole flow */

#endif
