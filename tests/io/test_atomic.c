/* Outputs appear whole or not at all: on success, abort, full disks, links, pipes, modes. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "io/atomic.h"
#include "io/audio.h"
#include "io/bytes.h"
#include "io/npy.h"

static char folder[] = "/tmp/vocode-atomic-XXXXXX";

static int make_folder(void **state) {
    (void)state;
    strcpy(folder + strlen(folder) - 6, "XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static const char *in_folder(const char *name) {
    static char paths[4][512];
    static size_t next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

/* Files in a folder, hidden ones too; links and pipes count. */
static int entries(const char *path) {
    int count = 0;
    DIR *listing = opendir(path);
    assert_non_null(listing);
    for (struct dirent *entry; (entry = readdir(listing));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(listing);
    return count;
}

static int clear_folder(void **state) {
    (void)state;
    (void)umount(folder); /* a test that failed may have left one */
    DIR *listing = opendir(folder);
    for (struct dirent *entry; listing && (entry = readdir(listing));) unlink(in_folder(entry->d_name));
    if (listing) closedir(listing);
    return rmdir(folder);
}

static vocode_status put_text(const char *path, const char *text, vocode_error *error) {
    return atomic_put(path, text, strlen(text), error);
}

static void assert_holds(const char *path, const char *text) {
    unsigned char *bytes;
    size_t size;
    assert_int_equal(bytes_read(path, SIZE_MAX / 2, &bytes, &size, NULL), VOCODE_OK);
    assert_string_equal((char *)bytes, text);
    free(bytes);
}

static void nothing_appears_before_the_commit(void **state) {
    (void)state;
    atomic_file *file;
    const char *path = in_folder("a.txt");
    assert_int_equal(atomic_open(path, &file, NULL), VOCODE_OK);
    assert_int_equal(atomic_write(file, "new", 3, NULL), VOCODE_OK);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(atomic_commit(file, NULL), VOCODE_OK);
    assert_holds(path, "new");
    assert_int_equal(atomic_open(path, &file, NULL), VOCODE_OK);
    assert_int_equal(atomic_write(file, "never", 5, NULL), VOCODE_OK);
    fflush(atomic_stream(file));
    assert_holds(path, "new");
    atomic_abort(file);
    assert_holds(path, "new");
    assert_int_equal(entries(folder), 1);
    atomic_abort(NULL);
}

static void modes_follow_umask_or_the_old_file(void **state) {
    (void)state;
    struct stat about;
    mode_t before = umask(027);
    assert_int_equal(put_text(in_folder("new"), "x", NULL), VOCODE_OK);
    assert_int_equal(stat(in_folder("new"), &about), 0);
    assert_int_equal(about.st_mode & 07777, 0640);
    assert_int_equal(chmod(in_folder("new"), 0604), 0);
    assert_int_equal(put_text(in_folder("new"), "y", NULL), VOCODE_OK);
    assert_int_equal(stat(in_folder("new"), &about), 0);
    assert_int_equal(about.st_mode & 07777, 0604);
    umask(before);
}

static void links_stay_links(void **state) {
    (void)state;
    struct stat about;
    assert_int_equal(symlink("target", in_folder("relative")), 0);
    assert_int_equal(symlink(in_folder("relative"), in_folder("absolute")), 0);
    assert_int_equal(put_text(in_folder("absolute"), "through two links", NULL), VOCODE_OK); /* the target is new */
    assert_int_equal(lstat(in_folder("target"), &about), 0);
    assert_true(S_ISREG(about.st_mode));
    assert_int_equal(put_text(in_folder("relative"), "again", NULL), VOCODE_OK);
    assert_int_equal(lstat(in_folder("relative"), &about), 0);
    assert_true(S_ISLNK(about.st_mode));
    assert_int_equal(lstat(in_folder("absolute"), &about), 0);
    assert_true(S_ISLNK(about.st_mode));
    assert_holds(in_folder("target"), "again");
    assert_int_equal(entries(folder), 3);
    vocode_error error = {0};
    assert_int_equal(symlink("circle", in_folder("circle")), 0);
    assert_int_equal(put_text(in_folder("circle"), "x", &error), VOCODE_IO);
}

static void pipes_are_written_directly(void **state) {
    (void)state;
    char text[8] = "";
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    int reader = open(in_folder("pipe"), O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    assert_int_equal(put_text(in_folder("pipe"), "flow", NULL), VOCODE_OK);
    assert_int_equal(read(reader, text, sizeof text), 4);
    assert_string_equal(text, "flow");
    close(reader);
    assert_int_equal(entries(folder), 1);
    assert_int_equal(put_text("/dev/null", "gone", NULL), VOCODE_OK);
}

static void refusals_name_the_path(void **state) {
    (void)state;
    vocode_error error = {0};
    assert_int_equal(put_text("/nonexistent/out.wav", "x", &error), VOCODE_IO);
    assert_non_null(strstr(error.message, "/nonexistent/out.wav: No such file"));
    assert_int_equal(put_text(folder, "x", &error), VOCODE_IO);
    assert_non_null(strstr(error.message, "it is a folder"));
    assert_int_equal(put_text("/dev/full", "x", &error), VOCODE_IO);
    assert_non_null(strstr(error.message, "/dev/full: No space left on device"));
    char name[300];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    assert_int_equal(put_text(name, "x", &error), VOCODE_IO);
    name[255] = 0; /* the longest that a folder holds: the temporary's name must be cut */
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(put_text(path, "x", &error), VOCODE_OK);
    unlink(path);
    assert_int_equal(entries(folder), 0);
}

/* Writes each kind of output over an existing file where it must fail; the old file stands and nothing else is left. */
static void outputs_fail_cleanly(const char *where) {
    static float noise[65536];
    uint32_t number = 1;
    for (size_t i = 0; i < 65536; i++) noise[i] = (float)(number = number * 1664525u + 1013904223u) / 4.3e9f;
    static const char *const names[] = {"old.npy", "old.wav", "old.flac"};
    for (size_t i = 0; i < 3; i++) {
        char path[128];
        vocode_error error = {0};
        snprintf(path, sizeof path, "%s/%s", where, names[i]);
        FILE *old = fopen(path, "wb");
        assert_non_null(old);
        fputs("old", old);
        fclose(old);
        vocode_status status = i == 0 ? npy_write(path, noise, 1, (const size_t[]){65536}, &error)
                                      : audio_write(path, noise, 65536, 22050, AUDIO_PCM16, NULL, &error);
        assert_int_equal(status, VOCODE_IO);
        assert_non_null(strstr(error.message, path));
        assert_true(strstr(error.message, "No space left") || strstr(error.message, "too large"));
        assert_holds(path, "old");
        assert_int_equal(entries(where), 1);
        unlink(path);
    }
}

static void a_limited_file_size_leaves_nothing(void **state) {
    (void)state;
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){.rlim_cur = 20000, .rlim_max = before.rlim_max};
    signal(SIGXFSZ, SIG_IGN); /* then the write fails with EFBIG */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    outputs_fail_cleanly(folder);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
}

static void a_full_disk_leaves_nothing(void **state) {
    (void)state;
    if (mount("none", folder, "tmpfs", 0, "size=32k") != 0) skip(); /* needs root */
    outputs_fail_cleanly(folder);
    assert_int_equal(umount(folder), 0);
}

/* "-" while standard output is a file: the WAV sizes are right, and what comes after comes after. */
static void a_redirected_output_is_finished(void **state) {
    (void)state;
    const float sound[] = {0, 0.25f, -0.5f, 1.0f};
    audio back;
    int saved = dup(STDOUT_FILENO);
    fflush(stdout);
    int fd = open(in_folder("redirected.wav"), O_RDWR | O_CREAT, 0600);
    assert_true(fd >= 0 && dup2(fd, STDOUT_FILENO) >= 0);
    vocode_status status = audio_write("-", sound, 4, 16000, AUDIO_PCM16, NULL, NULL);
    off_t end = lseek(STDOUT_FILENO, 0, SEEK_CUR);
    assert_true(dup2(saved, STDOUT_FILENO) >= 0);
    close(saved);
    close(fd);
    assert_int_equal(status, VOCODE_OK);
    assert_int_equal(end, 44 + 8);
    assert_int_equal(audio_read(in_folder("redirected.wav"), &back, NULL), VOCODE_OK);
    assert_int_equal(back.frames, 4);
    audio_free(&back);
    unsigned char *bytes;
    size_t size;
    assert_int_equal(bytes_read(in_folder("redirected.wav"), 1000, &bytes, &size, NULL), VOCODE_OK);
    assert_memory_equal(bytes + 40, "\x08\0\0\0", 4);
    free(bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_appears_before_the_commit, make_folder, clear_folder),
        cmocka_unit_test_setup_teardown(modes_follow_umask_or_the_old_file, make_folder, clear_folder),
        cmocka_unit_test_setup_teardown(links_stay_links, make_folder, clear_folder),
        cmocka_unit_test_setup_teardown(pipes_are_written_directly, make_folder, clear_folder),
        cmocka_unit_test_setup_teardown(refusals_name_the_path, make_folder, clear_folder),
        cmocka_unit_test_setup_teardown(a_limited_file_size_leaves_nothing, make_folder, clear_folder),
        cmocka_unit_test_setup_teardown(a_full_disk_leaves_nothing, make_folder, clear_folder),
        cmocka_unit_test_setup_teardown(a_redirected_output_is_finished, make_folder, clear_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
