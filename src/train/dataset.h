/* The recordings of a training run, as batches of segments. A batch is a function of the recordings, the options and
 * its number alone: any number of threads may make any of them in any order. */
#ifndef TRAIN_DATASET_H
#define TRAIN_DATASET_H

#include "io/config.h"
#include "vocoder/model.h"

/* What a configuration says of the data. */
typedef struct dataset_settings {
    char valid[CONFIG_TEXT_SIZE];   /* a file of names (train/names.h): held out; or empty */
    char exclude[CONFIG_TEXT_SIZE]; /* likewise: not used at all */
    double valid_share;             /* of the recordings, held out where no list says which */
    double level_rms;  /* 0: the level is left as it is; else every recording is scaled to this RMS of full scale */
    double level_gain; /* dB: then each training segment by a random gain of at most so much, either way */
    int dither;        /* half a step of uniform dither either way, of the file's own integers */
    int pairs;         /* X.npy beside X.wav is its mel */
    double shortest;   /* s: shorter recordings are skipped, those shorter than a segment are padded with silence */
    double silence;    /* dB RMS of full scale: quieter ones are skipped */
    size_t cache_mb;   /* decoded audio in memory; what goes beyond it is read from its file for each segment */
    size_t ahead;      /* of a loader: batches in memory, the one in use among them */
    size_t loaders;    /* of a loader: threads */
} dataset_settings;

extern const config_key dataset_keys[];
extern const size_t dataset_key_count;

typedef struct dataset_options {
    const char *const *paths; /* [path_count]: folders, metadata.csv, lists of paths, files (train/files.h) */
    size_t path_count;
    const vocode_model *model; /* says rate, hop, mel and layout of blocks; used while opening alone */
    size_t batch;              /* segments a batch */
    size_t segment;            /* samples a segment, a multiple of the model's hop */
    uint64_t seed;
    dataset_settings settings;
} dataset_options;

typedef struct dataset dataset;

/* Reads every recording once. What cannot be used is skipped with a warning that names it and says why, and counted.
 * VOCODE_VALUE where nothing is left to train on, VOCODE_IO where one of paths or a list cannot be read,
 * VOCODE_UNSUPPORTED for a model without a mel convention. *out is NULL after a failure. */
vocode_status dataset_open(const dataset_options *options, const warning_sink *warnings, dataset **out,
                           vocode_error *error);
void dataset_close(dataset *self); /* NULL is fine */

/* The shape of its batches: mel [batch, frames, n_mels], x [batch, columns * group]. */
block_shape dataset_shape(const dataset *self);
size_t dataset_bands(const dataset *self);
size_t dataset_block(const dataset *self); /* samples of one element's block: columns * group */

/* Training batch number index. Segments start anywhere; over an epoch (the recordings' length over a segment's) every
 * part of every recording is as likely as any other. VOCODE_IO where a file that is not in memory is no longer what it
 * was. */
vocode_status dataset_batch(const dataset *self, uint64_t index, real *mel, real *x, vocode_error *error);

/* Batches of held-out segments: fixed ones, the same for any seed, with neither random gain nor random places. */
size_t dataset_valid_count(const dataset *self); /* 0: nothing is held out */
vocode_status dataset_valid_batch(const dataset *self, size_t index, real *mel, real *x, vocode_error *error);

/* A stretch of a held-out recording as a model hears it, at its level and without dither: to listen to. */
typedef struct dataset_clip {
    const char *path; /* of the recording; lives as long as the data set */
    size_t frames, samples;
    float *mel;   /* [frames, bands], owned */
    float *audio; /* [samples], samples = frames * hop, owned: what synthesis of the mel should be */
} dataset_clip;

size_t dataset_held_out(const dataset *self); /* recordings */

/* The middle of held-out recording index: at most so many frames, all of a shorter one. Free it with dataset_clip_free,
 * also after a failure. */
vocode_status dataset_clip_cut(const dataset *self, size_t index, size_t most_frames, dataset_clip *out,
                               vocode_error *error);
void dataset_clip_free(dataset_clip *clip); /* what it holds */

typedef struct dataset_facts {
    size_t found;              /* files and names */
    size_t training, held_out; /* recordings that are used */
    double training_seconds, held_out_seconds;
    size_t excluded;
    size_t unusable, duplicate;  /* skipped */
    size_t resampled, mixed;     /* of those used: at another rate, with several channels */
    size_t padded;               /* shorter than a segment */
    size_t paired;               /* with a mel of their own */
    size_t cached, cached_bytes; /* recordings in memory */
} dataset_facts;

dataset_facts dataset_about(const dataset *self);

/* The same as a sentence or two. */
void dataset_describe(const dataset *self, char *text, size_t size);

#endif
