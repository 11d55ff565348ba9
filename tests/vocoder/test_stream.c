/* Streams: what comes out does not depend on how the frames are cut, and is what the chain's inverse gives on the
 * whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vocode/vocode.h>

#include "core/rng.h"
#include "vocoder/blocks.h"
#include "vocoder/tiny_models.h"

enum { FRAMES = 150, MAX_COUNT = 1 << 14 };

/* A tiny frame-rate model with a mel convention, so that passes, bias removal and conversions apply. */
static const char with_mel[] =
    "{\"kind\": \"frameflow\", \"frameflow\": {\"n_mels\": 10, \"hop\": 16, \"n_flows\": 2, \"dim\": 6, \"n_blocks\": "
    "1, "
    "\"white_dim\": 4, \"white_blocks\": 1, \"expansion\": 2, \"kernel\": 3}, \"mel\": {\"preset\": \"tacotron2\", "
    "\"n_mels\": 10, \"hop\": 16, \"n_fft\": 64}, \"mel_match\": 2, \"mel_match_last\": 1, \"sigma\": 0.8}";

/* A WaveGlow whose hop is no whole number of groups: it has to wait for the end. */
static const char uneven[] =
    "{\"kind\": \"waveglow\", \"waveglow\": {\"n_mel_channels\": 3, \"n_flows\": 2, \"n_group\": 8, \"n_early_every\": "
    "1, "
    "\"n_early_size\": 2, \"upsample_kernel\": 30, \"upsample_stride\": 12, \"WN_config\": {\"n_layers\": 2, "
    "\"n_channels\": 4, \"kernel_size\": 3}}}";

static void fill(float *values, size_t count, uint64_t seed, double scale, double shift) {
    for (size_t i = 0; i < count; i++) values[i] = (float)(shift + scale * rng_normal(seed, 0, i));
}

/* All samples of a stream that is fed `chunk` frames at a time and pulled from in odd pieces. */
static size_t run_stream(const vocode_model *model, const vocode_synthesis *options, const float *mel, size_t frames,
                         size_t chunk, float *audio) {
    vocode_stream *stream;
    vocode_error error = {0};
    size_t count = 0;
    if (vocode_stream_open(model, options, &stream, &error) != VOCODE_OK) fail_msg("%s", error.message);
    for (size_t t = 0; t < frames; t += chunk) {
        size_t n = frames - t < chunk ? frames - t : chunk;
        if (vocode_stream_push(stream, mel + t * model->n_mels, n, &error) != VOCODE_OK) fail_msg("%s", error.message);
        count += vocode_stream_pull(stream, audio + count, 37);
        assert_true(count + vocode_stream_available(stream) <= (t + n) * model->hop);
    }
    if (vocode_stream_finish(stream, &error) != VOCODE_OK) fail_msg("%s", error.message);
    for (size_t n = 1; n; count += n) n = vocode_stream_pull(stream, audio + count, 1001);
    vocode_stream_free(stream);
    return count;
}

static void check_chunks(const char *config, const vocode_synthesis *options, size_t frames) {
    static float mel[MAX_COUNT], whole[MAX_COUNT], pieces[MAX_COUNT];
    static const size_t chunks[] = {1, 7, 64, FRAMES};
    vocode_model *model = tiny_model(config, 11);
    size_t samples = frames * model->hop;
    vocode_error error = {0};
    assert_true(samples <= MAX_COUNT && frames * model->n_mels <= MAX_COUNT);
    fill(mel, frames * model->n_mels, 5, 1, -4);
    if (vocode_synthesize(model, mel, frames, model->n_mels, options, whole, &error) != VOCODE_OK)
        fail_msg("%s", error.message);
    for (size_t i = 0; i < 4; i++)
        for (int threads = 1; threads < 3; threads++) {
            vocode_synthesis used = *options;
            used.threads = threads;
            assert_int_equal(run_stream(model, &used, mel, frames, chunks[i], pieces), samples);
            for (size_t k = 0; k < samples; k++)
                if (memcmp(&pieces[k], &whole[k], sizeof *whole) != 0)
                    fail_msg("%zu frames by %zu, %d threads: sample %zu is %.9g, not %.9g", frames, chunks[i], threads,
                             k, (double)pieces[k], (double)whole[k]);
        }
    vocode_model_free(model);
}

