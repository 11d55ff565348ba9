/* The reference level: plain C, one loop nest a kernel, the truth that faster levels are tested against. */
#include "core/rng.h"
#include "kernels/bf16.h"
#include "kernels/levels.h"

#include <string.h>

static void gemm_nn(size_t rows, size_t n, size_t k, const real *a, size_t lda, const real *b, size_t ldb, int beta,
                    real *c, size_t ldc) {
    for (size_t i = 0; i < rows; i++) {
        real *row = c + i * ldc;
        if (!beta) memset(row, 0, n * sizeof *row);
        for (size_t p = 0; p < k; p++) {
            real factor = a[i * lda + p];
            const real *from = b + p * ldb;
            for (size_t j = 0; j < n; j++) row[j] += factor * from[j];
        }
    }
}

static void gemm_nt(size_t rows, size_t n, size_t k, const real *a, size_t lda, const real *b, size_t ldb, int beta,
                    real *c, size_t ldc) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j++) {
            real sum = beta ? c[i * ldc + j] : 0;
            for (size_t p = 0; p < k; p++) sum += a[i * lda + p] * b[j * ldb + p];
            c[i * ldc + j] = sum;
        }
}

static void gemm_tn(size_t m, size_t n, size_t k, const real *a, size_t lda, const real *b, size_t ldb, int beta,
                    real *c, size_t ldc) {
    if (!beta)
        for (size_t i = 0; i < m; i++) memset(c + i * ldc, 0, n * sizeof *c);
    for (size_t p = 0; p < k; p++)
        for (size_t i = 0; i < m; i++) {
            real factor = a[p * lda + i];
            const real *from = b + p * ldb;
            real *row = c + i * ldc;
            for (size_t j = 0; j < n; j++) row[j] += factor * from[j];
        }
}

enum { PANEL = 16 };

static void pack(size_t n, size_t k, const real *b, size_t ldb, real *panels) {
    for (size_t column = 0; column < n; column += PANEL)
        for (size_t p = 0; p < k; p++)
            for (size_t j = column; j < column + PANEL; j++) *panels++ = j < n ? b[p * ldb + j] : 0;
}

/* Vectors of the compiler's, on any processor. A panel is four of them, not an array: that would live in memory. */
typedef real quad __attribute__((vector_size(4 * sizeof(real)), aligned(sizeof(real)), may_alias));

/* sums [PANEL] += a [k] b [k, PANEL] */
static void add_products(size_t k, const real *a, const real *b, real *sums) {
    quad *to = (quad *)sums, first = to[0], second = to[1], third = to[2], fourth = to[3];
    for (size_t p = 0; p < k; p++, b += PANEL) {
        const quad *row = (const quad *)b;
        first += a[p] * row[0];
        second += a[p] * row[1];
        third += a[p] * row[2];
        fourth += a[p] * row[3];
    }
    to[0] = first, to[1] = second, to[2] = third, to[3] = fourth;
}

/* gemm_banded over the depths p to p + depth, where a begins, of k */
static void multiply_depths(size_t p, size_t depth, size_t rows, size_t n, size_t k, const real *a, size_t lda,
                            const real *panels, const size_t *bands, const real *bias, int beta, real *c, size_t ldc) {
    for (size_t column = 0; column < n; column += PANEL, panels += k * PANEL) {
        size_t width = n - column < PANEL ? n - column : PANEL, from = p, past = p + depth;
        if (bands) {
            from = from < bands[0] ? bands[0] : from;
            past = past > bands[1] ? bands[1] : past;
            bands += 2;
        }
        size_t count = from < past ? past - from : 0, skip = count ? from - p : 0;
        for (size_t i = 0; i < rows; i++) {
            real sums[PANEL] = {0}, *target = c + i * ldc + column;
            for (size_t j = 0; j < width; j++) sums[j] = (beta ? target[j] : 0) + (bias ? bias[column + j] : 0);
            add_products(count, a + i * lda + skip, panels + (p + skip) * PANEL, sums);
            memcpy(target, sums, width * sizeof *sums);
        }
    }
}

static void gemm_banded(size_t rows, size_t n, size_t k, const real *a, size_t lda, const real *panels,
                        const size_t *bands, const real *bias, int beta, real *c, size_t ldc) {
    multiply_depths(0, k, rows, n, k, a, lda, panels, bands, bias, beta, c, ldc);
}

static void gemm_packed(size_t rows, size_t n, size_t k, const real *a, size_t lda, const real *panels,
                        const real *bias, int beta, real *c, size_t ldc) {
    gemm_banded(rows, n, k, a, lda, panels, NULL, bias, beta, c, ldc);
}

static real halved(real x) {
    return (real)bf16_rounded((float)x);
}

