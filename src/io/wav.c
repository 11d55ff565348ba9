#include "io/wav.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TAG_PCM 1u
#define TAG_FLOAT 3u
#define CHUNK_HEAD 8u /* four letters and a u32 size */
#define LARGEST_SIZE ((size_t)0xfffffffe)

/* Where the next byte of the header goes. */
typedef struct pen {
    unsigned char *at;
} pen;

static void put(pen *p, size_t value, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) *p->at++ = (unsigned char)(value >> (8 * i));
}

static void put_chunk(pen *p, const char *letters, size_t size) {
    memcpy(p->at, letters, 4);
    p->at += 4;
    put(p, size, 4);
}

size_t audio_sample_size(audio_format format) {
    static const size_t sizes[] = {[AUDIO_PCM16] = 2, [AUDIO_PCM24] = 3, [AUDIO_FLOAT] = 4};
    return sizes[format];
}

static size_t format_chunk(audio_format format) {
    return format == AUDIO_FLOAT ? 18 : 16; /* anything but PCM ends in the size of an extension, 0 */
}

/* Everything before the samples. A format other than PCM also needs a fact chunk: how many frames there are. */
static size_t header_size(audio_format format) {
    size_t fact = format == AUDIO_FLOAT ? CHUNK_HEAD + 4 : 0;
    return CHUNK_HEAD + 4 + CHUNK_HEAD + format_chunk(format) + fact + CHUNK_HEAD;
}

size_t wav_most_bytes(audio_format format) {
    return LARGEST_SIZE - header_size(format);
}

size_t wav_header(unsigned char header[WAV_HEADER_ROOM], unsigned sample_rate, audio_format format, size_t data_bytes) {
    pen p = {header};
    size_t width = audio_sample_size(format), known = data_bytes != WAV_UNKNOWN;
    size_t padded = data_bytes + (data_bytes & 1); /* chunks start at even places */
    put_chunk(&p, "RIFF", known ? header_size(format) - CHUNK_HEAD + padded : WAV_UNKNOWN);
    memcpy(p.at, "WAVE", 4);
    p.at += 4;
    put_chunk(&p, "fmt ", format_chunk(format));
    put(&p, format == AUDIO_FLOAT ? TAG_FLOAT : TAG_PCM, 2);
    put(&p, 1, 2); /* channels */
    put(&p, sample_rate, 4);
    put(&p, sample_rate * width, 4);
    put(&p, width, 2);
    put(&p, 8 * width, 2);
    if (format == AUDIO_FLOAT) {
        put(&p, 0, 2);
        put_chunk(&p, "fact", 4);
        put(&p, known ? data_bytes / width : WAV_UNKNOWN, 4);
    }
    put_chunk(&p, "data", data_bytes);
    return (size_t)(p.at - header);
}

unsigned char *wav_pcm16(const float *mono, size_t frames, unsigned sample_rate, size_t *size) {
    const double full = 32767;
    size_t bytes = frames * audio_sample_size(AUDIO_PCM16);
    pen p = {malloc(WAV_HEADER_ROOM + bytes)};
    unsigned char *wav = p.at;
    if (!wav) return NULL;
    p.at += wav_header(wav, sample_rate, AUDIO_PCM16, bytes);
    for (size_t i = 0; i < frames; i++) {
        double value = fmin(fmax(round((double)mono[i] * full), -full - 1), full);
        put(&p, (size_t)(uint16_t)(int16_t)value, 2);
    }
    *size = (size_t)(p.at - wav);
    return wav;
}
