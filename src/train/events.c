#include "train/events.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "train/events.pb-c.h"
#include "train/records.h"

#define NAME_BEGIN "events.out.tfevents."
#define FILE_VERSION "brain.Event:2" /* the version whose readers know what a session's start voids */
#define NAME_TRIES 100

struct event_file {
    int fd;
    char *path;
    off_t size; /* of the whole records */
};

static double wall_time(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* Takes the file back to its whole records. */
static vocode_status failed_write(event_file *file, vocode_error *error) {
    vocode_status status = failed_errno(error, VOCODE_IO, "cannot write %s", file->path);
    if (ftruncate(file->fd, file->size) != 0 || lseek(file->fd, file->size, SEEK_SET) < 0) return status;
    return status;
}

static vocode_status write_bytes(event_file *file, const unsigned char *bytes, size_t size, vocode_error *error) {
    for (size_t done = 0; done < size;) {
        ssize_t written = write(file->fd, bytes + done, size - done);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return failed_write(file, error);
        done += (size_t)written;
    }
    file->size += (off_t)size;
    return VOCODE_OK;
}

static vocode_status write_record(event_file *file, uint64_t step, Event__Record *record, vocode_error *error) {
    record->wall_time = wall_time();
    record->step = (int64_t)step;
    size_t size = event__record__get_packed_size(record), whole = RECORD_HEAD + size + RECORD_TAIL;
    unsigned char *bytes = malloc(whole);
    if (!bytes) return failed(error, VOCODE_MEMORY, "%s: cannot allocate a record of %zu bytes", file->path, size);
    event__record__pack(record, bytes + RECORD_HEAD);
    record_frame(bytes + RECORD_HEAD, size, bytes, bytes + RECORD_HEAD + size);
    vocode_status status = write_bytes(file, bytes, whole, error);
    free(bytes);
    return status;
}

/* A time not before now, later than that of every event file of the folder: TensorBoard reads them by name. */
static vocode_status pick_time(const char *folder, long long *out, vocode_error *error) {
    DIR *stream = opendir(folder);
    if (!stream) return failed_errno(error, VOCODE_IO, "cannot read folder %s", folder);
    *out = (long long)time(NULL);
    for (const struct dirent *entry; (entry = readdir(stream));) {
        if (strncmp(entry->d_name, NAME_BEGIN, strlen(NAME_BEGIN)) != 0) continue;
        long long other = strtoll(entry->d_name + strlen(NAME_BEGIN), NULL, 10);
        if (other >= *out && other < LLONG_MAX) *out = other + 1;
    }
    closedir(stream);
    return VOCODE_OK;
}

static vocode_status create(event_file *file, const char *folder, vocode_error *error) {
    long long stamp;
    TRY(pick_time(folder, &stamp, error));
    for (int try = 0; try < NAME_TRIES; try++) {
        free(file->path);
        file->path = NULL;
        if (asprintf(&file->path, "%s/" NAME_BEGIN "%010lld.vocode", folder, stamp + try) < 0) {
            file->path = NULL;
            return failed(error, VOCODE_MEMORY, "out of memory for an event file in %s", folder);
        }
        file->fd = open(file->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (file->fd >= 0) return VOCODE_OK;
        if (errno != EEXIST) break;
    }
    return failed_errno(error, VOCODE_IO, "cannot write %s", file->path);
}

static vocode_status begin(event_file *file, uint64_t step, vocode_error *error) {
    char version[] = FILE_VERSION;
    Event__Record record = EVENT__RECORD__INIT;
    record.what_case = EVENT__RECORD__WHAT_FILE_VERSION;
    record.file_version = version;
    TRY(write_record(file, 0, &record, error));
    Event__Session session = EVENT__SESSION__INIT;
    session.status = EVENT__SESSION__STATUS__START;
    record = (Event__Record)EVENT__RECORD__INIT;
    record.what_case = EVENT__RECORD__WHAT_SESSION;
    record.session = &session;
    return write_record(file, step ? step + 1 : 0, &record, error); /* the first step that is void */
}

vocode_status events_open(const char *folder, uint64_t step, event_file **out, vocode_error *error) {
    *out = NULL;
    event_file *file = calloc(1, sizeof *file);
    if (!file) return failed(error, VOCODE_MEMORY, "out of memory for an event file in %s", folder);
    file->fd = -1;
    vocode_status status = create(file, folder, error);
    if (status == VOCODE_OK) status = begin(file, step, error);
    if (status == VOCODE_OK) {
        *out = file;
        return VOCODE_OK;
    }
    if (file->path && file->fd >= 0) unlink(file->path);
    events_close(file);
    return status;
}

void events_close(event_file *file) {
    if (!file) return;
    if (file->fd >= 0) close(file->fd);
    free(file->path);
    free(file);
}

const char *events_path(const event_file *file) {
    return file->path;
}

static vocode_status write_values(event_file *file, uint64_t step, Event__Summary__Value **values, size_t count,
                                  vocode_error *error) {
    Event__Summary summary = EVENT__SUMMARY__INIT;
    summary.n_value = count;
    summary.value = values;
    Event__Record record = EVENT__RECORD__INIT;
    record.what_case = EVENT__RECORD__WHAT_SUMMARY;
    record.summary = &summary;
    return write_record(file, step, &record, error);
}

vocode_status events_scalars(event_file *file, uint64_t step, const event_scalar *scalars, size_t count,
                             vocode_error *error) {
    if (count == 0) return VOCODE_OK;
    Event__Summary__Value *values = calloc(count, sizeof *values), **pointers = calloc(count, sizeof *pointers);
    vocode_status status = VOCODE_OK;
    if (!values || !pointers)
        status = failed(error, VOCODE_MEMORY, "%s: out of memory for %zu scalars", file->path, count);
    for (size_t i = 0; status == VOCODE_OK && i < count; i++) {
        values[i] = (Event__Summary__Value)EVENT__SUMMARY__VALUE__INIT;
        values[i].tag = (char *)(uintptr_t)scalars[i].tag; /* packed, not changed */
        values[i].kind_case = EVENT__SUMMARY__VALUE__KIND_SCALAR;
        values[i].scalar = (float)scalars[i].value;
        pointers[i] = &values[i];
    }
    if (status == VOCODE_OK) status = write_values(file, step, pointers, count, error);
    free(pointers);
    free(values);
    return status;
}

static ProtobufCBinaryData bytes_of(const void *bytes, size_t size) {
    return (ProtobufCBinaryData){.len = size, .data = (uint8_t *)(uintptr_t)bytes}; /* packed, not changed */
}

vocode_status events_sound(event_file *file, uint64_t step, const char *tag, const void *wav, size_t size,
                           size_t frames, unsigned sample_rate, vocode_error *error) {
    char type[] = "audio/wav";
    Event__Summary__Audio audio = EVENT__SUMMARY__AUDIO__INIT;
    audio.sample_rate = (float)sample_rate;
    audio.channels = 1;
    audio.frames = (int64_t)frames;
    audio.encoded = bytes_of(wav, size);
    audio.content_type = type;
    Event__Summary__Value value = EVENT__SUMMARY__VALUE__INIT, *values = &value;
    value.tag = (char *)(uintptr_t)tag;
    value.kind_case = EVENT__SUMMARY__VALUE__KIND_AUDIO;
    value.audio = &audio;
    return write_values(file, step, &values, 1, error);
}

vocode_status events_picture(event_file *file, uint64_t step, const char *tag, const void *png, size_t size,
                             size_t width, size_t height, vocode_error *error) {
    if (width > INT32_MAX || height > INT32_MAX)
        return failed(error, VOCODE_ARGUMENT, "%s: a picture of %zu x %zu is too large", tag, width, height);
    Event__Summary__Image image = EVENT__SUMMARY__IMAGE__INIT;
    image.width = (int32_t)width;
    image.height = (int32_t)height;
    image.colorspace = 3;
    image.encoded = bytes_of(png, size);
    Event__Summary__Value value = EVENT__SUMMARY__VALUE__INIT, *values = &value;
    value.tag = (char *)(uintptr_t)tag;
    value.kind_case = EVENT__SUMMARY__VALUE__KIND_IMAGE;
    value.image = &image;
    return write_values(file, step, &values, 1, error);
}
