/* Conversion between conventions, and warnings of suspicious ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <math.h>

#include "dsp/golden.h"
#include "dsp/mel_convert.h"
#include "dsp/mel_inspect.h"

static mel_convention with_unit(int unit, double floor, int affine) {
    mel_convention c = *mel_preset_find("tacotron2");
    c.log = unit;
    c.floor = floor;
    c.affine = affine;
    c.affine_scale = unit == MEL_LOG_DB20 ? 0.08 : 0.7;
    c.affine_offset = 2.4;
    c.affine_low = -20;
    c.affine_high = 40;
    return c;
}

/* Every unit to every other, against the definition of both values. */
static void every_unit_to_every_other(void **state) {
    (void)state;
    const double linear[] = {3e-7, 1e-5, 1e-4, 0.02, 0.7, 30};
    for (int from = 0; from < 7; from++) /* linear values lose their small ones to an offset: not from the eighth */
        for (int to = 0; to < 8; to++) {
            mel_convention a = with_unit(from / 2, 1e-6, from % 2), b = with_unit(to / 2, 1e-5, to % 2);
            assert_int_equal(mel_convertible(&a, &b, NULL), VOCODE_OK);
            assert_int_equal(mel_convert_delay(&a, &b), 0);
            for (size_t i = 0; i < sizeof linear / sizeof *linear; i++) {
                float value = (float)mel_value_of(&a, linear[i]);
                mel_convert(&a, &b, &value, 1);
                double expected = mel_value_of(&b, linear[i]);
                assert_true(fabs((double)value - expected) <= 3e-5 * fmax(1, fabs(expected)));
            }
        }
}

static void values_that_hold_nothing(void **state) {
    (void)state;
    mel_convention a = with_unit(MEL_LOG_NONE, 0, 0), b = with_unit(MEL_LOG_LN, 1e-5, 0);
    float values[] = {0, -1, NAN, INFINITY};
    mel_convert(&a, &b, values, 4);
    assert_true(values[0] == (float)log(1e-5) && values[1] == values[0]);
    assert_true(isnan(values[2]) && isinf(values[3]));
    float same = 0.1f;
    mel_convert(mel_preset_find("hifigan"), mel_preset_find("waveglow"), &same, 1);
    assert_true(same == 0.1f);
}

static void padding_is_a_delay(void **state) {
    (void)state;
    const mel_convention *hifigan = mel_preset_find("hifigan"), *tacotron = mel_preset_find("tacotron2");
    assert_int_equal(mel_convertible(hifigan, tacotron, NULL), VOCODE_OK);
    assert_int_equal(mel_convert_delay(hifigan, tacotron), 128);
    assert_int_equal(mel_convert_delay(tacotron, hifigan), -128);
    /* A click at sample 1024 is strongest in the frame whose middle it is: 4 when centred, between 3 and 4 otherwise.
     */
    float samples[4096] = {0}, mel[17 * 80];
    samples[1024] = 1;
    mel_frontend *frontend;
    assert_int_equal(mel_frontend_new(hifigan, &frontend, NULL), VOCODE_OK);
    assert_int_equal(mel_compute(frontend, samples, 4096, mel, NULL), VOCODE_OK);
    for (size_t m = 0; m < 80; m++) assert_true(fabsf(mel[3 * 80 + m] - mel[4 * 80 + m]) < 1e-4f);
    mel_frontend_free(frontend);
}

static void refused(const mel_convention *from, const mel_convention *to, const char *a, const char *b, const char *c) {
    vocode_error error = {0};
    assert_int_equal(mel_convertible(from, to, &error), VOCODE_CONVENTION);
    if (!strstr(error.message, a) || !strstr(error.message, b) || !strstr(error.message, c))
        print_error("%s\n", error.message);
    assert_non_null(strstr(error.message, a));
    assert_non_null(strstr(error.message, b));
    assert_non_null(strstr(error.message, c));
}

