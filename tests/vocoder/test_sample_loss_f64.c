/* The loss of samples beside the likelihood: its gradient through the inverse of whole models, and what it depends on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "io/json.h"
#include "vocoder/blocks.h"

#define MEL "\"mel\": {\"n_mels\": 2, \"hop\": 256, \"n_fft\": 512, \"win\": 512}"

static const char *const configs[] = {
    "{\"kind\": \"frameflow\", " MEL ", \"frameflow\": {\"n_mels\": 2, \"hop\": 256, \"n_flows\": 1, \"dim\": 3, "
    "\"n_blocks\": 1, \"white_dim\": 2, \"white_blocks\": 1, \"expansion\": 1, \"kernel\": 3}}",
    "{\"kind\": \"waveglow\", " MEL ", \"waveglow\": {\"n_mel_channels\": 2, \"n_flows\": 3, \"n_group\": 8, "
    "\"n_early_every\": 1, \"n_early_size\": 2, \"upsample_kernel\": 512, \"upsample_stride\": 256, \"WN_config\": "
    "{\"n_layers\": 1, \"n_channels\": 2, \"kernel_size\": 3}}}",
    "{\"kind\": \"squeezewave\", " MEL ", \"squeezewave\": {\"n_mel_channels\": 2, \"n_flows\": 3, "
    "\"n_audio_channel\": 128, \"n_early_every\": 2, \"n_early_size\": 4, \"WN_config\": {\"n_layers\": 1, "
    "\"n_channels\": 2, \"kernel_size\": 3}}}",
    NULL,
};

static const char continuous[] =
    "{\"kind\": \"frameflow-cnf\", \"frameflow-cnf\": {\"n_mels\": 2, \"hop\": 256, \"n_flows\": 1, \"dim\": 3, "
    "\"n_blocks\": 1, \"white_dim\": 2, \"white_blocks\": 1, \"expansion\": 1, \"kernel\": 3, \"field_dim\": 3, "
    "\"field_blocks\": 1, \"field_kernel\": 3, \"field_features\": 2}}";

enum { FRAMES = 8, BATCH = 2, SAMPLES = FRAMES * 256, BANDS = 2 };

typedef struct fixture {
    vocode_model *model;
    block_shape shape;
    real mel[BATCH * FRAMES * BANDS], x[BATCH * SAMPLES];
    block_objective objective;
} fixture;

/* A fresh model moved a little off the identity: deep inverses of wild ones overflow. */
static vocode_model *mild_model(const char *config) {
    json_t *root;
    vocode_model *model;
    vocode_error error = {0};
    assert_int_equal(json_parse(config, strlen(config), NULL, "test", &root, &error), VOCODE_OK);
    if (model_create(root, "test", 1, &model, &error) != VOCODE_OK) fail_msg("%s", error.message);
    json_decref(root);
    for (size_t i = 0; i < model->params.count; i++) {
        param *p = model->params.items[i];
        for (size_t k = 0; p->kind == PARAM_TRAINED && k < p->count; k++)
            p->value[k] += (real)(rng_normal(5, i, k) / (10 * sqrt((double)p->count)));
    }
    if (model_prepare(model, &error) != VOCODE_OK) fail_msg("%s", error.message);
    return model;
}

static void make(fixture *f, const char *config) {
    f->model = mild_model(config);
    f->shape = (block_shape){BATCH, FRAMES, SAMPLES / f->model->group};
    f->objective = (block_objective){.sigma = 1, .seed = 3, .first = 4, .spectral = {10, 0.7, 0.9, 0.8}};
    rng_fill_normal(f->mel, (size_t)BATCH * FRAMES * BANDS, 1, 1, 0, 0.5);
    rng_fill_normal(f->x, (size_t)BATCH * SAMPLES, 1, 2, 0, 0.05);
}

/* Both losses, of the objective given. */
static double both(const fixture *f, const block_objective *objective, int threads, real *grads, double *spectral) {
    block_trainer *trainer;
    double loss = NAN;
    vocode_error error = {0};
    if (block_trainer_new(f->model, f->shape, threads, &f->objective, &trainer, &error) != VOCODE_OK ||
        block_trainer_run(trainer, objective, f->mel, f->x, &loss, grads, &error) != VOCODE_OK)
        fail_msg("%s: %s", f->model->type->kind, error.message);
    *spectral = block_trainer_spectral(trainer);
    block_trainer_free(trainer);
    return loss;
}

/* What training descends: the likelihood, and the weight times the other. */
static double total_loss(const fixture *f, real *grads) {
    double spectral, loss = both(f, &f->objective, 1, grads, &spectral);
    return loss + f->objective.spectral.weight * spectral;
}

