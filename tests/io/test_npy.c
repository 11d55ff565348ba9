/* .npy reading against files that NumPy wrote and against bytes built here from the format's description; writing
 * against NumPy's own bytes. */
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
#include "io/npy.h"

#define MOST_BYTES 8192

/* Builds a file in bytes: magic, version, length, dict text, data. Returns its size. */
static size_t build(unsigned char *bytes, int version, const char *dict, const void *data, size_t data_size) {
    size_t length = strlen(dict), prefix = version == 1 ? 10 : 12;
    memcpy(bytes, "\x93NUMPY", 6);
    bytes[6] = (unsigned char)version;
    bytes[7] = 0;
    for (size_t i = 0; i < prefix - 8; i++) bytes[8 + i] = (unsigned char)(length >> (8 * i));
    memcpy(bytes + prefix, dict, length);
    if (data_size) memcpy(bytes + prefix + length, data, data_size);
    return prefix + length + data_size;
}

static vocode_status parse(const char *dict, size_t data_size, vocode_error *error, npy_array *array) {
    unsigned char bytes[MOST_BYTES], data[256] = {0};
    return npy_parse(bytes, build(bytes, 1, dict, data, data_size), "made.npy", array, error);
}

/* What NumPy wrote (tests/data/make_io_data.py): element i in C order is known. */
static void reads_what_numpy_wrote(void **state) {
    (void)state;
    static const struct {
        const char *name;
        int base, modulus;
    } files[] = {
        {"f2_little_c", -5, 0}, {"f2_big_fortran", -5, 0},    {"f4_big_c", -5, 0}, {"f4_little_fortran", -5, 0},
        {"f8_little_c", -5, 0}, {"f8_big_fortran", -5, 0},    {"i1_c", -5, 0},     {"i2_big_fortran", -5, 0},
        {"i4_little_c", -5, 0}, {"i8_little_fortran", -5, 0}, {"u1_c", 0, 0},      {"u2_big_c", 0, 0},
        {"u4_little_c", 0, 0},  {"u8_big_c", 0, 0},           {"bool_c", 0, 2},    {"version2", -5, 0},
        {"version3", -5, 0}};
    for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
        char path[512];
        npy_array array;
        vocode_error error = {0};
        snprintf(path, sizeof path, TEST_DATA "/npy/%s.npy", files[f].name);
        if (npy_read(path, &array, &error) != VOCODE_OK) fail_msg("%s", error.message);
        assert_int_equal(array.rank, 3);
        assert_memory_equal(array.shape, ((size_t[]){2, 3, 4}), 3 * sizeof(size_t));
        assert_int_equal(array.count, 24);
        for (int i = 0; i < 24; i++) {
            int expected = files[f].modulus ? i % files[f].modulus : i + files[f].base;
            if (array.data[i] != (float)expected) fail_msg("%s[%d] is %g", files[f].name, i, (double)array.data[i]);
        }
        npy_free(&array);
        assert_null(array.data);
    }
}

/* A small whole number as the bytes of a dtype, low byte first. */
static void encode(const char *type, int value, unsigned char *out) {
    size_t width = (size_t)(type[1] - '0');
    uint64_t bits = (uint64_t)(int64_t)value;
    double wide = value;
    float single = (float)value;
    if (strcmp(type, "f8") == 0) memcpy(&bits, &wide, 8);
    if (strcmp(type, "f4") == 0) memcpy(&bits, &single, 4);
    if (strcmp(type, "f2") == 0) { /* 1 sign, 5 exponent, 10 fraction bits; exact below 2048 */
        unsigned magnitude = (unsigned)abs(value), exponent = 0;
        while (magnitude >> (exponent + 1)) exponent++;
        bits = magnitude == 0 ? 0 : (exponent + 15) << 10 | ((magnitude << (10 - exponent)) & 1023);
        if (value < 0) bits |= 0x8000;
    }
    for (size_t i = 0; i < width; i++) out[i] = (unsigned char)(bits >> (8 * i));
}

