/* What a training run is told: the object "train" of a configuration, changed by --set. One table of keys (those of the
 * data among them, dataset.h) drives parsing, validation, help and the echo in the run's folder and its checkpoints. */
#ifndef TRAIN_SETTINGS_H
#define TRAIN_SETTINGS_H

#include "io/config.h"
#include "train/dataset.h"

typedef enum train_schedule { TRAIN_CONSTANT, TRAIN_COSINE, TRAIN_STEPWISE } train_schedule;

/* What batch norm normalises by. */
typedef enum train_norms { TRAIN_NORMS_BATCH, TRAIN_NORMS_RUNNING } train_norms;
typedef enum train_precision { TRAIN_FLOAT, TRAIN_BF16 } train_precision;

typedef struct train_settings {
    size_t steps, batch, segment, accumulate, seed, threads;
    double learning_rate, final_rate, decay_factor;
    size_t warmup, decay_every;
    int schedule; /* train_schedule */
    double beta1, beta2, epsilon, weight_decay, clip, ema;
    double sigma;
    int memory;          /* block_memory */
    int norm_statistics; /* train_norms */
    int precision;       /* train_precision */
    double spectral_weight, spectral_mel_weight, spectral_repulsion, spectral_sigma;
    size_t spectral_every;
    size_t checkpoint_every, keep, validate_every, validate_batches, log_every, most_skipped;
    size_t sample_every, samples;
    double sample_seconds;
} train_settings;

/* Every key, for help: training's, then those of the data. */
void train_keys_help(FILE *to);

/* Parameters whose name begins so learn at factor times the learning rate. */
typedef struct train_group {
    char prefix[CONFIG_TEXT_SIZE];
    double factor;
} train_group;

enum { TRAIN_MOST_GROUPS = 32 };

typedef struct train_config {
    train_settings settings;
    dataset_settings data;
    train_group groups[TRAIN_MOST_GROUPS];
    size_t group_count;
    json_t *root;      /* the whole configuration, "train" with every key: what a model is made from */
    char *text, *path; /* of the file, for messages */
    size_t size;
} train_config;

/* Reads a configuration and applies assignments ("learning_rate=1e-4" for a key of "train" or of the top, or a path
 * such as "frameflow.dim=256") in their order. Faults are named with key and line. Free it with train_config_free, also
 * after a failure. */
vocode_status train_config_read(const char *path, const char *const *sets, size_t set_count, train_config *out,
                                vocode_error *error);

/* Adds to the sentence of error which line of the file, or which assignment, the key that it names has its value from;
 * returns error's code. */
vocode_status train_config_blame(const train_config *config, const char *const *sets, size_t set_count,
                                 vocode_error *error);

void train_config_free(train_config *config);

#endif
