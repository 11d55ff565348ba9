/* The zip container: FOLDER/data.pkl, FOLDER/data/KEY for each storage and, in newer files, FOLDER/byteorder. */
#include <stdlib.h>
#include <string.h>

#include "io/bytes.h"
#include "io/torch_container.h"

/* All of an open entry into bytes [size + 1]. */
static vocode_status inflate(zip_file_t *entry, const char *name, unsigned char *bytes, size_t size,
                             vocode_error *error) {
    size_t used = 0;
    zip_int64_t got;
    do { /* the read past the end is what makes libzip compare the sum */
        got = zip_fread(entry, bytes + used, size - used + 1);
        if (got > 0) used += (size_t)got;
    } while (got > 0 && used <= size);
    if (got < 0)
        return failed(error, VOCODE_FORMAT, "entry %.200s is damaged: %s", name,
                      zip_error_strerror(zip_file_get_error(entry)));
    if (used != size)
        return failed(error, VOCODE_FORMAT, "entry %.200s has %zu bytes instead of %zu", name, used, size);
    return VOCODE_OK;
}

/* Reads a whole entry into *bytes, which the caller frees, and checks its sum. On failure *bytes is NULL. */
static vocode_status read_entry(torch_file *file, zip_uint64_t index, const char *name, unsigned char **bytes,
                                size_t *size, vocode_error *error) {
    zip_stat_t about;
    *bytes = NULL;
    if (zip_stat_index(file->zip, index, 0, &about) != 0 || !(about.valid & ZIP_STAT_SIZE))
        return failed(error, VOCODE_FORMAT, "entry %.200s has no size", name);
    if (about.size >= file->budget)
        return failed(error, VOCODE_FORMAT, "entry %.200s claims %llu bytes, more than a file of %zu bytes may hold",
                      name, (unsigned long long)about.size, file->size);
    *size = (size_t)about.size;
    zip_file_t *entry = zip_fopen_index(file->zip, index, 0);
    if (!entry)
        return failed(error, VOCODE_FORMAT, "cannot read entry %.200s: %s", name,
                      zip_error_strerror(zip_get_error(file->zip)));
    unsigned char *read = malloc(*size + 1);
    vocode_status status =
        read ? inflate(entry, name, read, *size, error)
             : failed(error, VOCODE_MEMORY, "no memory for the %zu bytes of entry %.200s", *size, name);
    zip_fclose(entry);
    if (status != VOCODE_OK) {
        free(read);
        return status;
    }
    file->budget -= *size;
    *bytes = read;
    return VOCODE_OK;
}

/* The index of the entry FOLDER/INNER + name, negative when absent; its path in *path, which the caller frees. */
static vocode_status locate(const torch_file *file, const char *inner, const char *name, size_t name_size, char **path,
                            zip_int64_t *index, vocode_error *error) {
    size_t before = strlen(file->folder) + strlen(inner);
    *path = malloc(before + name_size + 1);
    if (!*path) return failed(error, VOCODE_MEMORY, "out of memory");
    strcpy(stpcpy(*path, file->folder), inner);
    memcpy(*path + before, name, name_size);
    (*path)[before + name_size] = 0;
    *index = zip_name_locate(file->zip, *path, ZIP_FL_ENC_RAW);
    return VOCODE_OK;
}

static int ends_in(const char *text, const char *ending) {
    size_t length = strlen(text), tail = strlen(ending);
    return length >= tail && strcmp(text + length - tail, ending) == 0;
}

