/* Status texts, error filling, element types, arena and the counter-based generator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/arena.h"
#include "core/dtype.h"
#include "core/fail.h"
#include "core/rng.h"

static void error_names_its_place(void **state) {
    (void)state;
    vocode_error error = {0};
    assert_int_equal(failed(&error, VOCODE_SHAPE, "expected %d bands, found %d", 80, 100), VOCODE_SHAPE);
    assert_int_equal(failed_in(&error, VOCODE_SHAPE, "a.npy"), VOCODE_SHAPE);
    assert_string_equal(error.message, "a.npy: expected 80 bands, found 100");
    assert_int_equal(failed(NULL, VOCODE_IO, "nobody listens"), VOCODE_IO);
    assert_string_equal(vocode_status_text(VOCODE_FORMAT), "malformed file");
}

static void half_and_bfloat_convert(void **state) {
    (void)state;
    const uint16_t half[] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x7c00, 0x0400};
    const double expected[] = {1.0, -2.0, 0x1p-24, 65504.0, (double)INFINITY, 0x1p-14};
    for (size_t i = 0; i < 6; i++) assert_true(dtype_load(DTYPE_F16, &half[i], 0) == expected[i]);
    const uint16_t brain = 0x4049; /* 3.140625 */
    assert_true(dtype_load(DTYPE_BF16, &brain, 0) == 3.140625);
    const unsigned char big_endian[] = {0x40, 0x49, 0x0f, 0xdb};
    float value;
    dtype_to_float(DTYPE_F32, big_endian, 1, &value, 1);
    assert_true(value == 3.14159274f);
    const unsigned char minus_two[] = {0xfe, 0xff};
    assert_true(dtype_load(DTYPE_I16, minus_two, 0) == -2.0);
    assert_int_equal(dtype_from_name("BF16", 4), DTYPE_BF16);
    assert_int_equal(dtype_from_name("BF1", 3), DTYPE_COUNT);
}

static void arena_measures_what_it_gives(void **state) {
    (void)state;
    arena measure = arena_over(NULL, 0);
    assert_null(arena_take(&measure, 3, 4));
    size_t mark = measure.used;
    assert_null(arena_take(&measure, 100, 1));
    arena_release(&measure, mark);
    assert_null(arena_take(&measure, 1, 1));
    assert_int_equal(measure.peak, 64 + 128);
    void *memory = aligned_new(measure.peak, 1);
    arena run = arena_over(memory, measure.peak);
    assert_non_null(arena_take(&run, 3, 4));
    assert_non_null(arena_take(&run, 100, 1));
    assert_null(arena_take(&run, 1, 1));
    assert_null(arena_take(&run, SIZE_MAX, 8));
    aligned_free(memory);
}

/* Small ones, those that malloc maps and those of large pages; used again after something else was there. */
static void memory_is_aligned_and_zeroed(void **state) {
    (void)state;
    const size_t sizes[] = {0, 1, 64, 100, 1 << 18, 5 << 20};
    for (int round = 0; round < 2; round++)
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            unsigned char *memory = aligned_new(sizes[i], 1);
            assert_non_null(memory);
            assert_int_equal((uintptr_t)memory % ARENA_ALIGNMENT, 0);
            for (size_t k = 0; k < sizes[i]; k++) assert_true(memory[k] == 0);
            memset(memory, 0xff, sizes[i]);
            aligned_free(memory);
        }
    aligned_free(NULL);
    assert_null(aligned_new(SIZE_MAX / 2, 4));
}

/* The published known answers of Philox4x32-10 (Random123, kat_vectors). */
static void philox_known_answers(void **state) {
    (void)state;
    uint32_t out[4];
    philox((const uint32_t[4]){0}, (const uint32_t[2]){0}, out);
    assert_memory_equal(out, ((const uint32_t[]){0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}), 16);
    philox((const uint32_t[4]){0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
           (const uint32_t[2]){0xa4093822, 0x299f31d0}, out);
    assert_memory_equal(out, ((const uint32_t[]){0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}), 16);
}

static void normal_has_its_moments(void **state) {
    (void)state;
    const size_t count = 200000;
    double moment[5] = {0};
    for (size_t i = 0; i < count; i++) {
        double x = rng_normal(7, i % 8, i / 8), power = 1;
        for (int k = 0; k < 5; k++, power *= x) moment[k] += power / (double)count;
    }
    assert_true(fabs(moment[1]) < 0.01);
    assert_true(fabs(moment[2] - 1) < 0.02);
    assert_true(fabs(moment[3]) < 0.05);
    assert_true(fabs(moment[4] - 3) < 0.1);
}

static void noise_is_a_function_of_position(void **state) {
    (void)state;
    real whole[12 * 3], part[5 * 3];
    rng_fill_normal(whole, 12, 3, 42, 100, 0.5);
    rng_fill_normal(part, 5, 3, 42, 104, 0.5);
    assert_memory_equal(part, whole + 4 * 3, sizeof part);
    rng_fill_normal(part, 5, 3, 43, 104, 0.5);
    assert_memory_not_equal(part, whole + 4 * 3, sizeof part);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_names_its_place),        cmocka_unit_test(half_and_bfloat_convert),
        cmocka_unit_test(arena_measures_what_it_gives), cmocka_unit_test(philox_known_answers),
        cmocka_unit_test(normal_has_its_moments),       cmocka_unit_test(noise_is_a_function_of_position),
        cmocka_unit_test(memory_is_aligned_and_zeroed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