/* Every dtype x byte order x memory order x rank, the bytes laid out here by the definition of strides. */
static void every_type_order_and_rank(void **state) {
    (void)state;
    static const char *const types[] = {"f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"};
    static const char orders[] = "<>=|";
    const size_t sizes[] = {3, 1, 2, 2, 1, 2, 1, 3};
    for (size_t type = 0; type < 12; type++)
        for (size_t order = 0; order < 4; order++)
            for (int fortran = 0; fortran < 2; fortran++)
                for (int rank = 0; rank <= 8; rank++) {
                    unsigned char bytes[MOST_BYTES], data[1024];
                    char dict[256], shape[64] = "";
                    size_t count = 1, width = (size_t)(types[type][1] - '0');
                    for (int a = 0; a < rank; a++) {
                        count *= sizes[a];
                        snprintf(shape + strlen(shape), sizeof shape - strlen(shape), "%zu,", sizes[a]);
                    }
                    for (size_t i = 0; i < count; i++) {
                        unsigned char element[8];
                        size_t rest = i, place = 0, stride = 1, index[8];
                        for (int a = rank - 1; a >= 0; a--, rest /= sizes[a + 1]) index[a] = rest % sizes[a];
                        for (int a = 0; a < rank; a++, stride *= sizes[a - 1]) place += index[a] * stride;
                        int value = types[type][0] == 'b' ? (int)i % 2 : (int)i + (types[type][0] == 'u' ? 0 : -40);
                        encode(types[type], value, element);
                        for (size_t b = 0; b < width; b++)
                            data[(fortran ? place : i) * width + b] = element[orders[order] == '>' ? width - 1 - b : b];
                    }
                    snprintf(dict, sizeof dict, "{'descr': '%c%s', 'fortran_order': %s, 'shape': (%s), }\n",
                             orders[order], types[type], fortran ? "True" : "False", shape);
                    npy_array array;
                    vocode_error error = {0};
                    size_t size = build(bytes, 1 + rank % 3, dict, data, count * width);
                    if (npy_parse(bytes, size, "made", &array, &error) != VOCODE_OK) fail_msg("%s", error.message);
                    assert_int_equal(array.rank, rank);
                    assert_int_equal(array.count, count);
                    for (size_t i = 0; i < count; i++) {
                        int value = types[type][0] == 'b' ? (int)i % 2 : (int)i + (types[type][0] == 'u' ? 0 : -40);
                        if (array.data[i] != (float)value)
                            fail_msg("%s rank %d element %zu: %g, not %d", dict, rank, i, (double)array.data[i], value);
                    }
                    npy_free(&array);
                }
}

static void header_spellings(void **state) {
    (void)state;
    static const char *const dicts[] = {
        "{\"shape\":(3,),\"descr\":\"<f4\",\"fortran_order\":False}",
        "  { 'fortran_order' : True , 'shape' : ( 3 , ) , 'descr' : 'f4' } \n\n",
        "{'shape': (3L, 1L), 'fortran_order': False, 'descr': '=f4',}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 1,)}",
    };
    for (size_t i = 0; i < sizeof dicts / sizeof *dicts; i++) {
        npy_array array;
        vocode_error error = {0};
        if (parse(dicts[i], 12, &error, &array) != VOCODE_OK) fail_msg("%s: %s", dicts[i], error.message);
        assert_int_equal(array.count, 3);
        npy_free(&array);
    }
    npy_array array;
    assert_int_equal(parse("{'descr': '<f4', 'fortran_order': False, 'shape': (80, 0)}", 0, NULL, &array), VOCODE_OK);
    assert_int_equal(array.count, 0);
    assert_int_equal(array.shape[0], 80);
    assert_non_null(array.data);
    npy_free(&array);
}

static void refuses_malformed_headers(void **state) {
    (void)state;
    static const struct {
        const char *dict;
        size_t data;
        vocode_status status;
        const char *says;
    } cases[] = {
        {"", 0, VOCODE_FORMAT, "found its end"},
        {"{'descr': '<f4', 'fortran_order': False}", 0, VOCODE_FORMAT, "'shape' is missing"},
        {"{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': ()}", 4, VOCODE_FORMAT, "comes twice"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (), 'x': 1}", 4, VOCODE_FORMAT, "unknown key 'x'"},
        {"{'descr': '<f4', 'fortran_order': 0, 'shape': ()}", 4, VOCODE_FORMAT, "True or False"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1 2)}", 8, VOCODE_FORMAT, "a comma"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", 4, VOCODE_FORMAT, "whole number"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2)}", 8, VOCODE_FORMAT, "a comma"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x", 4, VOCODE_FORMAT, "nothing after"},
        {"{'descr': '<f4, 'fortran_order': False, 'shape': ()}", 4, VOCODE_UNSUPPORTED, "dtype '<f4, '"},
        {"{'descr': '<f4", 4, VOCODE_FORMAT, "closing quote"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}", 4, VOCODE_FORMAT, "64 bits"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296)}", 4, VOCODE_FORMAT, "memory"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (4611686018427387904,)}", 4, VOCODE_FORMAT, "truncated"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", 4, VOCODE_UNSUPPORTED, "dimensions"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", 11, VOCODE_FORMAT, "truncated: 3 elements of 4"},
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}", 13, VOCODE_FORMAT, "1 bytes follow"},
        {"{'descr': '<q4', 'fortran_order': False, 'shape': (3,)}", 12, VOCODE_UNSUPPORTED, "dtype '<q4'"},
        {"{'descr': '|V2', 'fortran_order': False, 'shape': (3,)}", 6, VOCODE_UNSUPPORTED, "bfloat16"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        npy_array array;
        vocode_error error = {0};
        assert_int_equal(parse(cases[i].dict, cases[i].data, &error, &array), cases[i].status);
        if (!strstr(error.message, cases[i].says)) fail_msg("%s: %s", cases[i].dict, error.message);
        assert_non_null(strstr(error.message, "made.npy"));
        assert_null(array.data);
    }
}

