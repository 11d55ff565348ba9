/* Audio files: what is written reads back, headers byte for byte, clipping, streams, refusals. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <math.h>
#include <sndfile.h>

#include "io/audio.h"
#include "io/bytes.h"

#define FRAMES ((size_t)5001) /* odd, and not a whole number of blocks */
#define RATE 22050u

static char folder[64];

static int make_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/vocode-audio-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state) {
    (void)state;
    return rmdir(folder);
}

static const char *in_folder(const char *name) {
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void make_sound(float *x) {
    for (size_t i = 0; i < FRAMES; i++) x[i] = (float)(0.9 * sin(0.05 * (double)i) * cos(0.0007 * (double)i));
}

static unsigned char *bytes_of(const char *path, size_t *size) {
    unsigned char *bytes;
    assert_int_equal(bytes_read(path, SIZE_MAX / 2, &bytes, size, NULL), VOCODE_OK);
    return bytes;
}

static void written_reads_back(void **state) {
    (void)state;
    static const struct {
        const char *name;
        audio_format format;
        double scale; /* what was multiplied by and what reading divides by differ: 32767 and 32768 */
        double read_scale;
    } cases[] = {{"a.wav", AUDIO_PCM16, 32767, 32768},
                 {"a.flac", AUDIO_PCM16, 32767, 32768},
                 {"a.WAV", AUDIO_PCM24, 8388607, 8388608},
                 {"a.flac", AUDIO_PCM24, 8388607, 8388608},
                 {"a.wav", AUDIO_FLOAT, 1, 1}};
    static float x[FRAMES];
    make_sound(x);
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        audio back;
        size_t clipped = 99;
        vocode_error error = {0};
        const char *path = in_folder(cases[c].name);
        if (audio_write(path, x, FRAMES, RATE, cases[c].format, &clipped, &error) != VOCODE_OK)
            fail_msg("%s", error.message);
        assert_int_equal(clipped, 0);
        if (audio_read(path, &back, &error) != VOCODE_OK) fail_msg("%s", error.message);
        assert_int_equal(back.frames, FRAMES);
        assert_int_equal(back.channels, 1);
        assert_int_equal(back.sample_rate, RATE);
        for (size_t i = 0; i < FRAMES; i++) {
            double expected = cases[c].format == AUDIO_FLOAT
                                  ? (double)x[i]
                                  : round((double)x[i] * cases[c].scale) / cases[c].read_scale;
            assert_true((double)back.samples[i] == expected);
        }
        audio_free(&back);
        unlink(path);
    }
}

/* The header by the definition of the format, for an odd number of bytes. */
static void wav_header_by_the_book(void **state) {
    (void)state;
    static const unsigned char expected[] = {
        'R',  'I',  'F', 'F', 40,   0, 0, 0, 'W', 'A', 'V', 'E', 'f', 'm', 't', ' ', 16, 0, 0, 0, 1,    0,    1,    0,
        0x22, 0x56, 0,   0,   0x66, 2, 1, 0, 3,   0,   24,  0,   'd', 'a', 't', 'a', 3,  0, 0, 0, 0xff, 0xff, 0x7f, 0};
    size_t size;
    assert_int_equal(audio_write(in_folder("a.wav"), &(float){1.0f}, 1, RATE, AUDIO_PCM24, NULL, NULL), VOCODE_OK);
    unsigned char *bytes = bytes_of(in_folder("a.wav"), &size);
    assert_int_equal(size, sizeof expected);
    assert_memory_equal(bytes, expected, sizeof expected);
    free(bytes);
    unlink(in_folder("a.wav"));
}

