/* Autoencoders: gradients, bounds that can be computed otherwise, files, and fits at any number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/rng.h"
#include "density/vae.h"
#include "kernels/compute.h"

enum { ROWS = 5, CHANNELS = 6, LATENT = 3, LEVELS = 4, MANY = 300 };

static const vae_sizes small = {.channels = CHANNELS, .levels = LEVELS, .latent = LATENT, .hidden = 7, .depth = 2};
static const char *const posteriors[] = {"mean-field", "planar:K=3", "iaf:layers=2,hidden=5,depth=1",
                                         "realnvp:layers=2"};

/* Whole numbers from 0 to LEVELS, alike within a row. */
static void fill_rows(real *x, size_t rows) {
    for (size_t t = 0; t < rows; t++)
        for (size_t i = 0; i < CHANNELS; i++) {
            double share = (4 * rng_uniform(1, 0, t) + rng_uniform(2, i, t)) / 5;
            x[t * CHANNELS + i] = (real)floor(share * (LEVELS + 1));
        }
}

/* Weights that are not those of a fresh model, whose last layers are zero. */
static vae *new_model(const char *posterior) {
    vae_sizes sizes = small;
    vocode_error error = {0};
    vae *model;
    sizes.posterior = posterior;
    if (vae_create(&sizes, 3, &model, &error) != VOCODE_OK) fail_msg("%s", error.message);
    for (size_t i = 0; i < model->set.count; i++) {
        param *p = model->set.items[i];
        for (size_t k = 0; k < p->count; k++) p->value[k] += (real)(0.3 * rng_normal(9, i, k));
    }
    assert_int_equal(vae_prepare(model, &error), VOCODE_OK);
    return model;
}

/* The loss of the rows, and its gradients unless that is NULL. */
static double loss_of(const vae *model, const real *x, const real *noise, double beta, real *grads) {
    static double elbo[ROWS];
    vocode_error error = {0};
    double loss = NAN;
    compute work = {.scratch = arena_over(NULL, 0), .threads = 1};
    arena tape = arena_over(NULL, 0);
    vae_batch batch = {.rows = ROWS};
    assert_int_equal(vae_run(model, &work, &tape, &batch, &error), VOCODE_OK);
    size_t scratch = work.scratch.peak, kept = tape.peak;
    work.scratch = arena_over(aligned_new(scratch, 1), scratch);
    tape = arena_over(aligned_new(kept + 1, 1), kept + 1);
    batch = (vae_batch){ROWS, x, noise, elbo, beta, 0.25, &loss, grads};
    assert_int_equal(vae_run(model, &work, &tape, &batch, &error), VOCODE_OK);
    assert_true(work.scratch.peak <= scratch && tape.peak <= kept);
    aligned_free(work.scratch.base);
    aligned_free(tape.base);
    return loss;
}

static void gradients_are_the_differences(void **state) {
    (void)state;
    const double step = 1e-5;
    real x[ROWS * CHANNELS], noise[ROWS * LATENT];
    fill_rows(x, ROWS);
    rng_fill_normal(noise, ROWS, LATENT, 5, 0, 1);
    for (size_t i = 0; i < sizeof posteriors / sizeof *posteriors; i++) {
        vae *model = new_model(posteriors[i]);
        vocode_error error = {0};
        real *grads = calloc(model->set.total, sizeof *grads);
        loss_of(model, x, noise, 0.7, grads);
        for (size_t n = 0; n < model->set.count; n++) {
            const param *p = model->set.items[n];
            for (size_t k = 0; p->kind == PARAM_TRAINED && k < p->count; k += 1 + p->count / 9) {
                double at[2], before = p->value[k];
                for (int side = 0; side < 2; side++) {
                    p->value[k] = before + (side ? step : -step);
                    assert_int_equal(vae_prepare(model, &error), VOCODE_OK);
                    at[side] = loss_of(model, x, noise, 0.7, NULL);
                }
                p->value[k] = before;
                double slope = (at[1] - at[0]) / (2 * step), found = param_grad(p, grads)[k];
                if (!(fabs(found - slope) <= 1e-6 * (1 + fabs(slope))))
                    fail_msg("%s: %s[%zu]: gradient %g, differences say %g", posteriors[i], p->name, k, found, slope);
            }
        }
        free(grads);
        vae_free(model);
    }
}

