#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <sndfile.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/audio.h"
#include "io/bytes.h"
#include "io/resample.h"

#define BLOCK_FRAMES ((size_t)1 << 16)
#define LOOKED_AT ((size_t)256) /* bytes at the beginning, to say what a file is that is not audio */
#define HIGHEST_RATE 10000000   /* Hz */

/* What libsndfile reads from: a descriptor, or bytes in memory for what cannot seek. */
typedef struct source {
    const char *name;
    int fd; /* -1: bytes */
    unsigned char *bytes;
    size_t size, position;
    unsigned char first[LOOKED_AT]; /* the beginning of the file */
    size_t first_size;
} source;

static sf_count_t memory_size(void *data) {
    return (sf_count_t)((source *)data)->size;
}

static sf_count_t memory_seek(sf_count_t offset, int whence, void *data) {
    source *from = data;
    sf_count_t base = whence == SEEK_SET ? 0 : (sf_count_t)(whence == SEEK_CUR ? from->position : from->size);
    if (offset < -base || offset > (sf_count_t)from->size - base) return -1;
    from->position = (size_t)(base + offset);
    return base + offset;
}

static sf_count_t memory_read(void *target, sf_count_t count, void *data) {
    source *from = data;
    size_t left = from->size - from->position, taken = (size_t)count < left ? (size_t)count : left;
    memcpy(target, from->bytes + from->position, taken);
    from->position += taken;
    return (sf_count_t)taken;
}

static sf_count_t memory_write(const void *bytes, sf_count_t count, void *data) {
    (void)bytes, (void)count, (void)data;
    return 0; /* never called: files are opened for reading */
}

static sf_count_t memory_tell(void *data) {
    return (sf_count_t)((source *)data)->position;
}

static void source_close(source *from) {
    if (from->fd >= 0) close(from->fd);
    free(from->bytes);
}

static vocode_status source_open(const char *path, source *from, vocode_error *error) {
    struct stat about;
    *from = (source){.name = input_name(path), .fd = -1};
    int seekable = strcmp(path, "-") != 0;
    if (seekable) {
        from->fd = open(path, O_RDONLY | O_CLOEXEC);
        if (from->fd < 0 || fstat(from->fd, &about) != 0) return failed_errno(error, VOCODE_IO, "cannot open %s", path);
        seekable = S_ISREG(about.st_mode);
    }
    if (seekable) {
        ssize_t got = pread(from->fd, from->first, LOOKED_AT, 0);
        if (got < 0) return failed_errno(error, VOCODE_IO, "cannot read %s", path);
        from->first_size = (size_t)got;
        from->size = (size_t)about.st_size;
        return VOCODE_OK;
    }
    int fd = from->fd >= 0 ? from->fd : STDIN_FILENO;
    vocode_status status = bytes_read_open(fd, from->name, SIZE_MAX / 2, &from->bytes, &from->size, error);
    if (from->fd >= 0) close(from->fd);
    from->fd = -1; /* from here on the bytes in memory are the source */
    if (status != VOCODE_OK) return status;
    from->first_size = from->size < LOOKED_AT ? from->size : LOOKED_AT;
    memcpy(from->first, from->bytes, from->first_size);
    return VOCODE_OK;
}

/* A WAV that was cut off: libsndfile would quietly give what is left. Programs that write to a pipe cannot know the
 * size and announce nothing or some 2 GiB or more. */
static vocode_status refuse_truncated_wav(const source *from, vocode_error *error) {
    const size_t least_unknown = 0x7ffff000, riff_head = 8;
    size_t announced = 0;
    if (from->first_size < riff_head || memcmp(from->first, "RIFF", 4) != 0) return VOCODE_OK;
    for (size_t i = 0; i < 4; i++) announced |= (size_t)from->first[4 + i] << (8 * i);
    /* One byte of grace: some programs count the padding byte at the end and do not write it. */
    if (announced >= least_unknown || announced + riff_head <= from->size + 1) return VOCODE_OK;
    return failed(error, VOCODE_FORMAT, "%s: truncated: the WAV header announces %zu bytes, the file has %zu",
                  from->name, announced + riff_head, from->size);
}