static void integers_scale_and_clip(void **state) {
    (void)state;
    const float x[] = {1.0f, -1.0f, 1.1f, -1.1f, 0.5f, 1.50001f / 32767, -0.00001f, 1e30f, 1.00001f, -1.00002f};
    const int16_t expected[] = {32767, -32767, 32767, -32768, 16384, 2, 0, 32767, 32767, -32768};
    size_t clipped, size;
    assert_int_equal(audio_write_raw(in_folder("a.raw"), x, 10, AUDIO_PCM16, &clipped, NULL), VOCODE_OK);
    assert_int_equal(clipped, 3);
    unsigned char *bytes = bytes_of(in_folder("a.raw"), &size);
    assert_int_equal(size, sizeof expected);
    assert_memory_equal(bytes, expected, sizeof expected);
    free(bytes);
    assert_int_equal(audio_write_raw(in_folder("a.raw"), x, 10, AUDIO_FLOAT, &clipped, NULL), VOCODE_OK);
    assert_int_equal(clipped, 0);
    bytes = bytes_of(in_folder("a.raw"), &size);
    assert_int_equal(size, sizeof x);
    assert_memory_equal(bytes, x, sizeof x);
    free(bytes);
    assert_int_equal(audio_write_raw(in_folder("a.raw"), x, 3, AUDIO_PCM24, NULL, NULL), VOCODE_OK);
    bytes = bytes_of(in_folder("a.raw"), &size);
    assert_int_equal(size, 9);
    assert_memory_equal(bytes, "\xff\xff\x7f\x01\x00\x80\xff\xff\x7f", 9);
    free(bytes);
    unlink(in_folder("a.raw"));
}

static void block_sizes_do_not_matter(void **state) {
    (void)state;
    static float x[FRAMES];
    make_sound(x);
    static const struct {
        const char *whole, *parts;
        audio_container container;
        audio_format format;
    } cases[] = {{"w.wav", "p.wav", AUDIO_WAV, AUDIO_FLOAT}, {"w.flac", "p.flac", AUDIO_FLAC, AUDIO_PCM24}};
    for (size_t c = 0; c < 2; c++) {
        audio_writer *writer;
        size_t whole_size, parts_size;
        assert_int_equal(audio_write(in_folder(cases[c].whole), x, FRAMES, RATE, cases[c].format, NULL, NULL),
                         VOCODE_OK);
        assert_int_equal(
            audio_writer_open(in_folder(cases[c].parts), RATE, cases[c].format, cases[c].container, &writer, NULL),
            VOCODE_OK);
        for (size_t at = 0, step = 1; at < FRAMES; at += step, step = 2 * step + 1) {
            if (step > FRAMES - at) step = FRAMES - at;
            assert_int_equal(audio_writer_write(writer, x + at, step, NULL), VOCODE_OK);
        }
        assert_int_equal(audio_writer_close(writer, NULL, NULL), VOCODE_OK);
        unsigned char *whole = bytes_of(in_folder(cases[c].whole), &whole_size);
        unsigned char *parts = bytes_of(in_folder(cases[c].parts), &parts_size);
        assert_int_equal(whole_size, parts_size);
        assert_memory_equal(whole, parts, whole_size);
        free(whole);
        free(parts);
        unlink(in_folder(cases[c].whole));
        unlink(in_folder(cases[c].parts));
    }
}

/* Through a pipe: the header says that the length is unknown, and readers take what comes. */
static void a_pipe_gets_a_valid_stream(void **state) {
    (void)state;
    static float x[FRAMES];
    make_sound(x);
    static const audio_format formats[] = {AUDIO_PCM16, AUDIO_PCM24, AUDIO_FLOAT};
    char pipe_path[128];
    snprintf(pipe_path, sizeof pipe_path, "%s", in_folder("pipe"));
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    for (size_t c = 0; c < 3; c++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) _exit(audio_write(pipe_path, x, FRAMES, RATE, formats[c], NULL, NULL) == VOCODE_OK ? 0 : 1);
        size_t size;
        unsigned char *bytes = bytes_of(pipe_path, &size);
        int result;
        assert_int_equal(waitpid(child, &result, 0), child);
        assert_int_equal(result, 0);
        assert_memory_equal(bytes + 4, "\xff\xff\xff\xffWAVE", 8);
        FILE *copy = fopen(in_folder("copy.wav"), "wb");
        assert_non_null(copy);
        assert_int_equal(fwrite(bytes, 1, size, copy), size);
        fclose(copy);
        free(bytes);
        audio back;
        vocode_error error = {0};
        if (audio_read(in_folder("copy.wav"), &back, &error) != VOCODE_OK) fail_msg("%s", error.message);
        assert_int_equal(back.frames, FRAMES);
        for (size_t i = 0; i < FRAMES; i++) assert_true(fabsf(back.samples[i] - x[i]) <= 1.0f / 16384);
        audio_free(&back);
        unlink(in_folder("copy.wav"));
    }
    vocode_error error = {0};
    audio_container container;
    assert_int_equal(audio_container_of(pipe_path, AUDIO_FLOAT, &container, &error), VOCODE_OK);
    assert_int_equal(container, AUDIO_WAV);
    unlink(pipe_path);
    assert_int_equal(audio_write("/dev/null", x, FRAMES, RATE, AUDIO_PCM16, NULL, &error), VOCODE_OK);
}

