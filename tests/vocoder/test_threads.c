/* One model in many threads: eight of them, two streams each, pushes interleaved, while others encode, decode, score
 * and compute mels. What each makes is bit for bit what it makes alone. The threads run first and the runs alone after
 * them, so that whatever the library sets up on first use is set up under contention. Run under the thread sanitizer
 * (preset tsan), this is the test that says that a model is immutable. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <vocode/vocode.h>

#include "core/rng.h"
#include "vocoder/tiny_models.h"

enum { THREADS = 8, PAIR = 2, FRAMES = 61, MAX_BANDS = 10, MAX_HOP = 16, SAMPLES = FRAMES * MAX_HOP };
/* What is encoded and scored is short: a field's log-determinant costs the square of it. */
enum { BRIEF = 13, BRIEF_SAMPLES = BRIEF * MAX_HOP };
enum { CLIP = 2048, CLIP_FRAMES = 1 + CLIP / 256, CLIP_BANDS = 80 };

/* A tiny frame-rate model with a mel convention, so that passes, bias removal and refinement apply. */
static const char with_mel[] =
    "{\"kind\": \"frameflow\", \"frameflow\": {\"n_mels\": 10, \"hop\": 16, \"n_flows\": 2, \"dim\": 6, \"n_blocks\": "
    "1, \"white_dim\": 4, \"white_blocks\": 1, \"expansion\": 2, \"kernel\": 3}, \"mel\": {\"preset\": \"tacotron2\", "
    "\"n_mels\": 10, \"hop\": 16, \"n_fft\": 64}, \"mel_match\": 1, \"sigma\": 0.8}";

static void fill(float *values, size_t count, uint64_t seed, double scale, double shift) {
    for (size_t i = 0; i < count; i++) values[i] = (float)(shift + scale * rng_normal(seed, 0, i));
}

/* A stream of a thread: its own mel, seed and way of cutting. */
typedef struct voice {
    vocode_synthesis options;
    float mel[FRAMES * MAX_BANDS];
    size_t chunk;          /* frames of the first push; they grow and shrink from there */
    float audio[SAMPLES];  /* what came out */
    size_t count, frames;  /* so far: samples and frames */
    vocode_stream *stream; /* while it runs */
    vocode_error error;
    vocode_status status;
} voice;

static void voice_set(voice *self, size_t number, bool passes, int threads) {
    *self = (voice){.chunk = 1 + 5 * number % 23};
    self->options = (vocode_synthesis){.sigma = 0.5 + 0.02 * (double)number, .seed = 100 + number, .threads = threads};
    if (passes) {
        self->options.mel_match = (int)(number % 3);
        self->options.denoise = number % 2 ? 0.3 : 0;
        self->options.refine = number % 5 == 4 ? 2 : 0;
    }
    fill(self->mel, FRAMES * MAX_BANDS, 7 + number, 1, -4);
}

/* One push and one pull; false when the stream is at its end or has failed. */
static bool voice_step(voice *self, const vocode_model_info *info) {
    if (self->status != VOCODE_OK || !self->stream) return false;
    size_t left = FRAMES - self->frames, chunk = 1 + (self->chunk + self->frames) % 23;
    if (chunk > left) chunk = left;
    self->status = left ? vocode_stream_push(self->stream, self->mel + self->frames * info->n_mels, chunk, &self->error)
                        : vocode_stream_finish(self->stream, &self->error);
    if (self->status != VOCODE_OK) return false;
    self->frames += chunk;
    self->count += vocode_stream_pull(self->stream, self->audio + self->count, left ? 57 : SAMPLES - self->count);
    return left > 0;
}

/* Both voices to their ends, turn by turn. */
static void run_pair(const vocode_model *model, voice *pair, size_t count) {
    vocode_model_info info;
    bool running = true;
    vocode_model_describe(model, &info);
    for (size_t i = 0; i < count; i++)
        pair[i].status = vocode_stream_open(model, &pair[i].options, &pair[i].stream, &pair[i].error);
    while (running) {
        running = false;
        for (size_t i = 0; i < count; i++) running |= voice_step(&pair[i], &info);
    }
    for (size_t i = 0; i < count; i++) {
        vocode_stream_free(pair[i].stream);
        pair[i].stream = NULL;
    }
}

