/* Synthesis options of callers that were compiled with another version of the header, older and newer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <vocode/vocode.h>

#include "vocoder/options.h"
#include "vocoder/tiny_models.h"

/* What a later version may look like. */
typedef struct newer {
    vocode_synthesis known;
    double added;
} newer;

static void zero_is_the_first_version(void **state) {
    (void)state;
    vocode_synthesis out;
    vocode_error error = {0};
    memset(&out, 0xff, sizeof out);
    assert_int_equal(options_read(NULL, &out, &error), VOCODE_OK);
    assert_memory_equal(&out, &(vocode_synthesis){0}, sizeof out);
    assert_int_equal(options_read(&(vocode_synthesis){.seed = 7, .context = &out}, &out, &error), VOCODE_OK);
    assert_int_equal(out.seed, 7);
    assert_ptr_equal(out.context, &out);
    assert_int_equal(options_read(&(vocode_synthesis){.size = sizeof out, .seed = 8}, &out, &error), VOCODE_OK);
    assert_int_equal(out.seed, 8);
}

/* Bytes behind what the caller says it has are not looked at, those in front of its end are. */
static void newer_fields_must_be_zero(void **state) {
    (void)state;
    newer options = {.known = {.seed = 9}, .added = 3};
    vocode_synthesis out;
    vocode_error error = {0};
    assert_int_equal(options_read(&options.known, &out, &error), VOCODE_OK);
    options.known.size = sizeof options;
    assert_int_equal(options_read(&options.known, &out, &error), VOCODE_UNSUPPORTED);
    assert_non_null(strstr(error.message, vocode_version()));
    options.added = 0;
    assert_int_equal(options_read(&options.known, &out, &error), VOCODE_OK);
    assert_int_equal(out.seed, 9);
}

static void other_sizes_are_refused(void **state) {
    (void)state;
    float mel[3] = {-4, -4, -4}, audio[64];
    vocode_model *model = tiny_model(tiny_configs[0], 3);
    vocode_synthesis options = {.size = 8};
    vocode_stream *stream;
    vocode_error error = {0};
    assert_int_equal(vocode_synthesize(model, mel, 1, 3, &options, audio, &error), VOCODE_ARGUMENT);
    assert_non_null(strstr(error.message, "found 8"));
    assert_int_equal(vocode_stream_open(model, &options, &stream, &error), VOCODE_ARGUMENT);
    assert_null(stream);
    options.size = sizeof options;
    assert_int_equal(vocode_synthesize(model, mel, 1, 3, &options, audio, &error), VOCODE_OK);
    vocode_model_free(model);
}

/* What a failed call was to open is NULL, so that freeing it is fine. */
static void failures_leave_null(void **state) {
    (void)state;
    vocode_model *tiny = tiny_model(tiny_configs[0], 3), *model = tiny;
    vocode_stream *stream = (vocode_stream *)tiny;
    vocode_mel *mel = (vocode_mel *)tiny;
    const float noise = 0;
    assert_int_equal(vocode_model_open(TEST_DATA "/nowhere", &model, NULL), VOCODE_IO);
    assert_null(model);
    assert_int_equal(vocode_stream_open(tiny, &(vocode_synthesis){.noise = &noise}, &stream, NULL), VOCODE_ARGUMENT);
    assert_null(stream);
    assert_int_equal(vocode_mel_open("nonsense", &mel, NULL), VOCODE_VALUE);
    assert_null(mel);
    mel = (vocode_mel *)tiny;
    assert_int_equal(vocode_mel_for_model(tiny, &mel, NULL), VOCODE_UNSUPPORTED);
    assert_null(mel);
    vocode_model_free(tiny);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_is_the_first_version),
        cmocka_unit_test(newer_fields_must_be_zero),
        cmocka_unit_test(other_sizes_are_refused),
        cmocka_unit_test(failures_leave_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
