/* Convolutions over images against the sum that defines them, and the adjoint identities of their gradients. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "nn/conv2d.h"
#include "support/allocations.h"

typedef struct subject {
    conv2d layer;
    param_set set;
    compute run;
    void *memory;
    size_t images;
} subject;

static real *normals(size_t count, uint64_t seed) {
    real *values = aligned_new(count, sizeof *values);
    assert_non_null(values);
    rng_fill_normal(values, count, 1, seed, 0, 1);
    return values;
}

static size_t pixels_of(const subject *s) {
    return s->images * s->layer.height * s->layer.width;
}

/* With the memory that a dry run of both passes asks for. */
static void open_subject(subject *s, const conv2d_options *options, size_t images, int threads) {
    vocode_error error;
    *s = (subject){.images = images};
    assert_int_equal(conv2d_build(&s->layer, &s->set, "here.", options, &error), VOCODE_OK);
    assert_int_equal(param_allocate(&s->set, &error), VOCODE_OK);
    for (size_t i = 0; i < s->set.total; i++) s->set.storage[i] = (real)rng_normal(3, 0, i);
    conv2d_prepare(&s->layer);
    compute dry = {.scratch = arena_over(NULL, 0), .threads = threads};
    conv2d_forward(&s->layer, &dry, images, NULL, NULL);
    conv2d_backward(&s->layer, &dry, images, NULL, NULL, NULL, NULL);
    s->memory = aligned_new(dry.scratch.peak, 1);
    s->run = (compute){.scratch = arena_over(s->memory, dry.scratch.peak), .threads = threads};
}

static void close_subject(subject *s) {
    assert_true(s->run.scratch.used == 0 && s->run.scratch.peak <= s->run.scratch.size);
    conv2d_free(&s->layer);
    param_set_free(&s->set);
    aligned_free(s->memory);
}

/* The defining sum at one pixel. */
static double sum_at(const subject *s, const real *x, size_t image, size_t i, size_t j, size_t o) {
    const conv2d *layer = &s->layer;
    size_t half = layer->kernel / 2;
    double sum = (double)param_find(&s->set, "here.bias")->value[o];
    const real *w = param_find(&s->set, "here.weight")->value;
    for (size_t a = 0; a < layer->kernel; a++)
        for (size_t c = 0; c < layer->kernel; c++)
            for (size_t k = 0; k < layer->inputs; k++) {
                size_t y = i + a - half, z = j + c - half; /* wraps around below zero */
                if (y >= layer->height || z >= layer->width) continue;
                sum += (double)x[((image * layer->height + y) * layer->width + z) * layer->inputs + k] *
                       (double)w[((a * layer->kernel + c) * layer->inputs + k) * layer->outputs + o];
            }
    return sum;
}

static const conv2d_options shapes[] = {{5, 4, 3, 2, 3}, {1, 1, 3, 2, 2}, {2, 7, 5, 1, 4},
                                        {3, 3, 1, 2, 5}, {1, 3, 7, 3, 2}, {9, 9, 3, 4, 2}};

static void forward_is_the_sum(void **state) {
    (void)state;
    for (size_t n = 0; n < sizeof shapes / sizeof *shapes; n++)
        for (size_t images = 1; images <= 5; images += 2) {
            subject s;
            open_subject(&s, &shapes[n], images, 1);
            real *x = normals(pixels_of(&s) * s.layer.inputs, 5), *y = normals(pixels_of(&s) * s.layer.outputs, 6);
            size_t before = allocations();
            conv2d_forward(&s.layer, &s.run, images, x, y);
            assert_int_equal(allocations(), before);
            for (size_t p = 0; p < pixels_of(&s) * s.layer.outputs; p++) {
                size_t pixel = p / s.layer.outputs, each = s.layer.height * s.layer.width;
                double wanted = sum_at(&s, x, pixel / each, pixel % each / s.layer.width, pixel % s.layer.width,
                                       p % s.layer.outputs);
                assert_true(fabs((double)y[p] - wanted) < 1e-11);
            }
            aligned_free(x);
            aligned_free(y);
            close_subject(&s);
        }
}

static double dot(const real *a, const real *b, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

/* y is linear in x and in the parameters: <dy, y> = <dx, x> + <db, b> = <dw, w> + <db, b>. */
static void gradients_are_adjoint(void **state) {
    (void)state;
    for (size_t n = 0; n < sizeof shapes / sizeof *shapes; n++)
        for (int threads = 1; threads <= 3; threads += 2) {
            subject s;
            open_subject(&s, &shapes[n], 4, threads);
            size_t inputs = pixels_of(&s) * s.layer.inputs, outputs = pixels_of(&s) * s.layer.outputs;
            real *x = normals(inputs, 5), *y = normals(outputs, 6), *dy = normals(outputs, 7), *dx = normals(inputs, 8);
            real *grads = aligned_new(s.set.total, sizeof *grads);
            conv2d_forward(&s.layer, &s.run, 4, x, y);
            conv2d_backward(&s.layer, &s.run, 4, x, dy, dx, grads);
            const param *w = param_find(&s.set, "here.weight"), *b = param_find(&s.set, "here.bias");
            double whole = dot(dy, y, outputs), bias = dot(param_grad(b, grads), b->value, b->count);
            assert_true(fabs(whole - bias - dot(dx, x, inputs)) < 1e-9);
            assert_true(fabs(whole - bias - dot(param_grad(w, grads), w->value, w->count)) < 1e-9);
            real *twice = aligned_new(s.set.total, sizeof *twice); /* gradients accumulate; dx is not wanted */
            memcpy(twice, grads, s.set.total * sizeof *twice);
            conv2d_backward(&s.layer, &s.run, 4, x, dy, NULL, twice);
            for (size_t i = 0; i < s.set.total; i++) assert_true(fabs((double)(twice[i] - 2 * grads[i])) < 1e-9);
            real *arrays[] = {x, y, dy, dx, grads, twice};
            for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) aligned_free(arrays[i]);
            close_subject(&s);
        }
}

static void even_kernels_are_refused(void **state) {
    (void)state;
    param_set set = {0};
    conv2d layer;
    vocode_error error = {0};
    assert_int_equal(conv2d_build(&layer, &set, "a.", &(conv2d_options){3, 3, 2, 1, 1}, &error), VOCODE_UNSUPPORTED);
    assert_non_null(strstr(error.message, "odd kernel size, found 2"));
    conv2d_free(&layer);
    param_set_free(&set);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forward_is_the_sum),
        cmocka_unit_test(gradients_are_adjoint),
        cmocka_unit_test(even_kernels_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
