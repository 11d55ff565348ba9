/* JSON through jansson, with limits that hold before anything is allocated, duplicate keys refused, and one canonical
 * way to print. */
#ifndef IO_JSON_H
#define IO_JSON_H

#include <jansson.h>
#include <stddef.h>

#include "core/fail.h"

typedef struct json_limits {
    size_t bytes;  /* of text */
    size_t depth;  /* arrays and objects inside each other, at most 64 */
    size_t array;  /* elements of one array */
    size_t values; /* of the whole text: a parsed value takes up to some 300 bytes */
} json_limits;

/* For configurations: 16 MiB, 32 deep, 4096 elements an array, 2^17 values. */
extern const json_limits json_config_limits;

/* Parses size bytes of text; name is what messages call it, and they say line and column. limits NULL means
 * json_config_limits. Any kind of value may be the root. Release *out with json_decref. */
vocode_status json_parse(const char *text, size_t size, const json_limits *limits, const char *name, json_t **out,
                         vocode_error *error);

/* The same from a file; "-" is standard input. */
vocode_status json_read(const char *path, const json_limits *limits, json_t **out, vocode_error *error);

/* The text of a value on one line (indent 0) or indented, keys in the order they were set, reals in the fewest digits
 * that bring every one of them back exactly. The caller frees it with free(); NULL when out of memory. */
char *json_print(const json_t *value, size_t indent);

#endif
