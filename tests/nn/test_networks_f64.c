/* Every network in double: four-point finite differences for x, cond and every parameter, over batches, lengths around
 * the kernel's reach, and conditioning at a lower rate; accumulation, inputs unchanged, batch elements independent,
 * reach true, memory as measured. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/subject.h"
#include "support/allocations.h" /* used by subject.c */

#define TOLERANCE 1e-8 /* of the largest gradient of an array */
#define STEP 2e-4

static const subject_case cases[] = {
    {"wn, shorter than its reach", SUBJECT_WN, 1, 1, 1, .wn = {3, 5, 4, 3, 4, 3, true}},
    {"wn, two frames", SUBJECT_WN, 2, 2, 2, .wn = {2, 4, 3, 3, 4, 5, false}},
    {"wn, odd length", SUBJECT_WN, 2, 7, 7, .wn = {2, 4, 3, 2, 5, 3, true}},
    {"wn, one layer", SUBJECT_WN, 1, 5, 5, .wn = {2, 4, 3, 1, 3, 1, true}},
    {"wn, slow conditioning", SUBJECT_WN, 2, 6, 3, .wn = {2, 4, 3, 2, 4, 3, true}},
    {"wn, no conditioning", SUBJECT_WN, 2, 6, 0, .wn = {2, 4, 0, 2, 4, 3, true}},
    {"squeeze_wn, one frame", SUBJECT_SQUEEZE_WN, 1, 1, 1, .squeeze_wn = {3, 6, 4, 2, 4, 3, true, true}},
    {"squeeze_wn, slow conditioning", SUBJECT_SQUEEZE_WN, 2, 6, 3, .squeeze_wn = {2, 4, 3, 3, 4, 3, true, true}},
    {"squeeze_wn, one column for all", SUBJECT_SQUEEZE_WN, 2, 3, 1, .squeeze_wn = {2, 4, 3, 2, 4, 5, false, true}},
    {"squeeze_wn, bare", SUBJECT_SQUEEZE_WN, 3, 5, 5, .squeeze_wn = {2, 4, 3, 2, 4, 3, true, false}},
    {"squeeze_wn, no conditioning", SUBJECT_SQUEEZE_WN, 2, 5, 0, .squeeze_wn = {2, 4, 0, 2, 4, 3, false, true}},
    {"convnext, one frame", SUBJECT_CONVNEXT, 1, 1, 1, .convnext = {2, 4, 3, 2, 5, 3, 7, 0, false}},
    {"convnext, two frames", SUBJECT_CONVNEXT, 2, 2, 2, .convnext = {2, 4, 3, 2, 4, 2, 7, 0, false}},
    {"convnext, odd length", SUBJECT_CONVNEXT, 2, 11, 11, .convnext = {2, 4, 3, 2, 5, 3, 5, 0, false}},
    {"convnext, slow conditioning", SUBJECT_CONVNEXT, 2, 8, 4, .convnext = {2, 4, 3, 1, 4, 2, 3, 0, false}},
    {"convnext, conditioning alone", SUBJECT_CONVNEXT, 2, 5, 5, .convnext = {0, 4, 3, 1, 4, 2, 3, 0, false}},
    {"convnext, slow conditioning alone", SUBJECT_CONVNEXT, 2, 6, 2, .convnext = {0, 4, 3, 1, 4, 2, 3, 0, false}},
    {"convnext, no conditioning", SUBJECT_CONVNEXT, 2, 5, 0, .convnext = {3, 4, 0, 1, 4, 2, 3, 0, false}},
    {"convnext, timed", SUBJECT_CONVNEXT, 2, 7, 7, .convnext = {2, 4, 3, 2, 5, 3, 5, .features = 4}},
    {"convnext, no blocks", SUBJECT_CONVNEXT, 1, 4, 4, .convnext = {2, 4, 3, 0, 4, 2, 3, 0, false}},
    {"upsampler", SUBJECT_UPSAMPLER, 2, 3, 1, .upsampler = {3, 16, 4, 2}, .columns = 6},
    {"upsampler, the whole tail", SUBJECT_UPSAMPLER, 1, 3, 1, .upsampler = {2, 16, 4, 2}, .columns = 12},
    {"upsampler, past the tail", SUBJECT_UPSAMPLER, 2, 2, 1, .upsampler = {2, 6, 4, 2}, .columns = 9},
    {"upsampler, a part of a row", SUBJECT_UPSAMPLER, 2, 3, 1, .upsampler = {2, 10, 8, 2}, .columns = 7},
    {"upsampler, odd taps", SUBJECT_UPSAMPLER, 2, 3, 1, .upsampler = {2, 7, 4, 2}, .columns = 6},
    {"upsampler, taps in a stride", SUBJECT_UPSAMPLER, 1, 3, 1, .upsampler = {2, 3, 4, 2}, .columns = 5},
    {"upsampler, group across strides", SUBJECT_UPSAMPLER, 2, 4, 1, .upsampler = {2, 11, 6, 4}, .columns = 7},
    {"upsampler, group past the stride", SUBJECT_UPSAMPLER, 2, 5, 1, .upsampler = {2, 5, 2, 3}, .columns = 3},
    {"time_embedding", SUBJECT_TIME, 1, 3, 1, .time = {.features = 6, .dim = 5}},
};

