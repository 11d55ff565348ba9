/* JSON limits and printing; configurations from one table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/config.h"

typedef struct sizes {
    size_t flows;
    double rate;
    int live;
    char kind[CONFIG_TEXT_SIZE];
    int norm;
} sizes;

static const char *const norms[] = {"slaney", "none", NULL};
static const config_key keys[] = {
    {.name = "flows",
     .type = CONFIG_INT,
     .offset = offsetof(sizes, flows),
     .default_value = 12,
     .least = 1,
     .most = 64,
     .doc = "how many"},
    {.name = "learning_rate",
     .type = CONFIG_REAL,
     .offset = offsetof(sizes, rate),
     .default_value = 1e-4,
     .least = 0,
     .most = 1,
     .doc = "Adam's step"},
    {.name = "live", .type = CONFIG_BOOL, .offset = offsetof(sizes, live), .default_value = 1, .doc = "weight norm"},
    {.name = "kind", .type = CONFIG_TEXT, .offset = offsetof(sizes, kind), .required = 1, .doc = "the model"},
    {.name = "norm",
     .type = CONFIG_CHOICE,
     .offset = offsetof(sizes, norm),
     .default_text = "none",
     .choices = norms,
     .doc = "of mel bands"},
    {.name = "mel", .type = CONFIG_OTHER, .doc = "the convention"},
};
#define KEYS (sizeof keys / sizeof *keys)

static vocode_status read_text(const char *text, sizes *target, vocode_error *error) {
    json_t *object;
    TRY(json_parse(text, strlen(text), NULL, "c.json", &object, error));
    vocode_status status = config_read(object, keys, KEYS, target, "c.json", error);
    json_decref(object);
    return status;
}

static void values_and_defaults(void **state) {
    (void)state;
    sizes found;
    vocode_error error = {0};
    assert_int_equal(read_text("{\"kind\": \"a\"}", &found, &error), VOCODE_OK);
    assert_int_equal(found.flows, 12);
    assert_true(found.rate == 1e-4);
    assert_int_equal(found.live, 1);
    assert_string_equal(found.kind, "a");
    assert_int_equal(found.norm, 1);
    assert_int_equal(read_text("{\"mel\": {\"anything\": []}, \"norm\": \"slaney\", \"live\": false, \"kind\": \"b\","
                               " \"learning_rate\": 1, \"flows\": 8.0}",
                               &found, &error),
                     VOCODE_OK);
    assert_int_equal(found.flows, 8);
    assert_true(found.rate == 1.0);
    assert_int_equal(found.live, 0);
    assert_int_equal(found.norm, 0);
    assert_int_equal(read_text("{\"norm\": null, \"kind\": \"\"}", &found, &error), VOCODE_OK);
    assert_int_equal(found.norm, 1);
}

#define TEXT_65 "01234567890123456789012345678901234567890123456789012345678901234"

static void every_mistake_has_its_sentence(void **state) {
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"{}", "key \"kind\" is missing"},
        {"{\"kind\": \"a\", \"flow\": 3}", "unknown key \"flow\"; the nearest known key is \"flows\""},
        {"{\"kind\": \"a\", \"learing_rate\": 3}", "nearest known key is \"learning_rate\""},
        {"{\"kind\": \"a\", \"flows\": 65}", "key \"flows\" is 65, out of its range 1 to 64"},
        {"{\"kind\": \"a\", \"flows\": -1}", "key \"flows\" must be a whole number, 0 or more, found -1"},
        {"{\"kind\": \"a\", \"flows\": 2.5}", "found 2.5"},
        {"{\"kind\": \"a\", \"flows\": 1e300}", "whole number"},
        {"{\"kind\": \"a\", \"flows\": -1e300}", "whole number"},
        {"{\"kind\": \"a\", \"flows\": \"3\"}", "found \"3\""},
        {"{\"kind\": \"a\", \"learning_rate\": 1.5}", "key \"learning_rate\" is 1.5, out of its range 0 to 1"},
        {"{\"kind\": \"a\", \"live\": 1}", "true or false, found 1"},
        {"{\"kind\": 7}", "must be a string, found 7"},
        {"{\"kind\": \"a\", \"norm\": \"htk\"}", "one of \"slaney\", \"none\", found \"htk\""},
        {"{\"kind\": \"a\", \"norm\": [1]}", "found [1]"},
        {"[]", "expected an object"},
        {"{\"kind\": \"a\", \"kind\": \"b\"}", "duplicate"},
        {"{\"kind\":\n \"a\",}", "line 2, column"},
        {"", "c.json: line 1"},
        {"{\"kind\": 1e999}", "overflow"},
        {"{\"kind\": \"" TEXT_65 TEXT_65 TEXT_65 TEXT_65 TEXT_65 TEXT_65 TEXT_65 TEXT_65 "\"}",
         "520 bytes of text, at most 511 fit"},
        {"{\"kind\": "
         "[\"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123\"]}",
         "..."},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sizes found;
        vocode_error error = {0};
        assert_int_not_equal(read_text(cases[i].text, &found, &error), VOCODE_OK);
        if (!strstr(error.message, cases[i].says)) fail_msg("%s: %s", cases[i].text, error.message);
        assert_int_equal(strncmp(error.message, "c.json: ", 8), 0);
    }
}

static void echo_is_a_fixed_point(void **state) {
    (void)state;
    sizes first, second;
    assert_int_equal(read_text("{\"kind\": \"x\", \"learning_rate\": 0.1, \"flows\": 3}", &first, NULL), VOCODE_OK);
    json_t *echo = config_echo(keys, KEYS, &first);
    assert_non_null(echo);
    char *text = json_print(echo, 0);
    assert_string_equal(text, "{\"flows\":3,\"learning_rate\":0.1,\"live\":true,\"kind\":\"x\",\"norm\":\"none\"}");
    assert_int_equal(config_read(echo, keys, KEYS, &second, "echo", NULL), VOCODE_OK);
    assert_int_equal(second.flows, 3);
    assert_true(second.rate == 0.1);
    assert_string_equal(second.kind, "x");
    assert_int_equal(second.norm, first.norm);
    json_decref(echo);
    free(text);
}

static void help_lists_every_key(void **state) {
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    config_help(keys, KEYS, stream);
    fclose(stream);
    for (size_t i = 0; i < KEYS; i++) {
        assert_non_null(strstr(text, keys[i].name));
        assert_non_null(strstr(text, keys[i].doc));
    }
    assert_non_null(strstr(text, "1 to 64 (default 12)"));
    assert_non_null(strstr(text, "one of slaney, none (default none)"));
    assert_non_null(strstr(text, "text (required)"));
    free(text);
}

static void limits_hold(void **state) {
    (void)state;
    static const json_limits tight = {.bytes = 64, .depth = 3, .array = 4, .values = 10};
    static const struct {
        const char *text, *says; /* NULL: fine */
    } cases[] = {
        {"[[[1]]]", NULL},
        {"[[[[1]]]]", "line 1, column 4: more than 3 arrays and objects"},
        {"[1,2,3,4]", NULL},
        {"[1,2,3,\n4,5]", "line 2, column 2: more than 4 elements"},
        {"{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5}", NULL}, /* five keys: no array */
        {"[\"a,b,c,d,e,f[[[[[\\\",,,,,,,,,,\"]", NULL},
        {"[[1,2,3],[1,2,3],[1,2,3],[1,2]]", "more than 10 values"},
        {"\"unfinished ,,,,,,,,,,,,,,,,", "line 1"},
        {"[1]                                                                ", "67 bytes of JSON, more than the 64"},
        {"[1] 2", "line 1"},
        {"]]]]", "line 1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *value;
        vocode_error error = {0};
        vocode_status status = json_parse(cases[i].text, strlen(cases[i].text), &tight, "t", &value, &error);
        assert_int_equal(status, cases[i].says ? VOCODE_FORMAT : VOCODE_OK);
        if (cases[i].says && !strstr(error.message, cases[i].says)) fail_msg("%s: %s", cases[i].text, error.message);
        json_decref(value);
    }
}

static void reals_print_short_and_exact(void **state) {
    (void)state;
    const double values[] = {0.1, 1.0 / 3, 1e-300, 22050.0, 5e-324, -1.7976931348623157e308};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        json_t *value = json_pack("{s:f}", "x", values[i]), *back;
        char *text = json_print(value, 2);
        if (i == 0) assert_string_equal(text, "{\n  \"x\": 0.1\n}");
        assert_int_equal(json_parse(text, strlen(text), NULL, "back", &back, NULL), VOCODE_OK);
        assert_true(json_real_value(json_object_get(back, "x")) == values[i]);
        json_decref(value);
        json_decref(back);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_and_defaults),   cmocka_unit_test(every_mistake_has_its_sentence),
        cmocka_unit_test(echo_is_a_fixed_point), cmocka_unit_test(help_lists_every_key),
        cmocka_unit_test(limits_hold),           cmocka_unit_test(reals_print_short_and_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