static void chunks_change_no_bit(void **state) {
    (void)state;
    static const size_t lengths[] = {1, 2, 3, FRAMES};
    for (size_t i = 0; tiny_configs[i]; i++)
        for (size_t k = 0; k < 4; k++)
            for (uint64_t seed = 1; seed < 4; seed++)
                check_chunks(tiny_configs[i], &(vocode_synthesis){.sigma = 0.7, .seed = seed}, lengths[k]);
    check_chunks(uneven, &(vocode_synthesis){.sigma = 0.7, .seed = 2}, FRAMES - 1);
}

static void chunks_change_no_bit_of_what_follows_the_chain(void **state) {
    (void)state;
    static const size_t lengths[] = {1, 2, 5, FRAMES};
    for (size_t k = 0; k < 4; k++) {
        check_chunks(with_mel, &(vocode_synthesis){.seed = 3}, lengths[k]);
        check_chunks(with_mel, &(vocode_synthesis){.seed = 3, .mel_match = 3, .denoise = 0.5}, lengths[k]);
        check_chunks(with_mel, &(vocode_synthesis){.seed = 3, .mel_match = -1, .gain_db = -3}, lengths[k]);
        check_chunks(with_mel, &(vocode_synthesis){.seed = 3, .refine = 4, .denoise = 0.1}, lengths[k]);
    }
}

/* What the look-ahead promises is there before the stream ends, through passes, refinement and bias removal. */
static void samples_come_after_the_look_ahead(void **state) {
    (void)state;
    static float mel[MAX_COUNT];
    static const vocode_synthesis options[] = {
        {.seed = 3}, {.seed = 3, .refine = 1}, {.seed = 3, .mel_match = 1, .refine = 6, .denoise = 0.1}};
    vocode_model *model = tiny_model(with_mel, 11);
    vocode_error error = {0};
    fill(mel, FRAMES * model->n_mels, 5, 1, -4);
    size_t before = 0;
    for (size_t i = 0; i < 3; i++) {
        vocode_stream *stream;
        assert_int_equal(vocode_stream_open(model, &options[i], &stream, &error), VOCODE_OK);
        size_t ahead = vocode_stream_look_ahead(stream);
        assert_in_range(ahead, before + 1, FRAMES / 2);
        before = ahead;
        for (size_t t = 0; t < FRAMES; t++) {
            assert_int_equal(vocode_stream_push(stream, mel + t * model->n_mels, 1, &error), VOCODE_OK);
            assert_true(t + 1 < ahead || vocode_stream_available(stream) >= (t + 1 - ahead) * model->hop);
        }
        vocode_stream_free(stream);
    }
    vocode_model_free(model);
}

/* The same noise through blocks_inverse, which runs every flow on the whole signal. */
static void a_stream_is_the_chains_inverse(void **state) {
    (void)state;
    static float mel[MAX_COUNT], audio[MAX_COUNT];
    static real rows[MAX_COUNT], z[MAX_COUNT], block[MAX_COUNT];
    for (size_t i = 0; tiny_configs[i]; i++) {
        vocode_model *model = tiny_model(tiny_configs[i], 12);
        const block_shape shape = {1, FRAMES, vocode_latent_columns(model, FRAMES)};
        size_t samples = FRAMES * model->hop, start = model->frame_blocks ? model->hop / 2 : 0;
        vocode_synthesis options = {.sigma = 0.7, .seed = 8};
        vocode_error error = {0};
        double largest = 0;
        fill(mel, FRAMES * model->n_mels, 5, 1, -4);
        for (size_t k = 0; k < FRAMES * model->n_mels; k++) rows[k] = (real)mel[k];
        rng_fill_normal(z, shape.columns, model->latent_channels, 8, 0, 0.7);
        assert_int_equal(blocks_inverse(model, shape, 1, rows, z, block, &error), VOCODE_OK);
        assert_int_equal(vocode_synthesize(model, mel, FRAMES, model->n_mels, &options, audio, &error), VOCODE_OK);
        for (size_t k = 0; k < samples; k++) largest = fmax(largest, fabs((double)block[k]));
        for (size_t k = 0; k + start < samples; k++)
            assert_true(fabs((double)audio[k] - (double)block[k + start]) <= 1e-4 * largest);
        for (size_t k = samples - start; k < samples; k++) assert_true(audio[k] == 0);
        vocode_model_free(model);
    }
}

