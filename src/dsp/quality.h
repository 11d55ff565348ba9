/* Objective distance of generated speech from the recording it imitates (copy synthesis), at 22050 Hz. */
#ifndef DSP_QUALITY_H
#define DSP_QUALITY_H

#include <stddef.h>

#include <vocode/status.h>

#define QUALITY_RATE 22050 /* Hz */

/* X(field, unit, doc): the figures in the order of tables. Where a figure is not defined it is NAN: mrstft needs
 * a reference that is not all zero, per and vuv a voiced frame in it, f0 a frame that is voiced in both. */
#define QUALITY_LIST(X)                                                                                          \
    X(mrstft, "log10", "mean |log10 STFT magnitude| difference at 512, 1024 and 2048 points, floor 100 dB down") \
    X(mcd, "dB", "mel-cepstral distortion, coefficients 1-13 of the 80-band ln mel, frame by frame")             \
    X(per, "", "RMSE of periodicity (normalised autocorrelation, 60-400 Hz) in voiced frames of the reference")  \
    X(vuv, "", "voiced/unvoiced F1, voiced meaning periodicity above 0.6")                                       \
    X(f0, "cents", "RMSE of F0 where both are voiced, each frame at most 600")                                   \
    X(mel, "ln", "mean |ln mel| difference, tacotron2's convention")

typedef struct quality {
#define QUALITY_FIELD(field, unit, doc) double field;
    QUALITY_LIST(QUALITY_FIELD)
#undef QUALITY_FIELD
} quality;

/* reference [n] and generated [m] at QUALITY_RATE; the longer one is cut to the shorter. VOCODE_VALUE where that leaves
 * nothing or holds NaN or infinity, VOCODE_MEMORY. */
vocode_status quality_measure(const float *reference, size_t n, const float *generated, size_t m, quality *result,
                              vocode_error *error);

/* Periodicity and F0 of samples [n]: n / 256 frames from the first sample's frame on. periodicity [n / 256] is 0..1, 0
 * in silence; f0 [n / 256] in Hz, of meaning only where that is high. VOCODE_MEMORY. */
vocode_status quality_periodicity(const float *samples, size_t n, double *periodicity, double *f0, vocode_error *error);

#endif
