/* TensorBoard event files: their framing, what they say, how they start again, what a full disk does to them. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "io/bytes.h"
#include "material.h"
#include "train/events.h"
#include "train/events.pb-c.h"
#include "train/records.h"

/* RFC 3720, appendix B.4, and the check value of the catalogue of CRCs. */
static void test_checksum_of_known_bytes(void **state) {
    (void)state;
    unsigned char zeros[32] = {0}, ones[32], up[32];
    memset(ones, 0xff, sizeof ones);
    for (unsigned char i = 0; i < sizeof up; i++) up[i] = i;
    assert_int_equal(crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(zeros, sizeof zeros), 0x8a9136aa);
    assert_int_equal(crc32c(ones, sizeof ones), 0x62a8ab43);
    assert_int_equal(crc32c(up, sizeof up), 0x46dd794e);
    assert_int_equal(crc32c("", 0), 0);
    assert_int_equal(crc32c_masked("", 0), 0xa282ead8);
}

typedef struct reading {
    unsigned char *text;
    size_t size, place;
} reading;

static reading open_records(const char *path) {
    reading file = {0};
    vocode_error error;
    assert_int_equal(bytes_read(path, SIZE_MAX / 2, &file.text, &file.size, &error), VOCODE_OK);
    return file;
}

/* The next record; fails the test where there is none. */
static Event__Record *next(reading *file) {
    const unsigned char *bytes;
    size_t length;
    assert_true(record_next(file->text, file->size, &file->place, &bytes, &length));
    Event__Record *record = event__record__unpack(NULL, length, bytes);
    assert_non_null(record);
    return record;
}

static void expect_begin(reading *file, int64_t void_from) {
    Event__Record *record = next(file);
    assert_int_equal(record->what_case, EVENT__RECORD__WHAT_FILE_VERSION);
    assert_string_equal(record->file_version, "brain.Event:2");
    assert_true(record->wall_time > 1.5e9);
    event__record__free_unpacked(record, NULL);
    record = next(file);
    assert_int_equal(record->what_case, EVENT__RECORD__WHAT_SESSION);
    assert_int_equal(record->session->status, EVENT__SESSION__STATUS__START);
    assert_int_equal(record->step, void_from);
    event__record__free_unpacked(record, NULL);
}

static void expect_end(reading *file) {
    assert_int_equal(file->place, file->size);
    free(file->text);
}

static event_file *begin(const char *folder, uint64_t step) {
    event_file *file;
    vocode_error error;
    assert_int_equal(events_open(folder, step, &file, &error), VOCODE_OK);
    return file;
}

static void put_loss(event_file *file, uint64_t step, double loss) {
    vocode_error error;
    const event_scalar scalars[] = {{"loss/training", loss}, {"gradient/norm", 2 * loss}};
    assert_int_equal(events_scalars(file, step, scalars, 2, &error), VOCODE_OK);
}

static const char sound[] = "RIFF, as far as this test goes", picture[] = "\x89PNG the same\0here";

static void test_records_say_what_was_given(void **state) {
    (void)state;
    vocode_error error;
    material_folder("said");
    event_file *file = begin(material_path("said"), 0);
    put_loss(file, 7, -5.25);
    assert_int_equal(events_sound(file, 8, "clip/a", sound, sizeof sound, 441, 22050, &error), VOCODE_OK);
    assert_int_equal(events_picture(file, 9, "picture/a", picture, sizeof picture, 20, 10, &error), VOCODE_OK);
    reading back = open_records(events_path(file));
    events_close(file);
    expect_begin(&back, 0);
    Event__Record *record = next(&back);
    assert_int_equal(record->step, 7);
    assert_int_equal(record->summary->n_value, 2);
    assert_string_equal(record->summary->value[1]->tag, "gradient/norm");
    assert_int_equal(record->summary->value[0]->kind_case, EVENT__SUMMARY__VALUE__KIND_SCALAR);
    assert_true(record->summary->value[0]->scalar == -5.25f);
    event__record__free_unpacked(record, NULL);
    record = next(&back);
    const Event__Summary__Audio *heard = record->summary->value[0]->audio;
    assert_int_equal(heard->frames, 441);
    assert_int_equal(heard->channels, 1);
    assert_true(heard->sample_rate == 22050);
    assert_int_equal(heard->encoded.len, sizeof sound);
    assert_memory_equal(heard->encoded.data, sound, sizeof sound);
    event__record__free_unpacked(record, NULL);
    record = next(&back);
    const Event__Summary__Image *seen = record->summary->value[0]->image;
    assert_int_equal(seen->width, 20);
    assert_int_equal(seen->height, 10);
    assert_memory_equal(seen->encoded.data, picture, sizeof picture);
    event__record__free_unpacked(record, NULL);
    expect_end(&back);
}

