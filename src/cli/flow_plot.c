/* vocode flow plot: what a model of vectors has learned, as a picture. Two columns: density and samples above, the way
 * of samples from the latent to the data below. A square number of columns: samples as grey images. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/flow_actions.h"
#include "cli/interrupt.h"
#include "io/atomic.h"
#include "io/png.h"

enum { PANEL = 300, GAP = 6, ACROSS = 4, DOTS = 20000, IMAGES = 16, ZOOM = 6 };

typedef struct picture {
    unsigned char *rgb; /* [height, width, 3] */
    size_t width, height;
} picture;

typedef struct window {
    double low[2], size[2];
} window;

static bool picture_new(picture *p, size_t width, size_t height) {
    *p = (picture){malloc(width * height * 3), width, height};
    if (p->rgb) memset(p->rgb, 255, width * height * 3);
    return p->rgb;
}

static void put(const picture *p, size_t x, size_t y, const unsigned char *colour) {
    memcpy(p->rgb + (y * p->width + x) * 3, colour, 3);
}

/* White over blue to black: share of the largest, 0 to 1. */
static void shade(double share, unsigned char *colour) {
    static const double stops[][3] = {{255, 255, 255}, {120, 170, 220}, {30, 70, 150}, {10, 10, 50}};
    double at = fmin(fmax(share, 0), 1) * 3;
    int stop = at >= 3 ? 2 : (int)at;
    for (int c = 0; c < 3; c++)
        colour[c] = (unsigned char)(stops[stop][c] + (at - stop) * (stops[stop + 1][c] - stops[stop][c]));
}

/* What holds all but the outermost of the points, with a margin. */
static window window_of(const float *points, size_t count) {
    window w;
    for (int axis = 0; axis < 2; axis++) {
        double low = INFINITY, high = -INFINITY, margin;
        for (size_t i = 0; i < count; i++) {
            double at = (double)points[2 * i + axis];
            if (isfinite(at)) low = fmin(low, at), high = fmax(high, at);
        }
        margin = 0.05 * (high - low) + 1e-6;
        w.low[axis] = low - margin;
        w.size[axis] = high - low + 2 * margin;
    }
    return w;
}

static void draw_dots(const picture *p, size_t left, size_t top, const window *w, const float *points, size_t count) {
    static const unsigned char ink[] = {30, 70, 150};
    for (size_t i = 0; i < count; i++) {
        double x = ((double)points[2 * i] - w->low[0]) / w->size[0] * PANEL;
        double y = ((double)points[2 * i + 1] - w->low[1]) / w->size[1] * PANEL;
        if (x >= 0 && x < PANEL && y >= 0 && y < PANEL) put(p, left + (size_t)x, top + PANEL - 1 - (size_t)y, ink);
    }
}

static vocode_status draw_density(const vectors_model *model, const picture *p, size_t left, size_t top,
                                  const window *w, int threads, vocode_error *error) {
    size_t count = (size_t)PANEL * PANEL;
    float *grid = calloc(2 * count, sizeof *grid);
    double *density = calloc(count, sizeof *density), most = 0;
    vocode_status status =
        grid && density ? VOCODE_OK : failed(error, VOCODE_MEMORY, "out of memory for a picture of %d pixels", PANEL);
    for (size_t i = 0; grid && i < count; i++) {
        size_t row = i / PANEL;
        grid[2 * i] = (float)(w->low[0] + ((double)(i % PANEL) + 0.5) / PANEL * w->size[0]);
        grid[2 * i + 1] = (float)(w->low[1] + ((double)PANEL - 0.5 - (double)row) / PANEL * w->size[1]);
    }
    for (size_t i = 0; grid && vectors_dequantize(model) && i < 2 * count; i++) grid[i] = floorf(grid[i]);
    if (status == VOCODE_OK) status = vectors_encode(model, grid, NULL, count, threads, NULL, density, error);
    for (size_t i = 0; status == VOCODE_OK && i < count; i++) most = fmax(most, exp(density[i]));
    for (size_t i = 0; status == VOCODE_OK && i < count; i++) {
        unsigned char colour[3];
        shade(sqrt(exp(density[i]) / most), colour);
        put(p, left + i % PANEL, top + i / PANEL, colour);
    }
    free(grid);
    free(density);
    return status;
}

