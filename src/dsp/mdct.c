/* A block's 2n windowed samples (a, b, c, d), n/2 each, fold into n: (-c reversed - d, a - b reversed), of which the
 * MDCT is the DCT-IV, an orthonormal symmetric matrix. The DCT-IV of n points is a complex FFT of n/2 between two
 * twiddles:
 *
 *     t[j] = (u[2j] + i u[n-1-2j]) e^(-i pi (8j+1) / 8n),  T = FFT t,  y[k] = T[k] e^(-i pi (8k+1) / 8n)
 *
 *     U[2k] = Re y[k],  U[n-1-2k] = -Im y[k]
 *
 * up to the scale sqrt(2/n). FFTW's own REDFT11 does the same but allocates at each execution. */
#include "dsp/mdct.h"

#include <complex.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/fail.h"

struct mdct {
    size_t n;
    const fft_plan *fft;
    double *rise[2]; /* [n] the rising half window: inside, and at the signal's edge */
    double *twiddle; /* [n / 2] pairs (re, im) */
};

vocode_status mdct_new(size_t n, mdct **result, vocode_error *error) {
    *result = NULL;
    if (n < 2 || n % 2) return failed(error, VOCODE_VALUE, "an MDCT has an even number of bins, not %zu", n);
    mdct *transform = calloc(1, sizeof *transform);
    if (!transform) return failed(error, VOCODE_MEMORY, "out of memory for an MDCT of %zu bins", n);
    transform->n = n;
    vocode_status status = fft_plan_get(FFT_COMPLEX_FORWARD, n / 2, &transform->fft, error);
    if (!status) {
        for (int edge = 0; edge < 2; edge++) transform->rise[edge] = aligned_new(n, sizeof(double));
        transform->twiddle = aligned_new(n / 2, sizeof(double complex));
        if (!transform->rise[0] || !transform->rise[1] || !transform->twiddle)
            status = failed(error, VOCODE_MEMORY, "out of memory for an MDCT of %zu bins", n);
    }
    if (status) {
        mdct_free(transform);
        return status;
    }
    for (size_t j = 0; j < n; j++) {
        transform->rise[0][j] = sin(M_PI * ((double)j + 0.5) / (2 * (double)n));
        transform->rise[1][j] = j < n / 2 ? 0 : 1;
    }
    for (size_t j = 0; j < n / 2; j++) {
        double angle = -M_PI * (8 * (double)j + 1) / (8 * (double)n);
        transform->twiddle[2 * j] = cos(angle);
        transform->twiddle[2 * j + 1] = sin(angle);
    }
    *result = transform;
    return VOCODE_OK;
}

void mdct_free(mdct *transform) {
    if (!transform) return;
    for (int edge = 0; edge < 2; edge++) aligned_free(transform->rise[edge]);
    aligned_free(transform->twiddle);
    free(transform);
}

/* (re, im) at the two times (re, im) at the twiddle. Pairs of doubles, as C's complex product looks for NaN in each. */
static void turn(double two[2], const double twiddle[2]) {
    double re = two[0] * twiddle[0] - two[1] * twiddle[1];
    two[1] = two[0] * twiddle[1] + two[1] * twiddle[0];
    two[0] = re;
}

/* values [n] -> their orthonormal DCT-IV, in place */
static void dct4(const mdct *transform, double *values, arena *memory) {
    size_t n = transform->n, half = n / 2, mark = memory->used;
    double *in = arena_take(memory, half, sizeof(double complex));
    double *out = arena_take(memory, half, sizeof(double complex));
    double scale = sqrt(2 / (double)n);
    for (size_t j = 0; j < half; j++) {
        in[2 * j] = values[2 * j];
        in[2 * j + 1] = values[n - 1 - 2 * j];
        turn(in + 2 * j, transform->twiddle + 2 * j);
    }
    fft_complex_forward(transform->fft, (double complex *)in, (double complex *)out);
    for (size_t k = 0; k < half; k++) {
        turn(out + 2 * k, transform->twiddle + 2 * k);
        values[2 * k] = out[2 * k] * scale;
        values[n - 1 - 2 * k] = -out[2 * k + 1] * scale;
    }
    arena_release(memory, mark);
}

