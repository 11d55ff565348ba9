/* The legacy container written by hand: tensors whose values are known, and claims that must be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/torch_file.h"
#include "io/torch_pickle.h"

/* The first three pickles of the legacy container. */
#define PREAMBLE "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.M\xe9\x03.}."

/* One storage of that class, number 7, of elements; legacy identifiers end in a view, which is NULL or text. */
#define STORAGE(class, elements, view) "(S'storage'\nctorch\n" class "\nS'7'\nS'cuda:0'\nI" #elements "\n" view "tQ"
#define REBUILD "ctorch._utils\n_rebuild_tensor_v2\n("
#define REST "I00\nNtR"

typedef struct legacy_case {
    const char *object;
    size_t elements, element_size; /* of the storage that follows: float32, or other bytes as they are */
    int rank;
    size_t shape[3];
    float values[6];
    const char *says; /* NULL: it must be read */
} legacy_case;

static const legacy_case cases[] = {
    {REBUILD STORAGE("FloatStorage", 6, "N") "I1\n(I2\nI2\nt(I1\nI2\nt" REST ".", 6, 4, 2, {2, 2}, {1, 3, 2, 4}, NULL},
    {REBUILD STORAGE("FloatStorage", 6, "N") "I5\n(t(t" REST ".", 6, 4, 0, {0}, {5}, NULL},
    {REBUILD STORAGE("FloatStorage", 6, "N") "I9\n(I0\nI3\nt(I3\nI1\nt" REST ".", 6, 4, 2, {0, 3}, {0}, NULL},
    {REBUILD STORAGE("FloatStorage", 6, "N") "I0\n(I1\nI3\nI2\nt(I6\nI1\nI3\nt" REST ".",
     6,
     4,
     3,
     {1, 3, 2},
     {0, 3, 1, 4, 2, 5},
     NULL},
    {REBUILD STORAGE("FloatStorage", 6, "N") "I2\n(I3\nt(I0\nt" REST ".", 6, 4, 1, {3}, {2, 2, 2}, NULL},
    {REBUILD STORAGE("FloatStorage", 6, "(S'v'\nI2\nI3\nt") "I1\n(I2\nt(I1\nt" REST ".", 6, 4, 1, {2}, {3, 4}, NULL},
    {"ctorch._utils\n_rebuild_tensor\n(" STORAGE("FloatStorage", 6, "N") "I0\nctorch\nSize\n((I2\nttR(I1\nttR.",
     6,
     4,
     1,
     {2},
     {0, 1},
     NULL},
    {"ctorch._utils\n_rebuild_parameter\n(" REBUILD STORAGE("FloatStorage", 6, "N") "I3\n(I1\nt(I1\nt" REST "I01\nNtR.",
     6,
     4,
     1,
     {1},
     {3},
     NULL},
    {"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\nctorch.nn."
     "parameter\nParameter\n(" STORAGE("FloatStorage", 6, "N") "I4\n(I1\nt(I1\ntI00\nNt}tR.",
     6,
     4,
     1,
     {1},
     {4},
     NULL},
    {"ctorch._utils\n_rebuild_tensor_v3\n(" STORAGE("UntypedStorage", 24,
                                                    "N") "I1\n(I2\nt(I1\ntI00\nNctorch\nfloat32\ntR.",
     24,
     1,
     1,
     {2},
     {1, 2},
     NULL},
    {REBUILD STORAGE("FloatStorage", 6, "N") "I1\n(I3\nI2\nt(I2\nI1\nt" REST ".",
     6,
     4,
     0,
     {0},
     {0},
     "reaches beyond its storage of 6 elements"},
    {REBUILD STORAGE("FloatStorage", 9, "N") "I0\n(I9\nt(I1\nt" REST ".", 6, 4, 0, {0}, {0}, "the file holds 24 bytes"},
    {REBUILD STORAGE("FloatStorage", 6, "(S'v'\nI2\nI3\nt") "I3\n(I1\nt(I1\nt" REST ".",
     6,
     4,
     0,
     {0},
     {0},
     "reaches beyond its storage"},
    {REBUILD STORAGE("FloatStorage", 6, "(S'v'\nI4\nI3\nt") "I0\n(I1\nt(I1\nt" REST ".",
     6,
     4,
     0,
     {0},
     {0},
     "a view beyond its end"},
    {REBUILD STORAGE("FloatStorage", 6, "N") "I0\n(I4294967296\nI4294967296\nI4294967296\nt(I0\nI0\nI0\nt" REST ".",
     6,
     4,
     0,
     {0},
     {0},
     "reaches beyond its storage"},
    {REBUILD STORAGE("FloatStorage", 6, "N") "I0\n(I3\nt(I9223372036854775807\nt" REST ".",
     6,
     4,
     0,
     {0},
     {0},
     "reaches beyond its storage"},
    {REBUILD STORAGE("FloatStorage", 6, "N") "I0\n(I2\nt(I-1\nt" REST ".", 6, 4, 0, {0}, {0}, "no valid shape"},
    {REBUILD STORAGE("FloatStorage", 6, "N") "I-1\n(I2\nt(I1\nt" REST ".", 6, 4, 0, {0}, {0}, "no valid offset"},
    {REBUILD STORAGE("FloatStorage", 6, "N") "I0\n(I1\nI1\nI1\nI1\nI1\nI1\nI1\nI1\nI1\nt(I1\nt" REST ".",
     6,
     4,
     0,
     {0},
     {0},
     "at most 8 dimensions"},
    {REBUILD STORAGE("QInt8Storage", 6, "N") "I0\n(I1\nt(I1\nt" REST ".",
     6,
     1,
     0,
     {0},
     {0},
     "unsupported type torch.QInt8Storage"},
    {REBUILD STORAGE("FloatStorage", 6, "N") "I0\n(I1\nt(I1\nt" REST ".", 60, 4, 0, {0}, {0}, "truncated: storage 7"},
};

