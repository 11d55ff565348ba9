/* All recordings of a training run, checked. */
#ifndef TRAIN_CORPUS_H
#define TRAIN_CORPUS_H

#include "train/dataset.h"
#include "train/recording.h"

typedef struct corpus {
    recording
        *items; /* [count]: the training ones, then the held-out ones, each in the order in which they were found */
    size_t count, training;
    dataset_facts facts;
} corpus;

vocode_status corpus_open(const dataset_options *options, const mel_convention *convention,
                          const warning_sink *warnings, corpus *out, vocode_error *error);
void corpus_close(corpus *self);

#endif
