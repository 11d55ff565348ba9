#include "io/config.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define SHOWN_SIZE 96      /* bytes of a found value that a message quotes */
#define COMPARED_LENGTH 64 /* of a misspelt key; longer ones are no typing error */

static void *field(void *target, const config_key *key) {
    return (char *)target + key->offset;
}

static const void *const_field(const void *source, const config_key *key) {
    return (const char *)source + key->offset;
}

/* The text of a found value, cut to fit in a message. */
static const char *shown(const json_t *value, char text[SHOWN_SIZE]) {
    const size_t room = SHOWN_SIZE - sizeof "...\"";
    memset(text, 0, SHOWN_SIZE);
    size_t length = json_dumpb(value, text, room, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9));
    if (length <= room) return text;
    if (json_is_string(value))
        snprintf(text, SHOWN_SIZE, "\"%.*s...\"", (int)room - 1, json_string_value(value));
    else /* jansson wrote the pieces that fitted */
        strcat(text, "...");
    return text;
}

/* Edits (insert, remove, replace) between two words of at most COMPARED_LENGTH: Levenshtein 1966. */
static size_t distance(const char *a, const char *b) {
    size_t row[COMPARED_LENGTH + 1], width = strlen(b);
    for (size_t j = 0; j <= width; j++) row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < width; j++) {
            size_t best = diagonal + (a[i] != b[j]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j + 1] + 1 < best) best = row[j + 1] + 1;
            diagonal = row[j + 1];
            row[j + 1] = best;
        }
    }
    return row[width];
}

/* The known name that is the fewest edits away, or NULL. */
static const char *nearest(const char *name, const config_key *keys, size_t count) {
    const char *found = NULL;
    size_t fewest = SIZE_MAX;
    if (strlen(name) > COMPARED_LENGTH) return NULL;
    for (size_t i = 0; i < count; i++) {
        if (strlen(keys[i].name) > COMPARED_LENGTH) continue;
        size_t edits = distance(name, keys[i].name);
        if (edits >= fewest) continue;
        fewest = edits;
        found = keys[i].name;
    }
    return found;
}

static vocode_status refuse_unknown(const json_t *object, const config_key *keys, size_t count, const char *where,
                                    vocode_error *error) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value) { /* jansson's iterators are not const; nothing is written */
        size_t i = 0;
        while (i < count && strcmp(name, keys[i].name) != 0) i++;
        if (i < count) continue;
        const char *near = nearest(name, keys, count);
        if (!near) return failed(error, VOCODE_VALUE, "%s: unknown key \"%.80s\"", where, name);
        return failed(error, VOCODE_VALUE, "%s: unknown key \"%.80s\"; the nearest known key is \"%s\"", where, name,
                      near);
    }
    return VOCODE_OK;
}

static vocode_status wrong(const config_key *key, const json_t *value, const char *expected, const char *where,
                           vocode_error *error) {
    char text[SHOWN_SIZE];
    return failed(error, VOCODE_VALUE, "%s: key \"%s\" must be %s, found %s", where, key->name, expected,
                  shown(value, text));
}

static vocode_status check_range(const config_key *key, double number, const json_t *value, const char *where,
                                 vocode_error *error) {
    char text[SHOWN_SIZE];
    if (key->least == key->most || (number >= key->least && number <= key->most)) return VOCODE_OK;
    return failed(error, VOCODE_VALUE, "%s: key \"%s\" is %s, out of its range %g to %g", where, key->name,
                  shown(value, text), key->least, key->most);
}

static vocode_status read_int(const config_key *key, const json_t *value, size_t *target, const char *where,
                              vocode_error *error) {
    const double exact = 9007199254740992.0; /* 2^53: whole numbers up to here are exact as reals */
    double number = json_number_value(value);
    int whole = json_is_integer(value);
    if (json_is_real(value)) whole = number >= 0 && number <= exact && number == floor(number);
    if (!whole || number < 0) return wrong(key, value, "a whole number, 0 or more", where, error);
    TRY(check_range(key, number, value, where, error));
    *target = json_is_integer(value) ? (size_t)json_integer_value(value) : (size_t)number;
    return VOCODE_OK;
}

static vocode_status read_text(const config_key *key, const json_t *value, char *target, const char *where,
                               vocode_error *error) {
    if (!json_is_string(value)) return wrong(key, value, "a string", where, error);
    if (json_string_length(value) >= CONFIG_TEXT_SIZE)
        return failed(error, VOCODE_VALUE, "%s: key \"%s\" has %zu bytes of text, at most %d fit", where, key->name,
                      json_string_length(value), CONFIG_TEXT_SIZE - 1);
    strcpy(target, json_string_value(value));
    return VOCODE_OK;
}

/* The index of text in choices, or -1. */
static int choice_index(const char *const *choices, const char *text) {
    for (int i = 0; choices[i]; i++)
        if (strcmp(choices[i], text) == 0) return i;
    return -1;
}

static vocode_status read_choice(const config_key *key, const json_t *value, int *target, const char *where,
                                 vocode_error *error) {
    char list[512] = "one of";
    const char *text = json_is_null(value) ? "none" : json_string_value(value);
    int index = text ? choice_index(key->choices, text) : -1;
    *target = index < 0 ? 0 : index;
    if (index >= 0) return VOCODE_OK;
    for (size_t i = 0; key->choices[i]; i++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s \"%s\"", i ? "," : "", key->choices[i]);
    }
    return wrong(key, value, list, where, error);
}

