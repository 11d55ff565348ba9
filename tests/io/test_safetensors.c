/* safetensors against a file of the reference implementation, hostile headers, and what we write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/bytes.h"
#include "io/safetensors.h"

#define ENTRY(type, shape, from, to) "{\"dtype\":\"" type "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"

/* Puts header and data_size zero bytes behind the length that it is given; returns the size. */
static size_t build(unsigned char *bytes, const char *header, size_t length, size_t data_size) {
    for (size_t i = 0; i < 8; i++) bytes[i] = (unsigned char)((uint64_t)length >> (8 * i));
    memcpy(bytes + 8, header, strlen(header));
    memset(bytes + 8 + strlen(header), 0, data_size);
    return 8 + strlen(header) + data_size;
}

static void reads_the_reference(void **state) {
    (void)state;
    st_file *file;
    vocode_error error = {0};
    float values[6];
    if (st_open(TEST_DATA "/safetensors/reference.safetensors", &file, &error) != VOCODE_OK)
        fail_msg("%s", error.message);
    assert_int_equal(st_count(file), 7);
    assert_string_equal(st_metadata(file, "note"), "written by safetensors");
    assert_null(st_metadata(file, "absent"));
    assert_null(st_find(file, "__metadata__"));
    assert_string_equal(st_at(file, 0)->name, "index");
    const st_tensor *matrix = st_find(file, "matrix");
    assert_non_null(matrix);
    assert_int_equal(matrix->rank, 2);
    assert_memory_equal(matrix->shape, ((size_t[]){2, 3}), 2 * sizeof(size_t));
    dtype_to_float(matrix->type, matrix->data, 0, values, 6);
    for (int i = 0; i < 6; i++) assert_true(values[i] == (float)i);
    const st_tensor *half = st_find(file, "half");
    assert_int_equal(half->type, DTYPE_F16);
    assert_true(dtype_load(half->type, (const char *)half->data + 2, 0) == -2.0);
    assert_true(dtype_load(DTYPE_F64, st_find(file, "wide")->data, 0) == 1e30);
    assert_true(dtype_load(DTYPE_I64, st_find(file, "index")->data, 0) == 0x1p40);
    assert_true(dtype_load(DTYPE_BOOL, (const char *)st_find(file, "mask")->data + 2, 0) == 1.0);
    assert_int_equal(st_find(file, "scalar")->rank, 0);
    assert_int_equal(st_find(file, "scalar")->count, 1);
    assert_int_equal(st_find(file, "nothing")->count, 0);
    st_close(file);
}

