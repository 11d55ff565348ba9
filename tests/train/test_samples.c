/* Samples to listen to: which stretches, that they are what the model says, what is on the board, what a full disk and
 * a wish to stop do. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>
#include <glob.h>
#include <sndfile.h>

#include "io/audio.h"
#include "io/bytes.h"
#include "io/wav.h"
#include "material.h"
#include "train/events.pb-c.h"
#include "train/records.h"
#include "train/samples.h"

enum { HOP = 64, BANDS = 16, CLIP = 40 * HOP };
#define CLIP_SECONDS (((double)CLIP - 1) / MATERIAL_RATE)

/* Three recordings that are held out, two of them called the same, and one to train on. */
static void make_recordings(void) {
    material_folder("in");
    material_folder("in/one");
    material_folder("in/two");
    material_clip("in/one/long.wav", 0.4, 1);
    material_clip("in/one/short.wav", 0.05, 2);
    material_clip("in/two/long.wav", 0.3, 3);
    material_clip("in/two/train.wav", 0.3, 4);
    material_text("valid", "long\nshort\n");
}

static dataset *open_set(const vocode_model *model, const char *valid, double level) {
    vocode_error error = {0};
    const char *path = material_path("in");
    dataset_options options = {
        .paths = &path, .path_count = 1, .model = model, .batch = 1, .segment = 4 * HOP, .seed = 1};
    assert_int_equal(config_read(NULL, dataset_keys, dataset_key_count, &options.settings, "data", NULL), VOCODE_OK);
    options.settings.shortest = 0.02;
    options.settings.valid_share = 0;
    options.settings.level_rms = level;
    if (valid) snprintf(options.settings.valid, sizeof options.settings.valid, "%s", material_path(valid));
    dataset *set = NULL;
    vocode_status status = dataset_open(&options, NULL, &set, &error);
    if (status != VOCODE_OK) print_error("%s\n", error.message);
    assert_int_equal(status, VOCODE_OK);
    return set;
}

/* The middle, on the grid of frames, with the rows that the whole recording has there. */
static void test_clips_are_middles_of_recordings(void **state) {
    (void)state;
    vocode_model *model = material_model("frameflow", "");
    dataset *set = open_set(model, "valid", 0);
    dataset_clip clip;
    audio whole;
    mel_frontend *frontend;
    assert_int_equal(dataset_held_out(set), 3);
    assert_int_equal(dataset_clip_cut(set, 0, CLIP / HOP, &clip, NULL), VOCODE_OK);
    assert_int_equal(clip.frames, CLIP / HOP);
    assert_int_equal(clip.samples, CLIP);
    assert_int_equal(audio_read_mono(material_path("in/one/long.wav"), 0, &whole, NULL, NULL), VOCODE_OK);
    size_t first = (whole.frames - CLIP) / 2 / HOP * HOP, frames = 1 + whole.frames / HOP;
    assert_memory_equal(clip.audio, whole.samples + first, CLIP * sizeof *clip.audio);
    float *mel = malloc(frames * BANDS * sizeof *mel);
    assert_int_equal(mel_frontend_new(&model->mel, &frontend, NULL), VOCODE_OK);
    assert_int_equal(mel_compute(frontend, whole.samples, whole.frames, mel, NULL), VOCODE_OK);
    assert_memory_equal(clip.mel, mel + first / HOP * BANDS, clip.frames * BANDS * sizeof *mel);
    dataset_clip_free(&clip);
    assert_int_equal(dataset_clip_cut(set, 1, CLIP / HOP, &clip, NULL), VOCODE_OK);
    assert_int_equal(clip.samples, (size_t)(0.05 * MATERIAL_RATE) / HOP * HOP); /* a short one is all there */
    dataset_clip_free(&clip);
    free(mel);
    mel_frontend_free(frontend);
    audio_free(&whole);
    dataset_close(set);
    vocode_model_free(model);
}

static train_samples *open_samples(const char *run, const dataset *set, const vocode_model *model, size_t count) {
    train_settings settings = {.samples = count, .sample_seconds = CLIP_SECONDS};
    train_samples *samples;
    assert_int_equal(train_samples_open(material_path(run), set, &settings, model, &samples, NULL), VOCODE_OK);
    return samples;
}

/* A board without a place where it could be, for tests of files alone. */
static train_board *open_board(const char *run, const warning_sink *warnings) {
    train_board *board;
    assert_int_equal(board_new(material_path(run), 0, warnings, &board, NULL), VOCODE_OK);
    return board;
}

static void expect_wav(const char *name, const float *mono, size_t count) {
    unsigned char *found;
    size_t found_size, size;
    unsigned char *wav = wav_pcm16(mono, count, MATERIAL_RATE, &size);
    assert_int_equal(bytes_read(material_path(name), SIZE_MAX / 2, &found, &found_size, NULL), VOCODE_OK);
    assert_int_equal(found_size, size);
    assert_memory_equal(found, wav, size);
    free(found);
    free(wav);
}

