/* Log-magnitude spectrogram as a picture, for reports. */
#ifndef DSP_SPECTROGRAM_H
#define DSP_SPECTROGRAM_H

#include <stddef.h>
#include <stdint.h>

#include <vocode/status.h>

/* samples [n], n >= 1, in [-1, 1] -> rgb [height, width, 3], of the caller. Time runs left to right over the whole
 * signal, frequency linearly from 0 at the bottom to half the rate at the top. 80 dB from dark to bright; bright is a
 * fixed level (a sine 20 dB below full scale), so two pictures compare. VOCODE_VALUE for an empty picture or signal,
 * VOCODE_MEMORY. */
vocode_status spectrogram_draw(const float *samples, size_t n, size_t width, size_t height, uint8_t *rgb,
                               vocode_error *error);

/* The same as a PNG of *size bytes at *png, which the caller frees with free(); NULL after a failure. */
vocode_status spectrogram_png(const float *samples, size_t n, size_t width, size_t height, unsigned char **png,
                              size_t *size, vocode_error *error);

/* The colour of a level 0..1, dark violet to light yellow, of steadily growing lightness. */
void spectrogram_colour(double level, uint8_t rgb[3]);

#endif
