/* The frame-rate continuous flow's own: a draft that stays as it is at first, the objective of samples, and steps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include <vocode/vocode.h>

#include "io/json.h"
#include "vocoder/blocks.h"
#include "vocoder/tiny_models.h"

#define BASE                                                                                                         \
    "\"n_mels\": 2, \"hop\": 256, \"n_flows\": 1, \"dim\": 3, \"n_blocks\": 1, \"white_dim\": 2, \"white_blocks\": " \
    "1, "                                                                                                            \
    "\"expansion\": 1, \"kernel\": 3"

static const char drafts[] = "{\"kind\": \"frameflow\", \"sigma\": 0.8, \"frameflow\": {" BASE "}}";
static const char spectral[] =
    "{\"kind\": \"frameflow-cnf\", \"sigma\": 0.8, \"mel\": {\"n_mels\": 2}, \"frameflow-cnf\": {" BASE
    ", \"field_dim\": 3, \"field_blocks\": 1, \"field_kernel\": 3, \"field_features\": 2, \"steps\": 2, \"solver\": "
    "\"midpoint\", \"objective\": \"spectral\", \"mel_weight\": 0.7}}";

enum { FRAMES = 11, BATCH = 2, SAMPLES = FRAMES * 256 };

static double loss_of(const vocode_model *model, const real *mel, const real *x, real *grads) {
    const block_objective objective = {.sigma = 1, .seed = 3, .first = 4};
    const block_shape shape = {BATCH, FRAMES, FRAMES};
    double loss;
    vocode_error error = {0};
    if (blocks_gradient(model, shape, 2, &objective, mel, x, &loss, grads, &error) != VOCODE_OK)
        fail_msg("%s", error.message);
    return loss;
}

static double slope(vocode_model *model, const real *mel, const real *x, const real *along) {
    const double step = 1e-6;
    double values[2];
    vocode_error error = {0};
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < model->params.total; i++) model->params.storage[i] += (side ? -2 : 1) * step * along[i];
        assert_int_equal(model_prepare(model, &error), VOCODE_OK);
        values[side] = loss_of(model, mel, x, NULL);
    }
    for (size_t i = 0; i < model->params.total; i++) model->params.storage[i] += step * along[i];
    return (values[0] - values[1]) / (2 * step);
}

/* Of one parameter at a time, along a random direction: the distance has kinks, which single numbers would show. */
static void spectral_gradients_are_the_slopes(void **state) {
    (void)state;
    vocode_model *model = tiny_model(spectral, 5);
    size_t total = model->params.total;
    real *grads = calloc(total, sizeof *grads), *along = calloc(total, sizeof *along);
    real *x = calloc((size_t)BATCH * SAMPLES, sizeof *x), mel[BATCH * FRAMES * 2];
    rng_fill_normal(mel, BATCH * FRAMES * 2, 1, 1, 0, 2);
    rng_fill_normal(x, (size_t)BATCH * SAMPLES, 1, 2, 0, 0.05);
    loss_of(model, mel, x, grads);
    for (size_t i = 0; i < model->params.count; i++) {
        const param *p = model->params.items[i];
        double found = 0;
        for (size_t k = 0; k < p->count; k++) {
            along[p->offset + k] = rng_normal(7, i, k) / sqrt((double)p->count);
            found += along[p->offset + k] * grads[p->offset + k];
        }
        if (strncmp(p->name, "field.", 6) != 0) {
            assert_true(found == 0);
        } else {
            double expected = slope(model, mel, x, along);
            if (!(fabs(found - expected) <= 1e-3 * fabs(expected) + 1e-6))
                fail_msg("%s: the slope is %.9g, the gradient says %.9g", p->name, expected, found);
        }
        memset(along + p->offset, 0, p->count * sizeof *along);
    }
    free(grads);
    free(along);
    free(x);
    vocode_model_free(model);
}

