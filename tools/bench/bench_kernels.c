/* Speed of the kernels, one JSON object a line: every level that the processor has, products of the shapes that the
 * models use against OpenBLAS and against the arithmetic peak measured here, and what goes element by element. One
 * thread; the best of many runs, since what disturbs a run only makes it slower.
 *
 *     bench_kernels [seconds a measurement, 0.2]                 as a rule under taskset, on a quiet machine */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/peak.h"
#include "core/arena.h"
#include "core/rng.h"
#include "kernels/kernels.h"

static double budget = 0.2; /* seconds a measurement */

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* The arrays of a measurement and the kernel that it runs. */
typedef struct task {
    const kernel_table *level;
    size_t m, n, k;
    real *a, *b, *panels, *c;
    void (*run)(const struct task *task);
} task;

/* Seconds of the fastest run; the first one warms up. */
static double best_of(const task *it) {
    double start = now(), best = 1e30;
    it->run(it);
    do {
        double begin = now();
        it->run(it);
        double spent = now() - begin;
        if (spent < best) best = spent;
    } while (now() - start < budget);
    return best;
}

static real *numbers(size_t count, unsigned stream) {
    real *values = aligned_new(count + WIDEST_PANEL, sizeof *values);
    if (!values) exit(1);
    for (size_t i = 0; i < count; i++) values[i] = (real)(2 * rng_uniform(1, stream, i) - 1);
    return values;
}

static void packed(const task *it) {
    it->level->gemm_packed(it->m, it->n, it->k, it->a, it->k, it->panels, NULL, 0, it->c, it->n);
}

static void plain(const task *it) {
    it->level->gemm_nn(it->m, it->n, it->k, it->a, it->k, it->b, it->n, 0, it->c, it->n);
}

static void transposed(const task *it) {
    it->level->gemm_nt(it->m, it->n, it->k, it->a, it->k, it->b, it->k, 0, it->c, it->n);
}

static void gradient(const task *it) {
    it->level->gemm_tn(it->m, it->n, it->k, it->a, it->m, it->b, it->n, 0, it->c, it->n);
}

typedef struct shape {
    size_t m, n, k;
} shape;

/* rows, outputs, inputs: WaveGlow of 256 channels (in_layers by tap and whole, res_skip, conditioning), the frame-rate
 * flow, a few rows of a stream */
static const shape shapes[] = {
    {2048, 512, 768}, {2048, 512, 256}, {252, 512, 256}, {96, 512, 768}, {96, 4096, 640}, {96, 576, 192},
    {96, 192, 576},   {96, 256, 256},   {96, 192, 624},  {14, 512, 256}, {7, 512, 256},   {1, 512, 256},
};

/* The peak is measured again each time: processors change their clock. */
static void report_product(const char *what, task *it, void (*run)(const task *)) {
    it->run = run;
    double peak = measure_peak(budget / 5);
    double rate = 2e-9 * (double)it->m * (double)it->n * (double)it->k / best_of(it);
    printf("{\"kernel\": \"%s\", \"level\": \"%s\", \"m\": %zu, \"n\": %zu, \"k\": %zu, \"gflops\": %.1f, "
           "\"share_of_peak\": %.3f}\n",
           what, it->level->level, it->m, it->n, it->k, rate, rate / peak);
    fflush(stdout);
}

static void products(const kernel_table *level) {
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        task it = {.level = level, .m = shapes[i].m, .n = shapes[i].n, .k = shapes[i].k};
        it.a = numbers(it.m * it.k, 1);
        it.b = numbers(it.k * it.n, 2);
        it.c = numbers(it.m * it.n, 3);
        it.panels = numbers((it.n + WIDEST_PANEL) * it.k, 4);
        level->pack(it.n, it.k, it.b, it.n, it.panels);
        report_product("gemm_packed", &it, packed);
        report_product("gemm_nn", &it, plain);
        report_product("gemm_nt", &it, transposed);
        report_product("gemm_tn", &it, gradient);
        aligned_free(it.a), aligned_free(it.b), aligned_free(it.c), aligned_free(it.panels);
    }
}

static void gate(const task *it) {
    it->level->gate(it->m, it->n, it->a, it->c);
}

static void gelu(const task *it) {
    it->level->gelu(it->m * it->n, it->a, it->c);
}

static void silu(const task *it) {
    it->level->silu(it->m * it->n, it->a, it->c);
}

static void layer_norm(const task *it) {
    it->level->layer_norm(it->m, it->n, it->a, it->b, it->b, (real)1e-5, it->c);
}

static void scale_shift(const task *it) {
    it->level->scale_shift(it->m, it->n, it->a, it->n, it->b, it->b, it->c, it->n);
}

static void depthwise(const task *it) {
    it->level->depthwise(it->m, 0, it->m, it->n, 7, 1, it->a, it->b, it->b, it->c);
}

static void affine_inverse(const task *it) {
    it->level->affine_inverse(it->m, it->n, it->a, 0, it->n, 2 * it->n, true, it->a, it->n, NULL, it->c, it->n);
}

static const struct {
    const char *name;
    void (*run)(const task *);
} elementwise[] = {{"gate", gate},
                   {"gelu", gelu},
                   {"silu", silu},
                   {"layer_norm", layer_norm},
                   {"scale_shift", scale_shift},
                   {"depthwise (7 taps)", depthwise},
                   {"affine_inverse (bounded)", affine_inverse}};

static void elements(const kernel_table *level) {
    enum { ROWS = 96, CHANNELS = 192 };
    task it = {.level = level, .m = ROWS, .n = CHANNELS};
    it.a = numbers(2 * ROWS * CHANNELS, 1);
    it.b = numbers(7 * CHANNELS, 2);
    it.c = numbers(ROWS * CHANNELS, 3);
    for (size_t i = 0; i < sizeof elementwise / sizeof *elementwise; i++) {
        it.run = elementwise[i].run;
        printf("{\"kernel\": \"%s\", \"level\": \"%s\", \"ns_per_element\": %.3f}\n", elementwise[i].name, level->level,
               1e9 * best_of(&it) / (ROWS * CHANNELS));
    }
    aligned_free(it.a), aligned_free(it.b), aligned_free(it.c);
}

int main(int argc, char **argv) {
    if (argc > 1) budget = strtod(argv[1], NULL);
    if (!(budget > 0)) {
        fprintf(stderr, "usage: bench_kernels [SECONDS A MEASUREMENT]\n");
        return 2;
    }
    omp_set_num_threads(1);
    printf("{\"peak\": \"%s\", \"gflops\": %.1f}\n", peak_name(), measure_peak(budget));
    for (const kernel_table *const *level = kernel_levels(); *level; level++) {
        products(*level);
        elements(*level);
    }
    return 0;
}
