#include <errno.h>
#include <math.h>
#include <sndfile.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "io/atomic.h"
#include "io/audio.h"
#include "io/wav.h"

#define BLOCK ((size_t)2048) /* samples converted at a time */
#define HIGHEST_RATE 10000000u

struct audio_writer {
    atomic_file *file;
    SNDFILE *flac;  /* FLAC alone; the other containers are written here */
    int flac_errno; /* of the first write that failed below libsndfile */
    audio_format format;
    audio_container container;
    unsigned sample_rate;
    off_t start; /* where in the stream the WAV header is */
    size_t frames, clipped;
};

static int ends_in(const char *path, const char *ending) {
    size_t length = strlen(path), tail = strlen(ending);
    return length > tail && strcasecmp(path + length - tail, ending) == 0;
}

vocode_status audio_container_of(const char *path, audio_format format, audio_container *out, vocode_error *error) {
    struct stat about;
    *out = AUDIO_WAV;
    if (strcmp(path, "-") == 0 || ends_in(path, ".wav")) return VOCODE_OK;
    if (ends_in(path, ".flac")) {
        *out = AUDIO_FLAC;
        if (format != AUDIO_FLOAT) return VOCODE_OK;
        return failed(error, VOCODE_ARGUMENT, "cannot write %s: FLAC has no float samples, only 16 and 24 bits", path);
    }
    if (stat(path, &about) == 0 && !S_ISREG(about.st_mode) && !S_ISDIR(about.st_mode)) return VOCODE_OK;
    return failed(error, VOCODE_ARGUMENT, "cannot write %s: its name must end in .wav or .flac", path);
}

/* libsndfile's own writes go through the atomic file, so that none fails unseen. */
static sf_count_t flac_size(void *data) {
    FILE *stream = atomic_stream(((audio_writer *)data)->file);
    struct stat about;
    return fflush(stream) == 0 && fstat(fileno(stream), &about) == 0 ? (sf_count_t)about.st_size : -1;
}

static sf_count_t flac_seek(sf_count_t offset, int whence, void *data) {
    FILE *stream = atomic_stream(((audio_writer *)data)->file);
    return fseeko(stream, offset, whence) == 0 ? (sf_count_t)ftello(stream) : -1;
}

static sf_count_t flac_read(void *target, sf_count_t count, void *data) {
    (void)target, (void)count, (void)data;
    return 0; /* never called: files are opened for writing */
}

static sf_count_t flac_write(const void *bytes, sf_count_t count, void *data) {
    audio_writer *writer = data;
    size_t done = fwrite(bytes, 1, (size_t)count, atomic_stream(writer->file));
    if (done != (size_t)count && writer->flac_errno == 0) writer->flac_errno = errno;
    return (sf_count_t)done;
}

static sf_count_t flac_tell(void *data) {
    return (sf_count_t)ftello(atomic_stream(((audio_writer *)data)->file));
}

static vocode_status flac_failed(const audio_writer *writer, vocode_error *error) {
    errno = writer->flac_errno;
    if (errno) return failed_errno(error, VOCODE_IO, "cannot write %s", atomic_name(writer->file));
    return failed(error, VOCODE_IO, "cannot write %s: %s", atomic_name(writer->file), sf_strerror(writer->flac));
}

static vocode_status open_flac(audio_writer *writer, vocode_error *error) {
    static SF_VIRTUAL_IO stream = {flac_size, flac_seek, flac_read, flac_write, flac_tell};
    int bits = writer->format == AUDIO_PCM16 ? SF_FORMAT_PCM_16 : SF_FORMAT_PCM_24;
    SF_INFO info = {.samplerate = (int)writer->sample_rate, .channels = 1, .format = SF_FORMAT_FLAC | bits};
    if (!atomic_can_seek(writer->file))
        return failed(error, VOCODE_ARGUMENT, "cannot write FLAC to %s: it is a pipe or a device",
                      atomic_name(writer->file));
    writer->flac = sf_open_virtual(&stream, SFM_WRITE, &info, writer);
    return writer->flac ? VOCODE_OK : flac_failed(writer, error);
}