typedef struct worker {
    pthread_t thread;
    pthread_barrier_t *start;
    const vocode_model *model;
    voice pair[PAIR];
} worker;

static void *work_pair(void *context) {
    worker *self = context;
    pthread_barrier_wait(self->start);
    run_pair(self->model, self->pair, PAIR);
    return NULL;
}

static void check_voice(const vocode_model *model, const voice *together, bool passes, int threads, size_t number) {
    static voice alone;
    static float whole[SAMPLES];
    vocode_error error = {0};
    if (together->status != VOCODE_OK) fail_msg("stream %zu: %s", number, together->error.message);
    assert_int_equal(together->count, FRAMES * model->hop);
    voice_set(&alone, number, passes, threads);
    run_pair(model, &alone, 1);
    assert_int_equal(alone.status, VOCODE_OK);
    assert_int_equal(alone.count, together->count);
    assert_memory_equal(alone.audio, together->audio, together->count * sizeof *whole);
    vocode_synthesis options = together->options;
    options.threads = 1;
    assert_int_equal(vocode_synthesize(model, together->mel, FRAMES, model->n_mels, &options, whole, &error),
                     VOCODE_OK);
    assert_memory_equal(whole, together->audio, together->count * sizeof *whole);
}

static void share(const char *config, bool passes, int threads) {
    static worker workers[THREADS];
    pthread_barrier_t start;
    vocode_model *model = tiny_model(config, 21);
    assert_true(model->hop <= MAX_HOP && model->n_mels <= MAX_BANDS);
    pthread_barrier_init(&start, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++) {
        workers[i].start = &start;
        workers[i].model = model;
        for (size_t k = 0; k < PAIR; k++) voice_set(&workers[i].pair[k], PAIR * i + k, passes, threads);
    }
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work_pair, &workers[i]), 0);
    for (size_t i = 0; i < THREADS; i++) pthread_join(workers[i].thread, NULL);
    pthread_barrier_destroy(&start);
    for (size_t i = 0; i < THREADS; i++)
        for (size_t k = 0; k < PAIR; k++) check_voice(model, &workers[i].pair[k], passes, threads, PAIR * i + k);
    assert_memory_not_equal(workers[0].pair[0].audio, workers[0].pair[1].audio, SAMPLES / 2);
    vocode_model_free(model);
}

static void streams_share_a_model(void **state) {
    (void)state;
    for (int threads = 1; threads < 3; threads++) {
        share(with_mel, true, threads);
        for (size_t i = 0; tiny_configs[i]; i++) share(tiny_configs[i], false, threads);
    }
}

/* Everything else that a model and a front end do. */
typedef struct analysis {
    pthread_t thread;
    pthread_barrier_t *start;
    const vocode_model *model;
    const vocode_mel *front_end; /* shared; a second one is the thread's own */
    size_t number;
    int threads;
    float latent[2 * BRIEF_SAMPLES], decoded[BRIEF_SAMPLES], mels[2][CLIP_FRAMES * CLIP_BANDS], cleaned[SAMPLES];
    double log_determinant;
    vocode_likelihood likelihood;
    vocode_error error;
    vocode_status status;
} analysis;

