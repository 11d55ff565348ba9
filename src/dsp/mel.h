/* Mel spectrograms: the conventions of the common front ends as data, and the front end that computes them in double
 * precision (in single precision quiet bands miss by up to 0.7 of a natural logarithm).
 *
 * value = affine(log(max(floor, filterbank [n_mels, bins] * sqrt(|STFT|^2 + mag_eps) ^ power)))
 *
 * Windows are periodic Hann of win samples, centred in n_fft. A centred STFT pads n_fft / 2 samples at both ends, so
 * that frame t has its middle at sample t * hop; otherwise it pads (n_fft - hop) / 2 and the middle is at t * hop + hop
 * / 2. */
#ifndef DSP_MEL_H
#define DSP_MEL_H

#include <jansson.h>
#include <stddef.h>

#include <vocode/status.h>

#define MEL_PRESET_SIZE 128 /* bytes of a preset's name with its final zero */
#define MEL_PRESET_CUSTOM "custom"

/* The order of each is that of its names in JSON; none is written as null there and read as null or "none". */
typedef enum mel_scale { MEL_SCALE_SLANEY, MEL_SCALE_HTK } mel_scale;
typedef enum mel_norm { MEL_NORM_SLANEY, MEL_NORM_NONE } mel_norm;
typedef enum mel_padding { MEL_PAD_REFLECT, MEL_PAD_CONSTANT } mel_padding;
typedef enum mel_log { MEL_LOG_LN, MEL_LOG_10, MEL_LOG_DB20, MEL_LOG_NONE } mel_log;

typedef struct mel_convention {
    char preset[MEL_PRESET_SIZE]; /* a name of the table, or "custom" */
    size_t sample_rate;           /* Hz */
    size_t n_fft, hop, win;       /* samples */
    size_t n_mels;
    double fmin, fmax; /* Hz: the outer edges of the first and last band */
    int scale;         /* mel_scale */
    int norm;          /* mel_norm: slaney gives each band unit area in Hz */
    int center;
    int pad_mode;   /* mel_padding */
    size_t power;   /* 1: magnitude, 2: power */
    int log;        /* mel_log; db20 is 20 log10 */
    double floor;   /* least linear value */
    double mag_eps; /* added to the power under the root */
    int affine; /* nonzero: after the log v becomes clip(v * affine_scale + affine_offset, affine_low, affine_high) */
    double affine_scale, affine_offset, affine_low, affine_high;
    int frames_first; /* a hint for files: this front end stores [T, n_mels]; not part of the JSON */
} mel_convention;

typedef struct mel_preset {
    mel_convention convention;
    const char *doc; /* half a line for --help */
} mel_preset;

/* All presets, aliases included, count of them in *count. Static data. */
const mel_preset *mel_preset_list(size_t *count);

/* The convention of that name, or NULL. Static data. */
const mel_convention *mel_preset_find(const char *name);

/* The same, with an error sentence that lists the names when there is none such. */
vocode_status mel_preset_require(const char *name, const mel_convention **found, vocode_error *error);

/* Nonzero where both describe the same values (names and layout hint aside). */
int mel_convention_equal(const mel_convention *a, const mel_convention *b);

/* VOCODE_VALUE where the parameters contradict each other (say, fmax above half the rate), OK otherwise. */
vocode_status mel_convention_check(const mel_convention *convention, vocode_error *error);

/* A new object with the keys of a model's metadata: preset, sr, n_fft, hop, win, n_mels, fmin, fmax, scale, norm,
 * center, pad_mode, power, log, floor, mag_eps, affine ([scale, offset, low, high] or null). A custom preset is null.
 * NULL when memory is out. The caller owns it. */
json_t *mel_convention_to_json(const mel_convention *convention);

/* Reads that object (NULL counts as {}). Absent keys take the values of "preset", which alone suffices, or tacotron2's
 * where that is absent, null or "custom"; win follows a given n_fft. Where the values differ from those of that preset
 * the result is called "custom". Unknown keys and names, out-of-range and contradicting values are VOCODE_VALUE. */
vocode_status mel_convention_from_json(const json_t *object, mel_convention *convention, vocode_error *error);

/* One value: linear (after the filterbank) to the convention's, and back. The way back cannot undo floor or clipping.
 */
double mel_value_of(const mel_convention *convention, double linear);
double mel_linear_of(const mel_convention *convention, double value);

/* Frames of a signal of that many samples: 1 + n / hop when centred; 0 when it is too short. */
size_t mel_frames(const mel_convention *convention, size_t samples);

/* Samples of padding at each end. */
size_t mel_pad(const mel_convention *convention);

/* Window, filterbank and FFT plan of one convention: immutable, for any number of threads. */
typedef struct mel_frontend mel_frontend;

/* VOCODE_VALUE for a convention that mel_convention_check refuses, VOCODE_MEMORY. Free with mel_frontend_free. */
vocode_status mel_frontend_new(const mel_convention *convention, mel_frontend **result, vocode_error *error);
void mel_frontend_free(mel_frontend *frontend);
const mel_convention *mel_frontend_convention(const mel_frontend *frontend);

/* samples [n] at the convention's rate, in [-1, 1] -> out [mel_frames(n), n_mels], time-major. Allocates its scratch, a
 * few frames. VOCODE_VALUE when the signal is too short for one frame or not finite (the sentence says where). */
vocode_status mel_compute(const mel_frontend *frontend, const float *samples, size_t n, float *out,
                          vocode_error *error);

#endif
