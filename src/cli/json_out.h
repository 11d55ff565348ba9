/* What --json prints. */
#ifndef CLI_JSON_OUT_H
#define CLI_JSON_OUT_H

#include "core/fail.h"
#include "io/json.h"

/* A JSON string of any file name: bytes that are no UTF-8 become question marks. NULL when out of memory. */
json_t *json_name(const char *name);

void json_set_size(json_t *object, const char *key, size_t value);

/* Prints value, indented, to standard output and releases it. VOCODE_MEMORY also where value is NULL. */
vocode_status json_show(json_t *value, vocode_error *error);

#endif