static vocode_status sound_open(source *from, SNDFILE **file, SF_INFO *info, vocode_error *error) {
    static SF_VIRTUAL_IO memory = {memory_size, memory_seek, memory_read, memory_write, memory_tell};
    if (from->size == 0) return failed(error, VOCODE_VALUE, "%s: empty: no audio in it", from->name);
    TRY(refuse_truncated_wav(from, error));
    *file =
        from->fd >= 0 ? sf_open_fd(from->fd, SFM_READ, info, SF_FALSE) : sf_open_virtual(&memory, SFM_READ, info, from);
    if (!*file)
        return failed(error, VOCODE_FORMAT, "%s: cannot be read as audio, it is %s: %s", from->name,
                      bytes_kind(from->first, from->first_size), sf_strerror(NULL));
    if (info->channels > 0 && info->samplerate > 0 && info->samplerate <= HIGHEST_RATE) return VOCODE_OK;
    sf_close(*file);
    return failed(error, VOCODE_FORMAT, "%s: announces %d channels at %d Hz", from->name, info->channels,
                  info->samplerate);
}

static audio_source source_of(const SF_INFO *info) {
    audio_source about = {(unsigned)info->channels, (unsigned)info->samplerate, 0};
    switch (info->format & SF_FORMAT_SUBMASK) {
    case SF_FORMAT_PCM_S8:
    case SF_FORMAT_PCM_U8: about.bits = 8; break;
    case SF_FORMAT_PCM_16:
    case SF_FORMAT_ALAC_16: about.bits = 16; break;
    case SF_FORMAT_ALAC_20: about.bits = 20; break;
    case SF_FORMAT_PCM_24:
    case SF_FORMAT_ALAC_24: about.bits = 24; break;
    case SF_FORMAT_PCM_32:
    case SF_FORMAT_ALAC_32: about.bits = 32; break;
    default: break;
    }
    return about;
}

/* Reads to the end. The announced length is only a first guess of the room: it may be wrong or unknown. */
static vocode_status read_samples(SNDFILE *file, const SF_INFO *info, const char *name, audio *out,
                                  vocode_error *error) {
    size_t channels = (size_t)info->channels, room = 0, frames = 0, bytes;
    float *samples = NULL;
    for (;;) {
        if (frames == room) {
            room = room ? 2 * room : BLOCK_FRAMES;
            float *more = NULL;
            if (size_multiply(room, channels * sizeof *samples, &bytes)) more = realloc(samples, bytes);
            if (!more) {
                free(samples);
                return failed(error, VOCODE_MEMORY, "%s: no memory for %zu frames of %zu channels", name, room,
                              channels);
            }
            samples = more;
        }
        sf_count_t got = sf_readf_float(file, samples + frames * channels, (sf_count_t)(room - frames));
        if (got <= 0) break;
        frames += (size_t)got;
    }
    *out = (audio){frames, (unsigned)channels, (unsigned)info->samplerate, samples, source_of(info)};
    int is_flac = (info->format & SF_FORMAT_TYPEMASK) == SF_FORMAT_FLAC; /* where the announced length is exact */
    if (is_flac && info->frames < SF_COUNT_MAX && (sf_count_t)frames < info->frames)
        return failed(error, VOCODE_FORMAT, "%s: truncated or damaged: %lld frames announced, %zu could be read", name,
                      (long long)info->frames, frames);
    if (sf_error(file) != SF_ERR_NO_ERROR)
        return failed(error, VOCODE_FORMAT, "%s: damaged after %zu frames: %s", name, frames, sf_strerror(file));
    return VOCODE_OK;
}

vocode_status audio_read(const char *path, audio *out, vocode_error *error) {
    source from;
    SNDFILE *file = NULL;
    SF_INFO info = {0};
    *out = (audio){0};
    vocode_status status = source_open(path, &from, error);
    if (status == VOCODE_OK) status = sound_open(&from, &file, &info, error);
    if (status == VOCODE_OK) {
        status = read_samples(file, &info, from.name, out, error);
        sf_close(file);
    }
    source_close(&from);
    if (status != VOCODE_OK) audio_free(out);
    return status;
}

