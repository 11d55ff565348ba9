/* Presets, their JSON, and the front end against files computed by numpy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "dsp/golden.h"
#include "dsp/mel.h"

/* Largest difference that counts: absolute for logarithms, of the largest value for linear mels. */
static double mel_error(const mel_convention *c, const matrix *expected, const float *found) {
    double worst = 0, largest = 0;
    for (size_t i = 0; i < expected->rows * expected->columns; i++) {
        worst = fmax(worst, fabs((double)expected->data[i] - (double)found[i]));
        largest = fmax(largest, fabs((double)expected->data[i]));
    }
    return c->log == MEL_LOG_NONE ? worst / largest : worst;
}

static void compare(const float *samples, size_t n, const char *preset, const char *golden) {
    const mel_convention *c = mel_preset_find(preset);
    mel_frontend *frontend;
    vocode_error error = {0};
    assert_non_null(c);
    assert_int_equal(mel_frontend_new(c, &frontend, &error), VOCODE_OK);
    matrix expected = load_time_major(golden);
    assert_non_null(expected.data);
    assert_int_equal(mel_frames(c, n), expected.rows);
    assert_int_equal(c->n_mels, expected.columns);
    float *found = malloc(expected.rows * expected.columns * sizeof *found);
    assert_int_equal(mel_compute(frontend, samples, n, found, &error), VOCODE_OK);
    double worst = mel_error(c, &expected, found);
    if (worst > 2e-5) print_error("%s: %g\n", golden, worst);
    assert_true(worst <= 2e-5);
    free(found);
    free(expected.data);
    mel_frontend_free(frontend);
}

static const char *const references[] = {"tacotron2",  "hifigan",    "coqui",      "parallelwavegan", "vocos",
                                         "bigvgan24k", "bigvgan44k", "torchaudio", "librosa"};

static void small_goldens(void **state) {
    (void)state;
    audio clip = load_audio(TEST_DATA "/dsp/clip.wav");
    assert_non_null(clip.samples);
    for (size_t i = 0; i < sizeof references / sizeof *references; i++) {
        char path[512];
        snprintf(path, sizeof path, TEST_DATA "/dsp/clip.%s.npy", references[i]);
        compare(clip.samples, clip.frames, references[i], path);
    }
    compare(clip.samples + 1000, 300, "tacotron2", TEST_DATA "/dsp/short.tacotron2.npy");
    compare(clip.samples + 1000, 300, "librosa", TEST_DATA "/dsp/short.librosa.npy");
    audio_free(&clip);
}

static void shared_goldens(void **state) {
    (void)state;
    if (!have(SHARED_DATA "/golden/mel")) skip();
    const char *const speakers[] = {"kathleen", "kerstin"};
    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < sizeof references / sizeof *references; i++) {
            char path[512];
            snprintf(path, sizeof path, SHARED_DATA "/golden/mel/%s.%zu.wav", speakers[s],
                     mel_preset_find(references[i])->sample_rate);
            audio clip = load_audio(path);
            assert_non_null(clip.samples);
            snprintf(path, sizeof path, SHARED_DATA "/golden/mel/%s.%s.npy", speakers[s], references[i]);
            compare(clip.samples, clip.frames, references[i], path);
            audio_free(&clip);
        }
}

static void bad_audio_is_refused(void **state) {
    (void)state;
    mel_frontend *frontend;
    vocode_error error = {0};
    float out[2 * 80], samples[1000] = {0};
    assert_int_equal(mel_frontend_new(mel_preset_find("hifigan"), &frontend, &error), VOCODE_OK);
    assert_int_equal(mel_compute(frontend, samples, 255, out, &error), VOCODE_VALUE);
    assert_non_null(strstr(error.message, "255"));
    assert_non_null(strstr(error.message, "256"));
    assert_int_equal(mel_compute(frontend, samples, 0, out, &error), VOCODE_VALUE);
    samples[300] = NAN;
    assert_int_equal(mel_compute(frontend, samples, 511, out, &error), VOCODE_VALUE);
    assert_non_null(strstr(error.message, "sample 300"));
    mel_frontend_free(frontend);
    assert_int_equal(mel_frontend_new(mel_preset_find("tacotron2"), &frontend, &error), VOCODE_OK);
    assert_int_equal(mel_compute(frontend, samples, 1, out, &error), VOCODE_OK); /* one sample repeats */
    for (size_t i = 0; i < 80; i++) assert_true(out[i] == (float)log(1e-5));
    mel_frontend_free(frontend);
    mel_convention c = *mel_preset_find("tacotron2");
    c.fmax = 12000;
    assert_int_equal(mel_frontend_new(&c, &frontend, &error), VOCODE_VALUE);
    assert_non_null(strstr(error.message, "11025"));
    assert_null(frontend);
}