static void what_differs_is_named(void **state) {
    (void)state;
    const mel_convention *base = mel_preset_find("tacotron2");
    refused(mel_preset_find("coqui"), base, "fmax", "11025", "8000");
    refused(mel_preset_find("parallelwavegan"), base, "fmin", "80", "0 Hz");
    refused(mel_preset_find("vocos"), base, "n_mels", "100", "80");
    mel_convention c = *base;
    c.hop = 200;
    refused(&c, base, "hop", "200", "256");
    c = *base, c.n_fft = 2048;
    refused(&c, base, "n_fft", "2048", "1024");
    c = *base, c.win = 800;
    refused(&c, base, "win", "800", "1024");
    c = *base, c.sample_rate = 24000;
    refused(&c, base, "sr", "24000", "22050");
    c = *base, c.power = 2;
    refused(&c, base, "power", "2", "1");
    c = *base, c.scale = MEL_SCALE_HTK;
    refused(&c, base, "scale", "htk", "slaney");
    c = *base, c.norm = MEL_NORM_NONE;
    refused(&c, base, "norm", "none", "slaney");
}

typedef struct heard {
    size_t count;
    char last[1024];
} heard;

static void hear(void *context, const char *sentence) {
    heard *h = context;
    h->count++;
    snprintf(h->last, sizeof h->last, "%s", sentence);
}

/* Inspects mel as expected; name NULL: no warning, otherwise one that names it. */
static void inspected(const float *mel, size_t frames, size_t bands, const char *expected, const char *name) {
    heard h = {0};
    warning_sink sink = {hear, &h};
    assert_int_equal(mel_inspect(mel, frames, bands, mel_preset_find(expected), &sink, NULL), VOCODE_OK);
    const char *likely = strstr(h.last, "it looks like");
    if (h.count != (name != NULL) || (name && !(likely && strstr(likely, name))))
        print_error("as %s, expected %s: %s\n", expected, name ? name : "silence", h.last);
    assert_int_equal(h.count, name != NULL);
    if (name) assert_non_null(strstr(likely, name));
}

static const char *const presets[] = {"tacotron2",  "hifigan",    "coqui",      "parallelwavegan", "vocos",
                                      "bigvgan24k", "bigvgan44k", "torchaudio", "librosa"};
#define PRESETS (sizeof presets / sizeof *presets)

/* Each golden mel as itself, and as each other preset of as many bands. */
static void golden_matrix(void **state) {
    (void)state;
    if (!have(SHARED_DATA "/golden/mel")) skip();
    const char *const speakers[] = {"kathleen", "kerstin"};
    for (size_t s = 0; s < 2; s++)
        for (size_t i = 0; i < PRESETS; i++) {
            char path[512];
            snprintf(path, sizeof path, SHARED_DATA "/golden/mel/%s.%s.npy", speakers[s], presets[i]);
            matrix mel = load_time_major(path);
            for (size_t j = 0; j < PRESETS; j++) {
                const mel_convention *c = mel_preset_find(presets[j]);
                int alike = i == j || (i < 2 && j < 2) || (i >= 7 && j >= 7); /* same values at another hop or rate */
                if (c->n_mels != mel.columns) continue;
                inspected(mel.data, mel.rows, mel.columns, presets[j],
                          alike    ? NULL
                          : i == 1 ? "tacotron2"
                                   : presets[i]);
            }
            if (i == 0) { /* mostly silence, and a short piece */
                float *long_one = malloc(6 * mel.rows * 80 * sizeof *long_one);
                for (size_t k = 0; k < 6 * mel.rows * 80; k++)
                    long_one[k] = k < mel.rows * 80 ? mel.data[k] : (float)log(1e-5);
                inspected(long_one, 6 * mel.rows, 80, "tacotron2", NULL);
                inspected(long_one + mel.rows * 80, mel.rows, 80, "tacotron2", NULL);
                inspected(mel.data, 20, 80, "tacotron2", NULL);
                free(long_one);
            }
            free(mel.data);
        }
}

static matrix mel_of(const char *path) {
    audio clip = load_audio(path);
    mel_frontend *frontend;
    assert_non_null(clip.samples);
    assert_int_equal(mel_frontend_new(mel_preset_find("tacotron2"), &frontend, NULL), VOCODE_OK);
    matrix mel = {mel_frames(mel_preset_find("tacotron2"), clip.frames), 80, NULL};
    mel.data = malloc(mel.rows * mel.columns * sizeof *mel.data);
    assert_int_equal(mel_compute(frontend, clip.samples, clip.frames, mel.data, NULL), VOCODE_OK);
    mel_frontend_free(frontend);
    audio_free(&clip);
    return mel;
}