static void refuses_with_its_own_sentence(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t data;
        const char *says; /* NULL: it is fine */
    } cases[] = {
        {"{\"a\":" ENTRY("F32", "[2]", 0, 8) "}", 8, NULL},
        {"{\"a\":" ENTRY("U8", "[1]", 0, 1) ",\"b\":" ENTRY("F64", "[1]", 1, 9) "}   ", 9, NULL},
        {"{\"b\":" ENTRY("F32", "[1]", 4, 8) ",\"e\":" ENTRY("F32", "[0]", 4, 4) ",\"a\":" ENTRY("F32", "[]", 0, 4) "}",
         8, NULL},
        {"{}", 0, NULL},
        {"{\"__metadata__\":{\"config\":\"[1,2,3]\"}}", 0, NULL},
        {"{\"a\":" ENTRY("F32", "[2]", 0, 8) "}", 7, "ends at byte 8 of the data, the file has 7"},
        {"{\"a\":" ENTRY("F32", "[2]", 0, 8) "}", 9, "cover 8 bytes of data, the file holds 9"},
        {"{\"a\":" ENTRY("F32", "[3]", 0, 8) "}", 8, "3 elements of 4 bytes by its shape, but 8 bytes"},
        {"{\"a\":" ENTRY("F32", "[2]", 8, 0) "}", 8, "data_offsets"},
        {"{\"a\":" ENTRY("F32", "[2]", -8, 0) "}", 8, "data_offsets"},
        {"{\"a\":" ENTRY("F32", "[2]", 4, 12) "}", 12, "gap of 4 bytes"},
        {"{\"a\":" ENTRY("F32", "[2]", 0, 8) ",\"b\":" ENTRY("F32", "[2]", 4, 12) "}", 12, "overlap by 4"},
        {"{\"a\":" ENTRY("F32", "[2]", 0, 8) ",\"b\":" ENTRY("F32", "[2]", 0, 8) "}", 8, "overlap by 8"},
        {"{\"a\":" ENTRY("F8_E4M3", "[2]", 0, 2) "}", 2, "dtype \"F8_E4M3\""},
        {"{\"a\":" ENTRY("F32", "[4294967296,4294967296]", 0, 0) "}", 0, "more elements than fit"},
        {"{\"a\":" ENTRY("F64", "[4611686018427387904]", 0, 0) "}", 0, "elements of 8 bytes"},
        {"{\"a\":" ENTRY("F32", "[-1]", 0, 4) "}", 4, "size 0 of tensor"},
        {"{\"a\":" ENTRY("F32", "[1.0]", 0, 4) "}", 4, "size 0 of tensor"},
        {"{\"a\":" ENTRY("F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, "9 dimensions"},
        {"{\"a\":" ENTRY("F32", "3", 0, 4) "}", 4, "no shape"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[]}}", 4, "entry of tensor \"a\""},
        {"{\"a\":7}", 0, "entry of tensor \"a\""},
        {"{\"a\":" ENTRY("F32", "[]", 0, 4) ",\"a\":" ENTRY("F32", "[]", 0, 4) "}", 4, "duplicate"},
        {"{\"__metadata__\":{\"a\":1}}", 0, "\"a\" is not a string"},
        {"{\"__metadata__\":[]}", 0, "not a JSON object"},
        {"{\"a\":", 0, "line 1, column"},
        {"{\"a\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,"
         "0,0,"
         "0,0,0,0,0,0,0,0,0,0,0,0,0]}",
         0, "more than 64 elements"},
        {"{\"a\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}", 0, "more than 32"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char bytes[1024];
        st_file *file;
        vocode_error error = {0};
        size_t size = build(bytes, cases[i].header, strlen(cases[i].header), cases[i].data);
        vocode_status status = st_parse(bytes, size, "m.safetensors", &file, &error);
        if (!cases[i].says) {
            if (status != VOCODE_OK) fail_msg("%s: %s", cases[i].header, error.message);
            st_close(file);
            continue;
        }
        assert_int_not_equal(status, VOCODE_OK);
        assert_null(file);
        if (!strstr(error.message, cases[i].says)) fail_msg("%s: %s", cases[i].header, error.message);
        assert_non_null(strstr(error.message, "m.safetensors"));
    }
}

