#include "cli/json_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INDENT 2 /* spaces a level */

json_t *json_name(const char *name) {
    const unsigned char ascii = 0x80; /* bytes from here on belong to longer sequences */
    json_t *value = json_string(name);
    if (value) return value;
    char *plain = strdup(name);
    if (!plain) return NULL;
    for (char *c = plain; *c; c++)
        if ((unsigned char)*c >= ascii) *c = '?';
    value = json_string(plain);
    free(plain);
    return value;
}

void json_set_size(json_t *object, const char *key, size_t value) {
    json_object_set_new(object, key, json_integer((json_int_t)value));
}

vocode_status json_show(json_t *value, vocode_error *error) {
    char *text = value ? json_print(value, INDENT) : NULL;
    json_decref(value);
    if (!text) return failed(error, VOCODE_MEMORY, "no memory for the text of the results");
    puts(text);
    free(text);
    return VOCODE_OK;
}
