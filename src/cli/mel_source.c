#include "cli/mel_source.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/interrupt.h"
#include "dsp/mel_inspect.h"
#include "io/bytes.h"
#include "io/npy_header.h"

#define KIND_BYTES ((size_t)256) /* of what is no .npy, to say what it is */
#define FIRST_ROOM ((size_t)1 << 16)
#define SIGNAL_INTERVAL 200 /* ms between looks for a signal while a pipe is silent */
/* A .npy begins with six bytes of magic, two of version, and the header's length in two bytes or, from version 2 on, in
 * four. */
enum { NPY_VERSION_AT = 6, NPY_LENGTH_AT = 8, NPY_BEGINNING = 12 };

struct mel_source {
    const char *name; /* in messages */
    int fd;
    bool seekable;       /* fd is a regular file */
    bool bare;           /* no header: nobody knows the number of frames */
    bool live;           /* frames are given as they arrive */
    bool by_frame;       /* the numbers of a frame stand together, otherwise those of a band */
    bool ended;          /* the pipe has */
    size_t bands, width; /* width: bytes a number */
    size_t frames, given;
    dtype type;
    int swap;
    off_t start;          /* of a seekable file's numbers */
    unsigned char *bytes; /* [room]: what was read and not yet used */
    size_t filled, room;
    size_t data;  /* where in bytes the numbers of a pipe that was read to its end begin */
    float *block; /* [block_count, bands], from frame block_first on */
    size_t block_first, block_count;
};

static size_t frame_bytes(const mel_source *self) {
    return self->bands * self->width;
}

/* Until fd has something to say, or a signal waits. */
static vocode_status wait_for_input(const mel_source *self, vocode_error *error) {
    struct pollfd input = {.fd = self->fd, .events = POLLIN};
    while (!self->seekable) {
        if (interrupt_waiting()) return failed(error, VOCODE_CANCELLED, "%s: interrupted", self->name);
        int ready = poll(&input, 1, SIGNAL_INTERVAL);
        if (ready > 0) break;
        if (ready < 0 && errno != EINTR) return failed_errno(error, VOCODE_IO, "cannot read %s", self->name);
    }
    return VOCODE_OK;
}

static vocode_status make_room(mel_source *self, size_t most, vocode_error *error) {
    size_t first = most < FIRST_ROOM ? most : FIRST_ROOM;
    if (self->filled < self->room && self->room >= first) return VOCODE_OK;
    size_t room = self->room < first ? first : 2 * self->room;
    if (room > most) room = most;
    unsigned char *more = realloc(self->bytes, room);
    if (!more) return failed(error, VOCODE_MEMORY, "%s: no memory for %zu bytes", self->name, room);
    self->bytes = more;
    self->room = room;
    return VOCODE_OK;
}

/* Reads on until at least `least` bytes are held, at most `most`, or the file has ended. Memory follows what arrives.
 */
static vocode_status fill(mel_source *self, size_t least, size_t most, vocode_error *error) {
    while (self->filled < least && !self->ended) {
        TRY(make_room(self, most, error));
        TRY(wait_for_input(self, error));
        size_t room = (self->room < most ? self->room : most) - self->filled;
        ssize_t got = read(self->fd, self->bytes + self->filled, room);
        if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (got < 0) return failed_errno(error, VOCODE_IO, "cannot read %s", self->name);
        self->ended = got == 0;
        self->filled += (size_t)got;
    }
    return VOCODE_OK;
}

static vocode_status read_header(mel_source *self, npy_header *header, vocode_error *error) {
    TRY(fill(self, NPY_BEGINNING, NPY_BEGINNING, error));
    const unsigned char *b = self->bytes;
    if (self->filled == NPY_BEGINNING && memcmp(b, "\x93NUMPY", NPY_VERSION_AT) == 0) {
        size_t width = b[NPY_VERSION_AT] == 1 ? 2 : 4, size = NPY_LENGTH_AT + width;
        for (size_t i = 0; i < width; i++) size += (size_t)b[NPY_LENGTH_AT + i] << (8 * i);
        TRY(fill(self, size, size > NPY_BEGINNING ? size : NPY_BEGINNING, error));
    } else {
        TRY(fill(self, KIND_BYTES, KIND_BYTES, error));
    }
    return npy_header_parse(self->bytes ? self->bytes : (const unsigned char *)"", self->filled, self->name, header,
                            error);
}

/* found bytes where the array has that many. */
static vocode_status check_size(const mel_source *self, size_t needed, size_t found, vocode_error *error) {
    if (found < needed)
        return failed(error, VOCODE_FORMAT,
                      "%s: truncated: %zu elements of %zu bytes announced, %zu bytes of data found", self->name,
                      self->frames * self->bands, self->width, found);
    if (found > needed)
        return failed(error, VOCODE_FORMAT, "%s: %zu bytes follow the array of %zu bytes", self->name, found - needed,
                      needed);
    return VOCODE_OK;
}