enum { CASES = sizeof cases / sizeof *cases };

typedef struct results {
    real *y, *dx, *dcond, *grads;
} results;

static results empty_results(const subject *it) {
    return (results){calloc(it->y_count, sizeof(real)), calloc(it->x_count + 1, sizeof(real)),
                     calloc(it->cond_count + 1, sizeof(real)), calloc(it->set.total, sizeof(real))};
}

static void free_results(results *all) {
    free(all->y), free(all->dx), free(all->dcond), free(all->grads);
}

static double loss(subject *it) {
    real *y = numbers(it->y_count, 0);
    double sum = 0;
    subject_prepare(it);
    subject_forward(it, y);
    for (size_t i = 0; i < it->y_count; i++) sum += (double)y[i] * (double)it->dy[i];
    free(y);
    return sum;
}

/* d loss / d value; the truncation error is of order step^4, so the highest frequency, 1000 rad, wants small steps. */
static double slope(subject *it, real *value, double step) {
    const double at = (double)*value, places[] = {-2, -1, 1, 2};
    double f[4];
    for (int k = 0; k < 4; k++) {
        *value = (real)(at + places[k] * step);
        f[k] = loss(it);
    }
    *value = (real)at;
    return (8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * step);
}

static double worst; /* error of all, as printed */

static void check_slopes(subject *it, real *values, size_t count, const real *gradient, const char *name, double step) {
    real *truth = calloc(count + 1, sizeof *truth);
    for (size_t i = 0; i < count; i++) truth[i] = (real)slope(it, &values[i], step);
    double error = distance(gradient, truth, count);
    if (error > worst) worst = error;
    if (!(error < TOLERANCE)) fail_msg("%s: gradient of %s is off by %g", it->what.name, name, error);
    free(truth);
}

static void finite_differences(void **state) {
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        subject it;
        subject_open(&it, &cases[i]);
        results found = empty_results(&it);
        subject_backward(&it, found.y, found.dx, found.dcond, found.grads);
        check_slopes(&it, it.x, it.x_count, found.dx, "x", cases[i].kind == SUBJECT_TIME ? 3e-6 : STEP);
        check_slopes(&it, it.cond, it.cond_count, found.dcond, "cond", STEP);
        for (size_t k = 0; k < it.set.count; k++) {
            const param *p = it.set.items[k];
            if (p->kind == PARAM_TRAINED)
                check_slopes(&it, p->value, p->count, found.grads + p->offset, p->name, STEP);
            else
                for (size_t j = 0; j < p->count; j++) assert_true(found.grads[p->offset + j] == 0);
        }
        free_results(&found);
        subject_free(&it);
    }
    print_message("largest relative error %.1e\n", worst);
}

static void twice_doubles(void **state) {
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        subject it;
        subject_open(&it, &cases[i]);
        results once = empty_results(&it), twice = empty_results(&it);
        subject_backward(&it, once.y, once.dx, once.dcond, once.grads);
        for (int k = 0; k < 2; k++) subject_backward(&it, twice.y, twice.dx, twice.dcond, twice.grads);
        for (size_t k = 0; k < it.x_count; k++) twice.dx[k] /= 2;
        for (size_t k = 0; k < it.cond_count; k++) twice.dcond[k] /= 2;
        for (size_t k = 0; k < it.set.total; k++) twice.grads[k] /= 2;
        assert_true(distance(twice.dx, once.dx, it.x_count) < 1e-13);
        assert_true(distance(twice.dcond, once.dcond, it.cond_count) < 1e-13);
        assert_true(distance(twice.grads, once.grads, it.set.total) < 1e-13);
        free_results(&once), free_results(&twice);
        subject_free(&it);
    }
}

