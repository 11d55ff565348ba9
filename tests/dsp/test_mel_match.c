/* Mel-consistency passes and phase refinement. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "core/rng.h"
#include "dsp/golden.h"
#include "dsp/mel_refine.h"

static double worst_of(const float *expected, const float *found, size_t n) {
    double worst = 0, largest = 0;
    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs((double)expected[i] - (double)found[i]));
        largest = fmax(largest, fabs((double)expected[i]));
    }
    return worst / largest;
}

static void shared_goldens(void **state) {
    (void)state;
    const char *folder = SHARED_DATA "/golden/frameflow_seed";
    if (!have(folder)) skip();
    char path[512];
    snprintf(path, sizeof path, "%s/mel.npy", folder);
    matrix mel = load_time_major(path);
    npy_array signal = {0}, matched = {0}, refined = {0};
    vocode_error error = {0};
    snprintf(path, sizeof path, "%s/infer_audio.npy", folder);
    assert_int_equal(npy_read(path, &signal, &error), VOCODE_OK);
    snprintf(path, sizeof path, "%s/infer_audio_mel_match_2.npy", folder);
    assert_int_equal(npy_read(path, &matched, &error), VOCODE_OK);
    snprintf(path, sizeof path, "%s/infer_audio_mel_match_2_refine_8.npy", folder);
    assert_int_equal(npy_read(path, &refined, &error), VOCODE_OK);
    mel_matcher *matcher;
    assert_int_equal(mel_matcher_new(mel_preset_find("tacotron2"), &matcher, &error), VOCODE_OK);
    assert_int_equal(signal.count, mel.rows * 256);
    assert_int_equal(mel_match(matcher, signal.data, mel.data, mel.rows, 2, &error), VOCODE_OK);
    double match_error = worst_of(matched.data, signal.data, signal.count);
    assert_int_equal(mel_refine(matcher, signal.data, mel.data, mel.rows, 8, &error), VOCODE_OK);
    double refine_error = worst_of(refined.data, signal.data, signal.count);
    print_message("mel_match %.2g, refine %.2g of the largest value\n", match_error, refine_error);
    assert_true(match_error < 1e-5);
    assert_true(refine_error < 1e-4);
    mel_matcher_free(matcher);
    free(mel.data);
    npy_free(&signal);
    npy_free(&matched);
    npy_free(&refined);
}

/* Mean |ln| difference between the mel of audio and the wanted one, over values that are not silence. */
static double mel_distance(const mel_convention *c, const float *samples, size_t n, const float *wanted,
                           size_t frames) {
    mel_frontend *frontend;
    assert_int_equal(mel_frontend_new(c, &frontend, NULL), VOCODE_OK);
    float *mel = malloc(mel_frames(c, n) * c->n_mels * sizeof *mel);
    assert_int_equal(mel_compute(frontend, samples, n, mel, NULL), VOCODE_OK);
    double sum = 0;
    for (size_t i = 0; i < frames * c->n_mels; i++)
        sum +=
            fabs(log(fmax(mel_linear_of(c, (double)mel[i]), 1e-6) / fmax(mel_linear_of(c, (double)wanted[i]), 1e-6)));
    free(mel);
    mel_frontend_free(frontend);
    return sum / (double)(frames * c->n_mels);
}