/* A decoder that does not look at z leaves minus the divergence of the posterior from the prior, which for a Gaussian
 * is known, beside a likelihood that is known too. */
static void divergences_are_as_known(void **state) {
    (void)state;
    enum { DRAWS = 20000 };
    vocode_error error = {0};
    real x[ROWS * CHANNELS];
    double elbo[ROWS];
    vae *model = new_model("mean-field");
    fill_rows(x, ROWS);
    for (size_t i = 0; i < model->set.count; i++) {
        param *p = model->set.items[i];
        if (strncmp(p->name, "decoder.", 8) == 0) param_fill(p, 0);
    }
    assert_int_equal(vae_prepare(model, &error), VOCODE_OK);
    assert_int_equal(vae_score(model, x, ROWS, DRAWS, 1, 1, elbo, NULL, &error), VOCODE_OK);
    /* m and s by the encoder itself */
    real told[ROWS * 2 * LATENT], scaled[ROWS * CHANNELS];
    for (size_t i = 0; i < ROWS * CHANNELS; i++) scaled[i] = x[i] / (LEVELS / (real)2) - 1;
    char memory[1 << 14];
    compute work = {.scratch = arena_over(memory, sizeof memory), .threads = 1};
    const network_input in = {.batch = ROWS, .frames = 1, .cond_frames = 1, .x = scaled};
    model->encoder->type->forward(model->encoder, &work, &in, told, NULL);
    for (size_t t = 0; t < ROWS; t++) {
        double expected = -CHANNELS * LEVELS * log(2.0), spread = 0;
        for (size_t i = 0; i < CHANNELS; i++)
            expected +=
                lgamma(LEVELS + 1.0) - lgamma(x[t * CHANNELS + i] + 1) - lgamma(LEVELS - x[t * CHANNELS + i] + 1);
        for (size_t i = 0; i < LATENT; i++) {
            double m = told[t * 2 * LATENT + i], s = told[t * 2 * LATENT + LATENT + i], variance = exp(2 * s);
            expected -= (m * m + variance - 1) / 2 - s;
            spread += m * m * variance + pow(variance - 1, 2) / 2; /* of one draw */
        }
        if (!(fabs(elbo[t] - expected) <= 5 * sqrt(spread / DRAWS)))
            fail_msg("row %zu: %g, expected %g", t, elbo[t], expected);
    }
    vae_free(model);
}

/* The mean of weights is unbiased, the bound is below, and more draws come nearer: the sum of p(x) over all x is 1. */
static void probabilities_sum_to_one(void **state) {
    (void)state;
    enum { PIXELS = 3, ALL = 8, DRAWS = 4000 };
    vocode_error error = {0};
    for (size_t i = 0; i < sizeof posteriors / sizeof *posteriors; i++) {
        vae_sizes sizes = {.channels = PIXELS, .levels = 1, .latent = 2, .hidden = 5, .depth = 1};
        vae *model;
        sizes.posterior = posteriors[i];
        assert_int_equal(vae_create(&sizes, 3, &model, &error), VOCODE_OK);
        for (size_t n = 0; n < model->set.count; n++) {
            param *p = model->set.items[n];
            for (size_t k = 0; k < p->count; k++) p->value[k] += (real)(0.15 * rng_normal(9, n, k));
        }
        assert_int_equal(vae_prepare(model, &error), VOCODE_OK);
        real x[ALL * PIXELS];
        double bound[ALL], tighter[ALL], one[ALL], single[ALL], sum = 0;
        for (size_t t = 0; t < ALL * PIXELS; t++) x[t] = (real)(t / PIXELS >> t % PIXELS & 1);
        assert_int_equal(vae_score(model, x, ALL, DRAWS, 1, 1, bound, tighter, &error), VOCODE_OK);
        assert_int_equal(vae_score(model, x, ALL, 1, 1, 1, one, single, &error), VOCODE_OK);
        for (size_t t = 0; t < ALL; t++) {
            sum += exp(tighter[t]);
            assert_true(bound[t] < tighter[t] && one[t] == single[t]);
        }
        if (!(fabs(sum - 1) < 0.05)) fail_msg("%s: probabilities sum to %g", posteriors[i], sum);
        vae_free(model);
    }
}