/* A run that goes on after step 5 makes a file that is read later, and voids what comes after that step. */
static void test_a_resumed_run_voids_later_steps(void **state) {
    (void)state;
    material_folder("resumed");
    event_file *first = begin(material_path("resumed"), 0);
    event_file *second = begin(material_path("resumed"), 5), *third = begin(material_path("resumed"), 6);
    assert_true(strcmp(events_path(first), events_path(second)) < 0);
    assert_true(strcmp(events_path(second), events_path(third)) < 0);
    reading back = open_records(events_path(second));
    expect_begin(&back, 6);
    expect_end(&back);
    events_close(first);
    events_close(second);
    events_close(third);
}

static void test_damage_is_noticed(void **state) {
    (void)state;
    material_folder("damaged");
    event_file *file = begin(material_path("damaged"), 0);
    put_loss(file, 1, 1);
    reading back = open_records(events_path(file));
    events_close(file);
    const unsigned char *bytes;
    size_t length, whole = 0, count = 0;
    while (record_next(back.text, back.size, &whole, &bytes, &length)) count++;
    assert_int_equal(count, 3);
    for (size_t i = 0; i < back.size; i++) { /* any byte at all */
        back.text[i] ^= 0x10;
        size_t place = 0, read = 0;
        while (record_next(back.text, back.size, &place, &bytes, &length)) read++;
        assert_true(read < count);
        back.text[i] ^= 0x10;
    }
    for (size_t size = 0; size < back.size; size++) { /* cut off anywhere */
        size_t place = 0, read = 0;
        while (record_next(back.text, size, &place, &bytes, &length)) read++;
        assert_true(read < count);
    }
    free(back.text);
}

static void test_a_full_disk_costs_the_record_alone(void **state) {
    (void)state;
    vocode_error error;
    struct rlimit before, small;
    static char large[100000];
    material_folder("full");
    event_file *file = begin(material_path("full"), 0);
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 10000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    vocode_status status = events_sound(file, 1, "clip", large, sizeof large, 50000, 22050, &error);
    put_loss(file, 2, 3);
    setrlimit(RLIMIT_FSIZE, &before);
    assert_int_equal(status, VOCODE_IO);
    assert_non_null(strstr(error.message, "events.out.tfevents."));
    reading back = open_records(events_path(file));
    events_close(file);
    expect_begin(&back, 0);
    Event__Record *record = next(&back);
    assert_int_equal(record->step, 2);
    event__record__free_unpacked(record, NULL);
    expect_end(&back);
}

static void test_a_missing_folder_is_a_sentence(void **state) {
    (void)state;
    event_file *file;
    vocode_error error;
    assert_int_equal(events_open(material_path("nowhere"), 0, &file, &error), VOCODE_IO);
    assert_non_null(strstr(error.message, "nowhere"));
    assert_null(file);
}

/* TensorBoard itself reads a run that was resumed; $VOCODE_PYTHON is a Python that has it. */
static void test_tensorboard_reads_them(void **state) {
    (void)state;
    vocode_error error;
    char line[1024];
    const char *python = getenv("VOCODE_PYTHON");
    material_folder("board");
    event_file *file = begin(material_path("board"), 0);
    for (uint64_t step = 1; step <= 9; step++) put_loss(file, step, -1.0 * (double)step);
    events_close(file);
    file = begin(material_path("board"), 5);
    put_loss(file, 6, -60);
    put_loss(file, 7, -70);
    assert_int_equal(events_sound(file, 7, "clip/a", sound, sizeof sound, 441, 22050, &error), VOCODE_OK);
    assert_int_equal(events_picture(file, 7, "picture/a", picture, sizeof picture, 20, 10, &error), VOCODE_OK);
    events_close(file);
    snprintf(line, sizeof line, "'%s' '%s/../train/read_events.py' '%s'", python ? python : "python3", TEST_DATA,
             material_path("board"));
    int status = system(line);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) skip();
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksum_of_known_bytes),
        cmocka_unit_test(test_records_say_what_was_given),
        cmocka_unit_test(test_a_resumed_run_voids_later_steps),
        cmocka_unit_test(test_damage_is_noticed),
        cmocka_unit_test(test_a_full_disk_costs_the_record_alone),
        cmocka_unit_test(test_a_missing_folder_is_a_sentence),
        cmocka_unit_test(test_tensorboard_reads_them),
    };
    return cmocka_run_group_tests(tests, material_open, material_close);
}