/* What cannot seek is read whole first: a pipe, and standard input. */
static void pipes_and_standard_input_read(void **state) {
    (void)state;
    static float x[FRAMES];
    char path[128], pipe_path[128];
    make_sound(x);
    snprintf(path, sizeof path, "%s", in_folder("a.flac"));
    snprintf(pipe_path, sizeof pipe_path, "%s", in_folder("pipe"));
    assert_int_equal(audio_write(path, x, FRAMES, RATE, AUDIO_PCM24, NULL, NULL), VOCODE_OK);
    assert_int_equal(mkfifo(pipe_path, 0600), 0);
    size_t size;
    unsigned char *bytes = bytes_of(path, &size);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        FILE *file = fopen(pipe_path, "wb");
        _exit(file && fwrite(bytes, 1, size, file) == size && fclose(file) == 0 ? 0 : 1);
    }
    free(bytes);
    audio piped, standard, direct;
    vocode_status piped_status = audio_read(pipe_path, &piped, NULL);
    int result, saved = dup(STDIN_FILENO), fd = open(path, O_RDONLY);
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    assert_true(fd >= 0 && dup2(fd, STDIN_FILENO) >= 0);
    vocode_status standard_status = audio_read("-", &standard, NULL);
    assert_true(saved < 0 || dup2(saved, STDIN_FILENO) >= 0);
    assert_int_equal(piped_status, VOCODE_OK);
    assert_int_equal(standard_status, VOCODE_OK);
    assert_int_equal(audio_read(path, &direct, NULL), VOCODE_OK);
    assert_int_equal(direct.frames, FRAMES);
    assert_int_equal(piped.frames, FRAMES);
    assert_int_equal(standard.frames, FRAMES);
    assert_memory_equal(piped.samples, direct.samples, FRAMES * sizeof *x);
    assert_memory_equal(standard.samples, direct.samples, FRAMES * sizeof *x);
    audio_free(&piped);
    audio_free(&standard);
    audio_free(&direct);
    close(fd);
    close(saved);
    unlink(path);
    unlink(pipe_path);
}

static void refuses_to_write(void **state) {
    (void)state;
    const float bad[] = {0, NAN}, huge[] = {0, 0, -INFINITY};
    vocode_error error = {0};
    assert_int_equal(audio_write(in_folder("a.mp3"), bad, 1, RATE, AUDIO_PCM16, NULL, &error), VOCODE_ARGUMENT);
    assert_non_null(strstr(error.message, "a.mp3: its name must end in .wav or .flac"));
    assert_int_equal(audio_write(in_folder("a.flac"), bad, 1, RATE, AUDIO_FLOAT, NULL, &error), VOCODE_ARGUMENT);
    assert_non_null(strstr(error.message, "FLAC has no float"));
    assert_int_equal(audio_write(in_folder("a.wav"), bad, 2, RATE, AUDIO_PCM16, NULL, &error), VOCODE_VALUE);
    assert_non_null(strstr(error.message, "NaN) at sample 1"));
    assert_int_equal(audio_write(in_folder("a.flac"), huge, 3, RATE, AUDIO_PCM24, NULL, &error), VOCODE_VALUE);
    assert_non_null(strstr(error.message, "infinity at sample 2"));
    assert_int_equal(audio_write(in_folder("a.wav"), bad, 1, 0, AUDIO_PCM16, NULL, &error), VOCODE_ARGUMENT);
    assert_int_equal(audio_write(in_folder("a.flac"), bad, 1, 9999999, AUDIO_PCM16, NULL, &error), VOCODE_IO);
    assert_int_equal(audio_write("/dev/full", bad, 1, RATE, AUDIO_PCM16, NULL, &error), VOCODE_IO);
    assert_int_not_equal(access(in_folder("a.wav"), F_OK), 0);
    assert_int_not_equal(access(in_folder("a.flac"), F_OK), 0);
}

