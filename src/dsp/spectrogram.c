#include "dsp/spectrogram.h"

#include <math.h>
#include <stdlib.h>

#include "core/arena.h"
#include "core/fail.h"
#include "dsp/stft.h"
#include "io/png.h"

#define POINTS 1024
#define PIXEL_BYTES 3
#define HOP 128
#define RANGE_DB 80.0
#define BRIGHT_DB (-20.0)
#define FULL_SCALE (POINTS / 4.0) /* a sine of amplitude 1 under a Hann window */

/* CIE lightness L*, chroma and hue of the two ends; in between they run straight, so that equal steps look equal. */
#define DARK_L 3.0
#define LIGHT_L 97.0
#define CHROMA_MOST 62.0
#define DARK_HUE 295.0 /* degrees: violet */
#define LIGHT_HUE 95.0 /* yellow, by way of red */

/* Linear light to an sRGB byte (IEC 61966-2-1). */
static uint8_t srgb(double light) {
    light = fmin(fmax(light, 0), 1);
    double v = light <= 0.0031308 ? 12.92 * light : 1.055 * pow(light, 1 / 2.4) - 0.055;
    return (uint8_t)(v * 255 + 0.5);
}

/* CIE 1976 L*a*b*: the inverse of its cube root with a linear foot. */
static double uncube(double f) {
    return f > 6.0 / 29 ? f * f * f : 3 * (6.0 / 29) * (6.0 / 29) * (f - 4.0 / 29);
}

void spectrogram_colour(double level, uint8_t rgb[3]) {
    level = fmin(fmax(level, 0), 1);
    double lightness = DARK_L + (LIGHT_L - DARK_L) * level;
    double hue = (DARK_HUE + (LIGHT_HUE + 360 - DARK_HUE) * level) * M_PI / 180;
    double chroma = CHROMA_MOST * sin(M_PI * (0.1 + 0.8 * level)); /* little colour fits near black and white */
    double fy = (lightness + 16) / 116, fx = fy + chroma * cos(hue) / 500, fz = fy - chroma * sin(hue) / 200;
    double x = 0.95047 * uncube(fx), y = uncube(fy), z = 1.08883 * uncube(fz); /* D65 white */
    rgb[0] = srgb(3.2406 * x - 1.5372 * y - 0.4986 * z);
    rgb[1] = srgb(-0.9689 * x + 1.8758 * y + 0.0415 * z);
    rgb[2] = srgb(0.0557 * x - 0.2040 * y + 1.0570 * z);
}

typedef struct canvas {
    stft transform;
    stft_work work;
    double *span;   /* [POINTS] */
    double *column; /* [bins] power, the largest of the frames that fall into a column */
} canvas;

static void take(canvas *c, arena *memory) {
    c->work = stft_work_take(&c->transform, memory);
    c->span = arena_take(memory, POINTS, sizeof(double));
    c->column = arena_take(memory, c->transform.bins, sizeof(double));
}

/* Columns and rows narrower than a frame or bin repeat the nearest; wider ones show the largest of theirs. */
static void fill_column(canvas *c, const float *samples, size_t n, size_t first, size_t last) {
    for (size_t k = 0; k < c->transform.bins; k++) c->column[k] = 0;
    for (size_t t = first; t <= last; t++) {
        stft_span(&c->transform, samples, n, t * HOP, POINTS, c->span);
        stft_analyse(&c->transform, c->span, &c->work);
        for (size_t k = 0; k < c->transform.bins; k++) {
            double re = creal(c->work.spectrum[k]), im = cimag(c->work.spectrum[k]);
            c->column[k] = fmax(c->column[k], re * re + im * im);
        }
    }
}

/* Cell i of parts covers [from, to] of count things, at least one. */
static void share(size_t i, size_t parts, size_t count, size_t *from, size_t *to) {
    *from = (size_t)((double)i * (double)count / (double)parts);
    *to = (size_t)((double)(i + 1) * (double)count / (double)parts);
    if (*from >= count) *from = count - 1;
    if (*to > count) *to = count;
    *to = *to > *from ? *to - 1 : *from;
}

static void draw_column(const canvas *c, size_t x, size_t width, size_t height, uint8_t *rgb) {
    for (size_t y = 0; y < height; y++) {
        size_t from, to;
        double power = 0;
        share(height - 1 - y, height, c->transform.bins, &from, &to);
        for (size_t k = from; k <= to; k++) power = fmax(power, c->column[k]);
        double level = power > 0 ? 10 * log10(power / (FULL_SCALE * FULL_SCALE)) : -HUGE_VAL;
        spectrogram_colour((level - BRIGHT_DB) / RANGE_DB + 1, rgb + 3 * (y * width + x));
    }
}

vocode_status spectrogram_draw(const float *samples, size_t n, size_t width, size_t height, uint8_t *rgb,
                               vocode_error *error) {
    if (n == 0 || width == 0 || height == 0)
        return failed(error, VOCODE_VALUE, "a spectrogram of %zu samples in %zu x %zu pixels cannot be drawn", n, width,
                      height);
    canvas c;
    TRY(stft_init(&c.transform, POINTS, HOP, POINTS, POINTS / 2, STFT_REFLECT, error));
    arena memory = arena_over(NULL, 0);
    take(&c, &memory);
    void *scratch = aligned_new(memory.peak, 1);
    if (scratch) {
        memory = arena_over(scratch, memory.peak);
        take(&c, &memory);
        size_t frames = stft_frames(&c.transform, n);
        for (size_t x = 0; x < width; x++) {
            size_t first, last;
            share(x, width, frames, &first, &last);
            fill_column(&c, samples, n, first, last);
            draw_column(&c, x, width, height, rgb);
        }
    }
    aligned_free(scratch);
    stft_free(&c.transform);
    return scratch ? VOCODE_OK : failed(error, VOCODE_MEMORY, "out of memory for a spectrogram");
}

vocode_status spectrogram_png(const float *samples, size_t n, size_t width, size_t height, unsigned char **png,
                              size_t *size, vocode_error *error) {
    *png = NULL;
    uint8_t *rgb = calloc(width * height, PIXEL_BYTES);
    vocode_status status = rgb ? spectrogram_draw(samples, n, width, height, rgb, error)
                               : failed(error, VOCODE_MEMORY, "no memory for a picture of a spectrogram");
    if (status == VOCODE_OK) status = rgb_to_png(rgb, width, height, png, size, error);
    free(rgb);
    return status;
}
