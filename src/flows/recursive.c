/* Recursive coupling: the halves of the channels are transformed by the same kind of flow, each on its own, then one
 * half scales and shifts the other.
 *
 * Kruse, Detommaso, Koethe, Scheichl, "HINT: hierarchical invertible neural transport for density estimation and
 * Bayesian inference", AAAI 2021, section 3.2, algorithm 1; x, z [T, C], C > 1:
 *
 *     z = coupling([recursive(x_a), recursive(x_b)]),  log|det| = the sum
 *
 * One channel alone is scaled and shifted. The Jacobian is dense below its diagonal after one layer, where that of a
 * single coupling is diagonal within each half; the inverse is as direct. A layer of C channels has C - 1 couplings. */
#include <stdio.h>

#include "flows/build.h"
#include "flows/composite.h"
#include "flows/flows.h"

static vocode_status build(const recursive_options *options, flow_dims dims, param_set *set, const char *prefix,
                           flow **out, vocode_error *error);

static vocode_status build_halves(const recursive_options *options, flow_dims dims, param_set *set, const char *prefix,
                                  flow **out, vocode_error *error) {
    char name[PARAM_NAME_SIZE + 2];
    flow *parts[2] = {NULL, NULL};
    flow_dims first = {dims.channels / 2, dims.cond_channels}, second = dims;
    second.channels -= first.channels;
    snprintf(name, sizeof name, "%sa.", prefix);
    TRY(build(options, first, set, name, &parts[0], error));
    snprintf(name, sizeof name, "%sb.", prefix);
    vocode_status status = build(options, second, set, name, &parts[1], error);
    if (status == VOCODE_OK) return halves_new(parts[0], parts[1], out, error);
    flow_free(parts[0]);
    return status;
}

static vocode_status build(const recursive_options *options, flow_dims dims, param_set *set, const char *prefix,
                           flow **out, vocode_error *error) {
    if (dims.channels == 1)
        return affine_build(&(affine_options){.scale = 1, .shift = 1}, dims, set, prefix, out, error);
    const masked_options coupling = {.mask = MASK_FIRST,
                                     .planes = 1,
                                     .width = 1,
                                     .scale = options->scale == COUPLING_BOUNDED ? MASKED_BOUNDED : MASKED_EXP,
                                     .layers = options->layers,
                                     .channels = options->channels};
    flow *parts[2] = {NULL, NULL};
    TRY(build_halves(options, dims, set, prefix, &parts[0], error));
    vocode_status status = masked_build(&coupling, dims, set, prefix, &parts[1], error);
    if (status == VOCODE_OK) return sequence_new(parts, 2, out, error);
    flow_free(parts[0]);
    return status;
}

vocode_status recursive_build(const recursive_options *options, flow_dims dims, param_set *set, const char *prefix,
                              flow **out, vocode_error *error) {
    *out = NULL;
    if (dims.channels == 0)
        return failed(error, VOCODE_VALUE, "recursive %s: expected at least one channel, found none", prefix);
    return build(options, dims, set, prefix, out, error);
}
