/* vocode flow plot: what a model of vectors has learned, as a picture. Two columns: density and samples above, the way
 * of samples from the latent to the data below. Images, which a square number of columns may be too: samples side by
 * side, grey, or in colour where they have three planes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/flow_actions.h"
#include "cli/interrupt.h"
#include "io/atomic.h"
#include "io/png.h"

enum { PANEL = 300, GAP = 6, ACROSS = 4, DOTS = 20000, MOST_IMAGES = 256, ZOOM = 6, COLOURS = 3 };

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

/* From black to white. */
typedef struct range {
    float low, size;
} range;

static int ascending(const void *a, const void *b) {
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* A few numbers far out do not count. false: no memory. */
static bool range_of(const float *x, size_t count, range *out) {
    static const size_t few = 1000; /* one in so many, at either end */
    float *sorted = malloc(count * sizeof *sorted);
    if (!sorted) return false;
    memcpy(sorted, x, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, ascending);
    float low = sorted[count / few], high = sorted[count - 1 - count / few];
    *out = (range){low, high - low + 1e-20F};
    free(sorted);
    return true;
}

/* One image, every pixel ZOOM by ZOOM. */
static void draw_image(const picture *p, size_t left, size_t top, image_size image, const float *x, range of) {
    for (size_t row = 0; row < image.height * ZOOM; row++)
        for (size_t column = 0; column < image.width * ZOOM; column++) {
            const float *pixel = x + (row / ZOOM * image.width + column / ZOOM) * image.planes;
            unsigned char colour[COLOURS];
            for (size_t c = 0; c < COLOURS; c++) {
                float share = (pixel[image.planes == COLOURS ? c : 0] - of.low) / of.size;
                colour[c] = (unsigned char)(255 * fminf(fmaxf(share, 0), 1));
            }
            put(p, left + column, top + row, colour);
        }
}

/* What rows of so many numbers are drawn as; all 0 where they are no images. */
static image_size shown_as(image_size image, size_t channels) {
    static const size_t most = 256;
    size_t side = (size_t)lround(sqrt((double)channels));
    if (!image.height && side > 1 && side * side == channels) image = (image_size){side, side, 1};
    if (!image.planes) image.planes = 1;
    bool shown = image.planes == 1 || image.planes == COLOURS;
    return shown && image.height <= most && image.width <= most ? image : (image_size){0};
}

/* x [count, numbers of an image] in rows that make a square. */
static vocode_status draw_grid(image_size image, const float *x, size_t count, picture *p, vocode_error *error) {
    size_t across = 1, each = image_count(image), wide = image.width * ZOOM + GAP, high = image.height * ZOOM + GAP;
    while (across * across < count) across++;
    range of = {0};
    if (!picture_new(p, across * wide + GAP, tiles_of(count, across) * high + GAP) || !range_of(x, count * each, &of))
        return failed(error, VOCODE_MEMORY, "out of memory for a picture");
    for (size_t i = 0; i < count; i++)
        draw_image(p, GAP + i % across * wide, GAP + i / across * high, image, x + i * each, of);
    return VOCODE_OK;
}

static vocode_status draw_images(const vectors_model *model, const arguments *given, image_size image,
                                 const npy_array *context, picture *p, vocode_error *error) {
    size_t count = context->count ? smaller(context->shape[0], MOST_IMAGES) : MOST_IMAGES;
    float *x = calloc(count * model->channels, sizeof *x);
    const float *conditions = context->count ? context->data : NULL;
    vocode_status status =
        x ? vectors_sample(model, conditions, count, given->seed.integer, threads_of(given), x, error)
          : failed(error, VOCODE_MEMORY, "out of memory for a picture");
    if (status == VOCODE_OK) status = draw_grid(image, x, count, p, error);
    free(x);
    return status;
}

/* What draws of an autoencoder's latent stand for. */
static vocode_status draw_means(const vae *model, const arguments *given, picture *p, vocode_error *error) {
    image_size image = shown_as(model->sizes.image, model->sizes.channels);
    if (!image.height)
        return failed(error, VOCODE_UNSUPPORTED,
                      "%s: expected images of up to 256 x 256 pixels of 1 or 3 channels, found rows of %zu numbers",
                      given->items[1], model->sizes.channels);
    float *x = calloc(MOST_IMAGES * model->sizes.channels, sizeof *x);
    vocode_status status = x ? vae_sample(model, MOST_IMAGES, given->seed.integer, true, x, error)
                             : failed(error, VOCODE_MEMORY, "out of memory for a picture");
    if (status == VOCODE_OK) status = draw_grid(image, x, MOST_IMAGES, p, error);
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

static vocode_status draw(const vectors_model *model, const arguments *given, const npy_array *context, picture *p,
                          vocode_error *error) {
    image_size image = shown_as(model->image, model->channels);
    if (image.height) {
        TRY(context_check(given, model, context, error));
        return draw_images(model, given, image, context, p, error);
    }
    if (model->context)
        return failed(error, VOCODE_UNSUPPORTED, "%s: expected a model without a context, found one of %zu numbers",
                      given->items[1], model->context);
    if (model->channels == 2) return draw_plane(model, given, p, error);
    return failed(error, VOCODE_UNSUPPORTED,
                  "%s: expected rows of 2 numbers, or images of up to 256 x 256 pixels of 1 or 3 channels, found %zu",
                  given->items[1], model->channels);
}

static vocode_status plot_means(const arguments *given, vocode_error *error) {
    vae *model;
    picture p = {0};
    TRY(vae_open_without_context(given, &model, error));
    vocode_status status = draw_means(model, given, &p, error);
    if (status == VOCODE_OK) status = write_picture(given->items[2], &p, error);
    free(p.rgb);
    vae_free(model);
    return status;
}

vocode_status flow_plot(const arguments *given, console *out, vocode_error *error) {
    (void)out;
    if (vae_is(given->items[1])) return plot_means(given, error);
    vectors_model *model;
    npy_array context = {0};
    picture p = {0};
    TRY(vectors_open(given->items[1], &model, error));
    vocode_status status = context_read(given, 0, &context, error);
    if (status == VOCODE_OK) status = draw(model, given, &context, &p, error);
    if (status == VOCODE_OK) status = write_picture(given->items[2], &p, error);
    free(p.rgb);
    npy_free(&context);
    vectors_free(model);
    return status;
}
