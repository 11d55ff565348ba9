/* Which model a command uses. */
#ifndef CLI_USE_MODEL_H
#define CLI_USE_MODEL_H

#include <vocode/model.h>

#include <limits.h>

#include "cli/options.h"

/* What the user named (may be NULL), else $VOCODE_MODEL, else the shipped model: in the data folder beside the program,
 * in the source tree that the program was built in, in the installation's data folder. *path is owned by the caller.
 * VOCODE_IO where there is none. */
vocode_status model_path(const char *named, char **path, vocode_error *error);

/* A model in use and what messages call it. */
typedef struct open_model {
    char *path;
    vocode_model *model;
    vocode_model_info info;
} open_model;

/* Opens the model that the options ask for. Close it with release_model, also after a failure. */
vocode_status use_model(const arguments *given, open_model *out, console *say, vocode_error *error);
void release_model(open_model *model);

/* The folder that the running program is in, without a final slash; empty where the system does not say. */
void program_folder(char folder[PATH_MAX]);

#endif
