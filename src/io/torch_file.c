#include "io/torch_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/bytes.h"
#include "io/torch_container.h"

#define PIPE_LIMIT ((size_t)16 << 30) /* bytes of a checkpoint that cannot be mapped */

/* Where a tar header says that it is one, and what. */
#define TAR_MAGIC "ustar"
#define TAR_MAGIC_OFFSET 257

/* Refuses what is certainly not a checkpoint, by its beginning. */
static vocode_status refuse_by_magic(const torch_file *file, vocode_error *error) {
    static const char pickle_starts[] = "\x80L(c]}"; /* PROTO, and what protocols 0 and 1 begin with */
    const unsigned char *bytes = file->bytes;
    if (file->size == 0) return failed(error, VOCODE_FORMAT, "expected a PyTorch checkpoint, the file is empty");
    if (file->size >= TAR_MAGIC_OFFSET + sizeof TAR_MAGIC - 1 &&
        memcmp(bytes + TAR_MAGIC_OFFSET, TAR_MAGIC, sizeof TAR_MAGIC - 1) == 0)
        return failed(error, VOCODE_UNSUPPORTED,
                      "a tar archive, as PyTorch before 0.2 wrote its checkpoints, is not supported: load it with a "
                      "PyTorch of that time and save it again");
    const char *kind = bytes_kind(bytes, file->size);
    if (file->size > 9 && bytes[8] == '{' && !memchr("PL(c]}", bytes[0], 6)) kind = "a safetensors file";
    if (strstr(kind, "safetensors"))
        return failed(
            error, VOCODE_UNSUPPORTED,
            "expected a PyTorch checkpoint, found a safetensors file, which needs no import when vocode wrote it");
    if (!memchr(pickle_starts, bytes[0], sizeof pickle_starts - 1))
        return failed(error, VOCODE_UNSUPPORTED, "expected a PyTorch checkpoint, found %s", kind);
    return VOCODE_OK;
}

static vocode_status read_container(torch_file *file, vocode_error *error) {
    if (file->size >= 4 && (memcmp(file->bytes, "PK\x03\x04", 4) == 0 || memcmp(file->bytes, "PK\x05\x06", 4) == 0))
        return torch_zip_open(file, error);
    TRY(refuse_by_magic(file, error));
    return torch_legacy_open(file, error);
}

/* Takes file over: *out on success, freed otherwise. */
static vocode_status finish(torch_file *file, torch_file **out, vocode_error *error) {
    vocode_status status = read_container(file, error);
    if (status != VOCODE_OK) {
        status = failed_in(error, status, file->name);
        torch_close(file);
        return status;
    }
    *out = file;
    return VOCODE_OK;
}

static torch_file *file_new(const char *name) {
    torch_file *file = calloc(1, sizeof *file);
    if (!file) return NULL;
    file->name = strdup(name);
    if (file->name) return file;
    free(file);
    return NULL;
}

vocode_status torch_parse(const void *bytes, size_t size, const char *name, torch_file **out, vocode_error *error) {
    *out = NULL;
    torch_file *file = file_new(name);
    if (!file) return failed(error, VOCODE_MEMORY, "%s: out of memory", name);
    file->bytes = bytes;
    file->size = size;
    return finish(file, out, error);
}

/* Maps a regular file; *mapped stays 0 for anything else, which is then read as a stream. */
static vocode_status map(torch_file *file, const char *path, int *mapped, vocode_error *error) {
    *mapped = 0;
    if (strcmp(path, "-") == 0) return VOCODE_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return failed_errno(error, VOCODE_IO, "cannot open %s", path);
    struct stat about;
    if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && about.st_size > 0) {
        void *mapping = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (mapping != MAP_FAILED) {
            file->mapping = mapping;
            file->bytes = mapping;
            file->size = (size_t)about.st_size;
            *mapped = 1;
        }
    }
    close(fd);
    return VOCODE_OK;
}

vocode_status torch_open(const char *path, torch_file **out, vocode_error *error) {
    *out = NULL;
    torch_file *file = file_new(input_name(path));
    if (!file) return failed(error, VOCODE_MEMORY, "%s: out of memory", path);
    int mapped;
    vocode_status status = map(file, path, &mapped, error);
    unsigned char *bytes = NULL;
    if (status == VOCODE_OK && !mapped) status = bytes_read(path, PIPE_LIMIT, &bytes, &file->size, error);
    if (status != VOCODE_OK) {
        torch_close(file);
        return status;
    }
    if (!mapped) file->bytes = file->owned = bytes;
    return finish(file, out, error);
}

void torch_close(torch_file *file) {
    if (!file) return;
    pickle_free(file->graph);
    pickle_free(file->keys);
    free(file->storages);
    for (size_t i = 0; i < file->entries; i++) free(file->loaded[i]);
    free(file->loaded);
    free(file->code);
    free(file->folder);
    if (file->zip) zip_discard(file->zip);
    if (file->mapping) munmap(file->mapping, file->size);
    free(file->owned);
    free(file->name);
    free(file);
}

const char *torch_name(const torch_file *file) {
    return file->name;
}

size_t torch_size(const torch_file *file) {
    return file->size;
}

const pickle *torch_graph(const torch_file *file) {
    return file->graph;
}
