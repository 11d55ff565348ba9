/* Parameters and a configuration as a safetensors file of vocode's, and back. */
#ifndef DENSITY_TENSORS_H
#define DENSITY_TENSORS_H

#include "io/json.h"
#include "io/safetensors.h"
#include "nn/param.h"

/* Takes config, which it frees (NULL: out of memory, which is said). */
vocode_status tensors_write(const param_set *set, char *config, const char *path, vocode_error *error);

/* The file, and what its configuration says; VOCODE_FORMAT where it is no model of vocode's. */
vocode_status tensors_open(const char *path, st_file **file, json_t **config, vocode_error *error);

/* How many numbers its tensors hold: no model of it has more parameters. */
size_t tensors_limit(const st_file *file);

/* The values of all parameters, which must be there, of those shapes, and finite; of: what messages call the model. */
vocode_status tensors_read(param_set *set, const st_file *file, const char *of, const char *path, vocode_error *error);

#endif
