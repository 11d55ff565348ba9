/* Whether this process is one of several that mpirun started, and joining the others. */
#ifndef CLI_RANKS_H
#define CLI_RANKS_H

#include "train/team.h"

/* *out is NULL where the process was started by itself; otherwise it is valid until it leaves. VOCODE_UNSUPPORTED where
 * it was not, but the module vocode-mpi.so is missing. */
vocode_status ranks_join(train_team **out, vocode_error *error);

#endif
