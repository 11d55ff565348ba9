#include "io/json_place.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

typedef struct cursor {
    const char *text;
    size_t size, at;
} cursor;

static void skip_space(cursor *c) {
    while (c->at < c->size && isspace((unsigned char)c->text[c->at])) c->at++;
}

/* From an opening quote to behind the closing one. */
static void skip_string(cursor *c) {
    for (c->at++; c->at < c->size && c->text[c->at] != '"'; c->at++) c->at += c->text[c->at] == '\\';
    if (c->at < c->size) c->at++;
}

/* To the comma or bracket behind a value. */
static void skip_value(cursor *c) {
    for (size_t depth = 0; c->at < c->size;) {
        char here = c->text[c->at];
        if (depth == 0 && (here == ',' || here == '}' || here == ']')) return;
        if (here == '"') {
            skip_string(c);
            continue;
        }
        depth += here == '{' || here == '[';
        depth -= here == '}' || here == ']';
        c->at++;
    }
}

/* In the object that opens at the cursor: to the value of that member, *name being where its name is; false where it
 * has none. */
static bool find_member(cursor *c, const char *wanted, size_t *name) {
    skip_space(c);
    if (c->at >= c->size || c->text[c->at] != '{') return false;
    while (++c->at < c->size) { /* behind the brace or the comma */
        skip_space(c);
        if (c->at >= c->size || c->text[c->at] != '"') return false;
        *name = c->at;
        skip_string(c);
        size_t length = c->at - *name - 2; /* without the quotes */
        skip_space(c);
        if (c->at >= c->size) return false;
        c->at++; /* the colon */
        if (length == strlen(wanted) && memcmp(c->text + *name + 1, wanted, length) == 0) return true;
        skip_value(c);
        if (c->at >= c->size || c->text[c->at] != ',') return false;
    }
    return false;
}

size_t json_line(const char *text, size_t size, const char *const *path, size_t depth) {
    cursor c = {text, size, 0};
    size_t name = 0, line = 1;
    for (size_t i = 0; i < depth; i++)
        if (!find_member(&c, path[i], &name)) return 0;
    for (size_t i = 0; i < name; i++) line += text[i] == '\n';
    return line;
}