/* The first header: of a stream without an end. In a regular file the close writes the true sizes over it. */
static vocode_status open_wav(audio_writer *writer, vocode_error *error) {
    unsigned char header[WAV_HEADER_ROOM];
    if (atomic_can_seek(writer->file)) writer->start = ftello(atomic_stream(writer->file));
    size_t size = wav_header(header, writer->sample_rate, writer->format, WAV_UNKNOWN);
    return atomic_write(writer->file, header, size, error);
}

vocode_status audio_writer_open(const char *path, unsigned sample_rate, audio_format format, audio_container container,
                                audio_writer **out, vocode_error *error) {
    *out = NULL;
    if (container != AUDIO_RAW && (sample_rate == 0 || sample_rate > HIGHEST_RATE))
        return failed(error, VOCODE_ARGUMENT, "cannot write %s: a sample rate of %u Hz, at most %u", path, sample_rate,
                      HIGHEST_RATE);
    if (container == AUDIO_FLAC && format == AUDIO_FLOAT)
        return failed(error, VOCODE_ARGUMENT, "cannot write %s: FLAC has no float samples, only 16 and 24 bits", path);
    audio_writer *writer = calloc(1, sizeof *writer);
    if (!writer) return failed(error, VOCODE_MEMORY, "cannot write %s: out of memory", path);
    writer->format = format;
    writer->container = container;
    writer->sample_rate = sample_rate;
    vocode_status status = atomic_open(path, &writer->file, error);
    if (status == VOCODE_OK && container == AUDIO_WAV) status = open_wav(writer, error);
    if (status == VOCODE_OK && container == AUDIO_FLAC) status = open_flac(writer, error);
    if (status == VOCODE_OK)
        *out = writer;
    else
        audio_writer_abort(writer);
    return status;
}

/* round(x * full), clipped to [-full - 1, full] and counted. */
static int32_t quantize(audio_writer *writer, float x, double full) {
    double scaled = round((double)x * full);
    if (scaled <= full && scaled >= -full - 1) return (int32_t)scaled;
    writer->clipped++;
    return (int32_t)(scaled > 0 ? full : -full - 1);
}

static void put_sample(unsigned char *target, uint32_t bits, size_t width) {
    for (size_t i = 0; i < width; i++) target[i] = (unsigned char)(bits >> (8 * i));
}

/* x [count] with count <= BLOCK. */
static vocode_status write_block(audio_writer *writer, const float *x, size_t count, vocode_error *error) {
    const double full = writer->format == AUDIO_PCM16 ? 32767 : 8388607;
    const int left_justify = writer->format == AUDIO_PCM16 ? 65536 : 256; /* libsndfile wants the high bits of an int */
    unsigned char bytes[BLOCK * sizeof(float)];
    int samples[BLOCK];
    size_t width = audio_sample_size(writer->format);
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        if (writer->format == AUDIO_FLOAT) {
            memcpy(&bits, &x[i], sizeof bits);
        } else {
            int32_t value = quantize(writer, x[i], full);
            samples[i] = value * left_justify;
            bits = (uint32_t)value;
        }
        put_sample(bytes + i * width, bits, width);
    }
    writer->frames += count;
    if (!writer->flac) return atomic_write(writer->file, bytes, count * width, error);
    sf_count_t done = sf_write_int(writer->flac, samples, (sf_count_t)count);
    return done == (sf_count_t)count && writer->flac_errno == 0 ? VOCODE_OK : flac_failed(writer, error);
}

static vocode_status check_room(const audio_writer *writer, size_t frames, vocode_error *error) {
    if (writer->container != AUDIO_WAV || !atomic_can_seek(writer->file)) return VOCODE_OK;
    size_t most = wav_most_bytes(writer->format) / audio_sample_size(writer->format);
    if (frames <= most - writer->frames) return VOCODE_OK;
    return failed(error, VOCODE_UNSUPPORTED, "cannot write %s: a WAV file holds at most %zu such samples",
                  atomic_name(writer->file), most);
}

