/* The elementary functions of every level against long double, over floats of every exponent and densely where they
 * bend; infinities and NaN. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernels/kernels.h"

enum { BATCH = 1009 };

/* A function of one variable as a level computes it, what it should be, and the error in the unit of its bound. */
typedef struct function {
    const char *name;
    void (*run)(const kernel_table *level, size_t count, const real *x, real *y);
    long double (*truth)(long double x);
    long double (*error)(long double y, long double truth, long double x);
    double bound;
} function;

static long double absolute(long double y, long double truth, long double x) {
    (void)x;
    return fabsl(y - truth);
}

static long double relative(long double y, long double truth, long double x) {
    (void)x;
    return fabsl(y - truth) / fmaxl(fabsl(truth), 0x1p-126L);
}

/* Absolute up to |x| = 1, then relative to x. */
static long double to_argument(long double y, long double truth, long double x) {
    return fabsl(y - truth) / fmaxl(fabsl(x), 1);
}

/* exp(x) as x grows a coupling's 1 */
static void run_exp(const kernel_table *level, size_t count, const real *x, real *y) {
    static const real zeros[BATCH], one = 1;
    for (size_t i = 0; i < count; i++) {
        const real net[] = {zeros[i], x[i]};
        level->affine(1, 1, net, 0, 1, 2, false, &one, 1, NULL, y + i, 1);
    }
}

static void run_bounded(const kernel_table *level, size_t count, const real *x, real *y) {
    real net[2 * BATCH] = {0}, zeros[BATCH] = {0}, z[BATCH];
    memcpy(net + count, x, count * sizeof *x);
    level->affine(1, count, net, 0, count, 2 * count, true, zeros, count, y, z, count);
}

/* One half of the gate with the other one open. */
static void run_gate_half(const kernel_table *level, size_t count, const real *x, real *y, bool tanh_half) {
    real a[2 * BATCH];
    for (size_t i = 0; i < count; i++) {
        a[i] = tanh_half ? x[i] : 40;
        a[count + i] = tanh_half ? 40 : x[i];
    }
    level->gate(1, count, a, y);
}

static void run_tanh(const kernel_table *level, size_t count, const real *x, real *y) {
    run_gate_half(level, count, x, y, true);
}

static void run_sigmoid(const kernel_table *level, size_t count, const real *x, real *y) {
    run_gate_half(level, count, x, y, false);
}

static void run_gelu(const kernel_table *level, size_t count, const real *x, real *y) {
    level->gelu(count, x, y);
}

static void run_silu(const kernel_table *level, size_t count, const real *x, real *y) {
    level->silu(count, x, y);
}

static void run_hyperbolic(const kernel_table *level, size_t count, const real *x, real *y) {
    level->hyperbolic(count, x, y);
}

/* Gradients for a gradient of one. */
static void run_gate_slope(const kernel_table *level, size_t count, const real *x, real *y, bool tanh_half) {
    real a[2 * BATCH], one[BATCH], da[2 * BATCH];
    for (size_t i = 0; i < count; i++) {
        a[i] = tanh_half ? x[i] : 40;
        a[count + i] = tanh_half ? 40 : x[i];
        one[i] = 1;
    }
    level->gate_backward(1, count, a, one, da);
    memcpy(y, da + (tanh_half ? 0 : count), count * sizeof *y);
}

static void run_tanh_slope(const kernel_table *level, size_t count, const real *x, real *y) {
    run_gate_slope(level, count, x, y, true);
}

static void run_sigmoid_slope(const kernel_table *level, size_t count, const real *x, real *y) {
    run_gate_slope(level, count, x, y, false);
}

static void run_gelu_slope(const kernel_table *level, size_t count, const real *x, real *y) {
    for (size_t i = 0; i < count; i++) y[i] = 1;
    level->gelu_backward(count, x, y, y);
}

static void run_silu_slope(const kernel_table *level, size_t count, const real *x, real *y) {
    for (size_t i = 0; i < count; i++) y[i] = 1;
    level->silu_backward(count, x, y, y);
}

static long double bounded_of(long double x) {
    return 2 * tanhl(x / 2);
}

