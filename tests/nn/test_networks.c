/* Networks in single precision: PyTorch's numbers (tests/data/make_networks.py), the same bits with any number of
 * threads, refusals, and the fresh network's zero. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "io/npy.h"
#include "nn/subject.h"
#include "support/allocations.h" /* used by subject.c */

#define TOLERANCE 2e-5 /* of the largest value of an array */

static const subject_case cases[] = {
    {"wn", SUBJECT_WN, 2, 7, 7, .wn = {3, 6, 4, 3, 5, 3, false}},
    {"wn_normed", SUBJECT_WN, 1, 9, 9, .wn = {2, 4, 3, 2, 4, 5, true}},
    {"squeeze_wn", SUBJECT_SQUEEZE_WN, 2, 8, 4, .squeeze_wn = {3, 6, 4, 2, 4, 3, true, true}},
    {"squeeze_wn_bare", SUBJECT_SQUEEZE_WN, 1, 6, 6, .squeeze_wn = {3, 6, 4, 2, 4, 3, false, false}},
    {"convnext", SUBJECT_CONVNEXT, 2, 9, 9, .convnext = {3, 6, 4, 2, 5, 3, 7, 0, false}},
    {"upsampler", SUBJECT_UPSAMPLER, 2, 7, 1, .upsampler = {3, 16, 4, 2}, .columns = 14},
    {"upsampler_odd", SUBJECT_UPSAMPLER, 2, 5, 1, .upsampler = {2, 11, 6, 4}, .columns = 8},
    {"time_embedding", SUBJECT_TIME, 1, 4, 1, .time = {.features = 8, .dim = 5}},
};

/* Names and shapes are those of the state dict, in its order. */
static void check_names(const subject *it) {
    char path[512], line[256], wanted[256];
    snprintf(path, sizeof path, "%s/networks/%s.txt", TEST_DATA, it->what.name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    for (size_t i = 0; i < it->set.count; i++) {
        const param *p = it->set.items[i];
        int used = snprintf(wanted, sizeof wanted, "%s", p->name);
        for (int k = 0; k < p->rank; k++)
            used += snprintf(wanted + used, sizeof wanted - (size_t)used, " %zu", p->shape[k]);
        assert_non_null(fgets(line, sizeof line, file));
        line[strcspn(line, "\n")] = 0;
        assert_string_equal(wanted, line);
    }
    assert_null(fgets(line, sizeof line, file));
    fclose(file);
}

static void take(const float **from, real *to, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] = (real)(*from)[i];
    *from += count;
}

static void expect(const float **from, const real *found, size_t count, const char *name, const char *what) {
    real *wanted = calloc(count + 1, sizeof *wanted);
    take(from, wanted, count);
    double error = distance(found, wanted, count);
    if (!(error <= TOLERANCE)) fail_msg("%s of %s is off by %g of its largest value", what, name, error);
    free(wanted);
}

static void check_case(const subject_case *what) {
    subject it;
    subject_open(&it, what);
    check_names(&it);
    char path[512];
    npy_array file;
    vocode_error error = {0};
    snprintf(path, sizeof path, "%s/networks/%s.npy", TEST_DATA, what->name);
    if (npy_read(path, &file, &error) != VOCODE_OK) fail_msg("%s", error.message);
    assert_int_equal(file.count, 2 * (it.set.total + it.x_count + it.cond_count + it.y_count));
    const float *from = file.data;
    for (size_t i = 0; i < it.set.count; i++) take(&from, it.set.items[i]->value, it.set.items[i]->count);
    take(&from, it.x, it.x_count);
    take(&from, it.cond, it.cond_count);
    take(&from, it.dy, it.y_count);
    subject_prepare(&it);
    real *y = calloc(it.y_count, sizeof *y), *taped = calloc(it.y_count, sizeof *y);
    real *dx = calloc(it.x_count, sizeof *y), *dcond = calloc(it.cond_count + 1, sizeof *y);
    real *grads = calloc(it.set.total, sizeof *y);
    subject_forward(&it, y);
    subject_backward(&it, taped, dx, dcond, grads);
    const float *again = from;
    expect(&from, y, it.y_count, what->name, "y");
    expect(&again, taped, it.y_count, what->name, "y with a tape");
    expect(&from, dx, it.x_count, what->name, "dx");
    expect(&from, dcond, it.cond_count, what->name, "dcond");
    for (size_t i = 0; i < it.set.count; i++)
        expect(&from, grads + it.set.items[i]->offset, it.set.items[i]->count, what->name, it.set.items[i]->name);
    free(y), free(taped), free(dx), free(dcond), free(grads);
    npy_free(&file);
    subject_free(&it);
}

static void pytorch_agrees(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) check_case(&cases[i]);
}

/* Sizes past every tile. */
static const subject_case large[] = {
    {"wn", SUBJECT_WN, 2, 400, 200, .wn = {3, 6, 20, 3, 140, 3, true}},
    {"squeeze_wn", SUBJECT_SQUEEZE_WN, 2, 300, 300, .squeeze_wn = {3, 6, 4, 2, 130, 3, true, true}},
    {"convnext", SUBJECT_CONVNEXT, 2, 300, 300, .convnext = {3, 6, 4, 2, 65, 3, 7, 0, false}},
    {"convnext, timed", SUBJECT_CONVNEXT, 2, 300, 300, .convnext = {3, 6, 4, 2, 65, 3, 7, .features = 6}},
    {"upsampler", SUBJECT_UPSAMPLER, 1, 600, 1, .upsampler = {5, 96, 24, 8}, .columns = 1800},
    {"upsampler_odd", SUBJECT_UPSAMPLER, 2, 300, 1, .upsampler = {5, 96, 25, 8}, .columns = 900},
};