static void json_round_trip(void **state) {
    (void)state;
    size_t count;
    const mel_preset *presets = mel_preset_list(&count);
    assert_true(count >= 15);
    for (size_t i = 0; i < count; i++) {
        json_t *object = mel_convention_to_json(&presets[i].convention);
        mel_convention back;
        vocode_error error = {0};
        assert_int_equal(mel_convention_check(&presets[i].convention, &error), VOCODE_OK);
        assert_int_equal(json_object_size(object), 17);
        assert_int_equal(mel_convention_from_json(object, &back, &error), VOCODE_OK);
        assert_true(mel_convention_equal(&back, &presets[i].convention));
        assert_string_equal(back.preset, presets[i].convention.preset);
        assert_int_equal(back.frames_first, presets[i].convention.frames_first);
        json_decref(object);
    }
}

static mel_convention parsed(const char *text, vocode_status expected, const char *names) {
    mel_convention c = {0};
    vocode_error error = {0};
    json_t *object = json_loads(text, 0, NULL);
    assert_non_null(object);
    assert_int_equal(mel_convention_from_json(object, &c, &error), expected);
    if (names && !strstr(error.message, names)) print_error("%s\n", error.message);
    if (names) assert_non_null(strstr(error.message, names));
    json_decref(object);
    return c;
}

static void json_defaults_and_errors(void **state) {
    (void)state;
    mel_convention c = parsed("{}", VOCODE_OK, NULL);
    assert_string_equal(c.preset, "tacotron2");
    c = parsed("{\"preset\": \"vocos\"}", VOCODE_OK, NULL);
    assert_int_equal(c.sample_rate, 24000);
    assert_int_equal(c.norm, MEL_NORM_NONE);
    c = parsed("{\"preset\": null, \"n_mels\": 10}", VOCODE_OK, NULL);
    assert_string_equal(c.preset, MEL_PRESET_CUSTOM);
    assert_int_equal(c.n_mels, 10);
    c = parsed("{\"preset\": \"coqui\", \"n_fft\": 2048, \"log\": null, \"affine\": null}", VOCODE_OK, NULL);
    assert_int_equal(c.win, 2048);
    assert_int_equal(c.log, MEL_LOG_NONE);
    assert_false(c.affine);
    parsed("{\"preset\": \"tacotron3\"}", VOCODE_VALUE, "tacotron3");
    parsed("{\"fmaks\": 8000}", VOCODE_VALUE, "fmaks");
    parsed("{\"fmax\": 8000.0, \"fmin\": 9000.0}", VOCODE_VALUE, "9000");
    parsed("{\"hop\": 0}", VOCODE_VALUE, "hop");
    parsed("{\"affine\": [1, 2]}", VOCODE_VALUE, "affine");
    parsed("{\"affine\": [0, 2, 0, 1]}", VOCODE_VALUE, "affine");
    parsed("{\"floor\": 0.0}", VOCODE_VALUE, "floor");
    parsed("[]", VOCODE_VALUE, "object");
    parsed("{\"preset\": 5}", VOCODE_VALUE, "preset");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_goldens),
        cmocka_unit_test(shared_goldens),
        cmocka_unit_test(bad_audio_is_refused),
        cmocka_unit_test(json_round_trip),
        cmocka_unit_test(json_defaults_and_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
