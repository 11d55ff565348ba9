/* Configurations: one table of keys a thing drives parsing, defaults, validation, help and echo. A row says where in
 * the caller's struct the value lives. */
#ifndef IO_CONFIG_H
#define IO_CONFIG_H

#include <stddef.h>
#include <stdio.h>

#include "core/fail.h"
#include "io/json.h"

#define CONFIG_TEXT_SIZE 512 /* paths too */

typedef enum config_type {
    CONFIG_INT,    /* size_t */
    CONFIG_REAL,   /* double */
    CONFIG_BOOL,   /* int, 0 or 1 */
    CONFIG_TEXT,   /* char[CONFIG_TEXT_SIZE] */
    CONFIG_CHOICE, /* int, an index of choices; JSON null stands for the choice "none" where there is one */
    CONFIG_OTHER   /* nothing is read or echoed: the caller handles this key itself (a nested object, say) */
} config_type;

typedef struct config_key {
    const char *name;
    config_type type;
    size_t offset;              /* of the value in the caller's struct; not used by CONFIG_OTHER */
    double default_value;       /* INT, REAL, BOOL */
    double least, most;         /* INT, REAL: the allowed range, ends included; no range where least == most */
    const char *default_text;   /* TEXT (NULL: empty) and CHOICE (NULL: the first) */
    const char *const *choices; /* CHOICE: ends in NULL */
    int required;               /* 1: must be present, the default is not used */
    const char *doc;            /* one line for help */
} config_key;

/* Fills target from object (NULL counts as {}): absent keys get their defaults. An unknown key is named with the
 * nearest known one, a wrong type or a value out of range with key, value and what is allowed; all VOCODE_VALUE. where
 * begins the sentence ("model.json: config.mel"). On failure target holds no usable values. */
vocode_status config_read(const json_t *object, const config_key *keys, size_t count, void *target, const char *where,
                          vocode_error *error);

/* An object with every key except CONFIG_OTHER, in the table's order, that config_read turns back into the same values.
 * NULL when out of memory; release with json_decref. */
json_t *config_echo(const config_key *keys, size_t count, const void *source);

/* A line or two a key: name, type, range or choices, default, doc. */
void config_help(const config_key *keys, size_t count, FILE *to);

#endif
