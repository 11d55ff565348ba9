/* Batches are a function of (seed, number): places, levels, dither; mels of segments are those of whole files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <math.h>
#include <sndfile.h>

#include "train/corpus.h"
#include "train/dataset.h"
#include "train/material.h"
#include "train/sampler.h"
#include "train/segment.h"

enum { HOP = 64, FRAMES = 12, SEGMENT = HOP * FRAMES, BANDS = 16, BATCH = 3 };
#define PCM16 (SF_FORMAT_WAV | SF_FORMAT_PCM_16)

static dataset_settings settings_of(void) {
    dataset_settings settings;
    assert_int_equal(config_read(NULL, dataset_keys, dataset_key_count, &settings, "data", NULL), VOCODE_OK);
    settings.shortest = 0.02;
    return settings;
}

static dataset *open_set(const char *path, const char *kind, uint64_t seed, const dataset_settings *settings,
                         const char *valid) {
    vocode_error error = {0};
    vocode_model *model = material_model(kind, "");
    dataset_options options = {.paths = &path,
                               .path_count = 1,
                               .model = model,
                               .batch = BATCH,
                               .segment = SEGMENT,
                               .seed = seed,
                               .settings = settings ? *settings : settings_of()};
    if (valid) strcpy(options.settings.valid, valid);
    dataset *set = NULL;
    vocode_status status = dataset_open(&options, NULL, &set, &error);
    if (status != VOCODE_OK) print_error("%s\n", error.message);
    assert_int_equal(status, VOCODE_OK);
    vocode_model_free(model); /* the set does not need it */
    return set;
}

typedef struct batch {
    real mel[BATCH * FRAMES * BANDS], x[BATCH * SEGMENT];
} batch;

static void take(const dataset *set, uint64_t index, batch *out) {
    assert_int_equal(dataset_batch(set, index, out->mel, out->x, NULL), VOCODE_OK);
}

static void make_clips(void) {
    material_folder("clips");
    material_clip("clips/a.wav", 0.5, 1);
    material_clip("clips/b.wav", 0.3, 2);
    material_clip("clips/c.wav", 1.0, 3);
    material_clip("clips/d.wav", 0.02 + 1e-4, 4); /* shorter than a segment */
}

static void batches_are_pure(void **state) {
    (void)state;
    static batch first, again, other;
    make_clips();
    dataset *set = open_set(material_path("clips"), "frameflow", 5, NULL, NULL);
    dataset *same = open_set(material_path("clips"), "frameflow", 5, NULL, NULL);
    dataset *seeded = open_set(material_path("clips"), "frameflow", 6, NULL, NULL);
    take(set, 1000003, &first);
    take(set, 4, &other);
    assert_memory_not_equal(&first, &other, sizeof first);
    take(set, 1000003, &again);
    assert_memory_equal(&first, &again, sizeof first);
    take(same, 1000003, &again);
    assert_memory_equal(&first, &again, sizeof first);
    take(seeded, 1000003, &again);
    assert_memory_not_equal(&first, &again, sizeof first);
    dataset_close(set);
    dataset_close(same);
    dataset_close(seeded);
}

/* What is not in memory is read again, to the same bits. */
static void reading_again_changes_nothing(void **state) {
    (void)state;
    static batch cached, read;
    dataset_settings none = settings_of();
    none.cache_mb = 0;
    make_clips();
    dataset *set = open_set(material_path("clips"), "frameflow", 5, NULL, NULL);
    dataset *files = open_set(material_path("clips"), "frameflow", 5, &none, NULL);
    assert_int_equal(dataset_about(files).cached, 0);
    assert_int_equal(dataset_about(set).cached, 4);
    for (uint64_t i = 0; i < 8; i++) {
        take(set, i, &cached);
        take(files, i, &read);
        assert_memory_equal(&cached, &read, sizeof cached);
    }
    dataset_close(set);
    dataset_close(files);
}