static void gemm_packed_bf16(size_t rows, size_t n, size_t k, const real *a, size_t lda, const real *panels,
                             const real *bias, int beta, real *c, size_t ldc) {
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < n; j++) {
            const real *column = panels + j / PANEL * k * PANEL + j % PANEL;
            real sum = (beta ? c[i * ldc + j] : 0) + (bias ? bias[j] : 0);
            for (size_t p = 0; p < k; p++) sum += halved(a[i * lda + p]) * halved(column[p * PANEL]);
            c[i * ldc + j] = sum;
        }
}

static void gemm_tn_bf16(size_t m, size_t n, size_t k, const real *a, size_t lda, const real *b, size_t ldb, int beta,
                         real *c, size_t ldc) {
    for (size_t i = 0; i < m; i++)
        for (size_t j = 0; j < n; j++) {
            real sum = beta ? c[i * ldc + j] : 0;
            for (size_t p = 0; p < k; p++) sum += halved(a[p * lda + i]) * halved(b[p * ldb + j]);
            c[i * ldc + j] = sum;
        }
}

static real sigmoid(real x) {
    return 1 / (1 + exp(-x));
}

static void gate(size_t rows, size_t c, const real *a, real *y) {
    for (size_t i = 0; i < rows; i++, a += 2 * c, y += c)
        for (size_t j = 0; j < c; j++) y[j] = tanh(a[j]) * sigmoid(a[c + j]);
}

static void gate_backward(size_t rows, size_t c, const real *a, const real *dy, real *da) {
    for (size_t i = 0; i < rows; i++, a += 2 * c, dy += c, da += 2 * c)
        for (size_t j = 0; j < c; j++) {
            real t = tanh(a[j]), s = sigmoid(a[c + j]);
            da[j] = dy[j] * s * (1 - t * t);
            da[c + j] = dy[j] * t * s * (1 - s);
        }
}

static const real half_root = (real)0.70710678118654752440;   /* 1 / sqrt(2) */
static const real normal_peak = (real)0.39894228040143267794; /* 1 / sqrt(2 pi) */

static void gelu(size_t count, const real *x, real *y) {
    for (size_t i = 0; i < count; i++) y[i] = (real)0.5 * x[i] * (1 + erf(x[i] * half_root));
}

static void gelu_backward(size_t count, const real *x, const real *dy, real *dx) {
    for (size_t i = 0; i < count; i++) {
        real cumulative = (real)0.5 * (1 + erf(x[i] * half_root));
        dx[i] = dy[i] * (cumulative + x[i] * normal_peak * exp((real)-0.5 * x[i] * x[i]));
    }
}

static void silu(size_t count, const real *x, real *y) {
    for (size_t i = 0; i < count; i++) y[i] = x[i] * sigmoid(x[i]);
}

static void gemm_silu(size_t rows, size_t n, size_t k, const real *a, size_t lda, const real *panels,
                      const size_t *bands, const real *bias, int beta, real *c, size_t ldc) {
    enum { ROWS = 16, DEPTH = 256 };
    real part[ROWS * DEPTH];
    for (size_t first = 0; first < rows; first += ROWS) {
        size_t count = rows - first < ROWS ? rows - first : ROWS, p = 0;
        do {
            size_t depth = k - p < DEPTH ? k - p : DEPTH;
            for (size_t i = 0; i < count; i++) silu(depth, a + (first + i) * lda + p, part + i * DEPTH);
            multiply_depths(p, depth, count, n, k, part, DEPTH, panels, bands, p ? NULL : bias, p > 0 || beta,
                            c + first * ldc, ldc);
            p += DEPTH;
        } while (p < k);
    }
}

static void silu_backward(size_t count, const real *x, const real *dy, real *dx) {
    for (size_t i = 0; i < count; i++) {
        real s = sigmoid(x[i]);
        dx[i] = dy[i] * s * (1 + x[i] * (1 - s));
    }
}

static void hyperbolic(size_t count, const real *x, real *y) {
    for (size_t i = 0; i < count; i++) y[i] = tanh(x[i]);
}

static void scale_shift(size_t rows, size_t c, const real *x, size_t ldx, const real *s, const real *b, real *y,
                        size_t ldy) {
    for (size_t i = 0; i < rows; i++, x += ldx, y += ldy)
        for (size_t j = 0; j < c; j++) y[j] = s[j] * x[j] + b[j];
}

static void sum_scaled(size_t count, const real *a, const real *b, real s, real *y) {
    for (size_t i = 0; i < count; i++) y[i] = a[i] + s * b[i];
}

static void even_odd(size_t count, bool add, real *even, const real *odd, real *y) {
    for (size_t i = 0; i < count; i++) {
        real sum = even[i] + odd[i];
        y[i] = add ? y[i] + sum : sum;
        even[i] -= odd[i];
    }
}

static void normals(size_t frames, size_t channels, uint64_t seed, uint64_t first, double scale, real *z) {
    rng_fill_normal(z, frames, channels, seed, first, scale);
}

static real log_scale(real raw, bool bounded) {
    return bounded ? 2 * tanh(raw / 2) : raw;
}

