/* Nothing is computed twice: products of packed matrices have as many multiply-adds when a mel is streamed as when it
 * is synthesized at once. The linker puts __wrap_kernels in the place of kernels() (tests/CMakeLists.txt). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <vocode/vocode.h>

#include "core/rng.h"
#include "kernels/kernels.h"
#include "vocoder/tiny_models.h"

enum { FRAMES = 150, MAX_COUNT = 1 << 14 };

const kernel_table *__real_kernels(void);
const kernel_table *__wrap_kernels(void);

static atomic_size_t multiply_adds;

static void counting(size_t rows, size_t n, size_t k, const real *a, size_t lda, const real *panels, const real *bias,
                     int beta, real *c, size_t ldc) {
    atomic_fetch_add(&multiply_adds, rows * n * k);
    __real_kernels()->gemm_packed(rows, n, k, a, lda, panels, bias, beta, c, ldc);
}

const kernel_table *__wrap_kernels(void) {
    static _Thread_local kernel_table table;
    table = *__real_kernels();
    table.gemm_packed = counting;
    return &table;
}

static size_t count_stream(const vocode_model *model, const vocode_synthesis *options, const float *mel, size_t chunk,
                           float *audio) {
    vocode_stream *stream;
    vocode_error error = {0};
    atomic_store(&multiply_adds, 0);
    assert_int_equal(vocode_stream_open(model, options, &stream, &error), VOCODE_OK);
    for (size_t t = 0; t < FRAMES; t += chunk) {
        size_t n = FRAMES - t < chunk ? FRAMES - t : chunk;
        assert_int_equal(vocode_stream_push(stream, mel + t * model->n_mels, n, &error), VOCODE_OK);
    }
    assert_int_equal(vocode_stream_finish(stream, &error), VOCODE_OK);
    assert_int_equal(vocode_stream_pull(stream, audio, MAX_COUNT), FRAMES * model->hop);
    vocode_stream_free(stream);
    return atomic_load(&multiply_adds);
}

static void streams_compute_every_row_once(void **state) {
    (void)state;
    static float mel[MAX_COUNT], audio[MAX_COUNT];
    static const size_t chunks[] = {1, 7, 64};
    for (size_t i = 0; tiny_configs[i]; i++) {
        vocode_model *model = tiny_model(tiny_configs[i], 11);
        vocode_error error = {0};
        vocode_synthesis options = {.sigma = 0.7, .seed = 1, .threads = 1};
        for (size_t k = 0; k < FRAMES * model->n_mels; k++) mel[k] = (float)(-4 + rng_normal(5, 0, k));
        atomic_store(&multiply_adds, 0);
        assert_int_equal(vocode_synthesize(model, mel, FRAMES, model->n_mels, &options, audio, &error), VOCODE_OK);
        size_t whole = atomic_load(&multiply_adds);
        assert_true(whole > 0);
        for (size_t k = 0; k < sizeof chunks / sizeof *chunks; k++)
            for (options.threads = 1; options.threads <= 2; options.threads++)
                assert_int_equal(count_stream(model, &options, mel, chunks[k], audio), whole);
        vocode_model_free(model);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(streams_compute_every_row_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
