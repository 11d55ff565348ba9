/* Damaged and hostile checkpoints: an error or a model, soon, and never anything else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/bytes.h"
#include "vocoder/import.h"

#define CHECKPOINTS TEST_DATA "/checkpoints/"
#define PATH_SIZE 512

static const char *path_of(char path[PATH_SIZE], const char *name) {
    snprintf(path, PATH_SIZE, "%s%s", CHECKPOINTS, name);
    return path;
}

/* Cut anywhere, with a byte changed anywhere: an error or a model, never anything else (sanitizers watch). */
static void damage_is_survived(void **state) {
    (void)state;
    static const char *const files[] = {"zip_protocol2.pt", "legacy_protocol2.pt", "deflated.pt"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[PATH_SIZE];
        unsigned char *bytes;
        size_t size;
        vocode_error error = {0};
        assert_int_equal(bytes_read(path_of(path, files[i]), SIZE_MAX / 2, &bytes, &size, &error), VOCODE_OK);
        for (size_t cut = 0; cut < size; cut += 1 + size / 150) {
            unsigned char *part = malloc(cut ? cut : 1); /* exactly as long, so that reading past it is seen */
            memcpy(part, bytes, cut);
            tensor_set set;
            assert_int_not_equal(checkpoint_parse(part, cut, "cut", NULL, &set, NULL, NULL, &error), VOCODE_OK);
            assert_true(error.message[0] != 0);
            free(part);
        }
        for (size_t at = 0; at < size; at += 1 + size / 400) {
            unsigned char kept = bytes[at];
            bytes[at] ^= (unsigned char)(1u << at % 8);
            tensor_set set;
            checkpoint_parse(bytes, size, "flipped", NULL, &set, NULL, NULL, &error);
            tensor_set_free(&set);
            bytes[at] = kept;
        }
        free(bytes);
    }
}

/* Text that grows; enough for any case below. */
typedef struct text {
    char *bytes;
    size_t size, room;
} text;

static void add(text *t, const char *bytes, size_t size) {
    if (t->size + size > t->room) t->bytes = realloc(t->bytes, t->room = 2 * (t->size + size));
    memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
}

#define ADD(t, literal) add((t), (literal), sizeof(literal) - 1)

/* The first three pickles of the legacy container. */
#define PREAMBLE "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.M\xe9\x03.}."

/* Graphs that are small but long to walk: the importer gives up, or is through, within a second. */
static void bombs_do_not_go_off(void **state) {
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        text t = {0};
        ADD(&t, PREAMBLE);
        if (kind == 0) { /* dictionaries of two equal entries, 60 deep: 2^60 names */
            ADD(&t, "}q\x00");
            for (int i = 0; i < 60; i++)
                ADD(&t, "0}(U\x01"
                        "ah\x00U\x01"
                        "bh\x00uq\x00");
        } else if (kind == 1) { /* 3000 modules that share one state of 3000 keys */
            ADD(&t, "}q\x00(");
            for (int i = 0; i < 3000; i++)
                ADD(&t, "U\x01"
                        "kN");
            ADD(&t, "U\x08_modulesh\x00u0}(");
            for (int i = 0; i < 3000; i++)
                ADD(&t, "U\x01mcglow\nWN\n)\x81h\x00"
                        "b");
            ADD(&t, "u");
        } else { /* a dictionary that holds itself under 200 keys */
            ADD(&t, "}q\x00(");
            for (int i = 0; i < 200; i++) ADD(&t, "U\x01kh\x00");
            ADD(&t, "u");
        }
        ADD(&t, ".].");
        tensor_set set;
        vocode_error error = {0};
        clock_t start = clock();
        assert_int_not_equal(checkpoint_parse(t.bytes, t.size, "bomb", NULL, &set, NULL, NULL, &error), VOCODE_OK);
        if (clock() - start > 20 * CLOCKS_PER_SEC) fail_msg("bomb %d: %s", kind, error.message);
        free(t.bytes);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(damage_is_survived),
        cmocka_unit_test(bombs_do_not_go_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
