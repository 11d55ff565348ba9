/* What TensorBoard shows of a run: an event file of this process in the run's folder, made when there is something to
 * say. Scalars have the names that log.jsonl has for them. What cannot be written is warned of, once until something
 * can be written again, and ends nothing. */
#ifndef TRAIN_BOARD_H
#define TRAIN_BOARD_H

#include "train/run.h"

typedef struct train_board train_board;

/* step: the one that the run goes on after; what older files say of later ones is void. warnings outlives the board. */
vocode_status board_new(const char *folder, uint64_t step, const warning_sink *warnings, train_board **out,
                        vocode_error *error);
void board_free(train_board *board); /* NULL is fine */

/* Nothing where board is NULL: it is another rank that writes. */
void board_step(train_board *board, const train_progress *now);
void board_validation(train_board *board, const train_validation *now);

/* mono [samples], finite, at sample_rate Hz, to listen to and as a spectrogram, both under that tag. */
void board_clip(train_board *board, uint64_t step, const char *tag, const float *mono, size_t samples,
                unsigned sample_rate);

#endif