static void check_kind(const char *kind, const char *run) {
    static const char *const names[] = {"long", "short", "long-2"};
    vocode_model *model = material_model(kind, "");
    dataset *set = open_set(model, "valid", 0.2);
    material_folder(run);
    train_samples *samples = open_samples(run, set, model, 5);
    train_board *board = open_board(run, NULL);
    assert_int_equal(train_samples_count(samples), 3);
    const sample_order order = {.model = model, .step = 30, .seed = 9, .threads = 1};
    assert_int_equal(train_samples_make(samples, &order, board, NULL), VOCODE_OK);
    for (size_t i = 0; i < 3; i++) {
        char name[64];
        float made[CLIP];
        dataset_clip clip;
        const vocode_synthesis options = {.seed = 9, .threads = 2};
        assert_int_equal(dataset_clip_cut(set, i, CLIP / HOP, &clip, NULL), VOCODE_OK);
        assert_int_equal(vocode_synthesize(model, clip.mel, clip.frames, BANDS, &options, made, NULL), VOCODE_OK);
        snprintf(name, sizeof name, "%s/samples/30/%s.wav", run, names[i]);
        expect_wav(name, made, clip.samples);
        snprintf(name, sizeof name, "%s/samples/recording/%s.wav", run, names[i]);
        expect_wav(name, clip.audio, clip.samples);
        dataset_clip_free(&clip);
    }
    board_free(board);
    train_samples_free(samples);
    dataset_close(set);
    vocode_model_free(model);
}

static void test_samples_are_what_the_model_makes(void **state) {
    (void)state;
    check_kind("frameflow", "coupling");
    check_kind("waveglow", "glow");
}

/* Values of the run's one event file whose tag is that, of the step. */
static size_t count_values(const char *run, const char *tag, int64_t step, int kind) {
    char pattern[512];
    glob_t found;
    unsigned char *text;
    const unsigned char *bytes;
    size_t size, length, count = 0;
    snprintf(pattern, sizeof pattern, "%s/events.out.tfevents.*", material_path(run));
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, 1);
    assert_int_equal(bytes_read(found.gl_pathv[0], SIZE_MAX / 2, &text, &size, NULL), VOCODE_OK);
    for (size_t place = 0; record_next(text, size, &place, &bytes, &length);) {
        Event__Record *record = event__record__unpack(NULL, length, bytes);
        size_t values =
            record->what_case == EVENT__RECORD__WHAT_SUMMARY && record->step == step ? record->summary->n_value : 0;
        for (size_t i = 0; i < values; i++) {
            const Event__Summary__Value *value = record->summary->value[i];
            count += (int)value->kind_case == kind && strcmp(value->tag, tag) == 0;
        }
        event__record__free_unpacked(record, NULL);
    }
    free(text);
    globfree(&found);
    return count;
}

static void test_the_board_has_scalars_sound_and_pictures(void **state) {
    (void)state;
    static const struct {
        const char *tag;
        int64_t step;
        int kind;
        size_t count;
    } expected[] = {
        {"recording/long", 30, EVENT__SUMMARY__VALUE__KIND_AUDIO, 1},
        {"recording/long", 60, EVENT__SUMMARY__VALUE__KIND_AUDIO, 0},
        {"generated/long", 30, EVENT__SUMMARY__VALUE__KIND_AUDIO, 1},
        {"generated/long", 30, EVENT__SUMMARY__VALUE__KIND_IMAGE, 1},
        {"generated/long", 60, EVENT__SUMMARY__VALUE__KIND_IMAGE, 1},
        {"nll", 31, EVENT__SUMMARY__VALUE__KIND_SCALAR, 1},
        {"bits", 31, EVENT__SUMMARY__VALUE__KIND_SCALAR, 1},
        {"gradient_norm", 31, EVENT__SUMMARY__VALUE__KIND_SCALAR, 1},
        {"learning_rate", 31, EVENT__SUMMARY__VALUE__KIND_SCALAR, 1},
        {"audio_seconds_a_second", 31, EVENT__SUMMARY__VALUE__KIND_SCALAR, 1},
        {"validation_nll", 32, EVENT__SUMMARY__VALUE__KIND_SCALAR, 1},
        {"validation_bits", 32, EVENT__SUMMARY__VALUE__KIND_SCALAR, 1},
        {"loss", 33, EVENT__SUMMARY__VALUE__KIND_SCALAR, 1}, /* no likelihood: no bits */
        {"bits", 33, EVENT__SUMMARY__VALUE__KIND_SCALAR, 0},
        {"validation_loss", 34, EVENT__SUMMARY__VALUE__KIND_SCALAR, 1},
        {"validation_bits", 34, EVENT__SUMMARY__VALUE__KIND_SCALAR, 0},
    };
    vocode_model *model = material_model("frameflow", "");
    dataset *set = open_set(model, "valid", 0);
    material_folder("board");
    train_samples *samples = open_samples("board", set, model, 1);
    train_board *board = open_board("board", NULL);
    for (uint64_t step = 30; step <= 60; step += 30) {
        const sample_order order = {.model = model, .step = step, .threads = 1};
        assert_int_equal(train_samples_make(samples, &order, board, NULL), VOCODE_OK);
    }
    board_step(board, &(train_progress){.step = 31, .likelihood = true});
    board_validation(board, &(train_validation){.step = 32, .likelihood = true});
    board_step(board, &(train_progress){.step = 33});
    board_validation(board, &(train_validation){.step = 34});
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_int_equal(count_values("board", expected[i].tag, expected[i].step, expected[i].kind), expected[i].count);
    board_free(board);
    train_samples_free(samples);
    dataset_close(set);
    vocode_model_free(model);
}