typedef struct cutting {
    mel_frontend *frontend;
    segment_form form;
    recording clip;
    float *mel; /* of the whole */
    float *samples;
} cutting;

static cutting cutting_open(const char *kind, const char *mel, size_t samples) {
    cutting self = {0};
    audio sound;
    vocode_model *model = material_model(kind, mel);
    assert_int_equal(mel_frontend_new(&model->mel, &self.frontend, NULL), VOCODE_OK);
    self.form = (segment_form){self.frontend, mel_frontend_convention(self.frontend), HOP, FRAMES,
                               SEGMENT,       model->frame_blocks ? HOP / 2 : 0};
    self.samples = material_noise(samples, 9, 0.1);
    material_write("whole.wav", self.samples, samples, 1, MATERIAL_RATE, PCM16);
    assert_int_equal(recording_open(material_path("whole.wav"), MATERIAL_RATE, -70, &self.clip, &sound, NULL),
                     VOCODE_OK);
    assert_int_equal(recording_keep(&self.clip, &sound, NULL), VOCODE_OK);
    self.mel = malloc(mel_frames(self.form.convention, samples) * BANDS * sizeof *self.mel);
    assert_int_equal(mel_compute(self.frontend, self.samples, samples, self.mel, NULL), VOCODE_OK);
    audio_free(&sound);
    vocode_model_free(model);
    return self;
}

static void cutting_close(cutting *self) {
    mel_frontend_free(self->frontend);
    recording_free(&self->clip);
    free(self->mel);
    free(self->samples);
}

static void check_cut(const cutting *self, size_t start, double gain) {
    real mel[FRAMES * BANDS], x[SEGMENT];
    segment_place place = {.from = &self->clip, .start = start, .gain = gain};
    assert_int_equal(segment_cut(&self->form, &place, mel, x, NULL), VOCODE_OK);
    for (size_t i = 0; i < SEGMENT; i++) {
        ptrdiff_t at = (ptrdiff_t)(start + i) - (ptrdiff_t)self->form.lead;
        bool inside = at >= 0 && at < (ptrdiff_t)self->clip.samples;
        assert_true(x[i] == (inside ? (real)(self->samples[at] * (float)gain) : 0));
    }
    if (start % HOP) return;
    for (size_t i = 0; i < FRAMES * BANDS; i++) {
        double expected = (double)self->mel[start / HOP * BANDS + i] + log(gain);
        assert_true(fabs((double)mel[i] - expected) < (gain == 1 ? 0 : 1e-5) + 1e-30);
    }
}

/* Every row, those at the recording's ends too, is bit for bit the whole file's. */
static void mels_are_those_of_whole_files(void **state) {
    (void)state;
    static const char *const mels[] = {"", ", \"center\": false", ", \"pad_mode\": \"constant\""};
    static const char *const kinds[] = {"frameflow", "waveglow"};
    for (size_t k = 0; k < 2; k++)
        for (size_t m = 0; m < 3; m++) {
            cutting self = cutting_open(kinds[k], mels[m], 40 * HOP);
            for (size_t start = 0; start <= 28 * HOP; start += HOP) check_cut(&self, start, 1);
            check_cut(&self, 7 * HOP, 0.25);
            check_cut(&self, 333, 2);
            check_cut(&self, 28 * HOP - 1, 1);
            cutting_close(&self);
        }
}

/* An impulse at a frame's place: that frame of the mel is the loudest, and it stands where the model expects it. */
static void frames_are_aligned(void **state) {
    (void)state;
    static const char *const kinds[] = {"frameflow", "waveglow"};
    for (size_t k = 0; k < 2; k++) {
        cutting self = cutting_open(kinds[k], "", 40 * HOP);
        real mel[FRAMES * BANDS], x[SEGMENT];
        size_t start = 777, frame = 5;
        memset(self.clip.whole, 0, self.clip.samples * sizeof *self.clip.whole);
        self.clip.whole[start + frame * HOP] = 16384;
        segment_place place = {.from = &self.clip, .start = start, .gain = 1};
        assert_int_equal(segment_cut(&self.form, &place, mel, x, NULL), VOCODE_OK);
        assert_true(x[frame * HOP + (k == 0 ? HOP / 2 : 0)] == (real)0.5);
        for (size_t t = 0; t < FRAMES; t++)
            if (t != frame) assert_true(mel[t * BANDS + 8] < mel[frame * BANDS + 8] - (real)0.1);
        assert_true(fabs((double)(mel[(frame - 1) * BANDS + 8] - mel[(frame + 1) * BANDS + 8])) < 1e-4);
        cutting_close(&self);
    }
}