/* A mel of frames that are not centred comes out half a hop later, its first half hop from the block's own start. */
static void other_padding_shifts_the_output(void **state) {
    (void)state;
    static float mel[MAX_COUNT], centred[MAX_COUNT], shifted[MAX_COUNT];
    static const char text[] =
        "{\"kind\": \"frameflow\", \"frameflow\": {\"n_mels\": 80, \"hop\": 256, \"n_flows\": 1, \"dim\": 4, "
        "\"n_blocks\": "
        "1, \"white_dim\": 4, \"white_blocks\": 0, \"kernel\": 3}, \"mel\": {\"preset\": \"tacotron2\"}}";
    enum { SHORT = 9, HALF = 128 };
    vocode_model *model = tiny_model(text, 3);
    size_t samples = SHORT * model->hop;
    vocode_synthesis options = {.sigma = 0.7, .seed = 8};
    vocode_error error = {0};
    fill(mel, SHORT * 80, 5, 1, -4);
    assert_int_equal(vocode_synthesize(model, mel, SHORT, 80, &options, centred, &error), VOCODE_OK);
    options.mel_preset = "hifigan";
    assert_int_equal(vocode_synthesize(model, mel, SHORT, 80, &options, shifted, &error), VOCODE_OK);
    assert_memory_equal(shifted + HALF, centred, (samples - HALF) * sizeof *centred);
    double head = 0;
    for (size_t i = 0; i < HALF; i++) head += fabs((double)shifted[i]);
    assert_true(head > 0);
    options.mel_preset = "coqui"; /* another filterbank */
    assert_int_equal(vocode_synthesize(model, mel, SHORT, 80, &options, shifted, &error), VOCODE_CONVENTION);
    vocode_model_free(model);
}

static void wrong_use_is_refused(void **state) {
    (void)state;
    float mel[64], noise[8] = {0};
    vocode_model *model = tiny_model(tiny_configs[0], 3);
    vocode_stream *stream = NULL;
    vocode_error error = {0};
    fill(mel, 60, 1, 1, -4);
    assert_int_equal(vocode_stream_open(model, &(vocode_synthesis){.noise = noise}, &stream, &error), VOCODE_ARGUMENT);
    assert_null(stream);
    assert_int_equal(vocode_stream_open(model, &(vocode_synthesis){.sigma = -1}, &stream, &error), VOCODE_ARGUMENT);
    assert_int_equal(vocode_stream_open(model, NULL, &stream, &error), VOCODE_OK);
    assert_int_equal(vocode_stream_push(stream, mel, 5, &error), VOCODE_OK);
    mel[7] = INFINITY;
    assert_int_equal(vocode_stream_push(stream, mel, 5, &error), VOCODE_VALUE);
    assert_non_null(strstr(error.message, "band 1 of frame 7"));
    vocode_stream_free(stream);
    assert_int_equal(vocode_stream_open(model, NULL, &stream, &error), VOCODE_OK);
    assert_int_equal(vocode_stream_finish(stream, &error), VOCODE_SHAPE);
    assert_int_equal(vocode_stream_push(stream, mel, 1, &error), VOCODE_ARGUMENT);
    vocode_stream_free(stream);
    vocode_model_free(model);
}

static int stop_at_half(void *context, double done) {
    (void)context;
    return done >= 0.5;
}

static void progress_may_cancel(void **state) {
    (void)state;
    static float mel[MAX_COUNT], audio[MAX_COUNT];
    vocode_model *model = tiny_model(tiny_configs[0], 3);
    vocode_error error = {0};
    vocode_synthesis options = {.progress = stop_at_half};
    fill(mel, FRAMES * 3, 1, 1, -4);
    assert_int_equal(vocode_synthesize(model, mel, FRAMES, 3, &options, audio, &error), VOCODE_CANCELLED);
    vocode_model_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chunks_change_no_bit),
        cmocka_unit_test(chunks_change_no_bit_of_what_follows_the_chain),
        cmocka_unit_test(samples_come_after_the_look_ahead),
        cmocka_unit_test(a_stream_is_the_chains_inverse),
        cmocka_unit_test(other_padding_shifts_the_output),
        cmocka_unit_test(wrong_use_is_refused),
        cmocka_unit_test(progress_may_cancel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
