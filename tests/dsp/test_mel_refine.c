/* Phase refinement as samples arrive, against the same computed on the whole signal, and against itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <complex.h>
#include <math.h>

#include "core/rng.h"
#include "dsp/mel_refine.h"

enum { BANDS = 10, HOP = 16, FFT = 64, FRAMES = 3000, SAMPLES = FRAMES * HOP };

typedef struct signal_case {
    mel_matcher *matcher;
    real audio[SAMPLES], mel[FRAMES * BANDS];
    double out[SAMPLES];
    size_t given;
    bool ended;
} signal_case;

static void begin_case(signal_case *it, const char *preset) {
    mel_convention c = *mel_preset_find(preset);
    c.n_fft = c.win = FFT;
    c.hop = HOP;
    c.n_mels = BANDS;
    assert_int_equal(mel_matcher_new(&c, &it->matcher, NULL), VOCODE_OK);
    for (size_t i = 0; i < SAMPLES; i++) it->audio[i] = (real)(0.1 * rng_normal(1, 0, i));
    for (size_t i = 0; i < FRAMES * BANDS; i++) it->mel[i] = (real)(rng_normal(2, 0, i) - 3);
    it->given = 0;
    it->ended = false;
}

static const real *row_of(void *context, size_t frame) {
    signal_case *it = context;
    assert_true(frame < FRAMES);
    return it->mel + frame * BANDS;
}

static vocode_status take(void *context, const double *samples, size_t n, bool last, vocode_error *error) {
    signal_case *it = context;
    (void)error;
    assert_true(it->given + n <= SAMPLES && !it->ended);
    memcpy(it->out + it->given, samples, n * sizeof *samples);
    it->given += n;
    it->ended = last;
    return VOCODE_OK;
}

/* frames of the case through a refiner, `piece` samples at a time; the samples in it->out. */
static void refine_by(signal_case *it, size_t frames, size_t iterations, size_t piece, int threads) {
    mel_refiner *refiner;
    static double samples[SAMPLES];
    size_t n = frames * HOP;
    it->given = 0;
    it->ended = false;
    for (size_t i = 0; i < n; i++) samples[i] = (double)it->audio[i];
    assert_int_equal(mel_refiner_new(it->matcher, iterations, threads, row_of, take, it, &refiner, NULL), VOCODE_OK);
    size_t ahead = mel_refiner_look_ahead(refiner);
    for (size_t done = 0; done < n; done += piece) {
        size_t count = n - done < piece ? n - done : piece;
        assert_int_equal(mel_refiner_push(refiner, samples + done, count, done + count == n, NULL), VOCODE_OK);
        assert_true(it->given + ahead >= done + count);
    }
    assert_int_equal(it->given, n);
    assert_true(it->ended);
    mel_refiner_free(refiner);
}

/* Nothing changes with the pieces, the threads, or where the signal ends before a window is full. */
static void pieces_change_no_bit(void **state) {
    (void)state;
    static const char *const presets[] = {"tacotron2", "hifigan"};
    static const size_t lengths[] = {1, 2, 3, 5, 37, 300}, pieces[] = {1, 7, 1000, SAMPLES};
    static signal_case it;
    static double whole[SAMPLES];
    for (size_t p = 0; p < 2; p++) {
        begin_case(&it, presets[p]);
        for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
            refine_by(&it, lengths[i], 3, lengths[i] * HOP, 1);
            memcpy(whole, it.out, sizeof whole);
            for (size_t k = 0; k < 8; k++) {
                refine_by(&it, lengths[i], 3, pieces[k / 2], 1 + (int)k % 2);
                assert_memory_equal(it.out, whole, lengths[i] * HOP * sizeof *whole);
            }
        }
        mel_matcher_free(it.matcher);
    }
}

typedef struct whole_run {
    const stft *transform;
    stft_work work;
    double *padded, *sum; /* [pad + n + pad] */
    double magnitude[FRAMES][FFT / 2 + 1];
    double complex before[FRAMES][FFT / 2 + 1];
} whole_run;

