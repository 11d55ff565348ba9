#include "io/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/bytes.h"
#include "io/json.h"
#include "io/safetensors_header.h"

struct st_file {
    json_t *header; /* the names and the metadata point into it */
    const json_t *metadata;
    st_tensor *tensors;  /* [count] in the header's order */
    st_tensor **by_name; /* [count] sorted */
    size_t count;
    void *mapping; /* NULL when the caller owns the bytes */
    size_t mapping_size;
};

static int by_position(const void *a, const void *b) {
    const st_tensor *left = *(st_tensor *const *)a, *right = *(st_tensor *const *)b;
    const char *from_left = left->data, *from_right = right->data;
    if (from_left != from_right) return from_left < from_right ? -1 : 1;
    return (left->count > 0) - (right->count > 0); /* empty tensors share their place with what follows */
}

static int by_name(const void *a, const void *b) {
    const st_tensor *left = *(st_tensor *const *)a, *right = *(st_tensor *const *)b;
    return strcmp(left->name, right->name);
}

/* The tensors, sorted by position, must cover data [size] without overlap or gap. */
static vocode_status check_cover(const st_file *file, const char *data, size_t size, const char *name,
                                 vocode_error *error) {
    const char *end = data, *before = "the header";
    for (size_t i = 0; i < file->count; i++) {
        const st_tensor *tensor = file->by_name[i];
        const char *begin = tensor->data;
        if (begin < end)
            return failed(error, VOCODE_FORMAT, "%s: tensors \"%.200s\" and \"%.200s\" overlap by %zu bytes", name,
                          before, tensor->name, (size_t)(end - begin));
        if (begin > end)
            return failed(error, VOCODE_FORMAT, "%s: a gap of %zu bytes between \"%.200s\" and tensor \"%.200s\"", name,
                          (size_t)(begin - end), before, tensor->name);
        end = begin + tensor->count * dtype_size(tensor->type); /* checked by st_header_tensor */
        before = tensor->name;
    }
    size_t covered = (size_t)(end - data);
    if (covered != size)
        return failed(error, VOCODE_FORMAT, "%s: the tensors cover %zu bytes of data, the file holds %zu", name,
                      covered, size);
    return VOCODE_OK;
}

/* Every entry is checked before room for the tensors is taken, so that junk cannot ask for more than a few times its
 * own size. */
static vocode_status read_tensors(st_file *file, const char *data, size_t size, const char *name, vocode_error *error) {
    const char *key;
    json_t *value;
    size_t count = 0;
    json_object_foreach(file->header, key, value) {
        st_tensor ignored;
        if (strcmp(key, ST_METADATA_KEY) == 0) {
            TRY(st_header_metadata(value, name, error));
            file->metadata = value;
        } else {
            TRY(st_header_tensor(key, value, data, size, name, &ignored, error));
            count++;
        }
    }
    file->tensors = calloc(count ? count : 1, sizeof *file->tensors);
    file->by_name = calloc(count ? count : 1, sizeof *file->by_name);
    if (!file->tensors || !file->by_name)
        return failed(error, VOCODE_MEMORY, "%s: no memory for %zu tensors", name, count);
    json_object_foreach(file->header, key, value) {
        if (value == file->metadata) continue;
        st_tensor *tensor = &file->tensors[file->count];
        TRY(st_header_tensor(key, value, data, size, name, tensor, error));
        file->by_name[file->count++] = tensor;
    }
    qsort(file->by_name, file->count, sizeof *file->by_name, by_position);
    TRY(check_cover(file, data, size, name, error));
    qsort(file->by_name, file->count, sizeof *file->by_name, by_name);
    return VOCODE_OK;
}

vocode_status st_parse(const void *bytes, size_t size, const char *name, st_file **out, vocode_error *error) {
    *out = NULL;
    st_file *file = calloc(1, sizeof *file);
    if (!file) return failed(error, VOCODE_MEMORY, "%s: out of memory", name);
    size_t data_offset = 0;
    vocode_status status = st_header_parse(bytes, size, name, &file->header, &data_offset, error);
    if (status == VOCODE_OK)
        status = read_tensors(file, (const char *)bytes + data_offset, size - data_offset, name, error);
    if (status == VOCODE_OK)
        *out = file;
    else
        st_close(file);
    return status;
}

static vocode_status map_file(const char *path, void **mapping, size_t *size, vocode_error *error) {
    struct stat about;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return failed_errno(error, VOCODE_IO, "cannot open %s", path);
    vocode_status status = VOCODE_OK;
    if (fstat(fd, &about) != 0)
        status = failed_errno(error, VOCODE_IO, "cannot read %s", path);
    else if (S_ISDIR(about.st_mode))
        status = failed(error, VOCODE_IO, "cannot read %s: it is a folder", path);
    else if (!S_ISREG(about.st_mode))
        status =
            failed(error, VOCODE_IO, "cannot read %s: a model must be a regular file, not a pipe or a device", path);
    else if (about.st_size == 0)
        status = failed(error, VOCODE_FORMAT, "%s: not a safetensors file: it is empty", path);
    if (status == VOCODE_OK) {
        *size = (size_t)about.st_size;
        *mapping = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (*mapping == MAP_FAILED) status = failed_errno(error, VOCODE_IO, "cannot map %s into memory", path);
    }
    close(fd);
    return status;
}

vocode_status st_open(const char *path, st_file **out, vocode_error *error) {
    void *mapping = NULL;
    size_t size = 0;
    *out = NULL;
    TRY(map_file(path, &mapping, &size, error));
    vocode_status status = st_parse(mapping, size, path, out, error);
    if (status != VOCODE_OK) {
        munmap(mapping, size);
        return status;
    }
    (*out)->mapping = mapping;
    (*out)->mapping_size = size;
    return VOCODE_OK;
}

void st_close(st_file *file) {
    if (!file) return;
    json_decref(file->header);
    free(file->tensors);
    free(file->by_name);
    if (file->mapping) munmap(file->mapping, file->mapping_size);
    free(file);
}

size_t st_count(const st_file *file) {
    return file->count;
}

const st_tensor *st_at(const st_file *file, size_t index) {
    return &file->tensors[index];
}

const st_tensor *st_find(const st_file *file, const char *name) {
    st_tensor wanted = {.name = name}, *key = &wanted;
    st_tensor **found = bsearch(&key, file->by_name, file->count, sizeof *file->by_name, by_name);
    return found ? *found : NULL;
}

const char *st_metadata(const st_file *file, const char *key) {
    return json_string_value(json_object_get(file->metadata, key));
}