/* Half a step either way, of the file's own integers, new for each segment, and with the level. */
static void dither_has_the_right_size(void **state) {
    (void)state;
    cutting self = cutting_open("frameflow", "", 40 * HOP);
    real mel[FRAMES * BANDS], plain[SEGMENT], x[SEGMENT], other[SEGMENT];
    segment_place place = {.from = &self.clip, .start = 500, .gain = 0.5};
    assert_true(self.clip.step == 0x1p-15);
    assert_int_equal(segment_cut(&self.form, &place, mel, plain, NULL), VOCODE_OK);
    place.dither = true;
    assert_int_equal(segment_cut(&self.form, &place, mel, x, NULL), VOCODE_OK);
    place.number = 1;
    assert_int_equal(segment_cut(&self.form, &place, mel, other, NULL), VOCODE_OK);
    double sum = 0, square = 0, product = 0, most = 0;
    for (size_t i = 0; i < SEGMENT; i++) {
        double d = ((double)x[i] - (double)plain[i]) * 0x1p16, e = ((double)other[i] - (double)plain[i]) * 0x1p16;
        sum += d;
        square += d * d;
        product += d * e;
        most = fmax(most, fabs(d));
    }
    assert_true(most <= 0.501 && most > 0.49);
    assert_true(fabs(sum / SEGMENT) < 0.04);
    assert_true(fabs(square / SEGMENT - 1.0 / 12) < 0.012);
    assert_true(fabs(product / SEGMENT) < 0.012);
    cutting_close(&self);
}

static void steps_are_those_of_the_file(void **state) {
    (void)state;
    static const struct {
        int format;
        double step;
    } cases[] = {{SF_FORMAT_WAV | SF_FORMAT_PCM_U8, 0x1p-7},
                 {SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 0x1p-15},
                 {SF_FORMAT_WAV | SF_FORMAT_PCM_24, 0x1p-23},
                 {SF_FORMAT_WAV | SF_FORMAT_FLOAT, 0x1p-15}};
    float *samples = material_noise(5000, 1, 0.2);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        recording clip;
        audio sound;
        material_write("clip", samples, 5000, 1, MATERIAL_RATE, cases[i].format);
        assert_int_equal(recording_open(material_path("clip"), MATERIAL_RATE, -70, &clip, &sound, NULL), VOCODE_OK);
        assert_true(clip.step == cases[i].step);
        recording_free(&clip);
        audio_free(&sound);
    }
    free(samples);
}

/* Segments have the wanted RMS, and gains spread evenly over what is allowed. */
static void levels_are_augmented(void **state) {
    (void)state;
    static batch now;
    dataset_settings settings = settings_of();
    settings.level_rms = 0.06;
    settings.level_gain = 8;
    material_clip("one.wav", 2, 1);
    dataset *set = open_set(material_path("one.wav"), "waveglow", 1, &settings, NULL);
    double low = 100, high = -100, mean = 0;
    const size_t batches = 40;
    for (size_t i = 0; i < batches; i++) {
        take(set, i, &now);
        for (size_t b = 0; b < BATCH; b++) {
            double square = 0;
            for (size_t n = 0; n < SEGMENT; n++) square += pow((double)now.x[b * SEGMENT + n], 2);
            double decibels = 20 * log10(sqrt(square / SEGMENT) / 0.06);
            low = fmin(low, decibels);
            high = fmax(high, decibels);
            mean += decibels / (double)(batches * BATCH);
        }
    }
    assert_true(low > -8.5 && low < -7 && high < 8.5 && high > 7 && fabs(mean) < 1.3);
    dataset_close(set);
}

