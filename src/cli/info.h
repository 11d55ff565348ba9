/* What "vocode info" says of models that are no vocoders, and how its lines look. */
#ifndef CLI_INFO_H
#define CLI_INFO_H

#include <stdbool.h>

#include "core/fail.h"
#include "io/json.h"

/* "<label>:   <value>". */
__attribute__((format(printf, 2, 3))) void info_line(const char *label, const char *format, ...);

/* The same of a value: texts without quotes, objects as "key value, key value". */
void info_value(const char *label, const json_t *value);

/* Densities of vectors and autoencoders ("vocode flow"). *known is whether the file at path says that it is one; where
 * it is, it is told about, as one JSON object or as lines. */
vocode_status info_density(const char *path, bool as_json, bool *known, vocode_error *error);

#endif