/* A voice without its golden folder, in units that no preset has. */
static void strange_units(void **state) {
    (void)state;
    matrix mel = mel_of(TEST_DATA "/dsp/reference.wav");
    size_t count = mel.rows * mel.columns;
    float *other = malloc(count * sizeof *other);
    inspected(mel.data, mel.rows, 80, "tacotron2", NULL);
    for (size_t i = 0; i < count; i++) other[i] = expf(mel.data[i]);
    inspected(other, mel.rows, 80, "tacotron2", "linear values");
    for (size_t i = 0; i < count; i++) other[i] = mel.data[i] * (float)M_LOG10E;
    inspected(other, mel.rows, 80, "tacotron2", "parallelwavegan");
    for (size_t i = 0; i < count; i++) other[i] = mel.data[i] * 20 * (float)M_LOG10E;
    inspected(other, mel.rows, 80, "tacotron2", "decibels");
    for (size_t i = 0; i < count; i++) other[i] = (mel.data[i] + 12) / 14;
    inspected(other, mel.rows, 80, "tacotron2", "0..1");
    for (size_t i = 0; i < count; i++) other[i] = -3;
    inspected(other, mel.rows, 80, "tacotron2", "constant");
    for (size_t m = 0; m < 80; m++) {
        double mean = 0, square = 0;
        for (size_t t = 0; t < mel.rows; t++) mean += (double)mel.data[t * 80 + m] / (double)mel.rows;
        for (size_t t = 0; t < mel.rows; t++) square += pow((double)mel.data[t * 80 + m] - mean, 2) / (double)mel.rows;
        for (size_t t = 0; t < mel.rows; t++)
            other[t * 80 + m] = (float)(((double)mel.data[t * 80 + m] - mean) / sqrt(square + 1e-6));
    }
    inspected(other, mel.rows, 80, "tacotron2", "mean/variance");
    free(other);
    free(mel.data);
}

static void transposed_square(void **state) {
    (void)state;
    float mel[80 * 80], turned[80 * 80];
    for (size_t t = 0; t < 80; t++)
        for (size_t m = 0; m < 80; m++) {
            double loud = t % 20 < 12 ? 1.5 : -2;
            mel[t * 80 + m] = (float)(-4.5 + loud - 0.04 * (double)m + 2 * cos((double)m * 0.4 + (double)t * 0.05));
            turned[m * 80 + t] = mel[t * 80 + m];
        }
    inspected(mel, 80, 80, "tacotron2", NULL);
    inspected(turned, 80, 80, "tacotron2", "transposed");
}

static void errors_say_where(void **state) {
    (void)state;
    float mel[3 * 80] = {0};
    vocode_error error = {0};
    const mel_convention *c = mel_preset_find("tacotron2");
    mel[2 * 80 + 7] = NAN;
    assert_int_equal(mel_inspect(mel, 3, 80, c, NULL, &error), VOCODE_VALUE);
    assert_non_null(strstr(error.message, "band 7 of frame 2"));
    mel[80 + 5] = -INFINITY;
    assert_int_equal(mel_inspect(mel, 3, 80, c, NULL, &error), VOCODE_VALUE);
    assert_non_null(strstr(error.message, "infinity at band 5 of frame 1"));
    assert_int_equal(mel_inspect(mel, 0, 80, c, NULL, &error), VOCODE_SHAPE);
    assert_int_equal(mel_inspect(mel, 2, 100, c, NULL, &error), VOCODE_SHAPE);
    assert_non_null(strstr(error.message, "100"));
    assert_non_null(strstr(error.message, "80"));
    assert_non_null(strstr(error.message, "vocos"));
    assert_non_null(strstr(error.message, "bigvgan"));
    assert_int_equal(mel_inspect(mel, 1, 128, c, NULL, &error), VOCODE_SHAPE);
    assert_non_null(strstr(error.message, "librosa"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_unit_to_every_other),
        cmocka_unit_test(values_that_hold_nothing),
        cmocka_unit_test(padding_is_a_delay),
        cmocka_unit_test(what_differs_is_named),
        cmocka_unit_test(golden_matrix),
        cmocka_unit_test(strange_units),
        cmocka_unit_test(transposed_square),
        cmocka_unit_test(errors_say_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
