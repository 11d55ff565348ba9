/* Where in a JSON text a member stands, for messages about its value: jansson does not keep that. */
#ifndef IO_JSON_PLACE_H
#define IO_JSON_PLACE_H

#include <stddef.h>

/* The line, from 1, of the member that path [depth] leads to from the root object (its names from the outside in), or 0
 * where there is none. text [size] is JSON that json_parse takes; a name that is written with escapes is not found. */
size_t json_line(const char *text, size_t size, const char *const *path, size_t depth);

#endif
