#include "dsp/fft.h"

#include <fftw3.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/arena.h"
#include "core/fail.h"

struct fft_plan {
    fft_kind kind;
    size_t n;
    fftw_plan plan;
    struct fft_plan *next;
};

/* FFTW's planner is not thread-safe. The list is only ever added to, so a plan once handed out stays valid. */
static pthread_mutex_t planner = PTHREAD_MUTEX_INITIALIZER;
static fft_plan *plans;
static size_t plan_count;

static fftw_plan make(fft_kind kind, size_t n) {
    /* ESTIMATE does not touch the arrays: they only show the planner their alignment. */
    double *a = aligned_new(n + 2, 2 * sizeof *a), *b = aligned_new(n + 2, 2 * sizeof *b);
    fftw_plan plan = NULL;
    if (a && b) {
        switch (kind) {
        case FFT_REAL_FORWARD:
            plan = fftw_plan_dft_r2c_1d((int)n, a, (fftw_complex *)b, FFTW_ESTIMATE | FFTW_PRESERVE_INPUT);
            break;
        case FFT_REAL_INVERSE:
            plan = fftw_plan_dft_c2r_1d((int)n, (fftw_complex *)a, b, FFTW_ESTIMATE | FFTW_DESTROY_INPUT);
            break;
        case FFT_COMPLEX_FORWARD:
            plan = fftw_plan_dft_1d((int)n, (fftw_complex *)a, (fftw_complex *)b, FFTW_FORWARD,
                                    FFTW_ESTIMATE | FFTW_PRESERVE_INPUT);
            break;
        }
    }
    aligned_free(a);
    aligned_free(b);
    return plan;
}

static const fft_plan *find_or_make(fft_kind kind, size_t n) {
    for (const fft_plan *p = plans; p; p = p->next)
        if (p->kind == kind && p->n == n) return p;
    fft_plan *added = malloc(sizeof *added);
    if (!added) return NULL;
    *added = (fft_plan){kind, n, make(kind, n), plans};
    if (!added->plan) {
        free(added);
        return NULL;
    }
    plans = added;
    plan_count++;
    return added;
}

vocode_status fft_plan_get(fft_kind kind, size_t n, const fft_plan **plan, vocode_error *error) {
    *plan = NULL;
    if (n == 0 || n > INT_MAX / 2)
        return failed(error, VOCODE_VALUE, "an FFT of %zu points was asked for, 1 to %d are possible", n, INT_MAX / 2);
    pthread_mutex_lock(&planner);
    *plan = find_or_make(kind, n);
    pthread_mutex_unlock(&planner);
    return *plan ? VOCODE_OK : failed(error, VOCODE_MEMORY, "out of memory for an FFT of %zu points", n);
}

size_t fft_plan_count(void) {
    pthread_mutex_lock(&planner);
    size_t count = plan_count;
    pthread_mutex_unlock(&planner);
    return count;
}

void fft_real_forward(const fft_plan *plan, double *in, double complex *out) {
    fftw_execute_dft_r2c(plan->plan, in, out);
}

void fft_real_inverse(const fft_plan *plan, double complex *in, double *out) {
    fftw_execute_dft_c2r(plan->plan, in, out);
}

void fft_complex_forward(const fft_plan *plan, double complex *in, double complex *out) {
    fftw_execute_dft(plan->plan, in, out);
}
