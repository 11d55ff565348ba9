/* The frame-rate continuous flow's own: its sizes, its parts and its objectives. */
#ifndef VOCODER_FRAMEFLOW_CNF_H
#define VOCODER_FRAMEFLOW_CNF_H

#include "vocoder/frameflow.h"
#include "vocoder/sample_energy.h"

typedef enum cnf_objective { CNF_MATCH, CNF_SPECTRAL } cnf_objective;

typedef struct cnf_sizes {
    frameflow_sizes base; /* first: what frameflow.h asks for */
    size_t field_dim, field_blocks, field_kernel, field_features, steps, terms;
    int solver, objective;
    double tie, mel_weight, repulsion;
} cnf_sizes;

/* model->own. The parts are the chain's. */
typedef struct cnf_parts {
    flow **parts;
    flow *const *front; /* MDCT and conditional scale */
    const flow *field;
    flow *const *couplings; /* [coupling_count], from data to latent */
    size_t coupling_count;
    sample_energy *energy; /* where the objective asks for it */
} cnf_parts;

/* vocoder_class.objective */
vocode_status frameflow_cnf_objective(const vocode_model *model, const block_task *task, double *loss);

#endif
