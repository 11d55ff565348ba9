/* From a checkpoint's tensors to those of a model file: which become what, checked by shape before anything is read.
 * Only the import files include this. */
#ifndef VOCODER_IMPORT_PLAN_H
#define VOCODER_IMPORT_PLAN_H

#include "vocoder/import_tree.h"

#define PLAN_NAME_SIZE 96
#define PLAN_MAX_RANK 3

/* A tensor of the checkpoint under its name in the model. */
typedef struct plan_source {
    const char *name;
    const tree_entry *entry;
    int used;
} plan_source;

typedef struct plan_part {
    torch_tensor tensor, gain; /* gain.rank < 0: none. Otherwise weight norm is folded: gain * v / |v| by rows */
    const char *name;          /* of the tensor, for messages */
} plan_part;

/* A tensor of the model file: its parts one after the other along the rows. */
typedef struct plan_target {
    struct plan_target *next;
    char name[PLAN_NAME_SIZE];
    size_t shape[PLAN_MAX_RANK], count;
    int rank;
    size_t parts;
    plan_part part[];
} plan_target;

typedef struct plan {
    tree *tree;
    plan_source *sources; /* [source_count], sorted by name */
    size_t source_count;
    plan_target *first, **last; /* a list of target_count */
    size_t target_count;
    size_t bytes;   /* of all targets so far */
    size_t ignored; /* sources that no target uses */
    const warning_sink *warnings;
    vocode_error *error;
} plan;

/* What a tensor_set owns. */
typedef struct tensor_memory {
    st_tensor *tensors;
    char (*names)[PLAN_NAME_SIZE];
    char *config;
} tensor_memory;

/* Gathers the sources under prefix, with the names of parametrizations brought to those of weight norm. Free with
 * plan_free, also after a failure. */
vocode_status plan_begin(plan *p, tree *t, const char *prefix, const warning_sink *warnings, vocode_error *error);

void plan_free(plan *p);

/* The source of that name, NULL when absent. */
plan_source *plan_find(const plan *p, const char *name);

/* The shape [rows, columns, taps] of a layer's weight, or of its weight_v; 0 where it has neither. */
int plan_layer_shape(plan *p, const char *layer, size_t shape[PLAN_MAX_RANK]);

/* Plans the tensor of that name, of exactly that shape (axes of length 1 aside). VOCODE_FORMAT when missing, or
 * VOCODE_SHAPE with both shapes. */
vocode_status plan_tensor(plan *p, const char *name, int rank, const size_t *shape);

/* Some layers of the checkpoint as one: their rows one after the other. */
typedef struct plan_rows {
    char layer[PLAN_NAME_SIZE];
    size_t rows;
} plan_rows;

/* Plans a convolution [sum of rows, columns, taps] with bias [sum of rows] from count layers. normed: weight norm stays
 * as weight_g and weight_v where all of them have it; otherwise it is folded. */
vocode_status plan_layers(plan *p, const char *layer, const plan_rows *from, size_t count, size_t columns, size_t taps,
                          int normed);

/* The same from the one layer of that name. */
vocode_status plan_layer(plan *p, const char *layer, size_t rows, size_t columns, size_t taps, int normed);

/* Refuses what is left in the model's own modules, counts (and warns of) what is left elsewhere. */
vocode_status plan_end(plan *p);

/* Reads everything planned into memory. */
vocode_status plan_read(const plan *p, tensor_set *out);

typedef struct model_sizes {
    int squeezewave;
    size_t n_mels, n_flows, n_group, early_every, early_size; /* n_group: n_audio_channel of a SqueezeWave */
    size_t n_layers, n_channels, kernel_size;
    size_t upsample_kernel, upsample_stride; /* WaveGlow; the stride is 0 until import_sizes */
    int batch_norm;                          /* SqueezeWave */
} model_sizes;

/* Finds which model the sources are, its sizes, and plans all of its tensors. */
vocode_status plan_model(plan *p, model_sizes *sizes);

/* Holds what the checkpoint says about sizes against those that its tensors have, and fills in what tensors do not
 * tell. prefix is the model's. */
vocode_status import_sizes(const tree *t, const char *prefix, model_sizes *sizes, vocode_error *error);

/* The config's JSON text; free() it. summary holds kind and iteration. */
vocode_status import_config(const tree *t, const model_sizes *sizes, const import_options *options,
                            const import_summary *summary, char **text, vocode_error *error);

#endif