static void permutations_are(void **state) {
    (void)state;
    for (uint64_t count = 1; count < 300; count += 1 + count / 3) {
        unsigned char seen[300] = {0};
        bool moved = false;
        for (uint64_t i = 0; i < count; i++) {
            uint64_t to = sampler_permute(3, 9, i, count);
            assert_true(to < count && !seen[to]);
            seen[to] = 1;
            moved |= to != i;
        }
        assert_true(moved || count < 4);
    }
    assert_int_not_equal(sampler_permute(3, 9, 5, 1000), sampler_permute(3, 10, 5, 1000));
}

/* In an epoch, each part of the line once; over many, every point alike. */
static void points_cover_the_line(void **state) {
    (void)state;
    enum { SLOTS = 37, BINS = 10, EPOCHS = 200 };
    size_t bins[BINS] = {0}, same_place = 0;
    double square = 0;
    for (uint64_t epoch = 0; epoch < EPOCHS; epoch++) {
        unsigned char seen[SLOTS] = {0};
        for (uint64_t i = 0; i < SLOTS; i++) {
            double point = sampler_point(1, epoch * SLOTS + i, SLOTS);
            assert_true(point >= 0 && point < 1);
            assert_false(seen[(size_t)(point * SLOTS)]++);
            bins[(size_t)(point * BINS)]++;
            double inside = point * SLOTS - floor(point * SLOTS) - 0.5;
            square += inside * inside / (EPOCHS * SLOTS);
            same_place += floor(point * SLOTS) == floor(sampler_point(1, i, SLOTS) * SLOTS);
        }
    }
    assert_true(fabs(square - 1.0 / 12) < 0.004);
    assert_true(same_place < SLOTS + 3 * EPOCHS); /* an epoch's order is its own */
    for (size_t i = 0; i < BINS; i++) assert_true(abs((int)bins[i] - EPOCHS * SLOTS / BINS) < 80);
}

static void validation_is_fixed(void **state) {
    (void)state;
    static batch one, two;
    dataset_settings settings = settings_of();
    settings.level_gain = 8; /* not for these */
    make_clips();
    material_text("valid.txt", "# held out\nclips/c\n  a.wav \r\n");
    dataset *set = open_set(material_path("clips"), "frameflow", 5, &settings, material_path("valid.txt"));
    dataset *seeded = open_set(material_path("clips"), "frameflow", 6, NULL, material_path("valid.txt"));
    assert_int_equal(dataset_about(set).held_out, 2);
    assert_int_equal(dataset_about(set).training, 2);
    /* 22050 / 768 + 11025 / 768 = 28 + 14 segments in batches of 3 */
    assert_int_equal(dataset_valid_count(set), 14);
    for (size_t i = 0; i < 14; i++) {
        assert_int_equal(dataset_valid_batch(set, i, one.mel, one.x, NULL), VOCODE_OK);
        assert_int_equal(dataset_valid_batch(seeded, i, two.mel, two.x, NULL), VOCODE_OK);
        assert_memory_equal(&one, &two, sizeof one);
    }
    assert_int_equal(dataset_valid_batch(set, 14, one.mel, one.x, NULL), VOCODE_ARGUMENT);
    dataset_close(set);
    dataset_close(seeded);
}

int main(void) {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, material_open, material_close)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(batches_are_pure),
        IN_FOLDER(reading_again_changes_nothing),
        IN_FOLDER(mels_are_those_of_whole_files),
        IN_FOLDER(frames_are_aligned),
        IN_FOLDER(dither_has_the_right_size),
        IN_FOLDER(steps_are_those_of_the_file),
        IN_FOLDER(levels_are_augmented),
        IN_FOLDER(validation_is_fixed),
        cmocka_unit_test(permutations_are),
        cmocka_unit_test(points_cover_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