static void believes_no_length(void **state) {
    (void)state;
    static const struct {
        uint64_t length;
        const char *says;
    } cases[] = {{3, "needs 11 bytes, the file has 10"},
                 {(uint64_t)1 << 40, "claims 1099511627776 bytes"},
                 {UINT64_MAX, "claims 18446744073709551615 bytes"},
                 {1, "line 1"},
                 {0, "line 1"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsigned char bytes[16];
        st_file *file;
        vocode_error error = {0};
        size_t size = build(bytes, "{}", cases[i].length, 0);
        assert_int_equal(st_parse(bytes, size, "m", &file, &error), VOCODE_FORMAT);
        if (!strstr(error.message, cases[i].says)) fail_msg("%s", error.message);
    }
    st_file *file;
    vocode_error error = {0};
    assert_int_equal(st_parse("PK\x03\x04", 4, "m", &file, &error), VOCODE_FORMAT);
    assert_non_null(strstr(error.message, "zip archive"));
    assert_int_equal(st_open("/dev/null", &file, &error), VOCODE_IO);
    assert_int_equal(st_open("/nonexistent", &file, &error), VOCODE_IO);
    st_close(NULL);
}

static void unaligned_data_reads(void **state) {
    (void)state;
    unsigned char bytes[256];
    st_file *file;
    const char *header = "{\"a\":" ENTRY("U8", "[1]", 0, 1) ",\"b\":" ENTRY("F32", "[1]", 1, 5) "}";
    size_t size = build(bytes, header, strlen(header), 5);
    memcpy(bytes + size - 4, &(float){1.5f}, 4);
    assert_int_equal(st_parse(bytes, size, "m", &file, NULL), VOCODE_OK);
    float value;
    dtype_to_float(DTYPE_F32, st_find(file, "b")->data, 0, &value, 1);
    assert_true(value == 1.5f);
    st_close(file);
}

static void written_comes_back(void **state) {
    (void)state;
    char folder[] = "/tmp/vocode-st-XXXXXX", path[64];
    const float weights[] = {1, -2, 3, 4, 5, 6};
    const uint8_t flags[] = {1, 0, 1};
    const st_tensor tensors[] = {
        {.name = "z.weight", .type = DTYPE_F32, .rank = 2, .shape = {3, 2}, .count = 6, .data = weights},
        {.name = "a/\"quoted\" \xc3\xa9", .type = DTYPE_U8, .rank = 1, .shape = {3}, .count = 3, .data = flags},
        {.name = "empty", .type = DTYPE_F32, .rank = 2, .shape = {0, 4}, .count = 0, .data = weights},
    };
    const st_entry metadata[] = {{"format", "vocode"}, {"config", "{\"kind\":\"waveglow\"}\n"}};
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/m.safetensors", folder);
    unsigned char *first, *second;
    size_t first_size, second_size;
    vocode_error error = {0};
    if (st_write(path, tensors, 3, metadata, 2, &error) != VOCODE_OK) fail_msg("%s", error.message);
    assert_int_equal(bytes_read(path, SIZE_MAX / 2, &first, &first_size, NULL), VOCODE_OK);
    assert_int_equal(st_write(path, tensors, 3, metadata, 2, &error), VOCODE_OK);
    assert_int_equal(bytes_read(path, SIZE_MAX / 2, &second, &second_size, NULL), VOCODE_OK);
    assert_int_equal(first_size, second_size);
    assert_memory_equal(first, second, first_size);
    assert_int_equal(first[0] % 8, 0);
    assert_memory_equal(first + 8, "{\"__metadata__\"", 15);
    st_file *file;
    if (st_open(path, &file, &error) != VOCODE_OK) fail_msg("%s", error.message);
    assert_int_equal(st_count(file), 3);
    for (size_t i = 0; i < 3; i++) {
        const st_tensor *tensor = st_at(file, i);
        assert_string_equal(tensor->name, tensors[i].name);
        assert_ptr_equal(st_find(file, tensors[i].name), tensor);
        assert_int_equal(tensor->type, tensors[i].type);
        assert_memory_equal(tensor->shape, tensors[i].shape, sizeof tensor->shape);
        assert_memory_equal(tensor->data, tensors[i].data, tensor->count * dtype_size(tensor->type));
    }
    assert_string_equal(st_metadata(file, "config"), metadata[1].value);
    st_close(file);

    const st_tensor twice[] = {tensors[0], tensors[0]};
    assert_int_equal(st_write(path, twice, 2, NULL, 0, &error), VOCODE_ARGUMENT);
    assert_non_null(strstr(error.message, "comes twice"));
    st_tensor odd = tensors[0];
    odd.count = 5;
    assert_int_equal(st_write(path, &odd, 1, NULL, 0, &error), VOCODE_ARGUMENT);
    odd = tensors[0];
    odd.name = "\xff";
    assert_int_equal(st_write(path, &odd, 1, NULL, 0, &error), VOCODE_ARGUMENT);
    assert_non_null(strstr(error.message, "UTF-8"));
    free(second);
    assert_int_equal(bytes_read(path, SIZE_MAX / 2, &second, &second_size, NULL), VOCODE_OK); /* still the good one */
    assert_int_equal(first_size, second_size);
    free(first);
    free(second);
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
}

/* Every shorter beginning of a good file is refused. */
static void every_truncation_is_refused(void **state) {
    (void)state;
    unsigned char *bytes;
    size_t size;
    assert_int_equal(bytes_read(TEST_DATA "/safetensors/reference.safetensors", SIZE_MAX / 2, &bytes, &size, NULL),
                     VOCODE_OK);
    for (size_t kept = 0; kept < size; kept++) {
        st_file *file;
        unsigned char *copy = malloc(kept ? kept : 1); /* so that reading past it is seen by a sanitizer */
        assert_non_null(copy);
        memcpy(copy, bytes, kept);
        assert_int_equal(st_parse(copy, kept, "m", &file, NULL), VOCODE_FORMAT);
        free(copy);
    }
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_the_reference), cmocka_unit_test(refuses_with_its_own_sentence),
        cmocka_unit_test(believes_no_length),  cmocka_unit_test(unaligned_data_reads),
        cmocka_unit_test(written_comes_back),  cmocka_unit_test(every_truncation_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
