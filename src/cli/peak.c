#include "cli/peak.h"

#include <stddef.h>
#include <stdlib.h>

#include "core/clock.h"

/* Chains of multiply-adds that do not wait for each other: 12 hide a latency of 6 cycles on two units. The instructions
 * are written out because a compiler may neither drop nor fuse what it does not see through. */
enum { CHAINS = 12, STEPS = 200000, TURNS = 201 };

#define ALL_CHAINS(X) X("0") X("1") X("2") X("3") X("4") X("5") X("6") X("7") X("8") X("9") X("10") X("11")
#define OPERANDS(letter)                                                                                        \
    "+" letter(c[0]), "+" letter(c[1]), "+" letter(c[2]), "+" letter(c[3]), "+" letter(c[4]), "+" letter(c[5]), \
        "+" letter(c[6]), "+" letter(c[7]), "+" letter(c[8]), "+" letter(c[9]), "+" letter(c[10]), "+" letter(c[11])
#define LOOP(name, attributes, vector, letter, instruction)                              \
    attributes static double name(void) {                                                \
        vector c[CHAINS] = {{0}}, half = (vector){0} + 0.5f;                             \
        for (size_t step = 0; step < STEPS; step++)                                      \
            __asm__ volatile(ALL_CHAINS(instruction) : OPERANDS(letter) : letter(half)); \
        return (double)STEPS * CHAINS * (double)sizeof(vector) / (double)sizeof(float);  \
    }

#if defined __x86_64__
typedef float wide __attribute__((vector_size(64)));
typedef float narrow __attribute__((vector_size(32)));
#define FMA_X86(chain) "vfmadd231ps %12, %12, %" chain "\n\t"
LOOP(steps_wide, __attribute__((target("avx512f"))), wide, "v", FMA_X86)
LOOP(steps_narrow, __attribute__((target("avx2,fma"))), narrow, "x", FMA_X86)

typedef double (*steps)(void);

static steps find_steps(void) {
    if (__builtin_cpu_supports("avx512f")) return steps_wide;
    return __builtin_cpu_supports("fma") ? steps_narrow : NULL;
}
#elif defined __aarch64__
typedef float narrow __attribute__((vector_size(16)));
#define FMA_ARM(chain) "fmla %" chain ".4s, %12.4s, %12.4s\n\t"
LOOP(steps_narrow, , narrow, "w", FMA_ARM)

typedef double (*steps)(void);

static steps find_steps(void) {
    return steps_narrow;
}
#else
typedef double (*steps)(void);

static steps find_steps(void) {
    return NULL;
}
#endif

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The middle of many short turns: what else the machine does falls between them or into few of them. */
static double own_rate(steps run) {
    double rates[TURNS];
    for (int turn = 0; turn < TURNS; turn++) {
        double start = clock_seconds(), done = run();
        rates[turn] = done / (clock_seconds() - start);
    }
    qsort(rates, TURNS, sizeof *rates, by_size);
    return rates[TURNS / 2];
}

double peak_multiply_adds(int threads) {
    const steps run = find_steps();
    double sum = 0;
    if (!run) return 0;
#pragma omp parallel num_threads(threads) reduction(+ : sum)
    sum += own_rate(run);
    return sum;
}