static bool there(const char *name) {
    return access(material_path(name), F_OK) == 0;
}

static bool wants_to_stop(void *context) {
    return ++*(size_t *)context > 1;
}

static void test_stopping_leaves_what_was_whole(void **state) {
    (void)state;
    vocode_error error;
    size_t asked = 0;
    vocode_model *model = material_model("frameflow", "");
    dataset *set = open_set(model, "valid", 0);
    material_folder("stopped");
    train_samples *samples = open_samples("stopped", set, model, 3);
    train_board *board = open_board("stopped", NULL);
    sample_order order = {.model = model, .step = 5, .threads = 1, .stop = wants_to_stop, .context = &asked};
    assert_int_equal(train_samples_make(samples, &order, board, &error), VOCODE_CANCELLED);
    assert_true(there("stopped/samples/5/long.wav"));
    assert_false(there("stopped/samples/5/short.wav"));
    order.step = 6;
    assert_int_equal(train_samples_make(samples, &order, board, &error), VOCODE_CANCELLED);
    assert_false(there("stopped/samples/6"));
    board_free(board);
    train_samples_free(samples);
    dataset_close(set);
    vocode_model_free(model);
}

static void test_a_full_disk_is_said_and_passes(void **state) {
    (void)state;
    vocode_error error;
    struct rlimit before, small;
    material_warnings heard;
    warning_sink sink = material_sink(&heard);
    vocode_model *model = material_model("frameflow", "");
    dataset *set = open_set(model, "valid", 0);
    material_folder("full");
    train_samples *samples = open_samples("full", set, model, 1);
    train_board *board = open_board("full", &sink);
    sample_order order = {.model = model, .step = 5, .threads = 1};
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 40; /* bytes: less than an event file's first records take */
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    vocode_status status = train_samples_make(samples, &order, board, &error);
    for (uint64_t step = 1; step < 4; step++) board_step(board, &(train_progress){.step = step, .likelihood = true});
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, VOCODE_IO);
    assert_non_null(strstr(error.message, "samples/recording/long.wav"));
    assert_false(there("full/samples/recording/long.wav"));
    assert_int_equal(heard.count, 1); /* not one a step */
    assert_int_equal(material_count(&heard, "events.out.tfevents."), 1);
    assert_int_equal(train_samples_make(samples, &order, board, &error), VOCODE_OK);
    assert_true(there("full/samples/recording/long.wav"));
    assert_true(there("full/samples/5/long.wav"));
    assert_int_equal(count_values("full", "generated/long", 5, EVENT__SUMMARY__VALUE__KIND_AUDIO), 1);
    board_free(board);
    train_samples_free(samples);
    dataset_close(set);
    vocode_model_free(model);
}

/* Nothing is held out, or under a name that is no text. */
static void test_odd_sets(void **state) {
    (void)state;
    vocode_model *model = material_model("frameflow", "");
    dataset *set = open_set(model, NULL, 0);
    material_folder("odd");
    train_samples *samples = open_samples("odd", set, model, 4);
    train_board *board = open_board("odd", NULL);
    const sample_order order = {.model = model, .step = 5, .threads = 1};
    assert_int_equal(train_samples_count(samples), 0);
    assert_int_equal(train_samples_make(samples, &order, board, NULL), VOCODE_OK);
    assert_false(there("odd/samples"));
    train_samples_free(samples);
    dataset_close(set);
    material_clip("in/one/\xfc.b.wav", 0.2, 5);
    material_text("bytes", "\xfc.b\n");
    set = open_set(model, "bytes", 0);
    samples = open_samples("odd", set, model, 4);
    assert_int_equal(train_samples_make(samples, &order, board, NULL), VOCODE_OK);
    assert_true(there("odd/samples/5/_.b.wav"));
    board_free(board);
    train_samples_free(samples);
    dataset_close(set);
    vocode_model_free(model);
}

static int open_all(void **state) {
    if (material_open(state) != 0) return -1;
    make_recordings();
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clips_are_middles_of_recordings),
        cmocka_unit_test(test_samples_are_what_the_model_makes),
        cmocka_unit_test(test_the_board_has_scalars_sound_and_pictures),
        cmocka_unit_test(test_stopping_leaves_what_was_whole),
        cmocka_unit_test(test_a_full_disk_is_said_and_passes),
        cmocka_unit_test(test_odd_sets),
    };
    return cmocka_run_group_tests(tests, open_all, material_close);
}