/* Finds the entry data.pkl, at the top or in a folder, and refuses archives that are something else. */
static vocode_status find_object(torch_file *file, zip_uint64_t *object, vocode_error *error) {
    static const char wanted[] = "data.pkl";
    int found = 0, script = 0, arrays = 0;
    for (size_t i = 0; i < file->entries; i++) {
        const char *name = zip_get_name(file->zip, i, ZIP_FL_ENC_RAW);
        if (!name) continue;
        if (ends_in(name, "constants.pkl") || strstr(name, "/code/")) script = 1;
        if (ends_in(name, ".npy")) arrays = 1;
        const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
        if (found || strcmp(base, wanted) != 0) continue;
        found = 1;
        *object = i;
        file->folder = strndup(name, (size_t)(base - name));
        if (!file->folder) return failed(error, VOCODE_MEMORY, "out of memory");
    }
    if (script)
        return failed(
            error, VOCODE_UNSUPPORTED,
            "a TorchScript archive holds a program, which is not run here: convert the checkpoint it was made "
            "from (its state_dict)");
    if (!found)
        return failed(error, VOCODE_UNSUPPORTED, "expected a PyTorch checkpoint, found %s",
                      arrays ? "an .npz archive of arrays" : "a zip archive without data.pkl");
    return VOCODE_OK;
}

static vocode_status read_byte_order(torch_file *file, vocode_error *error) {
    static const char name[] = "byteorder", big[] = "big", little[] = "little";
    char *path;
    zip_int64_t index = -1;
    TRY(locate(file, name, "", 0, &path, &index, error));
    free(path);
    if (index < 0) return VOCODE_OK; /* older files are little-endian */
    unsigned char *text;
    size_t size;
    TRY(read_entry(file, (zip_uint64_t)index, name, &text, &size, error));
    file->swap = size == sizeof big - 1 && memcmp(text, big, size) == 0;
    int known = file->swap || (size == sizeof little - 1 && memcmp(text, little, size) == 0);
    free(text);
    return known ? VOCODE_OK : failed(error, VOCODE_FORMAT, "its byteorder is neither little nor big");
}

static vocode_status open_archive(torch_file *file, vocode_error *error) {
    zip_error_t reason;
    zip_error_init(&reason);
    zip_source_t *source = zip_source_buffer_create(file->bytes, file->size, 0, &reason);
    file->zip = source ? zip_open_from_source(source, ZIP_RDONLY, &reason) : NULL;
    vocode_status status = VOCODE_OK;
    if (!file->zip) {
        status =
            failed(error, VOCODE_FORMAT, "the zip archive is truncated or damaged: %s", zip_error_strerror(&reason));
        if (source) zip_source_free(source);
    }
    zip_error_fini(&reason);
    return status;
}

vocode_status torch_zip_open(torch_file *file, vocode_error *error) {
    TRY(torch_zip_check(file->bytes, file->size, error));
    TRY(open_archive(file, error));
    zip_int64_t entries = zip_get_num_entries(file->zip, 0);
    file->loaded = entries > 0 ? calloc((size_t)entries, sizeof *file->loaded) : NULL;
    if (entries > 0 && !file->loaded) return failed(error, VOCODE_MEMORY, "out of memory");
    file->entries = entries > 0 ? (size_t)entries : 0;
    file->budget = TORCH_BELIEVED(file->size);
    zip_uint64_t object = 0;
    TRY(find_object(file, &object, error));
    TRY(read_byte_order(file, error));
    size_t size, used;
    TRY(read_entry(file, object, "data.pkl", &file->code, &size, error));
    return pickle_read(file->code, size, &file->graph, &used, error);
}

vocode_status torch_zip_storage(torch_file *file, const pickle_node *key, const unsigned char **bytes, size_t *size,
                                vocode_error *error) {
    char *path;
    zip_int64_t index = -1;
    TRY(locate(file, "data/", key->text, key->count, &path, &index, error));
    vocode_status status = VOCODE_OK;
    zip_stat_t about;
    if (index < 0)
        status = failed(error, VOCODE_FORMAT, "entry %.200s is missing from the archive", path);
    else if (!file->loaded[index])
        status = read_entry(file, (zip_uint64_t)index, path, &file->loaded[index], size, error);
    else if (zip_stat_index(file->zip, (zip_uint64_t)index, 0, &about) == 0)
        *size = (size_t)about.size;
    if (status == VOCODE_OK) *bytes = file->loaded[index];
    free(path);
    return status;
}
