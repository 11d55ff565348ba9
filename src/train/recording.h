/* One recording: checked once, then kept in memory or read again when it is needed. */
#ifndef TRAIN_RECORDING_H
#define TRAIN_RECORDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "dsp/mel.h"
#include "io/audio.h"

enum { RECORDING_HASH = 16 }; /* bytes */

typedef struct recording {
    char *path;     /* owned */
    size_t samples; /* mono, at the rate that was asked for */
    size_t bytes;   /* of the file */
    struct timespec modified;
    double rms;  /* of the whole */
    double step; /* of quantization: one unit of the integers that the file holds, in full scales */
    audio_source source;
    unsigned char hash[RECORDING_HASH]; /* of the samples */
    int16_t *whole;                     /* [samples], owned: where every sample is a multiple of 2^-15 */
    float *fraction;                    /* [samples], owned: otherwise; both NULL: not in memory */
    float *mel;                         /* [mel_frames, n_mels], owned, of the file beside it; or NULL */
    size_t mel_frames;
    bool held_out;
} recording;

/* Reads and describes a file, without keeping its samples: those are *sound, which the caller frees. VOCODE_VALUE where
 * it is empty, not finite or quieter than silence (dB RMS of full scale). */
vocode_status recording_open(const char *path, unsigned sample_rate, double silence, recording *out, audio *sound,
                             vocode_error *error);
void recording_free(recording *self); /* what it holds */

/* Bytes that keeping these samples takes. */
size_t recording_size(const recording *self, const audio *sound);

/* Keeps the samples in memory; sound may be emptied. VOCODE_MEMORY. */
vocode_status recording_keep(recording *self, audio *sound, vocode_error *error);

/* target[i] = sample first + i for i < count, all inside the recording. One that is not in memory is read again,
 * only that part where the file allows it: VOCODE_IO where it is no longer what it was. */
vocode_status recording_read(const recording *self, unsigned sample_rate, size_t first, size_t count, float *target,
                             vocode_error *error);

/* Reads the .npy of self->path, if there is one beside it, into self->mel; *found says whether. VOCODE_SHAPE where its
 * bands are not the convention's or its frames are not, give or take one, those of the recording. */
vocode_status recording_pair(recording *self, const mel_convention *convention, bool *found, vocode_error *error);

#endif