/* Density and samples, then ACROSS stops on the way. */
static vocode_status draw_plane(const vectors_model *model, const arguments *given, picture *p, vocode_error *error) {
    float *z = calloc(2 * (size_t)DOTS, sizeof *z), *x = calloc(2 * (size_t)DOTS, sizeof *x);
    bool good = picture_new(p, ACROSS * (PANEL + GAP) + GAP, 2 * (PANEL + GAP) + GAP) && z && x;
    vocode_status status = good ? VOCODE_OK : failed(error, VOCODE_MEMORY, "out of memory for a picture");
    if (good) base_draw(model->base, given->seed.integer, 0, DOTS, 2, z);
    if (good) status = vectors_decode(model, z, NULL, DOTS, threads_of(given), x, error);
    if (status == VOCODE_OK) {
        window w = window_of(x, DOTS);
        draw_dots(p, GAP + PANEL + GAP, GAP, &w, x, DOTS);
        status = draw_density(model, p, GAP, GAP, &w, threads_of(given), error);
    }
    size_t all = vectors_steps(model);
    for (size_t k = 0; status == VOCODE_OK && k < ACROSS; k++) {
        status = vectors_follow(model, z, DOTS, all * k / (ACROSS - 1), x, error);
        window w = window_of(x, DOTS);
        draw_dots(p, GAP + k * (PANEL + GAP), GAP + PANEL + GAP, &w, x, DOTS);
    }
    free(z);
    free(x);
    return status;
}

static vocode_status draw_images(const vectors_model *model, const arguments *given, size_t side, picture *p,
                                 vocode_error *error) {
    size_t cell = side * ZOOM + GAP, count = (size_t)IMAGES * IMAGES, width = IMAGES * cell + GAP;
    float *x = calloc(count * side * side, sizeof *x), low = INFINITY, high = -INFINITY;
    vocode_status status = x && picture_new(p, width, width)
                               ? vectors_sample(model, NULL, count, given->seed.integer, threads_of(given), x, error)
                               : failed(error, VOCODE_MEMORY, "out of memory for a picture");
    for (size_t i = 0; status == VOCODE_OK && i < count * side * side; i++)
        low = fminf(low, x[i]), high = fmaxf(high, x[i]);
    for (size_t i = 0; status == VOCODE_OK && i < count * side * side * ZOOM * ZOOM; i++) {
        size_t image = i / (side * side * ZOOM * ZOOM), pixel = i % (side * side * ZOOM * ZOOM);
        size_t row = pixel / (side * ZOOM), column = pixel % (side * ZOOM);
        float share = (x[(image * side + row / ZOOM) * side + column / ZOOM] - low) / (high - low + 1e-20F);
        unsigned char grey = (unsigned char)(255 * share), colour[] = {grey, grey, grey};
        put(p, GAP + image % IMAGES * cell + column, GAP + image / IMAGES * cell + row, colour);
    }
    free(x);
    return status;
}

static vocode_status write_picture(const char *path, const picture *p, vocode_error *error) {
    unsigned char *bytes;
    size_t size;
    TRY(rgb_to_png(p->rgb, p->width, p->height, &bytes, &size, error));
    interrupt_hold(path);
    vocode_status status = atomic_put(path, bytes, size, error);
    interrupt_release();
    free(bytes);
    return status;
}

static vocode_status draw(const vectors_model *model, const arguments *given, picture *p, vocode_error *error) {
    size_t side = (size_t)lround(sqrt((double)model->channels));
    if (model->context)
        return failed(error, VOCODE_UNSUPPORTED, "%s: expected a model without a context, found one of %zu numbers",
                      given->items[1], model->context);
    if (model->channels == 2) return draw_plane(model, given, p, error);
    if (side > 1 && side * side == model->channels && side <= 256) return draw_images(model, given, side, p, error);
    return failed(error, VOCODE_UNSUPPORTED,
                  "%s: expected rows of 2 numbers, or of a square number of pixels up to 256 x 256, found %zu",
                  given->items[1], model->channels);
}

vocode_status flow_plot(const arguments *given, console *out, vocode_error *error) {
    (void)out;
    vectors_model *model;
    picture p = {0};
    TRY(vectors_open(given->items[1], &model, error));
    vocode_status status = draw(model, given, &p, error);
    if (status == VOCODE_OK) status = write_picture(given->items[2], &p, error);
    free(p.rgb);
    vectors_free(model);
    return status;
}
