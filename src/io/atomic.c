#include "io/atomic.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_LINKS 40     /* symbolic links followed before a loop is assumed, as in the kernel */
#define MOST_ATTEMPTS 100 /* random names tried before giving up */
#define LONGEST_NAME 255  /* bytes of one name in a folder, NAME_MAX */
#define NEW_FILE_MODE 0666

struct atomic_file {
    char *name;      /* what the caller called it */
    char *target;    /* what it is renamed to, symbolic links resolved; NULL when written directly */
    char *temporary; /* NULL when written directly */
    FILE *stream;
    int can_seek;
};

/* The folder part of path, "" or ending in a slash, is path[0 .. this). */
static size_t folder_length(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

static char *joined(const char *path, size_t folder, const char *name) {
    char *text = NULL;
    return asprintf(&text, "%.*s%s", (int)folder, path, name) < 0 ? NULL : text;
}

/* The file that path finally names, which need not exist: *out is owned by the caller. */
static vocode_status follow_links(const char *path, char **out, vocode_error *error) {
    char *current = strdup(path);
    char link[PATH_MAX];
    for (int i = 0; current && i < MOST_LINKS; i++) {
        ssize_t length = readlink(current, link, sizeof link - 1);
        if (length < 0) {
            *out = current;
            return VOCODE_OK;
        }
        link[length] = 0;
        char *next = joined(current, link[0] == '/' ? 0 : folder_length(current), link);
        free(current);
        current = next;
    }
    if (!current) return failed(error, VOCODE_MEMORY, "cannot write %s: out of memory", path);
    free(current);
    return failed(error, VOCODE_IO, "cannot write %s: more than %d symbolic links in a row", path, MOST_LINKS);
}

/* Descriptors under another name: a rename would replace the name and leave whoever holds the descriptor without data.
 */
static int names_a_descriptor(const char *path) {
    static const char *const prefixes[] = {"/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(path, prefixes[i], strlen(prefixes[i])) == 0) return 1;
    return 0;
}

/* A new file beside target with a name that nothing else has; *out gets the name, the result is its descriptor. */
static int create_beside(const char *target, char **out) {
    const char *base = target + folder_length(target);
    const int longest_base = LONGEST_NAME - 32; /* leaves room for the prefix, the number and the ending */
    for (int i = 0; i < MOST_ATTEMPTS; i++) {
        uint64_t number;
        char *name = NULL;
        if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number) return -1;
        if (asprintf(&name, "%.*s.%.*s.%016llx.part", (int)folder_length(target), target, longest_base, base,
                     (unsigned long long)number) < 0)
            return -1;
        int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, NEW_FILE_MODE); /* the kernel applies the umask */
        if (fd >= 0) {
            *out = name;
            return fd;
        }
        free(name);
        if (errno != EEXIST) return -1;
    }
    return -1;
}

static vocode_status open_temporary(atomic_file *file, const struct stat *existing, int *fd, vocode_error *error) {
    TRY(follow_links(file->name, &file->target, error));
    if (existing && faccessat(AT_FDCWD, file->target, W_OK, AT_EACCESS) != 0)
        return failed_errno(error, VOCODE_IO, "cannot write %s", file->name);
    *fd = create_beside(file->target, &file->temporary);
    if (*fd < 0) return failed_errno(error, VOCODE_IO, "cannot write %s", file->name);
    if (existing && fchmod(*fd, existing->st_mode & 07777) != 0)
        return failed_errno(error, VOCODE_IO, "cannot set the mode of %s", file->name);
    return VOCODE_OK;
}

/* Pipes, devices and standard output. */
static vocode_status open_directly(atomic_file *file, const char *path, int *fd, vocode_error *error) {
    struct stat about;
    *fd = strcmp(path, "-") == 0 ? dup(STDOUT_FILENO) : open(path, O_WRONLY | O_CLOEXEC);
    if (*fd < 0) return failed_errno(error, VOCODE_IO, "cannot write %s", file->name);
    /* A redirection to a file can be rewritten from where it began, unless every write goes to its end. */
    file->can_seek = fstat(*fd, &about) == 0 && S_ISREG(about.st_mode) && !(fcntl(*fd, F_GETFL) & O_APPEND);
    return VOCODE_OK;
}

