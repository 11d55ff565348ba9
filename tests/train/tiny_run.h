/* Tiny models of every kind in training, for tests. */
#ifndef TINY_RUN_H
#define TINY_RUN_H

#include "train/trainer.h"

extern const char *const tiny_run_models[]; /* JSON texts without braces and without "train"; ends in NULL */

/* Writes {model, "train": {train}} to a new file in the folder and gives its path; aborts the test when it cannot. */
void tiny_run_config(const char *folder, const char *model, const char *train, char path[512]);

/* A trainer of that configuration whose parameters are drawn away from the identity; config outlives it. */
trainer *tiny_run_trainer(const char *folder, const char *model, const char *train, train_config *config);

/* Noise of batch number `index`; the arrays live as long as the program. */
train_batch tiny_run_batch(const trainer *training, uint64_t index);

/* cmocka's set-up and tear-down of a folder of the test's own, which tiny_run_folder names. */
extern char tiny_run_folder[512];
int tiny_run_open(void **state);
int tiny_run_close(void **state);

#endif