/* Each gradient is the same whether the others are wanted or not, and forward the same with and without a tape. */
static void parts_may_be_left_out(void **state) {
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        subject it;
        subject_open(&it, &cases[i]);
        results all = empty_results(&it), part = empty_results(&it);
        subject_backward(&it, all.y, all.dx, all.dcond, all.grads);
        subject_forward(&it, part.y);
        assert_true(distance(part.y, all.y, it.y_count) < 1e-14);
        subject_backward(&it, part.y, part.dx, NULL, NULL);
        subject_backward(&it, part.y, NULL, part.dcond, NULL);
        subject_backward(&it, part.y, NULL, NULL, part.grads);
        assert_memory_equal(part.dx, all.dx, it.x_count * sizeof(real));
        assert_memory_equal(part.dcond, all.dcond, it.cond_count * sizeof(real));
        assert_memory_equal(part.grads, all.grads, it.set.total * sizeof(real));
        free_results(&all), free_results(&part);
        subject_free(&it);
    }
}

static void inputs_are_unchanged(void **state) {
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        subject it, twin;
        subject_open(&it, &cases[i]);
        subject_open(&twin, &cases[i]);
        results all = empty_results(&it);
        subject_forward(&it, all.y);
        subject_backward(&it, all.y, all.dx, all.dcond, all.grads);
        assert_memory_equal(it.x, twin.x, it.x_count * sizeof(real));
        assert_memory_equal(it.cond, twin.cond, it.cond_count * sizeof(real));
        assert_memory_equal(it.dy, twin.dy, it.y_count * sizeof(real));
        assert_memory_equal(it.set.storage, twin.set.storage, it.set.total * sizeof(real));
        free_results(&all);
        subject_free(&it), subject_free(&twin);
    }
}

/* Each element of a batch as it comes out alone. */
static void batch_elements_are_independent(void **state) {
    (void)state;
    for (size_t i = 0; i < CASES; i++) {
        if (cases[i].batch < 2) continue;
        subject all, one;
        subject_case alone = cases[i];
        alone.batch = 1;
        subject_open(&all, &cases[i]);
        subject_open(&one, &alone);
        real *y = calloc(all.y_count, sizeof *y), *y_alone = calloc(one.y_count, sizeof *y);
        subject_forward(&all, y);
        for (size_t b = 0; b < cases[i].batch; b++) {
            memcpy(one.x, all.x + b * one.x_count, one.x_count * sizeof *y);
            memcpy(one.cond, all.cond + b * one.cond_count, one.cond_count * sizeof *y);
            one.t = all.t + b;
            subject_forward(&one, y_alone);
            assert_true(distance(y_alone, y + b * one.y_count, one.y_count) < 1e-13);
        }
        free(y), free(y_alone);
        subject_free(&all), subject_free(&one);
    }
}

/* A change of x[t] is seen within the reach of t, up to its edge and not past it. */
static void reach_is_true(void **state) {
    (void)state;
    const subject_case wide[] = {
        {"wn", SUBJECT_WN, 1, 31, 31, .wn = {2, 4, 3, 3, 4, 3, true}},
        {"squeeze_wn", SUBJECT_SQUEEZE_WN, 1, 31, 31, .squeeze_wn = {2, 4, 3, 3, 4, 5, true, true}},
        {"convnext", SUBJECT_CONVNEXT, 1, 31, 31, .convnext = {2, 4, 3, 2, 5, 3, 7, 0, false}},
    };
    for (size_t i = 0; i < 3; i++) {
        subject it;
        subject_open(&it, &wide[i]);
        size_t reach = it.net->type->reach(it.net), outputs = it.net->outputs, middle = 15;
        real *before = calloc(it.y_count, sizeof *before), *after = calloc(it.y_count, sizeof *after);
        subject_forward(&it, before);
        it.x[middle * it.net->inputs] += 1;
        subject_forward(&it, after);
        for (size_t t = 0; t < 31; t++) {
            size_t away = t > middle ? t - middle : middle - t;
            bool same = memcmp(before + t * outputs, after + t * outputs, outputs * sizeof *before) == 0;
            assert_int_equal(same, away > reach);
        }
        free(before), free(after);
        subject_free(&it);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finite_differences),
        cmocka_unit_test(twice_doubles),
        cmocka_unit_test(parts_may_be_left_out),
        cmocka_unit_test(inputs_are_unchanged),
        cmocka_unit_test(batch_elements_are_independent),
        cmocka_unit_test(reach_is_true),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