static vocode_status open_either(atomic_file *file, const char *path, vocode_error *error) {
    struct stat about;
    int fd = -1, exists = strcmp(path, "-") != 0 && stat(path, &about) == 0;
    vocode_status status;
    if (exists && S_ISDIR(about.st_mode))
        return failed(error, VOCODE_IO, "cannot write %s: it is a folder", file->name);
    if (strcmp(path, "-") == 0 || names_a_descriptor(path) || (exists && !S_ISREG(about.st_mode))) {
        status = open_directly(file, path, &fd, error);
    } else {
        file->can_seek = 1;
        status = open_temporary(file, exists ? &about : NULL, &fd, error);
    }
    if (status == VOCODE_OK && !(file->stream = fdopen(fd, "wb")))
        status = failed_errno(error, VOCODE_IO, "cannot write %s", file->name);
    if (!file->stream && fd >= 0) close(fd);
    return status;
}

vocode_status atomic_open(const char *path, atomic_file **out, vocode_error *error) {
    *out = NULL;
    atomic_file *file = calloc(1, sizeof *file);
    if (!file || !(file->name = strdup(strcmp(path, "-") == 0 ? "standard output" : path))) {
        free(file);
        return failed(error, VOCODE_MEMORY, "cannot write %s: out of memory", path);
    }
    vocode_status status = open_either(file, path, error);
    if (status == VOCODE_OK)
        *out = file;
    else
        atomic_abort(file);
    return status;
}

FILE *atomic_stream(atomic_file *file) {
    return file->stream;
}

int atomic_fd(atomic_file *file) {
    return fileno(file->stream);
}

const char *atomic_name(const atomic_file *file) {
    return file->name;
}

int atomic_can_seek(const atomic_file *file) {
    return file->can_seek;
}

vocode_status atomic_write(atomic_file *file, const void *bytes, size_t size, vocode_error *error) {
    if (size > 0 && fwrite(bytes, 1, size, file->stream) != size)
        return failed_errno(error, VOCODE_IO, "cannot write %s", file->name);
    return VOCODE_OK;
}

/* The folder's entry must reach the disk too. Best effort: some file systems cannot sync a folder. */
static void sync_folder(const char *target) {
    char *folder = joined(target, folder_length(target), ".");
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    free(folder);
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}

vocode_status atomic_commit(atomic_file *file, vocode_error *error) {
    vocode_status status = VOCODE_OK;
    if (ferror(file->stream))
        status = failed(error, VOCODE_IO, "cannot write %s: an earlier write failed", file->name);
    else if (fflush(file->stream) != 0 || (file->temporary && fsync(fileno(file->stream)) != 0))
        status = failed_errno(error, VOCODE_IO, "cannot write %s", file->name);
    FILE *stream = file->stream;
    file->stream = NULL;
    if (fclose(stream) != 0 && status == VOCODE_OK)
        status = failed_errno(error, VOCODE_IO, "cannot write %s", file->name);
    if (status == VOCODE_OK && file->temporary) {
        if (rename(file->temporary, file->target) != 0) {
            status = failed_errno(error, VOCODE_IO, "cannot write %s", file->name);
        } else {
            free(file->temporary);
            file->temporary = NULL;
            sync_folder(file->target);
        }
    }
    atomic_abort(file); /* removes the temporary if it is still there */
    return status;
}

void atomic_abort(atomic_file *file) {
    if (!file) return;
    if (file->stream) fclose(file->stream);
    if (file->temporary) unlink(file->temporary);
    free(file->temporary);
    free(file->target);
    free(file->name);
    free(file);
}

vocode_status atomic_put(const char *path, const void *bytes, size_t size, vocode_error *error) {
    atomic_file *file;
    TRY(atomic_open(path, &file, error));
    vocode_status status = atomic_write(file, bytes, size, error);
    if (status == VOCODE_OK) return atomic_commit(file, error);
    atomic_abort(file);
    return status;
}
