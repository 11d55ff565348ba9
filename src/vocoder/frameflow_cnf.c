/* The frame-rate continuous flow: velocities that mend what a coupling flow says.
 *
 * block -> orthonormal MDCT [T, hop] -> conditional scale -> u1 [T, hop] -> field (flows/field.c) -> u0 -> n_flows x
 * (invertible 1x1, affine coupling) -> z. Synthesis goes the other way: the couplings make a draft u0 of noise in one
 * pass, and a few steps along velocities that a network finds from it, the mel and the time carry it to u1.
 *
 * Why a draft: flow matching from noise has to learn at every time what the couplings know after one pass, and takes
 * many steps of the solver; on a CPU neither can be had. The couplings are a frameflow's, trained by exact likelihood;
 * its tensors have the same names, and --warm-start takes them. They stay as they are here. A fresh field is the
 * identity, so the model starts at the coupling flow's quality. The likelihood stays that of a flow.
 *
 * Training (frameflow_objective.c) has two objectives. "match" is flow matching of pairs (draft, data). The field's
 * velocities are then right in the limit of many steps. "spectral" trains the configured few steps as a sampler of what
 * is heard, by a spectral energy distance of samples to data and by the mel that they should have, as second stages for
 * few steps do. */
#include <stdio.h>
#include <stdlib.h>

#include "flows/field.h"
#include "flows/registry.h"
#include "vocoder/frameflow_cnf.h"

#define SIZE(member, fallback, low, high, text)                                                                  \
    {                                                                                                            \
        .name = #member, .type = CONFIG_INT, .offset = offsetof(cnf_sizes, member), .default_value = (fallback), \
        .least = (low), .most = (high), .doc = (text)                                                            \
    }

static const char *const solvers[] = {"euler", "midpoint", NULL}; /* as the field's */
static const char *const objectives[] = {[CNF_MATCH] = "match", [CNF_SPECTRAL] = "spectral", NULL};

static const config_key keys[] = {
    FRAMEFLOW_KEYS(FRAMEFLOW_SIZE, FRAMEFLOW_NUMBER) SIZE(field_dim, 256, 1, 16384, "channels of the field's network"),
    SIZE(field_blocks, 4, 1, 1024, "ConvNeXt blocks of the field's network"),
    SIZE(field_kernel, 7, 1, 255, "taps of its depthwise convolutions"),
    SIZE(field_features, 32, 2, 4096, "sines and cosines of the time, even"),
    SIZE(steps, 2, 1, 1000, "of the solver, unless --steps says otherwise"),
    {.name = "solver",
     .type = CONFIG_CHOICE,
     .offset = offsetof(cnf_sizes, solver),
     .choices = solvers,
     .doc = "one evaluation of the field's network a step, or two"},
    SIZE(terms, 10, 0, 1000, "of the log-determinant's estimate; 0: exact, for tiny models"),
    {.name = "objective",
     .type = CONFIG_CHOICE,
     .offset = offsetof(cnf_sizes, objective),
     .choices = objectives,
     .doc = "of training: flow matching, or a spectral energy distance of samples"},
    {.name = "tie",
     .type = CONFIG_REAL,
     .offset = offsetof(cnf_sizes, tie),
     .default_value = 0.9,
     .least = 0,
     .most = 1,
     .doc = "match: correlation of a draft's latent with its datum's"},
    {.name = "repulsion",
     .type = CONFIG_REAL,
     .offset = offsetof(cnf_sizes, repulsion),
     .default_value = 1,
     .least = 0,
     .most = 1,
     .doc = "spectral: how far samples are kept apart: 1 as data are, 0 not at all"},
    {.name = "mel_weight",
     .type = CONFIG_REAL,
     .offset = offsetof(cnf_sizes, mel_weight),
     .default_value = 1,
     .least = 0,
     .most = 1e3,
     .doc = "spectral: of the distance of the samples' mel from the data's"},
};

static vocode_status build_field(vocode_model *model, flow **out, vocode_error *error) {
    const cnf_sizes *sizes = model->sizes;
    char options[256];
    snprintf(options, sizeof options,
             "{\"blocks\": %zu, \"channels\": %zu, \"expansion\": %zu, \"kernel\": %zu, \"features\": %zu, "
             "\"steps\": %zu, \"solver\": \"%s\", \"terms\": %zu}",
             sizes->field_blocks, sizes->field_dim, sizes->base.expansion, sizes->field_kernel, sizes->field_features,
             sizes->steps, solvers[sizes->solver], sizes->terms);
    return flow_build("field", options, (flow_dims){sizes->base.hop, sizes->base.n_mels}, &model->params, "field.", out,
                      error);
}

static vocode_status build(vocode_model *model, bool normed, vocode_error *error) {
    (void)normed; /* no weight norm in these networks */
    const cnf_sizes *sizes = model->sizes;
    size_t couplings = 2 * sizes->base.n_flows, count = FRAMEFLOW_FRONT + 1 + couplings;
    cnf_parts *own = model->own = calloc(1, sizeof *own);
    flow **parts = calloc(count, sizeof *parts);
    vocode_status status = VOCODE_OK;
    if (own) own->parts = parts;
    if (!own || !parts) status = failed(error, VOCODE_MEMORY, "cannot allocate a chain of %zu flows", count);
    if (status == VOCODE_OK && sizes->objective == CNF_SPECTRAL)
        status = sample_energy_new(model, sizes->repulsion, sizes->mel_weight, &own->energy, error);
    if (status == VOCODE_OK) status = frameflow_build_parts(model, 1, parts, error);
    if (status == VOCODE_OK) status = build_field(model, &parts[FRAMEFLOW_FRONT], error);
    if (!own) free(parts);
    if (!own || !parts) return status;
    own->front = parts;
    own->field = parts[FRAMEFLOW_FRONT];
    own->couplings = parts + FRAMEFLOW_FRONT + 1;
    own->coupling_count = couplings;
    return frameflow_join(model, status, parts, count, error);
}

static void destroy(vocode_model *model) {
    cnf_parts *own = model->own;
    sample_energy_free(own->energy);
    free(own->parts);
    free(own);
}

static size_t evaluations(const vocode_model *model) {
    const cnf_parts *own = model->own;
    return field_evaluations(own->field, 0);
}

static size_t reach(const vocode_model *model, size_t steps) {
    const cnf_parts *own = model->own;
    size_t each = flow_reach(own->field) / evaluations(model);
    return flow_reach(model->chain) - flow_reach(own->field) + field_evaluations(own->field, steps) * each;
}

const vocoder_class frameflow_cnf_class = {
    .kind = "frameflow-cnf",
    .summary = "continuous flow that mends the drafts of a coupling flow over MDCT columns",
    .keys = keys,
    .key_count = sizeof keys / sizeof *keys,
    .sizes_size = sizeof(cnf_sizes),
    .build = build,
    .destroy = destroy,
    .condition = frameflow_condition,
    .reach = reach,
    .evaluations = evaluations,
    .objective = frameflow_cnf_objective,
};
