/* Any text as a JSON configuration with a key of every type. What is accepted must come back from its echo. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/config.h"
#include "limit.h"

typedef struct values {
    size_t whole;
    double real_number;
    int flag;
    char text[CONFIG_TEXT_SIZE];
    int choice;
} values;

static const char *const choices[] = {"slaney", "htk", "none", NULL};
static const config_key keys[] = {
    {.name = "whole",
     .type = CONFIG_INT,
     .offset = offsetof(values, whole),
     .default_value = 7,
     .least = 1,
     .most = 1e6,
     .doc = "a"},
    {.name = "real", .type = CONFIG_REAL, .offset = offsetof(values, real_number), .default_value = 0.5, .doc = "b"},
    {.name = "flag", .type = CONFIG_BOOL, .offset = offsetof(values, flag), .doc = "c"},
    {.name = "text", .type = CONFIG_TEXT, .offset = offsetof(values, text), .doc = "d"},
    {.name = "choice", .type = CONFIG_CHOICE, .offset = offsetof(values, choice), .choices = choices, .doc = "e"},
    {.name = "nested", .type = CONFIG_OTHER, .doc = "f"},
};
#define KEYS (sizeof keys / sizeof *keys)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Prints and parses again: the same values. */
static void check_echo(const values *first) {
    values second;
    json_t *echo = config_echo(keys, KEYS, first), *back;
    char *text = json_print(echo, 2);
    if (!echo || !text) abort();
    if (json_parse(text, strlen(text), NULL, "echo", &back, NULL) != VOCODE_OK) abort();
    if (config_read(back, keys, KEYS, &second, "echo", NULL) != VOCODE_OK) abort();
    if (second.whole != first->whole || second.real_number != first->real_number || second.choice != first->choice ||
        strcmp(second.text, first->text) != 0)
        abort();
    json_decref(echo);
    json_decref(back);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    values found;
    json_t *root;
    vocode_error error = {0};
    limit_arm(size);
    vocode_status status = json_parse((const char *)bytes, size, NULL, "fuzz.json", &root, &error);
    if (status == VOCODE_OK) status = config_read(root, keys, KEYS, &found, "fuzz.json", &error);
    limit_disarm();
    if (status != VOCODE_OK && !error.message[0]) abort();
    if (status == VOCODE_OK) check_echo(&found);
    json_decref(root);
    return 0;
}