static vocode_status check_samples(const audio *sound, const char *name, vocode_error *error) {
    if (sound->frames == 0) return failed(error, VOCODE_VALUE, "%s: no audio in it: zero frames", name);
    for (size_t i = 0; i < sound->frames * sound->channels; i++) {
        if (isfinite(sound->samples[i])) continue;
        size_t frame = i / sound->channels;
        return failed(error, VOCODE_VALUE, "%s: %s at frame %zu (%.3f s)", name,
                      isnan(sound->samples[i]) ? "not a number (NaN)" : "an infinite sample", frame,
                      (double)frame / sound->sample_rate);
    }
    return VOCODE_OK;
}

/* Averages the channels in place. */
static void mix_down(audio *sound) {
    size_t channels = sound->channels;
    for (size_t t = 0; t < sound->frames; t++) {
        double sum = 0;
        for (size_t c = 0; c < channels; c++) sum += (double)sound->samples[t * channels + c];
        sound->samples[t] = (float)(sum / (double)channels);
    }
    sound->channels = 1;
}

/* Seeks and reads; samples [frames, channels]. */
static vocode_status read_part(SNDFILE *file, const SF_INFO *info, const char *name, size_t first, audio *out,
                               vocode_error *error) {
    if (!info->seekable || source_of(info).bits == 0)
        return failed(error, VOCODE_UNSUPPORTED, "%s: its format has no exact places to read from", name);
    if (sf_seek(file, (sf_count_t)first, SEEK_SET) != (sf_count_t)first ||
        sf_readf_float(file, out->samples, (sf_count_t)out->frames) != (sf_count_t)out->frames)
        return failed(error, VOCODE_FORMAT, "%s: expected at least %zu frames, found %lld", name, first + out->frames,
                      (long long)info->frames);
    return VOCODE_OK;
}

vocode_status audio_read_part(const char *path, size_t first, size_t frames, float *mono, vocode_error *error) {
    source from;
    SNDFILE *file = NULL;
    SF_INFO info = {0};
    TRY(source_open(path, &from, error));
    vocode_status status = sound_open(&from, &file, &info, error);
    if (status == VOCODE_OK) {
        audio part = {.frames = frames, .channels = (unsigned)info.channels, .sample_rate = (unsigned)info.samplerate};
        part.samples = calloc(frames ? frames : 1, part.channels * sizeof *part.samples);
        if (part.samples)
            status = read_part(file, &info, from.name, first, &part, error);
        else
            status = failed(error, VOCODE_MEMORY, "%s: no memory for %zu frames", from.name, frames);
        if (status == VOCODE_OK) status = check_samples(&part, from.name, error);
        if (status == VOCODE_OK && part.channels > 1) mix_down(&part);
        if (status == VOCODE_OK) memcpy(mono, part.samples, frames * sizeof *mono);
        audio_free(&part);
        sf_close(file);
    }
    source_close(&from);
    return status;
}

vocode_status audio_read_mono(const char *path, unsigned sample_rate, audio *out, const warning_sink *warnings,
                              vocode_error *error) {
    const char *name = input_name(path);
    TRY(audio_read(path, out, error));
    vocode_status status = check_samples(out, name, error);
    if (status == VOCODE_OK && out->channels > 1) {
        warn_caller(warnings, "%s: %u channels are averaged into one", name, out->channels);
        mix_down(out);
    }
    if (status == VOCODE_OK && sample_rate != 0 && sample_rate != out->sample_rate) {
        float *converted;
        size_t frames;
        warn_caller(warnings, "%s: resampled from %u Hz to %u Hz", name, out->sample_rate, sample_rate);
        status = resample(out->samples, out->frames, out->sample_rate, sample_rate, &converted, &frames, error);
        if (status == VOCODE_OK) {
            free(out->samples);
            *out = (audio){frames, 1, sample_rate, converted, out->source};
        }
    }
    if (status != VOCODE_OK) audio_free(out);
    return status;
}

void audio_free(audio *sound) {
    free(sound->samples);
    *sound = (audio){0};
}