static vocode_status read_value(const config_key *key, const json_t *value, void *target, const char *where,
                                vocode_error *error) {
    switch (key->type) {
    case CONFIG_INT: return read_int(key, value, field(target, key), where, error);
    case CONFIG_REAL:
        if (!json_is_number(value)) return wrong(key, value, "a number", where, error);
        *(double *)field(target, key) = json_number_value(value);
        return check_range(key, json_number_value(value), value, where, error);
    case CONFIG_BOOL:
        if (!json_is_boolean(value)) return wrong(key, value, "true or false", where, error);
        *(int *)field(target, key) = json_is_true(value);
        return VOCODE_OK;
    case CONFIG_TEXT: return read_text(key, value, field(target, key), where, error);
    case CONFIG_CHOICE: return read_choice(key, value, field(target, key), where, error);
    case CONFIG_OTHER: break;
    }
    return VOCODE_OK;
}

static void set_default(const config_key *key, void *target) {
    switch (key->type) {
    case CONFIG_INT: *(size_t *)field(target, key) = (size_t)key->default_value; break;
    case CONFIG_REAL: *(double *)field(target, key) = key->default_value; break;
    case CONFIG_BOOL: *(int *)field(target, key) = key->default_value != 0; break;
    case CONFIG_TEXT:
        snprintf(field(target, key), CONFIG_TEXT_SIZE, "%s", key->default_text ? key->default_text : "");
        break;
    case CONFIG_CHOICE: {
        int index = key->default_text ? choice_index(key->choices, key->default_text) : 0;
        *(int *)field(target, key) = index < 0 ? 0 : index;
        break;
    }
    case CONFIG_OTHER: break;
    }
}

vocode_status config_read(const json_t *object, const config_key *keys, size_t count, void *target, const char *where,
                          vocode_error *error) {
    char text[SHOWN_SIZE];
    if (object && !json_is_object(object))
        return failed(error, VOCODE_VALUE, "%s: expected an object in braces, found %s", where, shown(object, text));
    if (object) TRY(refuse_unknown(object, keys, count, where, error));
    for (size_t i = 0; i < count; i++) {
        const json_t *value = object ? json_object_get(object, keys[i].name) : NULL;
        if (value) {
            TRY(read_value(&keys[i], value, target, where, error));
        } else if (keys[i].required) {
            return failed(error, VOCODE_VALUE, "%s: key \"%s\" is missing (%s)", where, keys[i].name, keys[i].doc);
        } else {
            set_default(&keys[i], target);
        }
    }
    return VOCODE_OK;
}

static json_t *echo_value(const config_key *key, const void *source) {
    const void *value = const_field(source, key);
    switch (key->type) {
    case CONFIG_INT:
        return *(const size_t *)value > INT64_MAX ? NULL : json_integer((json_int_t) * (const size_t *)value);
    case CONFIG_REAL: return json_real(*(const double *)value);
    case CONFIG_BOOL: return json_boolean(*(const int *)value);
    case CONFIG_TEXT: return json_string(value);
    case CONFIG_CHOICE: return json_string(key->choices[*(const int *)value]);
    case CONFIG_OTHER: break;
    }
    return NULL;
}

json_t *config_echo(const config_key *keys, size_t count, const void *source) {
    json_t *object = json_object();
    for (size_t i = 0; object && i < count; i++) {
        if (keys[i].type == CONFIG_OTHER) continue;
        if (json_object_set_new(object, keys[i].name, echo_value(&keys[i], source)) == 0) continue;
        json_decref(object);
        object = NULL;
    }
    return object;
}

static void help_values(const config_key *key, FILE *to) {
    static const char *const types[] = {"whole number", "number", "true or false", "text", "one of", ""};
    fprintf(to, "%s", types[key->type]);
    if (key->type == CONFIG_CHOICE)
        for (size_t i = 0; key->choices[i]; i++) fprintf(to, "%s %s", i ? "," : "", key->choices[i]);
    if (key->type <= CONFIG_REAL && key->least != key->most) fprintf(to, ", %g to %g", key->least, key->most);
}

static void help_default(const config_key *key, FILE *to) {
    if (key->required) {
        fprintf(to, " (required)");
        return;
    }
    switch (key->type) {
    case CONFIG_INT:
    case CONFIG_REAL: fprintf(to, " (default %.10g)", key->default_value); break;
    case CONFIG_BOOL: fprintf(to, " (default %s)", key->default_value != 0 ? "true" : "false"); break;
    case CONFIG_TEXT:
        if (key->default_text) fprintf(to, " (default \"%s\")", key->default_text);
        break;
    case CONFIG_CHOICE: fprintf(to, " (default %s)", key->default_text ? key->default_text : key->choices[0]); break;
    case CONFIG_OTHER: break;
    }
}

void config_help(const config_key *keys, size_t count, FILE *to) {
    const int name_width = 20;
    for (size_t i = 0; i < count; i++) {
        fprintf(to, "  %-*s %s\n  %-*s ", name_width, keys[i].name, keys[i].doc, name_width, "");
        help_values(&keys[i], to);
        help_default(&keys[i], to);
        fputc('\n', to);
    }
}
