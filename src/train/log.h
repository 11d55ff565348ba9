/* log.jsonl: an object a line, appended as the run goes. The first says what the numbers mean. */
#ifndef TRAIN_LOG_H
#define TRAIN_LOG_H

#include "train/run.h"

typedef struct train_log train_log;

/* Opens the log of a run for appending, for one process alone: VOCODE_IO where another one has it. Lines of steps after
 * `step`, and a line that was cut off, are removed: what is resumed writes them again. Step 0 removes all. */
vocode_status train_log_open(const char *path, uint64_t step, train_log **out, vocode_error *error);

/* What the losses mean, for people. */
const char *train_log_explanation(bool likelihood);

/* A log that is NULL takes everything and keeps nothing. */
vocode_status train_log_start(train_log *log, const char *config, bool likelihood, vocode_error *error);
vocode_status train_log_step(train_log *log, const train_progress *now, vocode_error *error);
vocode_status train_log_validation(train_log *log, const train_validation *now, vocode_error *error);
void train_log_close(train_log *log); /* NULL is fine */

#endif
