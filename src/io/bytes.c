#include "io/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_BLOCK ((size_t)1 << 16)

const char *input_name(const char *path) {
    return strcmp(path, "-") == 0 ? "standard input" : path;
}

int size_multiply(size_t a, size_t b, size_t *product) {
    return !__builtin_mul_overflow(a, b, product);
}

/* Reads fd to its end. room is the first guess of the size: exact for a regular file, which then needs no copying. */
static vocode_status read_all(int fd, const char *name, size_t room, size_t limit, unsigned char **out, size_t *size,
                              vocode_error *error) {
    unsigned char *bytes = malloc(room + 1);
    size_t used = 0;
    if (!bytes) return failed(error, VOCODE_MEMORY, "%s: no memory for %zu bytes", name, room);
    for (;;) {
        ssize_t got = read(fd, bytes + used, room + 1 - used);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            free(bytes);
            return failed_errno(error, VOCODE_IO, "cannot read %s", name);
        }
        if (got == 0) break;
        used += (size_t)got;
        if (used > limit) {
            free(bytes);
            return failed(error, VOCODE_FORMAT, "%s: larger than the %zu bytes allowed here", name, limit);
        }
        if (used <= room) continue;
        room = room > SIZE_MAX / 4 ? SIZE_MAX / 2 : 2 * room;
        unsigned char *more = realloc(bytes, room + 1);
        if (!more) {
            free(bytes);
            return failed(error, VOCODE_MEMORY, "%s: no memory for %zu bytes", name, room);
        }
        bytes = more;
    }
    bytes[used] = 0;
    *out = bytes;
    *size = used;
    return VOCODE_OK;
}

vocode_status bytes_read_open(int fd, const char *name, size_t limit, unsigned char **out, size_t *size,
                              vocode_error *error) {
    struct stat about;
    size_t room = FIRST_BLOCK;
    if (fstat(fd, &about) != 0) return failed_errno(error, VOCODE_IO, "cannot read %s", name);
    if (S_ISDIR(about.st_mode)) return failed(error, VOCODE_IO, "cannot read %s: it is a folder", name);
    if (S_ISREG(about.st_mode) && about.st_size > 0) {
        room = (size_t)about.st_size;
        if (room > limit)
            return failed(error, VOCODE_FORMAT, "%s: %zu bytes, more than the %zu allowed here", name, room, limit);
    }
    return read_all(fd, name, room, limit, out, size, error);
}

vocode_status bytes_read(const char *path, size_t limit, unsigned char **out, size_t *size, vocode_error *error) {
    if (strcmp(path, "-") == 0) return bytes_read_open(STDIN_FILENO, input_name(path), limit, out, size, error);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return failed_errno(error, VOCODE_IO, "cannot open %s", path);
    vocode_status status = bytes_read_open(fd, path, limit, out, size, error);
    close(fd);
    return status;
}

/* Beginnings of files that people pass by mistake. */
static const struct {
    size_t offset, length;
    const char *magic, *kind;
} kinds[] = {
    {0, 6, "\x93NUMPY", "a .npy file"},
    {0, 4, "PK\x03\x04", "a zip archive (an .npz file or a PyTorch checkpoint)"},
    {0, 4, "PK\x05\x06", "an empty zip archive"},
    {0, 4, "RIFF", "a WAV file"},
    {0, 4, "RF64", "a WAV file"},
    {0, 4, "RIFX", "a WAV file"},
    {0, 4, "fLaC", "a FLAC file"},
    {0, 4, "OggS", "an Ogg file"},
    {0, 3, "ID3", "an MP3 file"},
    {0, 2, "\xff\xfb", "an MP3 file"},
    {4, 4, "ftyp", "an MP4 or M4A file"},
    {0, 4, "caff", "a CAF file"},
    {0, 8, "\x89HDF\r\n\x1a\n", "an HDF5 file"},
    {0, 8, "\x89PNG\r\n\x1a\n", "a PNG picture"},
    {0, 2, "\x1f\x8b", "a gzip file"},
    {0, 12, "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8", "a PyTorch checkpoint in the legacy format"},
    {0, 2, "\x80\x02", "a Python pickle (perhaps a PyTorch checkpoint)"},
    {0, 2, "\x80\x03", "a Python pickle"},
    {0, 2, "\x80\x04", "a Python pickle"},
    {0, 2, "\x80\x05", "a Python pickle"},
    {0, 4, "GGUF", "a GGUF model"},
    {0, 4,
     "\x7f"
     "ELF",
     "a program"},
    {5, 5, "\0\0\0{\"", "a safetensors file"},
};

static int looks_like_text(const unsigned char *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (bytes[i] == 0x7f || (bytes[i] < 0x20 && (bytes[i] < '\t' || bytes[i] > '\r'))) return 0;
    return 1;
}

const char *bytes_kind(const void *bytes, size_t size) {
    const size_t looked_at = 256;
    const unsigned char *first = bytes;
    if (size == 0) return "empty";
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (size >= kinds[i].offset + kinds[i].length &&
            memcmp(first + kinds[i].offset, kinds[i].magic, kinds[i].length) == 0)
            return kinds[i].kind;
    if (!looks_like_text(first, size < looked_at ? size : looked_at)) return "unknown data";
    return first[0] == '{' || first[0] == '[' ? "JSON text" : "text";
}
