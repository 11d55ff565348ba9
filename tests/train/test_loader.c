/* Batches that come from threads are those that dataset_batch makes, in order, at any depth, stride and number of
 * threads; errors come through; closing does not wait for batches that nobody has begun. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "train/loader.h"
#include "train/material.h"

enum { HOP = 64, FRAMES = 4, BATCH = 2, MEL = BATCH * FRAMES * 16, X = BATCH * FRAMES * HOP };

static dataset *open_set(size_t cache_mb) {
    vocode_error error = {0};
    vocode_model *model = material_model("frameflow", "");
    const char *path = material_path("clips");
    dataset_options options = {
        .paths = &path, .path_count = 1, .model = model, .batch = BATCH, .segment = FRAMES * HOP, .seed = 3};
    assert_int_equal(config_read(NULL, dataset_keys, dataset_key_count, &options.settings, "data", NULL), VOCODE_OK);
    options.settings.cache_mb = cache_mb;
    options.settings.shortest = 0.01;
    options.settings.valid_share = 0;
    dataset *set;
    assert_int_equal(dataset_open(&options, NULL, &set, &error), VOCODE_OK);
    vocode_model_free(model);
    return set;
}

static void make_clips(void) {
    material_folder("clips");
    material_clip("clips/a.wav", 0.1, 1);
    material_clip("clips/b.wav", 0.2, 2);
}

static void same_as_direct(void **state) {
    (void)state;
    static const loader_options cases[] = {{0, 1, 2, 1}, {7, 1, 3, 2}, {1, 3, 2, 4}, {1000000, 2, 8, 3}};
    make_clips();
    dataset *set = open_set(64);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        loader *from;
        assert_int_equal(loader_open(set, &cases[i], &from, NULL), VOCODE_OK);
        for (uint64_t n = 0; n < 20; n++) {
            real expected_mel[MEL], expected_x[X];
            const real *mel, *x;
            assert_int_equal(loader_next(from, &mel, &x, NULL), VOCODE_OK);
            assert_int_equal(dataset_batch(set, cases[i].first + n * cases[i].stride, expected_mel, expected_x, NULL),
                             VOCODE_OK);
            assert_memory_equal(mel, expected_mel, sizeof expected_mel);
            assert_memory_equal(x, expected_x, sizeof expected_x);
        }
        assert_true(loader_waited(from) >= 0);
        loader_close(from);
    }
    dataset_close(set);
}

static void closes_at_any_time(void **state) {
    (void)state;
    make_clips();
    dataset *set = open_set(64);
    for (size_t taken = 0; taken < 4; taken++) {
        loader *from;
        const real *mel, *x;
        assert_int_equal(loader_open(set, &(loader_options){0, 1, 3, 2}, &from, NULL), VOCODE_OK);
        for (size_t i = 0; i < taken; i++) assert_int_equal(loader_next(from, &mel, &x, NULL), VOCODE_OK);
        loader_close(from);
    }
    loader_close(NULL);
    dataset_close(set);
}

static void refuses_bad_options(void **state) {
    (void)state;
    static const loader_options bad[] = {{0, 1, 1, 1}, {0, 1, 2, 0}, {0, 0, 2, 1}};
    make_clips();
    dataset *set = open_set(64);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        loader *from;
        assert_int_equal(loader_open(set, &bad[i], &from, NULL), VOCODE_ARGUMENT);
        assert_null(from);
    }
    dataset_close(set);
}

/* A file that vanishes or changes is an error that names it; when it is back, the batches are as if nothing was. */
static void vanished_files_are_named(void **state) {
    (void)state;
    make_clips();
    dataset *set = open_set(0);
    loader *from;
    const real *mel, *x;
    vocode_error error = {0};
    assert_int_equal(rename(material_path("clips/a.wav"), material_path("away.wav")), 0);
    material_clip("clips/a.wav", 0.1, 77); /* as long as it was */
    assert_int_equal(loader_open(set, &(loader_options){0, 1, 2, 1}, &from, NULL), VOCODE_OK);
    uint64_t good = 0;
    while (good < 100 && loader_next(from, &mel, &x, &error) == VOCODE_OK) good++;
    assert_true(good < 100);
    assert_int_equal(error.code, VOCODE_IO);
    assert_non_null(strstr(error.message, "clips/a.wav"));
    assert_int_equal(unlink(material_path("clips/a.wav")), 0);
    assert_int_equal(loader_next(from, &mel, &x, &error), VOCODE_IO);
    assert_int_equal(rename(material_path("away.wav"), material_path("clips/a.wav")), 0);
    for (uint64_t n = good; n < good + 10; n++) {
        real expected_mel[MEL], expected_x[X];
        assert_int_equal(loader_next(from, &mel, &x, &error), VOCODE_OK);
        assert_int_equal(dataset_batch(set, n, expected_mel, expected_x, NULL), VOCODE_OK);
        assert_memory_equal(mel, expected_mel, sizeof expected_mel);
        assert_memory_equal(x, expected_x, sizeof expected_x);
    }
    loader_close(from);
    dataset_close(set);
}

int main(void) {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, material_open, material_close)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(same_as_direct),
        IN_FOLDER(closes_at_any_time),
        IN_FOLDER(refuses_bad_options),
        IN_FOLDER(vanished_files_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
