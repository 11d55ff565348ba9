/* A model is a configuration and a chain of flows: audio blocks x [batch, block samples, 1] <-> latent
 * z [batch, columns, latent channels], conditioned on the mel. Each kind is one vocoder_class; nothing above it knows
 * which kind it has. */
#ifndef VOCODER_MODEL_H
#define VOCODER_MODEL_H

#include <stdbool.h>

#include <vocode/model.h>

#include "dsp/mel.h"
#include "flows/flow.h"
#include "io/config.h"
#include "io/safetensors.h"
#include "vocoder/objective.h"

/* The settings that every kind has (keys in settings.c). */
typedef struct vocoder_settings {
    size_t sample_rate;
    double sigma, train_sigma;
    size_t mel_match, refine, mel_match_last;
} vocoder_settings;

typedef struct vocoder_class {
    const char *kind;
    const char *summary;
    const config_key *keys; /* of the object under the kind's name */
    size_t key_count;
    const char *nested; /* NULL, or the name of an object inside that one, with keys of its own in the same struct */
    const config_key *nested_keys;
    size_t nested_count;
    size_t sizes_size;
    /* Checks model->sizes, registers the parameters and builds model->chain and model->own. normed: the weights are
     * stored with weight norm. */
    vocode_status (*build)(vocode_model *model, bool normed, vocode_error *error);
    /* Draws what the chain does not own. NULL: nothing. */
    void (*init)(vocode_model *model, uint64_t seed);
    /* Folds and packs what the chain does not own. NULL: nothing. */
    void (*prepare)(vocode_model *model);
    void (*destroy)(vocode_model *model); /* frees model->own; NULL: nothing */
    /* mel [batch, frames, n_mels] -> conditioning [batch, run's cond_frames, cond_channels] for that many columns. */
    void (*condition)(const vocode_model *model, compute *work, size_t batch, size_t frames, const real *mel,
                      size_t columns, real *cond);
    /* The same for one element as frames arrive: mel [frames, n_mels] with the history frames before it in memory
     * (zeros before the first). NULL: condition serves, no frame looks back. */
    void (*condition_window)(const vocode_model *model, compute *work, size_t frames, const real *mel, real *cond);
    size_t (*history)(const vocode_model *model); /* NULL: none */
    /* From the conditioning's gradient to the parameters' (accumulates). NULL: it has none. */
    void (*condition_backward)(const vocode_model *model, compute *work, size_t batch, size_t frames, const real *mel,
                               size_t columns, const real *dcond, real *grads);
    /* Of kinds with a continuous flow: latent columns that the chain's inverse looks ahead when its solver takes so
     * many steps (0: the configuration's number). NULL: the chain has no steps. */
    size_t (*reach)(const vocode_model *model, size_t steps);
    /* Of the same kinds: how often a column goes through the networks under "field.". NULL: there are none. */
    size_t (*evaluations)(const vocode_model *model);
    /* What training minimises: writes the loss of the task's batch (a mean over its latent numbers, so that batches of
     * any size compare) and, where task->grads is given, accumulates its gradients into task->grads and task->dcond. A
     * function of the parameters, the arrays and task->objective alone, at any number of threads. Never allocates: it
     * is planned by a dry run, which makes the same arena calls. NULL: the negative log-likelihood through the chain,
     * sum(z^2) / (2 sigma^2) - sum(logdet) over count(z). */
    vocode_status (*objective)(const vocode_model *model, const block_task *task, double *loss);
} vocoder_class;

struct vocode_model {
    const vocoder_class *type;
    vocoder_settings settings;
    void *sizes; /* filled through type->keys */
    bool has_mel;
    mel_convention mel; /* where has_mel */
    char *config;       /* JSON text, canonical */
    param_set params;
    real *unmapped; /* values that could not be used in place from the file */
    st_file *file;  /* the mapping, or NULL */
    bool mapped;    /* the tensors that it was made from are in a mapped file */
    flow *chain;
    void *own; /* what the kind needs besides */
    /* The geometry, set by build. */
    size_t hop, n_mels, latent_channels, group; /* group: samples a latent column */
    size_t cond_channels;
    size_t columns_per_cond; /* latent columns that one conditioning column serves */
    bool frame_blocks;       /* blocks are centred on frames: they start half a hop before sample 0 */
};

extern const vocoder_class waveglow_class, squeezewave_class, frameflow_class, frameflow_cnf_class;
const vocoder_class *vocoder_class_find(const char *kind); /* NULL when there is none */

/* Reads a configuration into a model without weights: kind, sizes, settings, mel. strict refuses unknown keys;
 * otherwise they are kept and not looked at. */
vocode_status model_parse(const json_t *config, const char *where, bool strict, vocode_model **out,
                          vocode_error *error);

/* The configuration as an object, canonical: every known key with its value, then the unknown ones. */
json_t *model_echo(const vocode_model *model, const json_t *original);

/* Binds every parameter to a tensor of its name (bind.c). */
vocode_status model_bind(vocode_model *model, const st_tensor *tensors, size_t count, const char *where,
                         vocode_error *error);

/* Copies what it can: every parameter of a created model that has a tensor of its name and shape (weight norm as in
 * model_bind). missing is told of each that has none, which keeps its values. VOCODE_VALUE where none fits. Prepare the
 * model afterwards. */
vocode_status model_copy_weights(vocode_model *model, const st_tensor *tensors, size_t count, const char *where,
                                 const warning_sink *missing, vocode_error *error);

/* A model of fresh weights from a configuration (strict: an unknown key is an error). */
vocode_status model_create(const json_t *config, const char *where, uint64_t seed, vocode_model **out,
                           vocode_error *error);

/* A model over tensors that live as long as it does (a mapped file or an imported checkpoint); where names them in
 * messages. Missing, misshapen and non-finite tensors are errors that name the tensor. Ready for forward and inverse.
 */
vocode_status model_from_tensors(const char *config, const st_tensor *tensors, size_t count, const char *where,
                                 vocode_model **out, vocode_error *error);

/* Writes parameters, buffers and configuration as a model file. */
vocode_status model_save(const vocode_model *model, const char *path, vocode_error *error);

/* Folds, packs and factors after parameters changed. */
vocode_status model_prepare(vocode_model *model, vocode_error *error);

/* Makes an opened model ready for block_trainer and blocks_gradient: until then its layers hold no weights for backward
 * passes. A created one is. */
vocode_status model_prepare_training(vocode_model *model, vocode_error *error);

/* Latent columns that the chain's inverse looks ahead, with so many steps of a continuous flow (0: the model's own). */
size_t model_reach(const vocode_model *model, size_t steps);

/* The mel convention, or VOCODE_UNSUPPORTED with a sentence where the model has none. */
vocode_status model_mel(const vocode_model *model, const mel_convention **out, vocode_error *error);

#endif