static vocode_model *fresh(const char *config) {
    json_t *root;
    vocode_model *model;
    vocode_error error = {0};
    assert_int_equal(json_parse(config, strlen(config), NULL, "test", &root, &error), VOCODE_OK);
    assert_int_equal(model_create(root, "test", 1, &model, &error), VOCODE_OK);
    json_decref(root);
    return model;
}

/* Its couplings' parameters have a frameflow's names: with the same values a fresh field changes no bit. */
static void a_fresh_model_gives_the_drafts(void **state) {
    (void)state;
    vocode_model *base = tiny_model(drafts, 9), *model = fresh(spectral);
    static float mel[FRAMES * 2], expected[SAMPLES], found[SAMPLES];
    vocode_error error = {0};
    size_t taken = 0;
    for (size_t i = 0; i < model->params.count; i++) {
        param *p = model->params.items[i];
        const param *same = param_find(&base->params, p->name);
        if (same) memcpy(p->value, same->value, p->count * sizeof *p->value);
        taken += same != NULL;
        assert_true(same || strncmp(p->name, "field.", 6) == 0);
    }
    assert_int_equal(taken, base->params.count);
    assert_int_equal(model_prepare(model, &error), VOCODE_OK);
    for (size_t i = 0; i < FRAMES * 2; i++) mel[i] = (float)rng_normal(4, 0, i);
    const vocode_synthesis options = {.seed = 3};
    assert_int_equal(vocode_synthesize(base, mel, FRAMES, 2, &options, expected, &error), VOCODE_OK);
    assert_int_equal(vocode_synthesize(model, mel, FRAMES, 2, &options, found, &error), VOCODE_OK);
    assert_memory_equal(found, expected, sizeof found);
    vocode_model_free(base);
    vocode_model_free(model);
}

static size_t look_ahead(const vocode_model *model, int steps) {
    const vocode_synthesis options = {.size = sizeof options, .steps = steps, .mel_match = -1};
    vocode_stream *stream;
    vocode_error error = {0};
    assert_int_equal(vocode_stream_open(model, &options, &stream, &error), VOCODE_OK);
    size_t frames = vocode_stream_look_ahead(stream);
    vocode_stream_free(stream);
    return frames;
}

/* Two evaluations a step, each of which sees 2 frames on either side. */
static void steps_can_be_asked_for(void **state) {
    (void)state;
    vocode_model *model = tiny_model(spectral, 5), *base = tiny_model(drafts, 9);
    static float mel[FRAMES * 2], own[SAMPLES], more[SAMPLES];
    vocode_error error = {0};
    vocode_synthesis options = {.size = sizeof options, .seed = 3};
    assert_int_equal(look_ahead(model, 0), look_ahead(model, 2));
    assert_int_equal(look_ahead(model, 7), look_ahead(model, 2) + 5 * 2 * 2);
    assert_int_equal(vocode_synthesize(model, mel, FRAMES, 2, &options, own, &error), VOCODE_OK);
    options.steps = 2;
    assert_int_equal(vocode_synthesize(model, mel, FRAMES, 2, &options, more, &error), VOCODE_OK);
    assert_memory_equal(own, more, sizeof own);
    options.steps = 7;
    assert_int_equal(vocode_synthesize(model, mel, FRAMES, 2, &options, more, &error), VOCODE_OK);
    assert_true(memcmp(own, more, sizeof own) != 0);
    options.steps = -1;
    assert_int_equal(vocode_synthesize(model, mel, FRAMES, 2, &options, more, &error), VOCODE_ARGUMENT);
    options.steps = 3;
    assert_int_equal(vocode_synthesize(base, mel, FRAMES, 2, &options, more, &error), VOCODE_UNSUPPORTED);
    assert_non_null(strstr(error.message, "no continuous flow"));
    vocode_model_free(model);
    vocode_model_free(base);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spectral_gradients_are_the_slopes),
        cmocka_unit_test(a_fresh_model_gives_the_drafts),
        cmocka_unit_test(steps_can_be_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