static void refuses_other_dtypes_by_name(void **state) {
    (void)state;
    static const struct {
        const char *name, *says;
    } files[] = {{"object", "Python objects"}, {"string", "strings"}, {"bytes", "strings"},    {"complex", "complex"},
                 {"record", "records"},        {"date", "dates"},     {"longdouble", "'<f16'"}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[512];
        npy_array array;
        vocode_error error = {0};
        snprintf(path, sizeof path, TEST_DATA "/npy/refused_%s.npy", files[i].name);
        assert_int_equal(npy_read(path, &array, &error), VOCODE_UNSUPPORTED);
        if (!strstr(error.message, files[i].says)) fail_msg("%s", error.message);
    }
}

static void says_what_is_not_npy(void **state) {
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
        const char *says;
    } cases[] = {{"", 0, "empty"},
                 {"PK\x03\x04....", 8, ".npz"},
                 {"RIFF\x10\0\0\0WAVE", 12, "a WAV file"},
                 {"\x80\x02\x8a\nl\xfc\x9c\x46\xf9 j\xa8P", 13, "PyTorch checkpoint in the legacy"},
                 {"0.1 0.2 0.3\n", 12, "it is text"},
                 {"{\"mel\": []}", 11, "JSON"},
                 {"\x10\0\0\0\0\0\0\0{\"a\"", 12, "safetensors"},
                 {"\x93NUMPZ\0\0\0\0", 10, "unknown data"},
                 {"\x93NUMPY\x01", 7, "truncated"},
                 {"\x93NUMPY\x01\x00\xff\xff", 10, "needs 65545 bytes, the file has 10"},
                 {"\x93NUMPY\x04\x00\x01\x00\x00\x00 ", 13, "version 4.0"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        npy_array array;
        vocode_error error = {0};
        assert_int_not_equal(npy_parse(cases[i].bytes, cases[i].size, "mel.npy", &array, &error), VOCODE_OK);
        if (!strstr(error.message, cases[i].says)) fail_msg("case %zu: %s", i, error.message);
    }
    npy_array array;
    vocode_error error = {0};
    assert_int_equal(npy_read("/nonexistent/a.npy", &array, &error), VOCODE_IO);
    assert_non_null(strstr(error.message, "/nonexistent/a.npy"));
    assert_int_equal(npy_read("/tmp", &array, &error), VOCODE_IO);
    assert_non_null(strstr(error.message, "folder"));
}

/* Rewriting a file that NumPy wrote gives the very same bytes. */
static void writes_numpy_bytes(void **state) {
    (void)state;
    static const char *const paths[] = {TEST_DATA "/npy/scalar.npy", SHARED_DATA "/golden/frameflow_tiny/nll.npy",
                                        SHARED_DATA "/golden/frameflow_tiny/z.npy",
                                        SHARED_DATA "/golden/frameflow_tiny/grad/coupling.0.enter.bias.npy",
                                        SHARED_DATA "/golden/mel/kathleen.hifigan.npy"};
    char folder[] = "/tmp/vocode-npy-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/out.npy", folder);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        npy_array array;
        vocode_error error = {0};
        unsigned char *original, *written;
        size_t original_size, written_size;
        if (access(paths[i], R_OK) != 0) continue; /* a checkout without the shared folder */
        if (npy_read(paths[i], &array, &error) != VOCODE_OK) fail_msg("%s", error.message);
        if (npy_write(path, array.data, array.rank, array.shape, &error) != VOCODE_OK) fail_msg("%s", error.message);
        npy_free(&array);
        assert_int_equal(bytes_read(paths[i], SIZE_MAX / 2, &original, &original_size, NULL), VOCODE_OK);
        assert_int_equal(bytes_read(path, SIZE_MAX / 2, &written, &written_size, NULL), VOCODE_OK);
        assert_int_equal(written_size, original_size);
        assert_memory_equal(written, original, original_size);
        free(original);
        free(written);
    }
    assert_int_equal(npy_write(path, NULL, 9, (const size_t[9]){0}, NULL), VOCODE_ARGUMENT);
    assert_int_equal(npy_write(path, NULL, 2, (const size_t[]){SIZE_MAX, 2}, NULL), VOCODE_ARGUMENT);
    unlink(path);
    assert_int_equal(rmdir(folder), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_numpy_wrote),
        cmocka_unit_test(every_type_order_and_rank),
        cmocka_unit_test(header_spellings),
        cmocka_unit_test(refuses_malformed_headers),
        cmocka_unit_test(refuses_other_dtypes_by_name),
        cmocka_unit_test(says_what_is_not_npy),
        cmocka_unit_test(writes_numpy_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
