/* THE conformance test: every flow of the registry and compositions of them, in every shape, with and without
 * conditioning, over seeds. A flow that promises what it does not do fails here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flows/allocations.h"
#include "flows/conform.h"
#include "flows/registry.h"

enum { SEEDS = 3 };

typedef struct test_shape {
    size_t units, batch;
} test_shape;

static const test_shape shapes[] = {{1, 1}, {2, 1}, {3, 2}, {5, 3}}; /* T = 1, 2 and odd */

/* The check on every case, shape and seed. */
static void over_all(void (*check)(const subject *s), size_t shape_count, uint64_t seeds) {
    for (const flow_case *what = flow_cases; what->name; what++)
        for (size_t i = 0; i < shape_count; i++)
            for (uint64_t seed = 1; seed <= seeds; seed++) {
                subject *s = subject_new(what, shapes[i].units, shapes[i].batch, 100 * seed, 1);
                check(s);
                subject_free(s);
            }
}

static const size_t all_shapes = sizeof shapes / sizeof *shapes;

static void every_kind_has_a_case(void **state) {
    (void)state;
    size_t count;
    const flow_kind *kinds = flow_kinds(&count);
    assert_true(count >= 8);
    for (size_t i = 0; i < count; i++) {
        bool found = false;
        for (const flow_case *what = flow_cases; what->name; what++)
            found = found || (what->kind && strcmp(what->kind, kinds[i].name) == 0);
        if (!found) fail_msg("flow %s has no case", kinds[i].name);
        assert_true(strlen(kinds[i].summary) > 0 && strlen(kinds[i].paper) > 0);
    }
}

static void inverses_are_exact(void **state) {
    (void)state;
    over_all(conform_inverse, all_shapes, SEEDS);
}

static void log_determinants_are_the_jacobians(void **state) {
    (void)state;
    over_all(conform_log_determinant, 3, SEEDS);
}

static void gradients_are_the_differences(void **state) {
    (void)state;
    static const test_shape few[] = {{1, 1}, {2, 3}, {3, 2}};
    for (const flow_case *what = flow_cases; what->name; what++)
        for (size_t i = 0; i < sizeof few / sizeof *few; i++) {
            subject *s = subject_new(what, few[i].units, few[i].batch, 7 + i, 1);
            conform_gradients(s);
            subject_free(s);
        }
}

static const size_t several_tiles = 2 * TILE_ROWS + 37, two_tiles = TILE_ROWS + 5;

static void long_gradients_are_the_slopes(void **state) {
    (void)state;
    for (const flow_case *what = flow_cases; what->name; what++) {
        subject *s = subject_new(what, several_tiles, 2, 9, 1);
        conform_direction(s);
        subject_free(s);
    }
}

static void gradients_accumulate(void **state) {
    (void)state;
    over_all(conform_accumulation, all_shapes, 1);
}

static void rebuilding_needs_no_tape(void **state) {
    (void)state;
    over_all(conform_rebuild, all_shapes, SEEDS);
}

static void gradients_of_samples_are_the_differences(void **state) {
    (void)state;
    static const test_shape few[] = {{1, 1}, {2, 3}, {3, 2}};
    for (const flow_case *what = flow_cases; what->name; what++) {
        for (size_t i = 0; i < sizeof few / sizeof *few; i++) {
            subject *s = subject_new(what, few[i].units, few[i].batch, 27 + i, 1);
            conform_samples(s);
            subject_free(s);
        }
        conform_sample_direction(what, several_tiles, 29);
    }
}

static void batch_elements_are_independent(void **state) {
    (void)state;
    for (const flow_case *what = flow_cases; what->name; what++)
        for (size_t units = 1; units < 4; units++) conform_batch(what, units, 40 + units);
}

static void threads_change_nothing(void **state) {
    (void)state;
    for (const flow_case *what = flow_cases; what->name; what++) conform_threads(what, two_tiles, 5);
}

static void first_batches_set_what_they_should(void **state) {
    (void)state;
    for (const flow_case *what = flow_cases; what->name; what++) {
        subject *s = subject_new(what, 5, 3, 60, 1);
        conform_first_batch(s);
        subject_free(s);
    }
}

static void halos_are_true(void **state) {
    (void)state;
    for (const flow_case *what = flow_cases; what->name; what++) {
        subject *s = subject_new(what, 21, 1, 70, 1);
        conform_halo(s);
        subject_free(s);
    }
}

static void runs_allocate_nothing(void **state) {
    (void)state;
    over_all(conform_allocations, all_shapes, 1);
    if (!allocations_counted()) skip();
}

static void wrong_shapes_are_refused(void **state) {
    (void)state;
    over_all(conform_shapes, all_shapes, 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_has_a_case),
        cmocka_unit_test(inverses_are_exact),
        cmocka_unit_test(log_determinants_are_the_jacobians),
        cmocka_unit_test(gradients_are_the_differences),
        cmocka_unit_test(long_gradients_are_the_slopes),
        cmocka_unit_test(gradients_accumulate),
        cmocka_unit_test(rebuilding_needs_no_tape),
        cmocka_unit_test(gradients_of_samples_are_the_differences),
        cmocka_unit_test(batch_elements_are_independent),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(first_batches_set_what_they_should),
        cmocka_unit_test(halos_are_true),
        cmocka_unit_test(runs_allocate_nothing),
        cmocka_unit_test(wrong_shapes_are_refused),
    };
    int status = cmocka_run_group_tests(tests, NULL, NULL);
    print_message("largest errors: inverse %.2g, log-determinant %.2g, gradient %.2g, without a tape %.2g, of samples "
                  "%.2g\n",
                  worst.inverse, worst.log_determinant, worst.gradient, worst.rebuild, worst.sample);
    return status;
}