static size_t legacy_file(unsigned char *bytes, const legacy_case *row) {
    size_t size = sizeof PREAMBLE - 1, length = strlen(row->object);
    static const char keys[] = "(S'7'\nl.";
    memcpy(bytes, PREAMBLE, size);
    memcpy(bytes + size, row->object, length);
    memcpy(bytes + size + length, keys, sizeof keys - 1);
    size += length + sizeof keys - 1;
    const float values[6] = {0, 1, 2, 3, 4, 5};
    uint64_t count = row->elements;
    memcpy(bytes + size, &count, sizeof count);
    memcpy(bytes + size + sizeof count, values, sizeof values);
    return size + sizeof count + sizeof values;
}

static void tensors_lie_where_their_strides_say(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const legacy_case *row = &cases[i];
        unsigned char bytes[1024];
        float values[6];
        torch_file *file = NULL;
        torch_tensor tensor;
        vocode_error error = {0};
        vocode_status status = torch_parse(bytes, legacy_file(bytes, row), "t.pt", &file, &error);
        if (status == VOCODE_OK) {
            pickle_ref root = pickle_root(torch_graph(file));
            assert_true(torch_is_tensor(torch_graph(file), root));
            status = torch_tensor_describe(file, root, "x", &tensor, &error);
        }
        if (status == VOCODE_OK) status = torch_tensor_read(file, &tensor, "x", values, &error);
        if (row->says) {
            assert_int_not_equal(status, VOCODE_OK);
            if (!strstr(error.message, row->says)) fail_msg("row %zu: %s", i, error.message);
        } else {
            if (status != VOCODE_OK) fail_msg("row %zu: %s", i, error.message);
            assert_int_equal(tensor.rank, row->rank);
            for (int k = 0; k < row->rank; k++) assert_int_equal(tensor.shape[k], row->shape[k]);
            assert_memory_equal(values, row->values, tensor.count * sizeof *values);
        }
        torch_close(file);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_lie_where_their_strides_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