static void files_hold_models(void **state) {
    (void)state;
    char path[] = "/tmp/vae-XXXXXX";
    close(mkstemp(path));
    vocode_error error = {0};
    real x[ROWS * CHANNELS], z[2][ROWS * LATENT], back[2][ROWS * CHANNELS];
    fill_rows(x, ROWS);
    vae *model = new_model("planar:K=3"), *again;
    model->valid_elbo = -1.5;
    assert_int_equal(vae_save(model, path, &error), VOCODE_OK);
    assert_true(vae_is(path));
    assert_int_equal(vae_open(path, &again, &error), VOCODE_OK);
    assert_true(again->valid_elbo == -1.5 && strcmp(again->sizes.posterior, "planar:K=3") == 0);
    const vae *both[] = {model, again};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(vae_encode(both[i], x, ROWS, NULL, z[i], &error), VOCODE_OK);
        assert_int_equal(vae_decode(both[i], z[i], ROWS, back[i], &error), VOCODE_OK);
    }
    assert_memory_equal(z[0], z[1], sizeof z[0]);
    assert_memory_equal(back[0], back[1], sizeof back[0]);
    for (size_t i = 0; i < ROWS * CHANNELS; i++) assert_true(back[0][i] > 0 && back[0][i] < LEVELS);
    vae_free(model);
    vae_free(again);
    unlink(path);
    assert_false(vae_is(path));
}

/* A file whose configuration is not that of its tensors. */
static void files_that_claim_more_are_refused(void **state) {
    (void)state;
    static const struct {
        size_t latent, image;
        const char *sentence;
    } claims[] = {
        {1 << 20, 0, "its configuration asks for more parameters than the"},
        {LATENT - 1, 0, "expected"},
        {LATENT, 5, "expected images of 6 numbers, found 5 x 2 pixels"},
    };
    char path[] = "/tmp/vae-XXXXXX";
    close(mkstemp(path));
    vae *model = new_model("iaf:layers=2,hidden=5,depth=1"), *again;
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        vocode_error error = {0};
        model->sizes.latent = claims[i].latent;
        model->sizes.image = (image_size){claims[i].image, claims[i].image ? 2 : 0, 0};
        assert_int_equal(vae_save(model, path, &error), VOCODE_OK);
        assert_int_not_equal(vae_open(path, &again, &error), VOCODE_OK);
        assert_null(again);
        if (!strstr(error.message, claims[i].sentence) || !strstr(error.message, path)) fail_msg("%s", error.message);
    }
    model->sizes.latent = LATENT;
    vae_free(model);
    unlink(path);
}

/* Draws of the posterior around its middle: for a Gaussian it is their mean. */
static void codes_are_draws_of_the_posterior(void **state) {
    (void)state;
    enum { DRAWS = 2000 };
    vocode_error error = {0};
    real *x = calloc(DRAWS * CHANNELS, sizeof *x), *z = calloc(DRAWS * LATENT, sizeof *z), middle[LATENT];
    fill_rows(x, 1);
    for (size_t t = 1; t < DRAWS; t++) memcpy(x + t * CHANNELS, x, CHANNELS * sizeof *x);
    vae *model = new_model("mean-field");
    const uint64_t seed = 2;
    assert_int_equal(vae_encode(model, x, 1, NULL, middle, &error), VOCODE_OK);
    assert_int_equal(vae_encode(model, x, DRAWS, &seed, z, &error), VOCODE_OK);
    for (size_t i = 0; i < LATENT; i++) {
        double sum = 0, square = 0;
        for (size_t t = 0; t < DRAWS; t++) {
            double off = z[t * LATENT + i] - middle[i];
            sum += off;
            square += off * off;
        }
        assert_true(square > 0 && fabs(sum) < 4.5 * sqrt(square));
    }
    free(x), free(z);
    vae_free(model);
}

static void samples_are_draws_of_their_means(void **state) {
    (void)state;
    vocode_error error = {0};
    vae *model = new_model("mean-field");
    real *means = calloc(MANY * CHANNELS, sizeof *means), *draws = calloc(MANY * CHANNELS, sizeof *draws);
    assert_int_equal(vae_sample(model, MANY, 4, true, means, &error), VOCODE_OK);
    assert_int_equal(vae_sample(model, MANY, 4, false, draws, &error), VOCODE_OK);
    double off = 0, variance = 0;
    for (size_t i = 0; i < MANY * CHANNELS; i++) {
        assert_true(draws[i] == floor(draws[i]) && draws[i] >= 0 && draws[i] <= LEVELS);
        off += draws[i] - means[i];
        variance += means[i] * (1 - means[i] / LEVELS);
    }
    assert_true(fabs(off) < 4 * sqrt(variance));
    free(means), free(draws);
    vae_free(model);
}