static vocode_status analyse_model(analysis *self) {
    float audio[SAMPLES] = {0}, mel[BRIEF * MAX_BANDS];
    size_t samples = BRIEF * self->model->hop, used, columns;
    vocode_error *error = &self->error;
    fill(audio, SAMPLES, 900 + self->number, 0.1, 0);
    fill(mel, BRIEF * MAX_BANDS, 950 + self->number, 1, -4);
    vocode_encode_size(self->model, samples, BRIEF, &used, &columns);
    if (columns * self->model->latent_channels > sizeof self->latent / sizeof *self->latent) return VOCODE_INTERNAL;
    TRY(vocode_encode(self->model, audio, samples, mel, BRIEF, self->threads, self->latent, &self->log_determinant,
                      error));
    TRY(vocode_decode(self->model, self->latent, columns, mel, BRIEF, self->threads, self->decoded, error));
    for (size_t i = 0; i < used; i++)
        if (!(fabs((double)self->decoded[i] - (double)audio[i]) < 1e-3))
            return failed(error, VOCODE_VALUE, "sample %zu was %g, came back as %g", i, (double)audio[i],
                          (double)self->decoded[i]);
    TRY(vocode_score(self->model, audio, samples, mel, BRIEF, 0, self->threads, &self->likelihood, error));
    memcpy(self->cleaned, audio, sizeof audio);
    samples = FRAMES * self->model->hop;
    return vocode_denoise(self->model, self->cleaned, samples, 0.5, self->threads, error);
}

static vocode_status analyse_audio(analysis *self) {
    static const char *const presets[] = {"tacotron2", "hifigan", "coqui"};
    float clip[CLIP];
    vocode_mel *own;
    fill(clip, CLIP, 970 + self->number, 0.1, 0);
    TRY(vocode_mel_compute(self->front_end, clip, CLIP, self->mels[0], &self->error));
    TRY(vocode_mel_open(presets[self->number % 3], &own, &self->error));
    vocode_status status = vocode_mel_compute(own, clip, CLIP, self->mels[1], &self->error);
    vocode_mel_free(own);
    return status;
}

static void *analyse(void *context) {
    analysis *self = context;
    if (self->start) pthread_barrier_wait(self->start);
    self->status = self->number % 2 ? analyse_model(self) : analyse_audio(self);
    if (self->status == VOCODE_OK) self->status = self->number % 2 ? analyse_audio(self) : analyse_model(self);
    return NULL;
}

static void check_analysis(const analysis *together) {
    analysis *alone = calloc(1, sizeof *alone);
    assert_non_null(alone);
    if (together->status != VOCODE_OK) fail_msg("thread %zu: %s", together->number, together->error.message);
    *alone = (analysis){
        .model = together->model, .front_end = together->front_end, .number = together->number, .threads = 1};
    analyse(alone);
    assert_int_equal(alone->status, VOCODE_OK);
    assert_memory_equal(alone->latent, together->latent, sizeof alone->latent);
    assert_memory_equal(alone->decoded, together->decoded, sizeof alone->decoded);
    assert_memory_equal(alone->cleaned, together->cleaned, sizeof alone->cleaned);
    assert_memory_equal(alone->mels, together->mels, sizeof alone->mels);
    assert_true(alone->log_determinant == together->log_determinant);
    assert_true(alone->likelihood.nll_nats == together->likelihood.nll_nats);
    free(alone);
}

static void analyse_together(const char *config, int threads) {
    static analysis each[THREADS];
    pthread_barrier_t start;
    vocode_mel *front_end;
    vocode_error error = {0};
    vocode_model *model = tiny_model(config, 22);
    assert_int_equal(vocode_mel_open("tacotron2", &front_end, &error), VOCODE_OK);
    pthread_barrier_init(&start, NULL, THREADS);
    for (size_t i = 0; i < THREADS; i++) {
        each[i] = (analysis){.start = &start, .model = model, .front_end = front_end, .number = i, .threads = threads};
        assert_int_equal(pthread_create(&each[i].thread, NULL, analyse, &each[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) pthread_join(each[i].thread, NULL);
    pthread_barrier_destroy(&start);
    for (size_t i = 0; i < THREADS; i++) check_analysis(&each[i]);
    vocode_mel_free(front_end);
    vocode_model_free(model);
}

static void analyses_share_a_model(void **state) {
    (void)state;
    for (int threads = 1; threads < 3; threads++) {
        analyse_together(with_mel, threads);
        for (size_t i = 0; tiny_configs[i]; i++) analyse_together(tiny_configs[i], threads);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(analyses_share_a_model),
        cmocka_unit_test(streams_share_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