static long double sigmoid_of(long double x) {
    return 1 / (1 + expl(-x));
}

static long double gelu_of(long double x) {
    return x * 0.5L * erfcl(-x * sqrtl(0.5L));
}

static long double silu_of(long double x) {
    return x * sigmoid_of(x);
}

static long double tanh_slope_of(long double x) {
    return 1 / (coshl(x) * coshl(x));
}

static long double sigmoid_slope_of(long double x) {
    return 1 / (4 * coshl(x / 2) * coshl(x / 2));
}

static long double gelu_slope_of(long double x) {
    long double bell = expl(-x * x / 2) / sqrtl(2 * acosl(-1));
    return 0.5L * erfcl(-x * sqrtl(0.5L)) + (bell > 0 ? x * bell : 0);
}

static long double silu_slope_of(long double x) {
    long double s = sigmoid_of(x), rest = sigmoid_of(-x);
    return s + (rest > 0 && s > 0 ? x * s * rest : 0);
}

static const function functions[] = {
    {"exp", run_exp, expl, relative, 1.1e-7},
    {"2 tanh(x / 2)", run_bounded, bounded_of, absolute, 2.9e-7},
    {"tanh", run_tanh, tanhl, absolute, 1.45e-7},
    {"sigmoid", run_sigmoid, sigmoid_of, absolute, 1.1e-7},
    {"gelu", run_gelu, gelu_of, to_argument, 1.1e-7},
    {"silu", run_silu, silu_of, to_argument, 1.5e-7},
    {"hyperbolic", run_hyperbolic, tanhl, absolute, 2.9e-7},
    {"slope of tanh", run_tanh_slope, tanh_slope_of, absolute, 4e-7},
    {"slope of sigmoid", run_sigmoid_slope, sigmoid_slope_of, absolute, 4e-7},
    {"slope of gelu", run_gelu_slope, gelu_slope_of, absolute, 4e-7},
    {"slope of silu", run_silu_slope, silu_slope_of, to_argument, 4e-7},
};
enum { FUNCTIONS = sizeof functions / sizeof *functions, SLOPES = 4 /* the last ones */ };

/* Checks a batch; gives the largest error. Where the truth is no float (exp above 88.7), infinity is right. */
static double check_batch(const kernel_table *level, const function *f, size_t count, const real *x) {
    real y[BATCH];
    double worst = 0;
    f->run(level, count, x, y);
    for (size_t i = 0; i < count; i++) {
        long double truth = f->truth(x[i]);
        if (truth > 0x1.fffffep127L) {
            assert_true(isinf(y[i]) && y[i] > 0);
            continue;
        }
        double error = (double)f->error(y[i], truth, x[i]);
        if (!(error <= f->bound))
            fail_msg("%s at %s: %.9g gives %.9g, not %.9Lg: error %.3g", f->name, level->level, (double)x[i],
                     (double)y[i], truth, error);
        if (error > worst) worst = error;
    }
    return worst;
}

/* Every stride-th float but NaN and the infinities. */
static double sweep_all(const kernel_table *level, const function *f) {
    const uint32_t stride = 9973;
    real x[BATCH];
    size_t count = 0;
    double worst = 0;
    for (uint64_t bits = 0; bits < (uint64_t)1 << 32; bits += stride) {
        uint32_t pattern = (uint32_t)bits;
        float value;
        memcpy(&value, &pattern, sizeof value);
        if (isfinite(value)) x[count++] = (real)value;
        if (count < BATCH && bits + stride < (uint64_t)1 << 32) continue;
        worst = fmax(worst, check_batch(level, f, count, x));
        count = 0;
    }
    return worst;
}

static double sweep_dense(const kernel_table *level, const function *f) {
    real x[BATCH];
    double worst = 0;
    for (int part = 0; part < 300; part++) {
        for (int i = 0; i < BATCH; i++) {
            double at = (part * BATCH + i) / (300.0 * BATCH);
            x[i] = (real)((at - 0.5) * (part % 2 ? 24 : 200));
        }
        worst = fmax(worst, check_batch(level, f, BATCH, x));
    }
    return worst;
}

