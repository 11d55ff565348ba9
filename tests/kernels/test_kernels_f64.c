/* The backward kernels of every level against four-point finite differences of the forward ones, in double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/helpers.h"
#include "kernels/kernels.h"

#define TOLERANCE 1e-9 /* of the largest gradient */

static const kernel_table *level; /* the one under test */

typedef struct subject {
    size_t rows, c, taps, dilation; /* rows: frames */
    real *x, *first, *second;       /* first, second: a kernel's parameters */
    size_t outputs;                 /* count of y */
    void (*forward)(const struct subject *it, real *y);
} subject;

static double loss(const subject *it, const real *dy) {
    real *y = calloc(it->outputs, sizeof *y);
    double sum = 0;
    it->forward(it, y);
    for (size_t i = 0; i < it->outputs; i++) sum += (double)y[i] * (double)dy[i];
    free(y);
    return sum;
}

/* d loss / d values[i], truncation of order step^4. */
static double slope(const subject *it, const real *dy, real *value) {
    const double step = 1e-3, at = (double)*value;
    double f[4];
    const double places[] = {-2, -1, 1, 2};
    for (int k = 0; k < 4; k++) {
        *value = (real)(at + places[k] * step);
        f[k] = loss(it, dy);
    }
    *value = (real)at;
    return (8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * step);
}

static void check(const subject *it, const real *dy, real *values, size_t count, const real *gradient) {
    real *truth = calloc(count, sizeof *truth);
    for (size_t i = 0; i < count; i++) truth[i] = (real)slope(it, dy, &values[i]);
    assert_true(distance(gradient, truth, count) < TOLERANCE);
    free(truth);
}

static void gate_forward(const subject *it, real *y) {
    level->gate(it->rows, it->c, it->x, y);
}

static void gelu_forward(const subject *it, real *y) {
    level->gelu(it->rows * it->c, it->x, y);
}

static void silu_forward(const subject *it, real *y) {
    level->silu(it->rows * it->c, it->x, y);
}

static void layer_norm_forward(const subject *it, real *y) {
    level->layer_norm(it->rows, it->c, it->x, it->first, it->second, (real)1e-5, y);
}

static void depthwise_forward(const subject *it, real *y) {
    level->depthwise(it->rows, 0, it->rows, it->c, it->taps, it->dilation, it->x, it->first, it->second, y);
}

static void gate(void) {
    subject it = {.rows = 3, .c = 5, .x = noise(30, 1), .outputs = 15, .forward = gate_forward};
    real *dy = noise(15, 2), da[30];
    level->gate_backward(3, 5, it.x, dy, da);
    check(&it, dy, it.x, 30, da);
    free(it.x), free(dy);
}

static void elementwise(void) {
    subject it = {.rows = 4, .c = 6, .x = noise(24, 3), .outputs = 24, .forward = gelu_forward};
    real *dy = noise(24, 4), *dx = copy_of(dy, 24);
    level->gelu_backward(24, it.x, dx, dx); /* in place */
    check(&it, dy, it.x, 24, dx);
    it.forward = silu_forward;
    level->silu_backward(24, it.x, dy, dx);
    check(&it, dy, it.x, 24, dx);
    free(it.x), free(dy), free(dx);
}

static void layer_norm(size_t rows, size_t c) {
    size_t size = rows * c;
    subject it = {.rows = rows, .c = c, .x = noise(size, 5), .first = noise(c, 6), .second = noise(c, 7)};
    it.outputs = size;
    it.forward = layer_norm_forward;
    real *dy = noise(size, 8), *dx = noise(size, 9), *dg = calloc(c, sizeof *dg), *db = calloc(c, sizeof *db);
    level->layer_norm_backward(rows, c, it.x, it.first, (real)1e-5, dy, dx, dg, db);
    check(&it, dy, it.x, size, dx);
    check(&it, dy, it.first, c, dg);
    check(&it, dy, it.second, c, db);
    level->layer_norm_backward(rows, c, it.x, it.first, (real)1e-5, dy, dx, dg, db); /* accumulates */
    for (size_t j = 0; j < c; j++) db[j] /= 2, dg[j] /= 2;
    check(&it, dy, it.first, c, dg);
    check(&it, dy, it.second, c, db);
    free(it.x), free(it.first), free(it.second), free(dy), free(dx), free(dg), free(db);
}

static void depthwise_weights(size_t frames, size_t taps, size_t dilation) {
    size_t c = 3, size = frames * c;
    subject it = {frames, c, taps, dilation, noise(size, 1), noise(taps * c, 2), noise(c, 3), size, depthwise_forward};
    real *dy = noise(size, 4), *dw = calloc(taps * c, sizeof *dw), *db = calloc(c, sizeof *db);
    size_t cut = frames / 2;
    level->depthwise_weights(frames, 0, cut, c, taps, dilation, it.x, dy, dw, db);
    level->depthwise_weights(frames, cut, frames - cut, c, taps, dilation, it.x, dy, dw, db);
    check(&it, dy, it.first, taps * c, dw);
    check(&it, dy, it.second, c, db);
    free(it.x), free(it.first), free(it.second), free(dy), free(dw), free(db);
}

static void gradients(void **state) {
    (void)state;
    for (const kernel_table *const *each = kernel_levels(); *each; each++) {
        level = *each;
        gate();
        elementwise();
        layer_norm(4, 6);
        layer_norm(1, 17);
        depthwise_weights(1, 3, 1);
        depthwise_weights(5, 7, 2);
        depthwise_weights(20, 3, 4);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gradients)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
