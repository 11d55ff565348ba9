/* What a run is given and what it makes of it: bad files are named once each, lists, metadata.csv, duplicates, pairs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <math.h>
#include <sndfile.h>

#include "io/npy.h"
#include "train/dataset.h"
#include "train/files.h"
#include "train/material.h"
#include "train/names.h"

enum { HOP = 64, FRAMES = 8, SEGMENT = HOP * FRAMES, BANDS = 16, BATCH = 4 };
#define PCM16 (SF_FORMAT_WAV | SF_FORMAT_PCM_16)

typedef struct opening {
    const char *paths[4];
    dataset_settings settings;
    material_warnings warnings;
    vocode_error error;
    dataset *set;
} opening;

static opening opening_of(const char *path) {
    opening self = {.paths = {path}};
    assert_int_equal(config_read(NULL, dataset_keys, dataset_key_count, &self.settings, "data", NULL), VOCODE_OK);
    self.settings.valid_share = 0;
    self.settings.shortest = 0.1;
    return self;
}

static vocode_status open_it(opening *self) {
    vocode_model *model = material_model("frameflow", "");
    warning_sink sink = material_sink(&self->warnings);
    dataset_options options = {.paths = self->paths,
                               .model = model,
                               .batch = BATCH,
                               .segment = SEGMENT,
                               .seed = 1,
                               .settings = self->settings};
    while (options.path_count < 4 && self->paths[options.path_count]) options.path_count++;
    vocode_status status = dataset_open(&options, &sink, &self->set, &self->error);
    vocode_model_free(model);
    return status;
}

static void opens(opening *self) {
    vocode_status status = open_it(self);
    if (status != VOCODE_OK) print_error("%s\n", self->error.message);
    assert_int_equal(status, VOCODE_OK);
}

/* Batches come, and are finite. */
static void trains(const dataset *set) {
    static real mel[BATCH * FRAMES * BANDS], x[BATCH * SEGMENT];
    for (uint64_t i = 0; i < 20; i++) {
        assert_int_equal(dataset_batch(set, i, mel, x, NULL), VOCODE_OK);
        for (size_t k = 0; k < BATCH * FRAMES * BANDS; k++) assert_true(isfinite(mel[k]));
        for (size_t k = 0; k < BATCH * SEGMENT; k++) assert_true(isfinite(x[k]));
    }
}

static void plant_bad_files(void) {
    const size_t count = MATERIAL_RATE / 2;
    float *samples = material_noise(2 * count, 50, 0.1), *silence = calloc(count, sizeof *silence);
    material_bytes("corpus/empty.wav", "", 0);
    material_write("corpus/silent.wav", silence, count, 1, MATERIAL_RATE, PCM16);
    material_text("corpus/text.wav", "This is not audio.\n");
    material_write("corpus/truncated.wav", samples, count, 1, MATERIAL_RATE, PCM16);
    material_cut("corpus/truncated.wav", 5000);
    material_write("corpus/cut.flac", samples, count, 1, MATERIAL_RATE, SF_FORMAT_FLAC | SF_FORMAT_PCM_16);
    material_cut("corpus/cut.flac", 5000);
    material_write("corpus/short.wav", samples, 1000, 1, MATERIAL_RATE, PCM16);
    material_write("corpus/8k.wav", samples, count, 1, 8000, PCM16);
    material_write("corpus/stereo.wav", samples, count, 2, MATERIAL_RATE, PCM16);
    samples[777] = NAN;
    material_write("corpus/nan.wav", samples, count, 1, MATERIAL_RATE, SF_FORMAT_WAV | SF_FORMAT_FLOAT);
    free(samples);
    free(silence);
}