/* Noise with the wanted mel of a voice: passes bring it nearer, refinement nearer still, in every unit of value. */
static void nearer_in_every_convention(void **state) {
    (void)state;
    const char *const presets[] = {"tacotron2", "hifigan", "coqui", "parallelwavegan", "librosa", "vocos"};
    audio clip = load_audio(TEST_DATA "/dsp/clip.wav");
    assert_non_null(clip.samples);
    for (size_t i = 0; i < sizeof presets / sizeof *presets; i++) {
        const mel_convention *c = mel_preset_find(presets[i]);
        size_t frames = clip.frames / c->hop, n = frames * c->hop;
        mel_frontend *frontend;
        mel_matcher *matcher;
        assert_int_equal(mel_frontend_new(c, &frontend, NULL), VOCODE_OK);
        assert_int_equal(mel_matcher_new(c, &matcher, NULL), VOCODE_OK);
        float *mel = malloc(mel_frames(c, clip.frames) * c->n_mels * sizeof *mel);
        assert_int_equal(mel_compute(frontend, clip.samples, clip.frames, mel, NULL), VOCODE_OK);
        float *noise = malloc(n * sizeof *noise);
        rng_fill_normal(noise, n, 1, 11, 0, 0.02);
        double before = mel_distance(c, noise, n, mel, frames);
        assert_int_equal(mel_match(matcher, noise, mel, frames, 2, NULL), VOCODE_OK);
        double two = mel_distance(c, noise, n, mel, frames);
        assert_int_equal(mel_match(matcher, noise, mel, frames, 4, NULL), VOCODE_OK);
        double six = mel_distance(c, noise, n, mel, frames);
        assert_int_equal(mel_refine(matcher, noise, mel, frames, 16, NULL), VOCODE_OK);
        double refined = mel_distance(c, noise, n, mel, frames);
        print_message("%s: %.3f, 2 passes %.3f, 6 passes %.3f, refined %.3f\n", presets[i], before, two, six, refined);
        assert_true(two < 0.6 * before);
        assert_true(six < two);
        assert_true(refined < 1.2 * six);
        free(noise);
        free(mel);
        mel_frontend_free(frontend);
        mel_matcher_free(matcher);
    }
    audio_free(&clip);
}

/* Few frames work; audio that has its mel already is hardly changed; nothing asked, nothing changed. */
static void few_frames(void **state) {
    (void)state;
    const mel_convention *c = mel_preset_find("tacotron2");
    mel_matcher *matcher;
    mel_frontend *frontend;
    assert_int_equal(mel_matcher_new(c, &matcher, NULL), VOCODE_OK);
    assert_int_equal(mel_frontend_new(c, &frontend, NULL), VOCODE_OK);
    for (size_t frames = 1; frames <= 3; frames++) {
        float noise[3 * 256], own[4 * 80], kept[3 * 256];
        rng_fill_normal(noise, frames * 256, 1, 4, 0, 0.1);
        memcpy(kept, noise, sizeof kept);
        assert_int_equal(mel_compute(frontend, noise, frames * 256, own, NULL), VOCODE_OK);
        assert_int_equal(mel_match(matcher, noise, own, frames, 0, NULL), VOCODE_OK);
        assert_int_equal(mel_refine(matcher, noise, own, frames, 0, NULL), VOCODE_OK);
        assert_memory_equal(noise, kept, frames * 256 * sizeof *noise);
        assert_int_equal(mel_match(matcher, noise, own, frames, 1, NULL), VOCODE_OK);
        /* the frame that counts as zero fades the last half window; before it one frame covers a sample fully enough */
        for (size_t i = 0; i < frames * 256 - 256; i++) assert_true(fabs((double)(noise[i] - kept[i])) < 0.1);
        for (size_t i = 0; i < frames * 256; i++) assert_true(isfinite(noise[i]));
        assert_int_equal(mel_refine(matcher, noise, own, frames, 4, NULL), VOCODE_OK);
        for (size_t i = 0; i < frames * 256; i++) assert_true(isfinite(noise[i]) && fabsf(noise[i]) < 1);
    }
    float silence[512] = {0}, quiet[2 * 80];
    for (size_t i = 0; i < 160; i++) quiet[i] = (float)log(1e-5);
    assert_int_equal(mel_match(matcher, silence, quiet, 2, 3, NULL), VOCODE_OK);
    for (size_t i = 0; i < 512; i++) assert_true(silence[i] == 0);
    vocode_error error = {0};
    assert_int_equal(mel_match(matcher, silence, quiet, SIZE_MAX / 8, 1, &error), VOCODE_MEMORY);
    assert_int_equal(mel_refine(matcher, silence, quiet, SIZE_MAX / 2048, 1, &error), VOCODE_MEMORY);
    mel_matcher_free(matcher);
    mel_frontend_free(frontend);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_goldens),
        cmocka_unit_test(nearer_in_every_convention),
        cmocka_unit_test(few_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