static void affine(size_t rows, size_t c, const real *net, size_t shift, size_t scale, size_t ldnet, bool bounded,
                   const real *x, size_t ldx, real *log_s, real *z, size_t ldz) {
    for (size_t i = 0; i < rows; i++, net += ldnet, x += ldx, z += ldz)
        for (size_t j = 0; j < c; j++) {
            real s = log_scale(net[scale + j], bounded);
            z[j] = x[j] * exp(s) + net[shift + j];
            if (log_s) log_s[i * c + j] = s;
        }
}

static void affine_inverse(size_t rows, size_t c, const real *net, size_t shift, size_t scale, size_t ldnet,
                           bool bounded, const real *z, size_t ldz, real *log_s, real *x, size_t ldx) {
    for (size_t i = 0; i < rows; i++, net += ldnet, z += ldz, x += ldx)
        for (size_t j = 0; j < c; j++) {
            real s = log_scale(net[scale + j], bounded);
            x[j] = (z[j] - net[shift + j]) * exp(-s);
            if (log_s) log_s[i * c + j] = s;
        }
}

/* Mean and 1 / sqrt(variance + epsilon) of one row, summed in double. */
static void moments(size_t c, const real *x, real epsilon, real *mean, real *inverse) {
    double sum = 0, square = 0;
    for (size_t j = 0; j < c; j++) sum += (double)x[j];
    sum /= (double)c;
    for (size_t j = 0; j < c; j++) square += ((double)x[j] - sum) * ((double)x[j] - sum);
    *mean = (real)sum;
    *inverse = (real)(1.0 / sqrt(square / (double)c + (double)epsilon));
}

static void layer_norm(size_t rows, size_t c, const real *x, const real *g, const real *b, real epsilon, real *y) {
    for (size_t i = 0; i < rows; i++, x += c, y += c) {
        real mean, inverse;
        moments(c, x, epsilon, &mean, &inverse);
        for (size_t j = 0; j < c; j++) y[j] = (x[j] - mean) * inverse * g[j] + b[j];
    }
}

/* With n_j = (x_j - mean) * inverse and e_j = dy_j g_j: dx_j = inverse (e_j - mean(e) - n_j mean(e n)). */
static void layer_norm_backward(size_t rows, size_t c, const real *x, const real *g, real epsilon, const real *dy,
                                real *dx, real *dg, real *db) {
    for (size_t i = 0; i < rows; i++, x += c, dy += c, dx += c) {
        real mean, inverse;
        moments(c, x, epsilon, &mean, &inverse);
        double sum = 0, product = 0;
        for (size_t j = 0; j < c; j++) {
            real normal = (x[j] - mean) * inverse;
            sum += (double)(dy[j] * g[j]);
            product += (double)(dy[j] * g[j] * normal);
            if (dg) dg[j] += dy[j] * normal;
            if (db) db[j] += dy[j];
        }
        real shift = (real)(sum / (double)c), slope = (real)(product / (double)c);
        for (size_t j = 0; j < c; j++) dx[j] = inverse * (dy[j] * g[j] - shift - (x[j] - mean) * inverse * slope);
    }
}

/* The frame that a tap reads for output frame t, or frames where that is outside the signal. */
static size_t tap_frame(size_t frames, size_t t, size_t tap, size_t taps, size_t dilation) {
    size_t middle = taps / 2;
    if (tap < middle) {
        size_t back = (middle - tap) * dilation;
        return back <= t ? t - back : frames;
    }
    size_t ahead = (tap - middle) * dilation;
    return ahead < frames - t ? t + ahead : frames;
}

static void depthwise(size_t frames, size_t first, size_t count, size_t c, size_t taps, size_t dilation, const real *x,
                      const real *w, const real *b, real *y) {
    for (size_t t = first; t < first + count; t++) {
        real *restrict to = y + (t - first) * c;
        if (b) memcpy(to, b, c * sizeof *to);
        for (size_t tap = 0; tap < taps; tap++) {
            size_t source = tap_frame(frames, t, tap, taps, dilation);
            if (source == frames) continue;
            const real *from = x + source * c, *factor = w + tap * c;
            for (size_t j = 0; j < c; j++) to[j] += factor[j] * from[j];
        }
    }
}

static void depthwise_weights(size_t frames, size_t first, size_t count, size_t c, size_t taps, size_t dilation,
                              const real *x, const real *dy, real *dw, real *db) {
    for (size_t t = first; t < first + count; t++) {
        const real *from = dy + t * c;
        for (size_t j = 0; j < c; j++) db[j] += from[j];
        for (size_t tap = 0; tap < taps; tap++) {
            size_t source = tap_frame(frames, t, tap, taps, dilation);
            if (source == frames) continue;
            real *restrict to = dw + tap * c;
            for (size_t j = 0; j < c; j++) to[j] += x[source * c + j] * from[j];
        }
    }
}

const kernel_table kernels_ref = {
    .level = "ref",
    .panel = PANEL,
    .band = PANEL,
    .strip = 1,
#define KERNEL(name, arguments) .name = name,
#include "kernels/kernels.def"
#undef KERNEL
};