static double slope(fixture *f, const real *along) {
    const double step = 1e-6;
    double values[2];
    vocode_error error = {0};
    vocode_model *model = f->model;
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < model->params.total; i++) model->params.storage[i] += (side ? -2 : 1) * step * along[i];
        assert_int_equal(model_prepare(model, &error), VOCODE_OK);
        values[side] = total_loss(f, NULL);
    }
    for (size_t i = 0; i < model->params.total; i++) model->params.storage[i] += step * along[i];
    assert_int_equal(model_prepare(model, &error), VOCODE_OK);
    return (values[0] - values[1]) / (2 * step);
}

/* Along a random direction of one parameter at a time: the distance has kinks, which single numbers would show. */
static void gradients_are_the_slopes(void **state) {
    (void)state;
    for (size_t i = 0; configs[i]; i++) {
        fixture f;
        make(&f, configs[i]);
        const param_set *set = &f.model->params;
        real *grads = calloc(set->total, sizeof *grads), *along = calloc(set->total, sizeof *along);
        assert_true(grads && along);
        total_loss(&f, grads);
        for (size_t j = 0; j < set->count; j++) {
            const param *p = set->items[j];
            double found = 0;
            if (p->kind != PARAM_TRAINED) continue;
            for (size_t k = 0; k < p->count; k++) {
                along[p->offset + k] = rng_normal(7, j, k) / sqrt((double)p->count);
                found += along[p->offset + k] * grads[p->offset + k];
            }
            double expected = slope(&f, along);
            if (!(fabs(found - expected) <= 1e-3 * fabs(expected) + 1e-5))
                fail_msg("%s: %s: the slope is %.9g, the gradient says %.9g", f.model->type->kind, p->name, expected,
                         found);
            memset(along + p->offset, 0, p->count * sizeof *along);
        }
        free(grads);
        free(along);
        vocode_model_free(f.model);
    }
}

/* Its value hangs on seed and step alone, neither on threads nor on how the likelihood's gradient is had; a step
 * without it has the likelihood's gradient, and the likelihood is the same either way. */
static void steps_say_whether_they_have_it(void **state) {
    (void)state;
    for (size_t i = 0; configs[i]; i++) {
        fixture f;
        make(&f, configs[i]);
        size_t total = f.model->params.total;
        real *with = calloc(total, sizeof *with), *again = calloc(total, sizeof *again);
        real *without = calloc(total, sizeof *without), *plain = calloc(total, sizeof *plain);
        double spectral[4], loss[4], largest = 0;
        block_objective other = f.objective;
        loss[0] = both(&f, &f.objective, 1, with, &spectral[0]);
        f.objective.memory = BLOCKS_REBUILT;
        loss[1] = both(&f, &f.objective, 2, again, &spectral[1]);
        f.objective.memory = BLOCKS_TAPED;
        other.first++;
        loss[2] = both(&f, &other, 1, NULL, &spectral[2]);
        other.spectral.weight = 0;
        loss[3] = both(&f, &other, 1, without, &spectral[3]);
        assert_true(loss[0] == loss[2] && loss[0] == loss[3] && fabs(loss[0] - loss[1]) <= 1e-12 * fabs(loss[0]));
        assert_true(spectral[0] == spectral[1] && isfinite(spectral[2]) && isnan(spectral[3]));
        assert_true(spectral[0] != spectral[2] && spectral[0] > 0);
        for (size_t k = 0; k < total; k++) largest = fmax(largest, fabs(with[k]));
        for (size_t k = 0; k < total; k++) assert_true(fabs(with[k] - again[k]) <= 1e-9 * largest);
        f.objective.spectral.weight = 0;
        both(&f, &f.objective, 1, plain, &spectral[3]);
        assert_memory_equal(plain, without, total * sizeof *plain);
        real *owned[] = {with, again, without, plain};
        for (size_t k = 0; k < sizeof owned / sizeof *owned; k++) free(owned[k]);
        vocode_model_free(f.model);
    }
}

static void models_that_cannot_say_so(void **state) {
    (void)state;
    fixture f;
    block_trainer *trainer;
    vocode_error error = {0};
    make(&f, continuous);
    assert_int_equal(block_trainer_new(f.model, f.shape, 1, &f.objective, &trainer, &error), VOCODE_VALUE);
    assert_non_null(strstr(error.message, "\"spectral_weight\" must be 0 for the kind frameflow-cnf"));
    vocode_model_free(f.model);
    make(&f, configs[0]);
    f.shape = (block_shape){1, FRAMES - 1, FRAMES - 1};
    assert_int_equal(block_trainer_new(f.model, f.shape, 1, &f.objective, &trainer, &error), VOCODE_VALUE);
    assert_non_null(strstr(error.message, "at least 2048 samples, found 1792"));
    vocode_model_free(f.model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_the_slopes),
        cmocka_unit_test(steps_say_whether_they_have_it),
        cmocka_unit_test(models_that_cannot_say_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