static void bad_files_are_named_once(void **state) {
    (void)state;
    static const struct {
        const char *name, *why;
    } bad[] = {{"empty.wav", "empty"},
               {"silent.wav", "silent"},
               {"text.wav", "text"},
               {"truncated.wav", "truncated"},
               {"cut.flac", "cut.flac"},
               {"short.wav", "too short"},
               {"nan.wav", "NaN"},
               {"copy.flac", "the same audio"},
               {"dangling.wav", "No such file"}};
    const size_t bad_count = sizeof bad / sizeof *bad;
    material_folder("corpus");
    material_folder("corpus/more");
    material_clip("corpus/a.wav", 0.5, 1);
    material_clip("corpus/more/b.WAV", 0.5, 2);
    material_text("corpus/a.txt", "a transcript\n");
    float *same = material_noise(MATERIAL_RATE / 2, 1, 0.1);
    material_write("corpus/copy.flac", same, MATERIAL_RATE / 2, 1, MATERIAL_RATE, SF_FORMAT_FLAC | SF_FORMAT_PCM_16);
    free(same);
    assert_int_equal(symlink("nowhere", material_path("corpus/dangling.wav")), 0);
    assert_int_equal(symlink("..", material_path("corpus/more/loop")), 0);
    plant_bad_files();
    opening self = opening_of(material_path("corpus"));
    opens(&self);
    for (size_t i = 0; i < bad_count; i++) {
        if (material_count(&self.warnings, bad[i].name) != 1) print_error("%s:\n%s", bad[i].name, self.warnings.text);
        assert_int_equal(material_count(&self.warnings, bad[i].name), 1);
        assert_true(material_count(&self.warnings, bad[i].why) >= 1);
    }
    assert_int_equal(material_count(&self.warnings, "1 of 4 recordings are resampled to 22050 Hz"), 1);
    assert_int_equal(material_count(&self.warnings, "1 of 4 recordings have several channels"), 1);
    assert_int_equal(self.warnings.count, bad_count + 2);
    dataset_facts facts = dataset_about(self.set);
    assert_int_equal(facts.found, 13);
    assert_int_equal(facts.training, 4);
    assert_int_equal(facts.unusable, 8);
    assert_int_equal(facts.duplicate, 1);
    trains(self.set);
    dataset_close(self.set);
}

static void nothing_usable_is_an_error(void **state) {
    (void)state;
    material_folder("corpus");
    opening self = opening_of(material_path("corpus"));
    assert_int_equal(open_it(&self), VOCODE_VALUE);
    assert_non_null(strstr(self.error.message, "no recording to train on"));
    plant_bad_files();
    unlink(material_path("corpus/8k.wav"));
    unlink(material_path("corpus/stereo.wav"));
    self.paths[0] = material_path("corpus");
    assert_int_equal(open_it(&self), VOCODE_VALUE);
    assert_non_null(strstr(self.error.message, "of 7 found, 7 are unusable"));
    assert_null(self.set);
    self.paths[0] = material_path("absent");
    assert_int_equal(open_it(&self), VOCODE_IO);
    assert_non_null(strstr(self.error.message, "absent"));
}

static void short_ones_are_padded(void **state) {
    (void)state;
    static real mel[BATCH * FRAMES * BANDS], x[BATCH * SEGMENT];
    opening self = opening_of(material_path("short.wav"));
    material_clip("short.wav", 300.5 / MATERIAL_RATE, 3);
    self.settings.shortest = 0.01;
    self.settings.dither = 0;
    opens(&self);
    assert_int_equal(dataset_about(self.set).padded, 1);
    assert_int_equal(dataset_batch(self.set, 3, mel, x, NULL), VOCODE_OK);
    for (size_t i = HOP / 2 + 300; i < SEGMENT; i++) assert_true(x[i] == 0);
    assert_true(x[HOP / 2 + 299] != 0);
    dataset_close(self.set);
    self.settings.dither = 1; /* the silence too */
    opens(&self);
    assert_int_equal(dataset_batch(self.set, 3, mel, x, NULL), VOCODE_OK);
    for (size_t i = 0; i < SEGMENT; i++) assert_true(x[i] != 0);
    dataset_close(self.set);
}

static void metadata_is_read(void **state) {
    (void)state;
    material_folder("wavs");
    material_clip("wavs/LJ-1.wav", 0.2, 1);
    material_clip("wavs/LJ.2.wav", 0.2, 2);
    material_clip("wavs/unlisted.wav", 0.2, 3);
    material_text("metadata.csv", "\xef\xbb\xbfLJ-1|Text, with a comma.|text\r\nLJ.2|More|more\nLJ-3|Absent|absent\n");
    opening self = opening_of(material_path("metadata.csv"));
    opens(&self);
    assert_int_equal(dataset_about(self.set).training, 2);
    assert_int_equal(dataset_about(self.set).unusable, 1);
    assert_int_equal(material_count(&self.warnings, "LJ-3"), 1);
    assert_int_equal(self.warnings.count, 1);
    dataset_close(self.set);
}

