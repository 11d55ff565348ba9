#include "bench/peak.h"

#include <stddef.h>
#include <time.h>

/* Independent chains of multiply-adds: 12 hide the latency of 6 cycles on two units. */
enum { CHAINS = 12, TURNS = 100000 };

/* The empty assembly keeps the compiler from seeing through the arithmetic; registers is its constraint for vectors. */
#define TURNS_OF(name, options, vec, set1, fma, registers)                                                      \
    options static void name(void) {                                                                            \
        vec chain[CHAINS], factor = set1(0.5f), term = set1(1);                                                 \
        for (int i = 0; i < CHAINS; i++) chain[i] = term;                                                       \
        for (size_t turn = 0; turn < TURNS; turn++) _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) { \
                chain[i] = fma(chain[i], factor, term);                                                         \
                __asm__ volatile("" : "+" registers(chain[i]));                                                 \
            }                                                                                                   \
    }

#if defined __x86_64__
#include <immintrin.h>
TURNS_OF(turns_wide, __attribute__((target("avx512f"))), __m512, _mm512_set1_ps, _mm512_fmadd_ps, "v")
TURNS_OF(turns_narrow, __attribute__((target("avx2,fma"))), __m256, _mm256_set1_ps, _mm256_fmadd_ps, "x")
enum { LANES_WIDE = 16, LANES_NARROW = 8 };

static int is_wide(void) {
    return __builtin_cpu_supports("avx512f") != 0;
}

const char *peak_name(void) {
    return is_wide() ? "avx512" : "avx2";
}
#elif defined __aarch64__
#include <arm_neon.h>
#define FMA(a, b, c) vfmaq_f32(c, a, b)
TURNS_OF(turns_narrow, , float32x4_t, vdupq_n_f32, FMA, "w")
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
