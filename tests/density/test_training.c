/* What surrounds a fit: the rate it takes when it is given none, what is prepared afterwards, and how often a solver
 * asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "core/rng.h"
#include "density/fit.h"
#include "density/objective.h"

enum { ROWS = 300, CHANNELS = 5 };

static vectors_model *model_of(const char *spec) {
    vectors_model *model;
    vocode_error error = {0};
    if (vectors_create(spec, BASE_gaussian, CHANNELS, 0, 3, &model, &error) != VOCODE_OK) fail_msg("%s", error.message);
    return model;
}

static void rates_suit_the_flow(void **state) {
    (void)state;
    static const struct {
        const char *spec;
        bool matching;
        double rate;
    } cases[] = {{"nice:layers=4", false, 1e-3},
                 {"coupling:scale=none*4,scaling", false, 1e-3},
                 {"realnvp:layers=4", false, 2e-3},
                 {"(permute,coupling)*4,actnorm", false, 2e-3},
                 {"ode", false, 2e-3},
                 {"ode", true, 4e-3}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vectors_model *model = model_of(cases[i].spec);
        assert_true(usual_rate(model, cases[i].matching) == cases[i].rate);
        vectors_free(model);
    }
}

/* While it trains, an autoregressive layer has nothing ready for the slow way. */
static void both_ways_follow_a_fit(void **state) {
    (void)state;
    static const char *const specs[] = {"maf:layers=2,hidden=16,depth=2", "iaf:layers=2,hidden=16,depth=2"};
    static real x[ROWS * CHANNELS], z[ROWS * CHANNELS], back[ROWS * CHANNELS];
    rng_fill_normal(x, ROWS, CHANNELS, 1, 0, 2);
    for (size_t t = 0; t < ROWS; t++) x[t * CHANNELS + 1] += 2 * x[t * CHANNELS];
    for (size_t i = 0; i < 2; i++) {
        vectors_model *model = model_of(specs[i]);
        vocode_error error = {0};
        fit_options options = fit_defaults;
        options.epochs = 20;
        assert_int_equal(fit_vectors(model, x, NULL, ROWS, &options, NULL, &error), VOCODE_OK);
        assert_int_equal(vectors_encode(model, x, NULL, ROWS, 2, z, NULL, &error), VOCODE_OK);
        assert_int_equal(vectors_decode(model, z, NULL, ROWS, 2, back, &error), VOCODE_OK);
        for (size_t k = 0; k < ROWS * CHANNELS; k++) assert_true(fabs((double)back[k] - (double)x[k]) < 1e-3);
        vectors_free(model);
    }
}

/* Four stages a step of the classical method; of Dormand and Prince's seven, the first is known from the step before.
 */
static void evaluations_are_counted(void **state) {
    (void)state;
    static const char *const specs[] = {"ode:solver=rk4,steps=5,hidden=8", "ode:hidden=8"};
    static real x[ROWS * CHANNELS], z[ROWS * CHANNELS];
    static double logdet[ROWS];
    rng_fill_normal(x, ROWS, CHANNELS, 1, 0, 2);
    for (size_t i = 0; i < 2; i++) {
        vectors_model *model = model_of(specs[i]);
        size_t size, tape, asked = 0;
        compute work = {.scratch = arena_over(NULL, 0), .threads = 1};
        flow_run run = {.work = &work, .shape = {ROWS, 1, CHANNELS}, .evaluations = &asked};
        assert_int_equal(flow_measure(model->chain, &run, FLOW_FORWARD, &size, &tape), VOCODE_OK);
        assert_int_equal(asked, 0);
        void *memory = aligned_new(size, 1);
        work.scratch = arena_over(memory, size);
        assert_int_equal(flow_forward(model->chain, &run, x, z, logdet, NULL), VOCODE_OK);
        /* a fresh flow stands still: four steps, each longer than the one before */
        assert_int_equal(asked, ROWS * (i ? 1 + 4 * 6 : 5 * 4));
        aligned_free(memory);
        vectors_free(model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rates_suit_the_flow), cmocka_unit_test(both_ways_follow_a_fit),
                                       cmocka_unit_test(evaluations_are_counted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