static void fits_improve_at_any_number_of_threads(void **state) {
    (void)state;
    vocode_error error = {0};
    real *x = calloc(MANY * CHANNELS, sizeof *x);
    fill_rows(x, MANY);
    for (size_t i = 0; i < sizeof posteriors / sizeof *posteriors; i++) {
        vae *model[2];
        double before[MANY], sum = 0;
        for (int way = 0; way < 2; way++) {
            vae_sizes sizes = small;
            vae_options options = vae_defaults;
            sizes.posterior = posteriors[i];
            options.threads = 1 + 2 * way;
            options.epochs = 60;
            options.warm = 3;
            options.batch = 50;
            options.rate = 1e-2;
            assert_int_equal(vae_create(&sizes, 3, &model[way], &error), VOCODE_OK);
            if (!way) assert_int_equal(vae_score(model[0], x, MANY, 4, 1, 1, before, NULL, &error), VOCODE_OK);
            assert_int_equal(vae_fit(model[way], x, MANY, &options, NULL, &error), VOCODE_OK);
        }
        for (size_t t = 0; t < MANY; t++) sum += before[t];
        if (!(model[0]->valid_elbo > sum / MANY + 1))
            fail_msg("%s: %g before, %g after", posteriors[i], sum / MANY, model[0]->valid_elbo);
        assert_memory_equal(model[0]->set.storage, model[1]->set.storage, model[0]->set.total * sizeof(real));
        vae_free(model[0]), vae_free(model[1]);
    }
    free(x);
}

static void refused(const real *x, size_t rows, const char *sentence) {
    vocode_error error = {0};
    vae_options options = vae_defaults;
    vae *model = new_model("mean-field");
    options.epochs = 1;
    assert_int_equal(vae_fit(model, x, rows, &options, NULL, &error), VOCODE_VALUE);
    if (!strstr(error.message, sentence)) fail_msg("%s", error.message);
    vae_free(model);
}

static void what_cannot_be_is_refused(void **state) {
    (void)state;
    vocode_error error = {0};
    real x[ROWS * CHANNELS];
    vae *model;
    fill_rows(x, ROWS);
    refused(x, 1, "at least 2 rows");
    for (size_t i = 0; i < ROWS * CHANNELS; i++) x[i] = 3;
    refused(x, ROWS, "expected numbers that vary, found 3 everywhere");
    fill_rows(x, ROWS);
    x[CHANNELS + 2] = -1;
    refused(x, ROWS, "row 1, column 2: expected a whole number from 0 to 4, found -1");
    x[CHANNELS + 2] = (real)0.5;
    refused(x, ROWS, "row 1, column 2: expected a whole number from 0 to 4, found 0.5");
    x[CHANNELS + 2] = 5;
    refused(x, ROWS, "found 5");
    x[CHANNELS + 2] = NAN;
    refused(x, ROWS, "found 1 rows of 5 with NaN");
    static const char *const bad[] = {"nonsense", "ode", "exp", "dequantize,realnvp", "batchnorm"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vae_sizes sizes = small;
        sizes.posterior = bad[i];
        vocode_status status = vae_create(&sizes, 1, &model, &error);
        if (strcmp(bad[i], "ode") == 0 && status == VOCODE_OK)
            vae_free(model);
        else if (status != VOCODE_VALUE || model)
            fail_msg("%s: %d", bad[i], status);
    }
    vae_sizes none = small;
    none.posterior = "iaf";
    none.latent = 0;
    assert_int_equal(vae_create(&none, 1, &model, &error), VOCODE_VALUE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_the_differences),     cmocka_unit_test(divergences_are_as_known),
        cmocka_unit_test(probabilities_sum_to_one),          cmocka_unit_test(files_hold_models),
        cmocka_unit_test(files_that_claim_more_are_refused), cmocka_unit_test(codes_are_draws_of_the_posterior),
        cmocka_unit_test(samples_are_draws_of_their_means),  cmocka_unit_test(fits_improve_at_any_number_of_threads),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