static void lists_of_paths_are_read(void **state) {
    (void)state;
    char text[1024];
    material_folder("some");
    material_clip("some/a.wav", 0.2, 1);
    material_clip("some/b.wav", 0.2, 2);
    material_clip("c.wav", 0.2, 3);
    snprintf(text, sizeof text, "# three\nsome/a.wav|its text\n\n  %s  \nc.wav\nsome/gone.wav\n",
             material_path("some/b.wav"));
    material_text("list.txt", text);
    opening self = opening_of(material_path("list.txt"));
    opens(&self);
    assert_int_equal(dataset_about(self.set).training, 3);
    assert_int_equal(material_count(&self.warnings, "some/gone.wav"), 1);
    dataset_close(self.set);
    self.paths[0] = material_path("c.wav");
    self.paths[1] = material_path("some");
    opens(&self);
    assert_int_equal(dataset_about(self.set).training, 3);
    assert_int_equal(self.warnings.count, 0);
    dataset_close(self.set);
}

static void names_match_in_all_forms(void **state) {
    (void)state;
    name_list list;
    const char *first;
    material_text("names.txt", "# comment\nstem\nbase.wav\nfolder/deep/x.wav\n./dotted.v2\nunmet\nstem\n");
    assert_int_equal(names_read(material_path("names.txt"), &list, NULL), VOCODE_OK);
    assert_true(names_match(&list, "/a/stem.flac"));
    assert_true(names_match(&list, "stem"));
    assert_true(names_match(&list, "b/base.wav"));
    assert_true(names_match(&list, "/r/folder/deep/x.wav"));
    assert_true(names_match(&list, "q/dotted.v2.wav"));
    assert_false(names_match(&list, "b/base.flac"));
    assert_false(names_match(&list, "deep/x.wav"));
    assert_false(names_match(&list, "a/xstem.wav"));
    assert_false(names_match(&list, "stem/a.wav"));
    assert_int_equal(names_unmet(&list, &first), 1);
    assert_string_equal(first, "unmet");
    names_free(&list);
}

static void lists_hold_out_and_exclude(void **state) {
    (void)state;
    material_folder("clips");
    for (size_t i = 0; i < 8; i++) {
        char name[32];
        snprintf(name, sizeof name, "clips/%zu.wav", i);
        material_clip(name, 0.2, i);
    }
    material_clip("clips/00.wav", 0.2, 3); /* held out by the name that is found later */
    material_text("valid.txt", "3\nnobody\n");
    material_text("exclude.txt", "clips/5.wav\n6.wav\n");
    opening self = opening_of(material_path("clips"));
    strcpy(self.settings.valid, material_path("valid.txt"));
    strcpy(self.settings.exclude, material_path("exclude.txt"));
    opens(&self);
    dataset_facts facts = dataset_about(self.set);
    assert_int_equal(facts.held_out, 1);
    assert_int_equal(facts.excluded, 2);
    assert_int_equal(facts.duplicate, 1);
    assert_int_equal(facts.training, 5);
    assert_int_equal(material_count(&self.warnings, "nobody"), 1);
    assert_int_equal(self.warnings.count, 2);
    dataset_close(self.set);
    self.settings.valid[0] = 0;
    self.settings.valid_share = 0.3;
    opens(&self);
    facts = dataset_about(self.set);
    assert_int_equal(facts.held_out, 2);
    assert_int_equal(facts.training, 4);
    assert_true(dataset_valid_count(self.set) > 0);
    dataset_close(self.set);
}

/* A mel whose every value tells its frame and band. */
static void write_mel(const char *name, size_t frames, size_t bands, bool bands_first) {
    float *values = malloc(frames * bands * sizeof *values);
    const size_t shape[] = {1, bands_first ? bands : frames, bands_first ? frames : bands};
    for (size_t t = 0; t < frames; t++)
        for (size_t m = 0; m < bands; m++)
            values[bands_first ? m * frames + t : t * bands + m] = -(float)t / 64 - (float)m / 1024;
    assert_int_equal(npy_write(material_path(name), values, 3, shape, NULL), VOCODE_OK);
    free(values);
}

