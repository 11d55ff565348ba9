/* Models as the library runs them, in float: synthesis, latents, likelihood, files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/rng.h"
#include "vocoder/blocks.h"
#include "vocoder/tiny_models.h"

enum { FRAMES = 11, MAX_COUNT = 4096 };

static void fill(float *values, size_t count, uint64_t seed, double scale, double shift) {
    for (size_t i = 0; i < count; i++) values[i] = (float)(shift + scale * rng_normal(seed, 0, i));
}

static double snr(const float *reference, const float *found, size_t count) {
    double signal = 0, noise = 1e-30;
    for (size_t i = 0; i < count; i++) {
        signal += (double)reference[i] * (double)reference[i];
        noise += ((double)reference[i] - (double)found[i]) * ((double)reference[i] - (double)found[i]);
    }
    return 10 * log10(signal / noise);
}

/* Also for lengths that are no multiple of the hop, and for a mel with a frame too few or too many. */
static void decode_undoes_encode(void **state) {
    (void)state;
    for (size_t i = 0; tiny_configs[i]; i++) {
        vocode_model *model = tiny_model(tiny_configs[i], 3);
        size_t hop = model->hop;
        float audio[MAX_COUNT], back[MAX_COUNT], mel[MAX_COUNT], latent[MAX_COUNT];
        fill(audio, FRAMES * hop, 1, 0.1, 0);
        fill(mel, FRAMES * model->n_mels, 2, 1, -1);
        const size_t lengths[] = {FRAMES * hop, 5 * hop, 5 * hop + 3, hop}, counts[] = {FRAMES, 5, 6, 1};
        for (size_t k = 0; k < 16; k++) {
            size_t samples = lengths[k / 4], frames = counts[k % 4], used, columns;
            vocode_error error = {0};
            vocode_encode_size(model, samples, frames, &used, &columns);
            assert_int_equal(used, (samples / hop < frames ? samples / hop : frames) * hop);
            assert_int_equal(vocode_decode_size(model, columns), used);
            assert_int_equal(vocode_encode(model, audio, samples, mel, frames, 1, latent, NULL, &error), VOCODE_OK);
            assert_int_equal(vocode_decode(model, latent, columns, mel, frames, 2, back, &error), VOCODE_OK);
            assert_true(snr(audio, back, used) > 80);
        }
        vocode_model_free(model);
    }
}

static void score_is_the_density_of_the_latent(void **state) {
    (void)state;
    for (size_t i = 0; tiny_configs[i]; i++) {
        vocode_model *model = tiny_model(tiny_configs[i], 4);
        float audio[MAX_COUNT], mel[MAX_COUNT], latent[MAX_COUNT];
        size_t samples = 6 * model->hop, used, columns;
        vocode_likelihood found;
        vocode_error error = {0};
        double logdet, sum = 0;
        fill(audio, samples, 1, 0.1, 0);
        fill(mel, FRAMES * model->n_mels, 2, 1, -1);
        vocode_encode_size(model, samples, FRAMES, &used, &columns);
        assert_int_equal(vocode_encode(model, audio, samples, mel, FRAMES, 1, latent, &logdet, &error), VOCODE_OK);
        assert_int_equal(vocode_score(model, audio, samples, mel, FRAMES, 0.8, 1, &found, &error), VOCODE_OK);
        size_t count = columns * model->latent_channels;
        for (size_t k = 0; k < count; k++) { /* log of the normal density with standard deviation 0.8 */
            double z = (double)latent[k] / 0.8;
            sum += -0.5 * z * z - log(0.8 * sqrt(2 * 3.14159265358979323846));
        }
        assert_true(fabs(found.nll_nats + (sum + logdet) / (double)count) < 1e-5);
        assert_true(fabs(found.nll_bits - found.nll_nats / 0.69314718055994530942) < 1e-9);
        assert_int_equal(found.numbers, count);
        assert_true(found.sigma == 0.8);
        vocode_model_free(model);
    }
}

static void synthesis_has_the_length_and_is_a_function_of_the_seed(void **state) {
    (void)state;
    for (size_t i = 0; tiny_configs[i]; i++) {
        vocode_model *model = tiny_model(tiny_configs[i], 5);
        float mel[MAX_COUNT], first[MAX_COUNT], second[MAX_COUNT];
        size_t samples = FRAMES * model->hop;
        vocode_error error = {0};
        fill(mel, FRAMES * model->n_mels, 2, 1, -3);
        vocode_synthesis options = {.sigma = 0.7, .seed = 9, .threads = 1};
        assert_int_equal(vocode_synthesize(model, mel, FRAMES, model->n_mels, &options, first, &error), VOCODE_OK);
        options.threads = 2;
        assert_int_equal(vocode_synthesize(model, mel, FRAMES, model->n_mels, &options, second, &error), VOCODE_OK);
        assert_memory_equal(first, second, samples * sizeof *first);
        options.seed = 10;
        assert_int_equal(vocode_synthesize(model, mel, FRAMES, model->n_mels, &options, second, &error), VOCODE_OK);
        assert_memory_not_equal(first, second, samples * sizeof *first);
        options.gain_db = 20 * log10(0.5);
        options.seed = 9;
        assert_int_equal(vocode_synthesize(model, mel, FRAMES, model->n_mels, &options, second, &error), VOCODE_OK);
        for (size_t k = 0; k < samples; k++) assert_true(fabsf(second[k] - first[k] / 2) < 1e-5f);
        vocode_model_free(model);
    }
}