typedef struct results {
    real *y, *dx, *dcond, *grads;
} results;

static results run_with(subject *it, int threads) {
    results all = {calloc(it->y_count, sizeof(real)), calloc(it->x_count, sizeof(real)),
                   calloc(it->cond_count + 1, sizeof(real)), calloc(it->set.total, sizeof(real))};
    it->threads = threads;
    subject_backward(it, all.y, all.dx, all.dcond, all.grads);
    return all;
}

static void free_results(results *all) {
    free(all->y), free(all->dx), free(all->dcond), free(all->grads);
}

static void bits_do_not_depend_on_threads(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
        subject it;
        subject_open(&it, &large[i]);
        results one = run_with(&it, 1);
        size_t scratch = it.scratch_used;
        for (int threads = 2; threads <= 3; threads++) {
            results many = run_with(&it, threads);
            assert_memory_equal(one.y, many.y, it.y_count * sizeof(real));
            assert_memory_equal(one.dx, many.dx, it.x_count * sizeof(real));
            assert_memory_equal(one.dcond, many.dcond, it.cond_count * sizeof(real));
            assert_memory_equal(one.grads, many.grads, it.set.total * sizeof(real));
            assert_int_equal(it.scratch_used, scratch);
            free_results(&many);
        }
        free_results(&one);
        subject_free(&it);
    }
}

/* A coupling starts as the identity; the same seed gives the same numbers. */
static void fresh_networks_give_zero(void **state) {
    (void)state;
    for (size_t i = 0; i < 5; i++) {
        subject it;
        subject_open(&it, &cases[i]);
        real *y = numbers(it.y_count, 9), *first = calloc(it.set.total, sizeof *y);
        it.net->type->init(it.net, 42);
        memcpy(first, it.set.storage, it.set.total * sizeof *y);
        subject_prepare(&it);
        subject_forward(&it, y);
        for (size_t k = 0; k < it.y_count; k++) assert_true(y[k] == 0);
        it.net->type->init(it.net, 43);
        assert_memory_not_equal(first, it.set.storage, it.set.total * sizeof *y);
        it.net->type->init(it.net, 42);
        assert_memory_equal(first, it.set.storage, it.set.total * sizeof *y);
        for (size_t k = 0; k < it.set.total; k++) assert_true(fabs(first[k]) < 10);
        free(y), free(first);
        subject_free(&it);
    }
}

#define REFUSES(status, build, options, words)                                              \
    do {                                                                                    \
        param_set set = {0};                                                                \
        vocode_error error = {0};                                                           \
        network *net = (network *)&set;                                                     \
        assert_int_equal(build(&options, &set, "WN.0.", &net, &error), status);             \
        assert_null(net);                                                                   \
        if (!strstr(error.message, words)) fail_msg("\"%s\": no %s", error.message, words); \
        network_free(net);                                                                  \
        param_set_free(&set);                                                               \
    } while (0)

static void impossible_sizes_are_refused(void **state) {
    (void)state;
    const wn_options even = {2, 4, 3, 2, 4, 4, true}, none = {2, 4, 3, 0, 4, 3, true}, deep = {2, 4, 3, 70, 4, 3, true};
    const wn_options huge = {2, 4, 3, 2, SIZE_MAX / 2, 3, false}, dry = {0, 4, 3, 2, 4, 3, false};
    const squeeze_wn_options even_squeeze = {2, 4, 3, 2, 4, 2, true, true},
                             no_channels = {2, 4, 3, 2, 0, 3, true, true};
    const convnext_options wide = {2, 4, 3, 2, SIZE_MAX / 2, 3, 7, 0, false}, empty = {0, 4, 0, 2, 4, 3, 7, 0, false};
    const convnext_options even_next = {2, 4, 3, 2, 4, 3, 6, 0, false};
    REFUSES(VOCODE_UNSUPPORTED, wn_build, even, "found 4");
    REFUSES(VOCODE_VALUE, wn_build, none, "found 0");
    REFUSES(VOCODE_VALUE, wn_build, deep, "found 70");
    REFUSES(VOCODE_VALUE, wn_build, dry, "WN.0.");
    REFUSES(VOCODE_MEMORY, wn_build, huge, "WN.0.");
    REFUSES(VOCODE_UNSUPPORTED, squeeze_wn_build, even_squeeze, "found 2");
    REFUSES(VOCODE_VALUE, squeeze_wn_build, no_channels, "found 2, 0 and 2");
    REFUSES(VOCODE_VALUE, convnext_build, wide, "WN.0.enter");
    REFUSES(VOCODE_VALUE, convnext_build, empty, "WN.0.enter");
    REFUSES(VOCODE_UNSUPPORTED, convnext_build, even_next, "found 6");
}

static void reach_counts_taps(void **state) {
    (void)state;
    const size_t wanted[] = {1 + 2 + 4, 2 + 4, 2, 2, 1 + 3 + 3};
    for (size_t i = 0; i < 5; i++) {
        subject it;
        subject_open(&it, &cases[i]);
        assert_int_equal(it.net->type->reach(it.net), wanted[i]);
        subject_free(&it);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pytorch_agrees),           cmocka_unit_test(bits_do_not_depend_on_threads),
        cmocka_unit_test(fresh_networks_give_zero), cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(reach_counts_taps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