vocode_status audio_writer_write(audio_writer *writer, const float *mono, size_t frames, vocode_error *error) {
    TRY(check_room(writer, frames, error));
    for (size_t i = 0; i < frames; i++)
        if (!isfinite(mono[i]))
            return failed(error, VOCODE_VALUE, "cannot write %s: %s at sample %zu", atomic_name(writer->file),
                          isnan(mono[i]) ? "not a number (NaN)" : "infinity", writer->frames + i);
    for (size_t i = 0; i < frames; i += BLOCK)
        TRY(write_block(writer, mono + i, frames - i < BLOCK ? frames - i : BLOCK, error));
    return VOCODE_OK;
}

vocode_status audio_writer_flush(audio_writer *writer, vocode_error *error) {
    if (fflush(atomic_stream(writer->file)) != 0)
        return failed_errno(error, VOCODE_IO, "cannot write %s", atomic_name(writer->file));
    return VOCODE_OK;
}

/* The padding byte, and the true sizes where the header can still be reached. */
static vocode_status finish_wav(audio_writer *writer, vocode_error *error) {
    unsigned char header[WAV_HEADER_ROOM];
    FILE *stream = atomic_stream(writer->file);
    size_t data_bytes = writer->frames * audio_sample_size(writer->format);
    if (!atomic_can_seek(writer->file)) return VOCODE_OK;
    TRY(atomic_write(writer->file, "", data_bytes & 1, error));
    off_t end = ftello(stream);
    size_t size = wav_header(header, writer->sample_rate, writer->format, data_bytes);
    if (end < 0 || fseeko(stream, writer->start, SEEK_SET) != 0)
        return failed_errno(error, VOCODE_IO, "cannot write %s", atomic_name(writer->file));
    TRY(atomic_write(writer->file, header, size, error));
    if (fseeko(stream, end, SEEK_SET) != 0) /* what else goes to a redirected standard output comes after */
        return failed_errno(error, VOCODE_IO, "cannot write %s", atomic_name(writer->file));
    return VOCODE_OK;
}

static vocode_status finish_flac(audio_writer *writer, vocode_error *error) {
    int problem = sf_close(writer->flac);
    writer->flac = NULL;
    return problem == 0 && writer->flac_errno == 0 ? VOCODE_OK : flac_failed(writer, error);
}

vocode_status audio_writer_close(audio_writer *writer, size_t *clipped, vocode_error *error) {
    vocode_status status = VOCODE_OK;
    if (clipped) *clipped = writer->clipped;
    if (writer->container == AUDIO_WAV) status = finish_wav(writer, error);
    if (writer->container == AUDIO_FLAC) status = finish_flac(writer, error);
    if (status == VOCODE_OK) {
        status = atomic_commit(writer->file, error);
        writer->file = NULL;
    }
    audio_writer_abort(writer);
    return status;
}

void audio_writer_abort(audio_writer *writer) {
    if (!writer) return;
    if (writer->flac) sf_close(writer->flac);
    atomic_abort(writer->file);
    free(writer);
}

static vocode_status write_whole(const char *path, const float *mono, size_t frames, unsigned sample_rate,
                                 audio_format format, audio_container container, size_t *clipped, vocode_error *error) {
    audio_writer *writer;
    TRY(audio_writer_open(path, sample_rate, format, container, &writer, error));
    vocode_status status = audio_writer_write(writer, mono, frames, error);
    if (status == VOCODE_OK) return audio_writer_close(writer, clipped, error);
    audio_writer_abort(writer);
    return status;
}

vocode_status audio_write(const char *path, const float *mono, size_t frames, unsigned sample_rate, audio_format format,
                          size_t *clipped, vocode_error *error) {
    audio_container container;
    TRY(audio_container_of(path, format, &container, error));
    return write_whole(path, mono, frames, sample_rate, format, container, clipped, error);
}

vocode_status audio_write_raw(const char *path, const float *mono, size_t frames, audio_format format, size_t *clipped,
                              vocode_error *error) {
    return write_whole(path, mono, frames, 0, format, AUDIO_RAW, clipped, error);
}