/* The noise of synthesis given as a latent makes the same audio; one of another length is refused. */
static void given_noise_is_used_as_it_is(void **state) {
    (void)state;
    for (size_t i = 0; tiny_configs[i]; i++) {
        vocode_model *model = tiny_model(tiny_configs[i], 6);
        float mel[MAX_COUNT], latent[MAX_COUNT], first[MAX_COUNT], second[MAX_COUNT];
        vocode_error error = {0};
        size_t columns = vocode_latent_columns(model, FRAMES), channels = model->latent_channels;
        fill(mel, FRAMES * model->n_mels, 2, 1, -3);
        for (size_t c = 0; c < channels; c++)
            for (size_t t = 0; t < columns; t++) latent[c * columns + t] = (float)(0.7 * rng_normal(9, c, t));
        vocode_synthesis options = {.sigma = 0.7, .seed = 9};
        assert_int_equal(vocode_synthesize(model, mel, FRAMES, model->n_mels, &options, first, &error), VOCODE_OK);
        vocode_synthesis given = {.noise = latent, .noise_columns = columns};
        assert_int_equal(vocode_synthesize(model, mel, FRAMES, model->n_mels, &given, second, &error), VOCODE_OK);
        assert_memory_equal(first, second, FRAMES * model->hop * sizeof *first);
        given.noise_columns = columns - 1;
        assert_int_equal(vocode_synthesize(model, mel, FRAMES, model->n_mels, &given, second, &error), VOCODE_SHAPE);
        vocode_model_free(model);
    }
}

static void bad_mels_are_refused_by_name(void **state) {
    (void)state;
    vocode_model *model = tiny_model(tiny_configs[0], 6);
    float mel[MAX_COUNT], audio[MAX_COUNT];
    vocode_error error = {0};
    fill(mel, FRAMES * 3, 2, 1, -3);
    assert_int_equal(vocode_synthesize(model, mel, FRAMES, 4, NULL, audio, &error), VOCODE_SHAPE);
    assert_non_null(strstr(error.message, "3"));
    assert_non_null(strstr(error.message, "4"));
    assert_int_equal(vocode_synthesize(model, mel, 0, 3, NULL, audio, &error), VOCODE_SHAPE);
    mel[3 * 4 + 2] = NAN;
    assert_int_equal(vocode_synthesize(model, mel, FRAMES, 3, NULL, audio, &error), VOCODE_VALUE);
    assert_non_null(strstr(error.message, "band 2"));
    assert_non_null(strstr(error.message, "frame 4"));
    vocode_model_free(model);
}

/* A saved model opened again is the same model. */
static void files_hold_the_whole_model(void **state) {
    (void)state;
    char path[] = "/tmp/vocode-model-XXXXXX";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    close(descriptor);
    for (size_t i = 0; tiny_configs[i]; i++) {
        vocode_model *model = tiny_model(tiny_configs[i], 7), *opened;
        float mel[MAX_COUNT], first[MAX_COUNT], second[MAX_COUNT];
        vocode_error error = {0};
        fill(mel, FRAMES * model->n_mels, 2, 1, -3);
        assert_int_equal(model_save(model, path, &error), VOCODE_OK);
        if (vocode_model_open(path, &opened, &error) != VOCODE_OK) fail_msg("%s", error.message);
        assert_string_equal(model->config, opened->config);
        assert_int_equal(vocode_synthesize(model, mel, FRAMES, model->n_mels, NULL, first, &error), VOCODE_OK);
        assert_int_equal(vocode_synthesize(opened, mel, FRAMES, model->n_mels, NULL, second, &error), VOCODE_OK);
        assert_memory_equal(first, second, FRAMES * model->hop * sizeof *first);
        vocode_model_free(opened);
        vocode_model_free(model);
    }
    unlink(path);
}

/* Sizes in the configuration that the tensors do not fill are an error, and nothing of that size is allocated first. */
static void configuration_cannot_claim_more_than_the_file_holds(void **state) {
    (void)state;
    const char *config = "{\"kind\": \"waveglow\", \"waveglow\": {\"n_mel_channels\": 80, \"n_flows\": 1024, "
                         "\"WN_config\": {\"n_layers\": 20, \"n_channels\": 16384, \"kernel_size\": 3}}}";
    const float numbers[4] = {0};
    const st_tensor tensor = {
        .name = "upsample.bias", .type = DTYPE_F32, .rank = 1, .shape = {4}, .count = 4, .data = numbers};
    vocode_model *model = NULL;
    vocode_error error = {0};
    assert_int_equal(model_from_tensors(config, &tensor, 1, "hostile", &model, &error), VOCODE_FORMAT);
    assert_non_null(strstr(error.message, "more parameters than the file holds"));
    assert_null(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decode_undoes_encode),
        cmocka_unit_test(score_is_the_density_of_the_latent),
        cmocka_unit_test(synthesis_has_the_length_and_is_a_function_of_the_seed),
        cmocka_unit_test(given_noise_is_used_as_it_is),
        cmocka_unit_test(bad_mels_are_refused_by_name),
        cmocka_unit_test(files_hold_the_whole_model),
        cmocka_unit_test(configuration_cannot_claim_more_than_the_file_holds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