static void errors_are_as_stated(void **state) {
    (void)state;
    for (const kernel_table *const *level = kernel_levels(); *level; level++)
        for (size_t i = 0; i < FUNCTIONS; i++) {
            double worst = fmax(sweep_all(*level, &functions[i]), sweep_dense(*level, &functions[i]));
            print_message("%-6s %-14s %.3g\n", (*level)->level, functions[i].name, worst);
        }
}

static real value_at(const kernel_table *level, const function *f, real x) {
    real y;
    f->run(level, 1, &x, &y);
    return y;
}

static void infinities_and_nan(void **state) {
    (void)state;
    for (const kernel_table *const *level = kernel_levels(); *level; level++) {
        const double above[] = {(double)INFINITY, 2, 1, 1, (double)INFINITY, (double)INFINITY, 1};
        const double below[] = {0, -2, -1, 0, 0, 0, -1};
        for (size_t i = 0; i < FUNCTIONS - SLOPES; i++) {
            real high = value_at(*level, &functions[i], (real)INFINITY);
            real low = value_at(*level, &functions[i], -(real)INFINITY);
            bool product =
                functions[i].run == run_gelu || functions[i].run == run_silu; /* -inf times 0 by definition */
            assert_true((double)high == above[i]);
            assert_true(fabs((double)low - below[i]) < 1e-10 || (product && isnan(low)));
            assert_true(isnan(value_at(*level, &functions[i], (real)NAN)));
        }
        const real both[] = {(real)NAN, 1, 1, (real)NAN};
        real y[2];
        (*level)->gate(1, 2, both, y);
        assert_true(isnan(y[0]) && isnan(y[1]));
    }
}

/* affine and affine_inverse undo each other and leave out what they should. */
static void affine_and_back(void **state) {
    (void)state;
    enum { ROWS = 5, C = 19, LDNET = 2 * C + 3, LDX = C + 2, LDZ = C + 4 };
    real net[ROWS * LDNET], x[ROWS * LDX], z[ROWS * LDZ], back[ROWS * LDX], s[ROWS * C], again[ROWS * C];
    for (size_t i = 0; i < ROWS * LDNET; i++) net[i] = (real)(3 * sin((double)i * 1.7));
    for (size_t i = 0; i < ROWS * LDX; i++) x[i] = (real)cos((double)i * 0.9);
    for (const kernel_table *const *level = kernel_levels(); *level; level++)
        for (int bounded = 0; bounded < 2; bounded++) {
            memset(z, 0, sizeof z), memset(back, 0, sizeof back);
            (*level)->affine(ROWS, C, net, C + 1, 1, LDNET, bounded, x, LDX, s, z, LDZ);
            (*level)->affine_inverse(ROWS, C, net, C + 1, 1, LDNET, bounded, z, LDZ, again, back, LDX);
            assert_memory_equal(s, again, sizeof s);
            for (size_t i = 0; i < ROWS; i++)
                for (size_t j = 0; j < LDX; j++) {
                    long double raw = net[i * LDNET + 1 + j], scale = bounded ? 2 * tanhl(raw / 2) : raw;
                    if (j >= C) {
                        assert_true(back[i * LDX + j] == 0 && z[i * LDZ + j] == 0); /* gaps are untouched */
                        continue;
                    }
                    long double truth = x[i * LDX + j] * expl(scale) + net[i * LDNET + C + 1 + j];
                    assert_true(fabsl(s[i * C + j] - scale) < 5e-7L);
                    assert_true(fabsl(z[i * LDZ + j] - truth) < 1e-6L * (1 + expl(scale)));
                    assert_true(fabsl(back[i * LDX + j] - x[i * LDX + j]) < 2e-6L * (1 + expl(-scale)));
                }
            (*level)->affine_inverse(ROWS, C, net, C + 1, 1, LDNET, bounded, z, LDZ, NULL, z, LDZ); /* in place */
            for (size_t i = 0; i < ROWS; i++) assert_memory_equal(z + i * LDZ, back + i * LDX, C * sizeof *z);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_are_as_stated),
        cmocka_unit_test(infinities_and_nan),
        cmocka_unit_test(affine_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