static char heard[4][256];
static size_t heard_count;

static void hear(void *context, const char *sentence) {
    (void)context;
    if (heard_count < 4) snprintf(heard[heard_count++], sizeof heard[0], "%s", sentence);
}

/* Stereo at another rate, written by libsndfile itself. */
static void mono_is_mixed_resampled_and_said(void **state) {
    (void)state;
    const size_t frames = 44100;
    const char *path = in_folder("stereo.aiff");
    SF_INFO info = {.samplerate = 44100, .channels = 2, .format = SF_FORMAT_AIFF | SF_FORMAT_FLOAT};
    SNDFILE *file = sf_open(path, SFM_WRITE, &info);
    assert_non_null(file);
    for (size_t i = 0; i < frames; i++) {
        float tone = (float)sin(2 * M_PI * 440 * (double)i / 44100);
        assert_int_equal(sf_writef_float(file, (const float[]){0.75f * tone, 0.25f * tone}, 1), 1);
    }
    sf_close(file);
    const warning_sink sink = {hear, NULL};
    audio sound;
    vocode_error error = {0};
    if (audio_read_mono(path, RATE, &sound, &sink, &error) != VOCODE_OK) fail_msg("%s", error.message);
    assert_int_equal(heard_count, 2);
    assert_non_null(strstr(heard[0], "2 channels"));
    assert_non_null(strstr(heard[1], "from 44100 Hz to 22050 Hz"));
    assert_int_equal(sound.frames, 22050);
    assert_int_equal(sound.channels, 1);
    for (size_t i = 1000; i < 21000; i++)
        assert_true(fabs((double)sound.samples[i] - 0.5 * sin(2 * M_PI * 440 * (double)i / RATE)) < 1e-5);
    audio_free(&sound);
    assert_int_equal(audio_read_mono(path, 0, &sound, NULL, NULL), VOCODE_OK);
    assert_int_equal(sound.sample_rate, 44100);
    assert_int_equal(sound.frames, frames);
    audio_free(&sound);
    unlink(path);
}

static void put_file(const char *path, const void *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
}

static void refuses_to_read(void **state) {
    (void)state;
    static float x[FRAMES];
    audio sound;
    vocode_error error = {0};
    size_t size;
    make_sound(x);
    put_file(in_folder("a.wav"), "", 0);
    assert_int_equal(audio_read(in_folder("a.wav"), &sound, &error), VOCODE_VALUE);
    assert_non_null(strstr(error.message, "empty"));
    put_file(in_folder("a.wav"), "\x93NUMPY\x01\0 ", 10);
    assert_int_equal(audio_read(in_folder("a.wav"), &sound, &error), VOCODE_FORMAT);
    assert_non_null(strstr(error.message, "a .npy file"));
    assert_int_equal(audio_read("/nonexistent.wav", &sound, &error), VOCODE_IO);
    assert_int_equal(audio_read(folder, &sound, &error), VOCODE_IO);
    assert_int_equal(audio_write(in_folder("a.wav"), x, 0, RATE, AUDIO_PCM16, NULL, NULL), VOCODE_OK);
    assert_int_equal(audio_read_mono(in_folder("a.wav"), 0, &sound, NULL, &error), VOCODE_VALUE);
    assert_non_null(strstr(error.message, "zero frames"));

    static const char *const names[] = {"a.wav", "a.flac"};
    for (size_t i = 0; i < 2; i++) { /* cut off */
        assert_int_equal(audio_write(in_folder(names[i]), x, FRAMES, RATE, AUDIO_PCM16, NULL, NULL), VOCODE_OK);
        unsigned char *bytes = bytes_of(in_folder(names[i]), &size);
        put_file(in_folder(names[i]), bytes, size - size / 3);
        free(bytes);
        assert_int_equal(audio_read(in_folder(names[i]), &sound, &error), VOCODE_FORMAT);
        if (!strstr(error.message, "truncated")) fail_msg("%s", error.message);
        unlink(in_folder(names[i]));
    }
    unsigned char *bytes;
    assert_int_equal(audio_write(in_folder("a.wav"), x, FRAMES, 1000, AUDIO_FLOAT, NULL, NULL), VOCODE_OK);
    bytes = bytes_of(in_folder("a.wav"), &size);
    memcpy(bytes + size - 4 * 101, &(float){NAN}, 4);
    put_file(in_folder("a.wav"), bytes, size);
    free(bytes);
    assert_int_equal(audio_read_mono(in_folder("a.wav"), 0, &sound, NULL, &error), VOCODE_VALUE);
    if (!strstr(error.message, "NaN) at frame 4900 (4.900 s)")) fail_msg("%s", error.message);
    unlink(in_folder("a.wav"));
}