/* Where the numbers are: behind the header in a file, to come from a pipe, or all of them read from it now. */
static vocode_status find_numbers(mel_source *self, const npy_header *header, off_t beginning, vocode_error *error) {
    struct stat about;
    size_t needed, most;
    if (!size_multiply(header->count, self->width, &needed) ||
        __builtin_add_overflow(header->data_offset + 1, needed, &most))
        return failed(error, VOCODE_FORMAT, "%s: %zu elements of %zu bytes are more than fit in memory", self->name,
                      header->count, self->width);
    if (self->seekable) {
        self->start = beginning + (off_t)header->data_offset;
        if (fstat(self->fd, &about) != 0) return failed_errno(error, VOCODE_IO, "cannot read %s", self->name);
        return check_size(self, needed, about.st_size > self->start ? (size_t)(about.st_size - self->start) : 0, error);
    }
    self->live = self->by_frame;
    if (self->live) {
        self->filled = 0; /* of the header */
        return VOCODE_OK;
    }
    self->data = header->data_offset;
    TRY(fill(self, most, most, error));
    return check_size(self, needed, self->filled - self->data, error);
}

static vocode_status begin_npy(mel_source *self, const mel_reading *reading, off_t beginning, vocode_error *error) {
    npy_header header;
    bool frames_first;
    TRY(read_header(self, &header, error));
    TRY(mel_axes(header.rank, header.shape, self->name, reading, &self->frames, &frames_first, error));
    self->type = header.type;
    self->swap = header.swap;
    self->width = dtype_size(header.type);
    self->by_frame = frames_first != (header.fortran != 0);
    return find_numbers(self, &header, beginning, error);
}

static vocode_status begin(mel_source *self, const char *path, const mel_reading *reading, vocode_error *error) {
    struct stat about;
    if (self->fd < 0) return failed_errno(error, VOCODE_IO, "cannot open %s", path);
    if (fstat(self->fd, &about) != 0) return failed_errno(error, VOCODE_IO, "cannot read %s", self->name);
    if (S_ISDIR(about.st_mode)) return failed(error, VOCODE_IO, "cannot read %s: it is a folder", self->name);
    off_t beginning = lseek(self->fd, 0, SEEK_CUR); /* standard input may have been read from already */
    self->seekable = S_ISREG(about.st_mode) && beginning >= 0;
    if (self->bare) {
        self->live = self->by_frame = true;
        self->type = DTYPE_F32;
        self->width = sizeof(float);
        self->swap = __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__;
    } else {
        TRY(begin_npy(self, reading, beginning, error));
    }
    self->block = calloc(MEL_BLOCK * self->bands, sizeof *self->block);
    if (self->block) return VOCODE_OK;
    return failed(error, VOCODE_MEMORY, "%s: no memory for %d frames", self->name, MEL_BLOCK);
}

vocode_status mel_source_open(const char *path, const mel_reading *reading, bool bare, mel_source **out,
                              vocode_error *error) {
    mel_source *self = calloc(1, sizeof *self);
    *out = NULL;
    if (!self) return failed(error, VOCODE_MEMORY, "cannot read %s: out of memory", path);
    self->name = input_name(path);
    self->bands = reading->bands;
    self->bare = bare;
    self->fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    vocode_status status = begin(self, path, reading, error);
    if (status == VOCODE_OK)
        *out = self;
    else
        mel_source_free(self);
    return status;
}

void mel_source_free(mel_source *source) {
    if (!source) return;
    if (source->fd > STDIN_FILENO) close(source->fd);
    free(source->bytes);
    free(source->block);
    free(source);
}

size_t mel_source_frames(const mel_source *source) {
    return source->frames;
}

bool mel_source_live(const mel_source *source) {
    return source->live;
}