/* All frames of one round, each given the magnitudes of the run where it has some. */
static void run_round(whole_run *it, size_t n, size_t frames, bool first) {
    const stft *s = it->transform;
    memset(it->sum, 0, (n + 2 * s->pad) * sizeof *it->sum);
    for (size_t t = 0; t < frames; t++) {
        stft_analyse(s, it->padded + t * s->hop, &it->work);
        for (size_t k = 0; k < s->bins; k++) {
            double complex now = it->work.spectrum[k], ahead = first ? now : now - 0.99 / 1.99 * it->before[t][k];
            it->before[t][k] = first ? 0 : now;
            it->work.spectrum[k] = it->magnitude[t][k] * cexp(I * carg(ahead));
        }
        stft_synthesise(s, &it->work);
        stft_add(s, it->work.frame, it->sum + t * s->hop);
    }
    stft_uncover(s, it->sum + s->pad, s->pad, frames, n, it->sum + s->pad);
    memcpy(it->padded, it->sum, (n + 2 * s->pad) * sizeof *it->sum);
    stft_fill_ends(s, it->padded, n);
}

/* The magnitudes of every frame from the signal's own, as near to the wanted mel as 30 updates bring them. */
static void find_magnitudes(whole_run *run, const signal_case *it) {
    const filterbank *bank = &it->matcher->bank;
    double wanted[BANDS], found[BANDS], up[FFT / 2 + 1], down[FFT / 2 + 1];
    for (size_t t = 0; t < FRAMES; t++) {
        double *magnitude = run->magnitude[t];
        stft_analyse(run->transform, run->padded + t * HOP, &run->work);
        for (size_t k = 0; k < bank->bins; k++) magnitude[k] = cabs(run->work.spectrum[k]) + 1e-6;
        for (size_t m = 0; m < BANDS; m++) wanted[m] = exp((double)it->mel[t * BANDS + m]);
        filterbank_spread(bank, wanted, up);
        for (size_t i = 0; i < 30; i++) {
            filterbank_apply(bank, magnitude, found);
            filterbank_spread(bank, found, down);
            for (size_t k = 0; k < bank->bins; k++)
                if (bank->cover[k] > 0) magnitude[k] *= up[k] / (down[k] + 1e-8);
        }
    }
}

/* A line of passes gives what rounds over the whole signal give, long after its memory of frames was used again. */
static void iterations_are_rounds_over_the_whole(void **state) {
    (void)state;
    enum { N = (FRAMES - 1) * HOP, ITERATIONS = 2 };
    static signal_case it;
    static whole_run run;
    static double padded[SAMPLES + FFT], sum[SAMPLES + FFT];
    char memory[8192] __attribute__((aligned(64)));
    arena scratch = arena_over(memory, sizeof memory);
    begin_case(&it, "tacotron2");
    const stft *s = &it.matcher->transform;
    run = (whole_run){.transform = s, .work = stft_work_take(s, &scratch), .padded = padded, .sum = sum};
    for (size_t i = 0; i < N; i++) padded[s->pad + i] = (double)it.audio[i];
    stft_fill_ends(s, padded, N);
    find_magnitudes(&run, &it);
    run_round(&run, N, FRAMES, true);
    for (size_t i = 0; i < ITERATIONS; i++) run_round(&run, N, FRAMES, false);
    refine_by(&it, FRAMES, ITERATIONS, 500, 2);
    double worst = 0, largest = 0;
    for (size_t i = 0; i < N; i++) {
        worst = fmax(worst, fabs(it.out[i] - padded[s->pad + i]));
        largest = fmax(largest, fabs(it.out[i]));
    }
    print_message("%d iterations: %.2g of %.2g\n", ITERATIONS, worst, largest);
    assert_true(worst < 1e-4 * largest);
    for (size_t i = N; i < SAMPLES; i++) assert_true(it.out[i] == (double)it.audio[i]);
    mel_matcher_free(it.matcher);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_change_no_bit),
        cmocka_unit_test(iterations_are_rounds_over_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
