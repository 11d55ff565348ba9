#include "bench/peak.h"

#include <stddef.h>
#include <time.h>

/* Independent chains of multiply-adds: 12 hide the latency of 6 cycles on two units. */
enum { CHAINS = 12, TURNS = 100000 };
#define EACH(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)

/* The empty assembly keeps the compiler from seeing through the arithmetic; where is its constraint for vectors. */
#define BEGIN(i) chain##i = term,
#define STEP(i) chain##i = FMA(chain##i, factor, term);
#define KEEP(i) __asm__ volatile("" : "+" WHERE(chain##i));

#if defined __x86_64__
#include <immintrin.h>

#define WHERE "v"
#define FMA _mm512_fmadd_ps
__attribute__((target("avx512f"))) static void turns_wide(void) {
    __m512 factor = _mm512_set1_ps(0.5f), term = _mm512_set1_ps(1), EACH(BEGIN) end = term;
    for (size_t turn = 0; turn < TURNS; turn++) {
        EACH(STEP)
        EACH(KEEP)
    }
    (void)end;
}
#undef FMA
#define FMA _mm256_fmadd_ps
__attribute__((target("avx2,fma"))) static void turns_narrow(void) {
    __m256 factor = _mm256_set1_ps(0.5f), term = _mm256_set1_ps(1), EACH(BEGIN) end = term;
    for (size_t turn = 0; turn < TURNS; turn++) {
        EACH(STEP)
        EACH(KEEP)
    }
    (void)end;
}
enum { LANES_WIDE = 16, LANES_NARROW = 8 };

static int is_wide(void) {
    return __builtin_cpu_supports("avx512f") != 0;
}

const char *peak_name(void) {
    return is_wide() ? "avx512" : "avx2";
}
#elif defined __aarch64__
#include <arm_neon.h>
#define WHERE "w"
#define FMA(a, b, c) vfmaq_f32(c, a, b)
static void turns_narrow(void) {
    float32x4_t factor = vdupq_n_f32(0.5f), term = vdupq_n_f32(1), EACH(BEGIN) end = term;
    for (size_t turn = 0; turn < TURNS; turn++) {
        EACH(STEP)
        EACH(KEEP)
    }
    (void)end;
}
#define turns_wide turns_narrow
enum { LANES_WIDE = 4, LANES_NARROW = 4 };

static int is_wide(void) {
    return 0;
}

const char *peak_name(void) {
    return "neon";
}
#else
#error "no peak loop for this processor: build without VOCODE_BENCH"
#endif

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double measure_peak(double seconds) {
    void (*turns)(void) = is_wide() ? turns_wide : turns_narrow;
    double lanes = is_wide() ? LANES_WIDE : LANES_NARROW, start = now(), best = 1e30;
    while (now() - start < seconds) {
        double begin = now();
        turns();
        double spent = now() - begin;
        if (spent < best) best = spent;
    }
    return 2e-9 * lanes * CHAINS * TURNS / best;
}
