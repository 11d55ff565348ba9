/* FFTW in double precision with plans that are made once a process for each kind and size. Plans use FFTW_ESTIMATE and
 * one alignment, so the same size always computes the same bits; nothing is timed. Getting a plan takes a lock, running
 * one does not: any number of threads may run the same plan on their own buffers. */
#ifndef DSP_FFT_H
#define DSP_FFT_H

#include <complex.h>
#include <stddef.h>

#include <vocode/status.h>

typedef enum fft_kind {
    FFT_REAL_FORWARD,   /* double [n] -> complex [n / 2 + 1], exponent -2 pi i; the input is kept */
    FFT_REAL_INVERSE,   /* complex [n / 2 + 1] -> double [n], unscaled; the input is destroyed */
    FFT_COMPLEX_FORWARD /* complex [n] -> complex [n], exponent -2 pi i; the input is kept */
} fft_kind;

typedef struct fft_plan fft_plan;

/* The plan for n points, n >= 1, from the cache or made now. It lives as long as the process; the caller owns nothing.
 * VOCODE_VALUE for n = 0 or beyond FFTW's range, VOCODE_MEMORY. */
vocode_status fft_plan_get(fft_kind kind, size_t n, const fft_plan **plan, vocode_error *error);

/* Plans made so far. */
size_t fft_plan_count(void);

/* Out of place, on buffers aligned to ARENA_ALIGNMENT (arena_take, aligned_new). */
void fft_real_forward(const fft_plan *plan, double *in, double complex *out);
void fft_real_inverse(const fft_plan *plan, double complex *in, double *out);
void fft_complex_forward(const fft_plan *plan, double complex *in, double complex *out);

#endif
