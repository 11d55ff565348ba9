#include "io/json.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/bytes.h"

#define MOST_DEPTH 64     /* of any limits: what the scan keeps on its stack */
#define EXACT_DIGITS 17   /* bring every double back */
#define LONGEST_NUMBER 64 /* characters of a printed real */
#define LARGEST_INDENT 31 /* jansson's own limit */

const json_limits json_config_limits = {
    .bytes = (size_t)16 << 20, .depth = 32, .array = 4096, .values = (size_t)1 << 17};

/* Line and column, from 1, of an offset. */
static void place_of(const char *text, size_t offset, size_t *line, size_t *column) {
    *line = *column = 1;
    for (size_t i = 0; i < offset; i++) {
        if (text[i] == '\n') {
            ++*line;
            *column = 1;
        } else {
            ++*column;
        }
    }
}

static vocode_status over_limit(const char *text, size_t offset, const char *what, size_t limit, const char *name,
                                vocode_error *error) {
    size_t line, column;
    place_of(text, offset, &line, &column);
    return failed(error, VOCODE_FORMAT, "%s: line %zu, column %zu: more than %zu %s", name, line, column, limit, what);
}

/* The offset just after the string whose opening quote is at start. */
static size_t after_string(const char *text, size_t size, size_t start) {
    size_t i = start + 1;
    while (i < size && text[i] != '"') i += text[i] == '\\' ? 2 : 1;
    return i < size ? i + 1 : size;
}

/* Holds text to the limits before jansson sees it: its arrays and hash tables would grow to many times the text. What
 * is not JSON at all is left for the parser to describe. */
static vocode_status scan(const char *text, size_t size, const json_limits *limits, const char *name,
                          vocode_error *error) {
    size_t elements[MOST_DEPTH + 1], depth = 0, values = 0;
    const size_t deepest = limits->depth < MOST_DEPTH ? limits->depth : MOST_DEPTH;
    int in_array[MOST_DEPTH + 1] = {0};
    for (size_t i = 0; i < size; i++) {
        switch (text[i]) {
        case '"': i = after_string(text, size, i) - 1; break;
        case '[':
        case '{':
            if (depth == deepest)
                return over_limit(text, i, "arrays and objects inside each other", deepest, name, error);
            in_array[++depth] = text[i] == '[';
            elements[depth] = 1;
            values++;
            break;
        case ']':
        case '}': depth -= depth > 0; break;
        case ',':
            values++;
            if (in_array[depth] && ++elements[depth] > limits->array)
                return over_limit(text, i, "elements in an array", limits->array, name, error);
            break;
        default: break;
        }
        if (values > limits->values) return over_limit(text, i, "values", limits->values, name, error);
    }
    return VOCODE_OK;
}

vocode_status json_parse(const char *text, size_t size, const json_limits *limits, const char *name, json_t **out,
                         vocode_error *error) {
    json_error_t problem;
    *out = NULL;
    if (!limits) limits = &json_config_limits;
    if (size > limits->bytes)
        return failed(error, VOCODE_FORMAT, "%s: %zu bytes of JSON, more than the %zu allowed here", name, size,
                      limits->bytes);
    TRY(scan(text, size, limits, name, error));
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
    if (*out) return VOCODE_OK;
    if (json_error_code(&problem) == json_error_out_of_memory)
        return failed(error, VOCODE_MEMORY, "%s: no memory for %zu bytes of JSON", name, size);
    return failed(error, VOCODE_FORMAT, "%s: line %d, column %d: %s", name, problem.line, problem.column, problem.text);
}

vocode_status json_read(const char *path, const json_limits *limits, json_t **out, vocode_error *error) {
    unsigned char *bytes;
    size_t size;
    *out = NULL;
    TRY(bytes_read(path, limits ? limits->bytes : json_config_limits.bytes, &bytes, &size, error));
    vocode_status status = json_parse((const char *)bytes, size, limits, input_name(path), out, error);
    free(bytes);
    return status;
}

/* The fewest significant digits, at least the given ones, that bring value back exactly. */
static size_t digits_of(double value, size_t digits) {
    char text[LONGEST_NUMBER];
    for (; digits < EXACT_DIGITS; digits++) {
        snprintf(text, sizeof text, "%.*g", (int)digits, value);
        if (strtod(text, NULL) == value) break;
    }
    return digits;
}

/* The same over every real of a tree: jansson prints them all with one precision. */
static size_t digits_of_all(const json_t *value, size_t digits) {
    json_t *tree = (json_t *)value; /* jansson's iterators are not const; nothing is written */
    const char *key;
    json_t *item;
    size_t index;
    if (json_is_real(value)) return digits_of(json_real_value(value), digits);
    if (json_is_object(value)) json_object_foreach(tree, key, item) digits = digits_of_all(item, digits);
    if (json_is_array(value)) json_array_foreach(tree, index, item) digits = digits_of_all(item, digits);
    return digits;
}

char *json_print(const json_t *value, size_t indent) {
    size_t layout = indent == 0 ? JSON_COMPACT : JSON_INDENT(indent < LARGEST_INDENT ? indent : LARGEST_INDENT);
    return json_dumps(value, JSON_ENCODE_ANY | layout | JSON_REAL_PRECISION(digits_of_all(value, 1)));
}