/* A part is bit for bit that part of the whole, mixed down; what has no exact places or too few frames is refused. */
static void parts_are_of_the_whole(void **state) {
    (void)state;
    static const int formats[] = {SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_FLAC | SF_FORMAT_PCM_24};
    static const size_t firsts[] = {0, 1, 1000, FRAMES - 7};
    float x[FRAMES], part[FRAMES];
    vocode_error error;
    make_sound(x);
    for (unsigned channels = 1; channels <= 3; channels += 2)
        for (size_t f = 0; f < 2; f++) {
            audio whole;
            SF_INFO info = {.samplerate = RATE, .channels = (int)channels, .format = formats[f]};
            SNDFILE *file = sf_open(in_folder("part"), SFM_WRITE, &info);
            size_t frames = FRAMES / channels;
            assert_int_equal(sf_writef_float(file, x, (sf_count_t)frames), frames);
            sf_close(file);
            assert_int_equal(audio_read_mono(in_folder("part"), RATE, &whole, NULL, NULL), VOCODE_OK);
            for (size_t i = 0; i < sizeof firsts / sizeof *firsts; i++) {
                size_t first = firsts[i] * frames / FRAMES, count = i ? 7 : frames;
                if (first + count > frames) first = frames - count;
                assert_int_equal(audio_read_part(in_folder("part"), first, count, part, NULL), VOCODE_OK);
                assert_memory_equal(part, whole.samples + first, count * sizeof *part);
            }
            assert_int_equal(audio_read_part(in_folder("part"), frames - 6, 7, part, &error), VOCODE_FORMAT);
            assert_non_null(strstr(error.message, "part: expected at least"));
            audio_free(&whole);
        }
    SF_INFO info = {.samplerate = RATE, .channels = 1, .format = SF_FORMAT_OGG | SF_FORMAT_VORBIS};
    SNDFILE *file = sf_open(in_folder("part"), SFM_WRITE, &info);
    assert_int_equal(sf_writef_float(file, x, FRAMES), FRAMES);
    sf_close(file);
    assert_int_equal(audio_read_part(in_folder("part"), 0, 7, part, &error), VOCODE_UNSUPPORTED);
    assert_int_equal(audio_read_part(in_folder("absent"), 0, 7, part, &error), VOCODE_IO);
    unlink(in_folder("part"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_of_the_whole),           cmocka_unit_test(written_reads_back),
        cmocka_unit_test(wav_header_by_the_book),           cmocka_unit_test(integers_scale_and_clip),
        cmocka_unit_test(block_sizes_do_not_matter),        cmocka_unit_test(a_pipe_gets_a_valid_stream),
        cmocka_unit_test(pipes_and_standard_input_read),    cmocka_unit_test(refuses_to_write),
        cmocka_unit_test(mono_is_mixed_resampled_and_said), cmocka_unit_test(refuses_to_read),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
