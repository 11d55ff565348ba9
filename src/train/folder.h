/* The files of a run's folder. */
#ifndef TRAIN_FOLDER_H
#define TRAIN_FOLDER_H

#include "train/checkpoint.h"

/* folder/name; the caller frees it. NULL when out of memory. */
char *folder_file(const char *folder, const char *name);

/* Makes the folder where it is absent. VOCODE_IO where it cannot be, or holds a run already that is not to be resumed.
 */
vocode_status folder_open(const char *folder, bool resume, vocode_error *error);

/* Removes what killed processes left half written, in samples/ too. */
void folder_clean(const char *folder);

/* Continues from last.safetensors, or where that is damaged from the newest other checkpoint that is whole; warnings
 * says so. *found is false where there is none at all. */
vocode_status folder_load(const char *folder, optimizer *arrays, train_state *state, bool *found,
                          const warning_sink *warnings, vocode_error *error);

/* Writes last.safetensors, and as wanted the same as best.safetensors and checkpoint-STEP.safetensors, of which the
 * newest `keep` stay. */
vocode_status folder_save(const char *folder, const char *config, const optimizer *arrays, const train_state *state,
                          bool best, bool numbered, size_t keep, vocode_error *error);

#endif