static void check_pairs(dataset *set, const float *samples, size_t count, double gain) {
    static real mel[BATCH * FRAMES * BANDS], x[BATCH * SEGMENT];
    for (uint64_t index = 0; index < 10; index++) {
        assert_int_equal(dataset_batch(set, index, mel, x, NULL), VOCODE_OK);
        for (size_t b = 0; b < BATCH; b++) {
            const real *rows = mel + b * FRAMES * BANDS, *block = x + b * SEGMENT;
            double first = (log(gain) - (double)rows[0]) * 64;
            size_t frame = (size_t)(first + 0.5);
            for (size_t i = 0; i < FRAMES * BANDS; i++)
                assert_true(fabs((double)rows[i] - log(gain) + (double)(frame + i / BANDS) / 64 +
                                 (double)(i % BANDS) / 1024) < 1e-5);
            for (size_t i = 0; i < SEGMENT; i++) {
                ptrdiff_t at = (ptrdiff_t)(frame * HOP + i) - HOP / 2;
                double expected = at >= 0 && at < (ptrdiff_t)count ? gain * (double)samples[at] : 0;
                assert_true(fabs((double)block[i] - expected) < 1e-7);
            }
        }
    }
}

static void pairs_use_their_mels(void **state) {
    (void)state;
    const size_t count = 40 * HOP + 3;
    float *samples = material_noise(count, 1, 0.1);
    material_folder("pairs");
    material_write("pairs/a.wav", samples, count, 1, MATERIAL_RATE, PCM16);
    opening self = opening_of(material_path("pairs"));
    self.settings.pairs = 1;
    self.settings.dither = 0;
    for (size_t frames = 40; frames <= 42; frames++) {
        write_mel("pairs/a.npy", frames, BANDS, frames % 2);
        opens(&self);
        assert_int_equal(self.warnings.count, 0);
        assert_int_equal(dataset_about(self.set).paired, 1);
        check_pairs(self.set, samples, count, 1);
        dataset_close(self.set);
    }
    self.settings.level_rms = 0.025; /* the mel goes with the level */
    opens(&self);
    double square = 0;
    for (size_t i = 0; i < count; i++) square += (double)samples[i] * (double)samples[i];
    check_pairs(self.set, samples, count, 0.025 / sqrt(square / (double)count));
    dataset_close(self.set);
    free(samples);
}

static void bad_pairs_are_named(void **state) {
    (void)state;
    static const struct {
        size_t frames, bands;
        const char *why;
    } bad[] = {{39, BANDS, "expected 41 frames, give or take one, for its audio, found 39"},
               {43, BANDS, "found 43"},
               {41, 80, "expected a mel of 16 bands"}};
    material_folder("pairs");
    material_clip("pairs/good.wav", 0.2, 2); /* no mel beside it: computed */
    float *samples = material_noise(40 * HOP, 1, 0.1);
    material_write("pairs/a.wav", samples, 40 * HOP, 1, MATERIAL_RATE, PCM16);
    free(samples);
    opening self = opening_of(material_path("pairs"));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        write_mel("pairs/a.npy", bad[i].frames, bad[i].bands, true);
        self.settings.pairs = 1;
        opens(&self);
        assert_int_equal(self.warnings.count, 1);
        assert_int_equal(material_count(&self.warnings, bad[i].why), 1);
        assert_int_equal(material_count(&self.warnings, "a.npy"), 1);
        trains(self.set);
        dataset_close(self.set);
        self.settings.pairs = 0; /* then it does not matter */
        opens(&self);
        assert_int_equal(dataset_about(self.set).training, 2);
        dataset_close(self.set);
    }
}

static void memory_is_bounded(void **state) {
    (void)state;
    material_folder("clips");
    material_clip("clips/a.wav", 20, 1); /* 0.84 MiB */
    material_clip("clips/b.wav", 20, 2);
    opening self = opening_of(material_path("clips"));
    self.settings.cache_mb = 1;
    opens(&self);
    assert_int_equal(dataset_about(self.set).cached, 1);
    assert_int_equal(dataset_about(self.set).cached_bytes, 20 * MATERIAL_RATE * 2);
    assert_int_equal(material_count(&self.warnings, "1 of 2 recordings do not fit in cache_mb = 1"), 1);
    dataset_close(self.set);
}

int main(void) {
#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, material_open, material_close)
    const struct CMUnitTest tests[] = {
        IN_FOLDER(bad_files_are_named_once),   IN_FOLDER(nothing_usable_is_an_error),
        IN_FOLDER(short_ones_are_padded),      IN_FOLDER(metadata_is_read),
        IN_FOLDER(lists_of_paths_are_read),    IN_FOLDER(names_match_in_all_forms),
        IN_FOLDER(lists_hold_out_and_exclude), IN_FOLDER(pairs_use_their_mels),
        IN_FOLDER(bad_pairs_are_named),        IN_FOLDER(memory_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