/* size bytes of the numbers from offset on: where they are held, or read from the file into bytes. */
static vocode_status fetch(mel_source *self, size_t offset, size_t size, const unsigned char **at,
                           vocode_error *error) {
    *at = self->bytes + self->data + offset;
    if (!self->seekable) return VOCODE_OK;
    if (self->room < size) {
        unsigned char *more = realloc(self->bytes, size);
        if (!more) return failed(error, VOCODE_MEMORY, "%s: no memory for %zu bytes", self->name, size);
        self->bytes = more;
        self->room = size;
    }
    for (size_t done = 0; done < size;) {
        ssize_t got = pread(self->fd, self->bytes + done, size - done, self->start + (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failed_errno(error, VOCODE_IO, "cannot read %s", self->name);
        if (got == 0) return failed(error, VOCODE_IO, "%s became shorter while it was read", self->name);
        done += (size_t)got;
    }
    *at = self->bytes;
    return VOCODE_OK;
}

/* The next block of frames out of all of them. */
static vocode_status load_block(mel_source *self, vocode_error *error) {
    size_t first = self->given, left = self->frames - first, count = left < MEL_BLOCK ? left : MEL_BLOCK;
    const unsigned char *at;
    float band[MEL_BLOCK];
    if (self->by_frame) {
        TRY(fetch(self, first * frame_bytes(self), count * frame_bytes(self), &at, error));
        dtype_to_float(self->type, at, self->swap, self->block, count * self->bands);
    }
    for (size_t m = 0; !self->by_frame && m < self->bands; m++) {
        TRY(fetch(self, (m * self->frames + first) * self->width, count * self->width, &at, error));
        dtype_to_float(self->type, at, self->swap, band, count);
        for (size_t t = 0; t < count; t++) self->block[t * self->bands + m] = band[t];
    }
    self->block_first = first;
    self->block_count = count;
    return VOCODE_OK;
}

static vocode_status refuse_end(const mel_source *self, vocode_error *error) {
    size_t whole = frame_bytes(self);
    if (!self->bare)
        return failed(error, VOCODE_FORMAT,
                      "%s: truncated: %zu frames of %zu bytes announced, %zu frames and %zu bytes found", self->name,
                      self->frames, whole, self->given, self->filled);
    return failed(error, VOCODE_FORMAT,
                  "%s: expected frames of %zu floats (%zu bytes), found %zu bytes after frame %zu", self->name,
                  self->bands, whole, self->filled, self->given);
}

/* What has arrived, as the block. */
static vocode_status take_arrived(mel_source *self, size_t least, size_t most, vocode_error *error) {
    size_t whole = frame_bytes(self), left = self->bare ? MEL_BLOCK : self->frames - self->given;
    if (most > left) most = left;
    if (least > most) least = most;
    TRY(fill(self, least * whole, most * whole, error));
    size_t count = self->filled / whole;
    if (count == 0 && (self->filled > 0 || !self->bare)) return refuse_end(self, error);
    if (count == 0 && self->given == 0)
        return failed(error, VOCODE_SHAPE, "%s: expected at least one frame of %zu floats, found none", self->name,
                      self->bands);
    dtype_to_float(self->type, self->bytes, self->swap, self->block, count * self->bands);
    self->filled -= count * whole;
    if (self->filled) memmove(self->bytes, self->bytes + count * whole, self->filled);
    self->block_first = self->given;
    self->block_count = count;
    return VOCODE_OK;
}

vocode_status mel_source_next(mel_source *source, size_t least, size_t most, const float **frames, size_t *count,
                              vocode_error *error) {
    *frames = source->block;
    *count = 0;
    if (!source->bare && source->given == source->frames) return VOCODE_OK;
    if (most > MEL_BLOCK) most = MEL_BLOCK;
    if (source->live)
        TRY(take_arrived(source, least < most ? least : most, most, error));
    else if (source->given == source->block_first + source->block_count)
        TRY(load_block(source, error));
    size_t used = source->given - source->block_first, ready = source->block_count - used;
    *frames = source->block + used * source->bands;
    *count = ready < most ? ready : most;
    source->given += *count;
    return VOCODE_OK;
}

/* Finite numbers all, the first frames kept: kept [MEL_INSPECTED or fewer, bands]. */
static vocode_status look_through(mel_source *self, float *kept, vocode_error *error) {
    const float *frames;
    for (size_t first = 0, count;; first += count) {
        TRY(mel_source_next(self, MEL_BLOCK, MEL_BLOCK, &frames, &count, error));
        if (count == 0) return VOCODE_OK;
        for (size_t i = 0; i < count * self->bands; i++)
            if (!isfinite(frames[i]))
                return failed(error, VOCODE_VALUE, "%s: the mel has %s at band %zu of frame %zu (counted from 0)",
                              self->name, isnan(frames[i]) ? "NaN" : "an infinity", i % self->bands,
                              first + i / self->bands);
        size_t room = first < MEL_INSPECTED ? MEL_INSPECTED - first : 0, used = count < room ? count : room;
        if (used) memcpy(kept + first * self->bands, frames, used * self->bands * sizeof *kept);
    }
}

vocode_status mel_source_inspect(mel_source *source, const mel_convention *expected, const warning_sink *warnings,
                                 vocode_error *error) {
    if (source->live) return VOCODE_OK;
    size_t inspected = source->frames < MEL_INSPECTED ? source->frames : MEL_INSPECTED;
    float *kept = malloc(inspected * source->bands * sizeof *kept);
    vocode_status status = kept ? look_through(source, kept, error)
                                : failed(error, VOCODE_MEMORY, "%s: no memory for %zu frames", source->name, inspected);
    if (status == VOCODE_OK && expected) {
        status = mel_inspect(kept, inspected, source->bands, expected, warnings, error);
        if (status != VOCODE_OK) failed_in(error, status, source->name);
    }
    free(kept);
    source->given = source->block_first = source->block_count = 0;
    return status;
}

vocode_status mel_source_end(mel_source *source, vocode_error *error) {
    if (!source->live || source->bare) return VOCODE_OK;
    TRY(fill(source, 1, 1, error));
    if (source->filled == 0) return VOCODE_OK;
    return failed(error, VOCODE_FORMAT, "%s: bytes follow the array of %zu frames", source->name, source->frames);
}