size_t mdct_scratch(const mdct *transform) {
    arena measure = arena_over(NULL, 0);
    arena_take(&measure, 2 * transform->n, sizeof(double)); /* span, or carry and out */
    arena_take(&measure, transform->n, sizeof(double));     /* folded */
    arena_take(&measure, transform->n / 2, sizeof(double complex));
    arena_take(&measure, transform->n / 2, sizeof(double complex));
    return measure.peak + ARENA_ALIGNMENT; /* carry and out are rounded up separately */
}

void mdct_block_forward(const mdct *transform, const double *span, int first, int last, real *coefficients,
                        arena *memory) {
    size_t n = transform->n, half = n / 2, mark = memory->used;
    const double *rise = transform->rise[first != 0], *fall = transform->rise[last != 0];
    double *folded = arena_take(memory, n, sizeof *folded);
    for (size_t j = 0; j < half; j++) {
        double a = rise[j] * span[j], b = rise[n - 1 - j] * span[n - 1 - j];
        double c = fall[half + j] * span[n + half - 1 - j], d = fall[half - 1 - j] * span[n + half + j];
        folded[j] = -c - d;
        folded[half + j] = a - b;
    }
    dct4(transform, folded, memory);
    for (size_t k = 0; k < n; k++) coefficients[k] = (real)folded[k];
    arena_release(memory, mark);
}

void mdct_block_inverse(const mdct *transform, const real *coefficients, int first, int last, double *carry,
                        double *out, arena *memory) {
    size_t n = transform->n, half = n / 2, mark = memory->used;
    const double *rise = transform->rise[first != 0], *fall = transform->rise[last != 0];
    double *folded = arena_take(memory, n, sizeof *folded);
    for (size_t k = 0; k < n; k++) folded[k] = (double)coefficients[k];
    dct4(transform, folded, memory);
    if (first) memset(carry, 0, n * sizeof *carry);
    for (size_t j = 0; j < half; j++) {
        out[j] = carry[j] + rise[j] * folded[half + j];
        out[n - 1 - j] = carry[n - 1 - j] - rise[n - 1 - j] * folded[half + j];
    }
    for (size_t j = 0; j < half; j++) {
        carry[half - 1 - j] = -fall[half + j] * folded[j];
        carry[half + j] = -fall[half - 1 - j] * folded[j];
    }
    arena_release(memory, mark);
}

void mdct_forward(const mdct *transform, const real *x, real *coefficients, size_t blocks, arena *memory) {
    size_t n = transform->n, half = n / 2, count = blocks * n, mark = memory->used;
    double *span = arena_take(memory, 2 * n, sizeof *span);
    for (size_t t = 0; t < blocks; t++) {
        for (size_t j = 0; j < 2 * n; j++) {
            size_t position = t * n + j; /* half a block further on than the sample */
            span[j] = position >= half && position - half < count ? (double)x[position - half] : 0;
        }
        mdct_block_forward(transform, span, t == 0, t + 1 == blocks, coefficients + t * n, memory);
    }
    arena_release(memory, mark);
}

void mdct_inverse(const mdct *transform, const real *coefficients, real *x, size_t blocks, arena *memory) {
    size_t n = transform->n, half = n / 2, mark = memory->used;
    double *carry = arena_take(memory, n, sizeof *carry), *out = arena_take(memory, n, sizeof *out);
    for (size_t t = 0; t < blocks; t++) {
        mdct_block_inverse(transform, coefficients + t * n, t == 0, t + 1 == blocks, carry, out, memory);
        for (size_t j = t == 0 ? half : 0; j < n; j++) x[t * n + j - half] = (real)out[j];
    }
    for (size_t j = 0; j < half; j++) x[blocks * n - half + j] = (real)carry[j];
    arena_release(memory, mark);
}
