#include "train/recording.h"

#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FULL_SCALE 32768.0f /* of 16-bit samples */

/* Zeros of a file without integers have unbounded density too: it is dithered as if it had these. */
static const unsigned usual_bits = 16;

/* Blockwise, so that recordings of any length hash. */
static void hash_samples(const float *samples, size_t count, unsigned char *hash) {
    crypto_generichash_state state;
    crypto_generichash_init(&state, NULL, 0, RECORDING_HASH);
    crypto_generichash_update(&state, (const unsigned char *)samples, count * sizeof *samples);
    crypto_generichash_final(&state, hash, RECORDING_HASH);
}

static double rms_of(const float *samples, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)samples[i] * (double)samples[i];
    return sqrt(sum / (double)count);
}

/* Whether the file is as *bytes and *modified say; then what it is like now is in them. */
static bool look_at(const char *path, size_t *bytes, struct timespec *modified) {
    struct stat about;
    if (stat(path, &about) != 0) return false;
    bool same = *bytes == (size_t)about.st_size && modified->tv_sec == about.st_mtim.tv_sec &&
                modified->tv_nsec == about.st_mtim.tv_nsec;
    *bytes = (size_t)about.st_size;
    *modified = about.st_mtim;
    return same;
}

static void describe(const audio *sound, recording *out) {
    unsigned bits = sound->source.bits ? sound->source.bits : usual_bits;
    out->samples = sound->frames;
    out->source = sound->source;
    out->step = ldexp(1, 1 - (int)bits);
    out->rms = rms_of(sound->samples, sound->frames);
    hash_samples(sound->samples, sound->frames, out->hash);
}

vocode_status recording_open(const char *path, unsigned sample_rate, double silence, recording *out, audio *sound,
                             vocode_error *error) {
    *out = (recording){0};
    look_at(path, &out->bytes, &out->modified);
    TRY(audio_read_mono(path, sample_rate, sound, NULL, error));
    describe(sound, out);
    double level = 20 * log10(fmax(out->rms, 1e-300));
    vocode_status status = VOCODE_OK;
    if (out->rms == 0)
        status = failed(error, VOCODE_VALUE, "%s: silent: every sample is zero", path);
    else if (level < silence)
        status = failed(error, VOCODE_VALUE, "%s: silent: its RMS is %.1f dB, below %.1f dB of full scale", path, level,
                        silence);
    if (status == VOCODE_OK && !(out->path = strdup(path)))
        status = failed(error, VOCODE_MEMORY, "%s: out of memory", path);
    if (status != VOCODE_OK) audio_free(sound);
    return status;
}

void recording_free(recording *self) {
    free(self->path);
    free(self->whole);
    free(self->fraction);
    free(self->mel);
    *self = (recording){0};
}

static bool is_whole(const audio *sound) {
    for (size_t i = 0; i < sound->frames; i++) {
        float scaled = sound->samples[i] * FULL_SCALE;
        if (!(scaled >= -FULL_SCALE && scaled < FULL_SCALE) || scaled != truncf(scaled)) return false;
    }
    return true;
}

size_t recording_size(const recording *self, const audio *sound) {
    return self->samples * (is_whole(sound) ? sizeof *self->whole : sizeof *self->fraction);
}

vocode_status recording_keep(recording *self, audio *sound, vocode_error *error) {
    if (!is_whole(sound)) {
        self->fraction = sound->samples;
        sound->samples = NULL;
        return VOCODE_OK;
    }
    self->whole = malloc(self->samples * sizeof *self->whole);
    if (!self->whole) return failed(error, VOCODE_MEMORY, "%s: no memory for %zu samples", self->path, self->samples);
    for (size_t i = 0; i < self->samples; i++) self->whole[i] = (int16_t)(sound->samples[i] * FULL_SCALE);
    return VOCODE_OK;
}

/* The whole of the file again, if it holds the same still. */
static vocode_status read_whole(const recording *self, unsigned sample_rate, size_t first, size_t count, float *target,
                                vocode_error *error) {
    audio sound;
    recording now = {0};
    vocode_status status = audio_read_mono(self->path, sample_rate, &sound, NULL, error);
    if (status != VOCODE_OK) return failed_in(error, VOCODE_IO, "a recording changed while it was trained on");
    describe(&sound, &now);
    if (now.samples != self->samples || memcmp(now.hash, self->hash, RECORDING_HASH) != 0)
        status = failed(error, VOCODE_IO, "%s: changed while it was trained on: %zu samples were read first, now %zu",
                        self->path, self->samples, now.samples);
    else
        memcpy(target, sound.samples + first, count * sizeof *target);
    audio_free(&sound);
    return status;
}

static vocode_status read_again(const recording *self, unsigned sample_rate, size_t first, size_t count, float *target,
                                vocode_error *error) {
    size_t bytes = self->bytes;
    struct timespec modified = self->modified;
    if (self->source.sample_rate == sample_rate && look_at(self->path, &bytes, &modified) &&
        audio_read_part(self->path, first, count, target, NULL) == VOCODE_OK)
        return VOCODE_OK;
    return read_whole(self, sample_rate, first, count, target, error);
}

vocode_status recording_read(const recording *self, unsigned sample_rate, size_t first, size_t count, float *target,
                             vocode_error *error) {
    if (self->whole)
        for (size_t i = 0; i < count; i++) target[i] = (float)self->whole[first + i] * (1 / FULL_SCALE);
    else if (self->fraction)
        memcpy(target, self->fraction + first, count * sizeof *target);
    else
        return read_again(self, sample_rate, first, count, target, error);
    return VOCODE_OK;
}
