/* What a person hears of a run: stretches of held-out recordings, and what the model makes of their mels as it learns:
 * RUN/samples/recording/NAME.wav and RUN/samples/STEP/NAME.wav, each whole or not there, and the same on the board.
 * The clips are cut when a run starts and stay in memory; a run that goes on has the same ones. */
#ifndef TRAIN_SAMPLES_H
#define TRAIN_SAMPLES_H

#include "train/board.h"
#include "train/dataset.h"

typedef struct train_samples train_samples;

/* At most settings.samples clips of settings.sample_seconds, spread over the held-out recordings; none where nothing is
 * held out. folder is the run's; model says rate and hop. */
vocode_status train_samples_open(const char *folder, const dataset *set, const train_settings *settings,
                                 const vocode_model *model, train_samples **out, vocode_error *error);
size_t train_samples_count(const train_samples *self);
void train_samples_free(train_samples *self); /* NULL is fine */

typedef struct sample_order {
    const vocode_model *model; /* prepared */
    uint64_t step, seed;       /* seed: of the latents, which are the same at every step */
    int threads;
    bool (*stop)(void *context); /* NULL, or asked meanwhile: true ends the synthesis with VOCODE_CANCELLED */
    void *context;
} sample_order;

/* Every clip by the model; with the first call that succeeds, the recordings too. After a failure what was written
 * stays, and the next call may succeed. */
vocode_status train_samples_make(train_samples *self, const sample_order *order, train_board *board,
                                 vocode_error *error);

#endif
