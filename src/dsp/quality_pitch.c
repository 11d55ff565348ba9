/* Frame periodicity: the largest normalised cross-correlation of a frame with itself up to a pitch period later. */
#include <math.h>
#include <string.h>

#include "core/arena.h"
#include "core/fail.h"
#include "dsp/fft.h"
#include "dsp/quality.h"

#define HOP 256
#define WINDOW 1024
#define POINTS 4096                    /* of the FFT: at least WINDOW + LAG_MOST + WINDOW, so nothing wraps */
#define LAG_LEAST (QUALITY_RATE / 400) /* samples: 400 Hz */
#define LAG_MOST (QUALITY_RATE / 60)   /* 60 Hz */
#define SUBMULTIPLES 4                 /* a peak at half, a third or a quarter of the lag wins ... */
#define SUBMULTIPLE_SHARE 0.9          /* ... when it is nearly as high */
#define ENERGY_ADD 1e-9
#define SILENCE 1e-3 /* RMS below which a frame has no pitch */

typedef struct pitch_work {
    double *frame, *segment, *correlation; /* [POINTS] */
    double complex *f, *g;                 /* [POINTS / 2 + 1] */
    double *energy;                        /* [WINDOW + LAG_MOST + 1] running sum of squares */
    const fft_plan *forward, *inverse;
} pitch_work;

static pitch_work take(arena *memory) {
    pitch_work w = {0};
    w.frame = arena_take(memory, POINTS, sizeof(double));
    w.segment = arena_take(memory, POINTS, sizeof(double));
    w.correlation = arena_take(memory, POINTS, sizeof(double));
    w.f = arena_take(memory, POINTS / 2 + 1, sizeof(double complex));
    w.g = arena_take(memory, POINTS / 2 + 1, sizeof(double complex));
    w.energy = arena_take(memory, WINDOW + LAG_MOST + 1, sizeof(double));
    return w;
}

/* The frame in w->segment [WINDOW + LAG_MOST, zeros after] -> w->correlation[0..LAG_MOST], normalised. */
static void correlate(pitch_work *w) {
    memset(w->frame, 0, POINTS * sizeof *w->frame);
    memcpy(w->frame, w->segment, WINDOW * sizeof *w->frame);
    fft_real_forward(w->forward, w->frame, w->f);
    fft_real_forward(w->forward, w->segment, w->g);
    double *f = (double *)w->f;
    const double *g = (const double *)w->g;
    for (size_t k = 0; k <= POINTS / 2; k++) { /* conj(f) g */
        double re = f[2 * k] * g[2 * k] + f[2 * k + 1] * g[2 * k + 1];
        f[2 * k + 1] = f[2 * k] * g[2 * k + 1] - f[2 * k + 1] * g[2 * k];
        f[2 * k] = re;
    }
    fft_real_inverse(w->inverse, w->f, w->correlation);
    w->energy[0] = 0;
    for (size_t i = 0; i < WINDOW + LAG_MOST; i++) w->energy[i + 1] = w->energy[i] + w->segment[i] * w->segment[i];
    double first = w->energy[WINDOW];
    for (size_t lag = 0; lag <= LAG_MOST; lag++) {
        double own = w->energy[WINDOW + lag] - w->energy[lag];
        w->correlation[lag] /= (double)POINTS * sqrt(first * own + ENERGY_ADD);
    }
}

/* The first of the largest values in [from, to]. */
static size_t peak(const double *values, size_t from, size_t to) {
    size_t best = from;
    for (size_t i = from + 1; i <= to; i++)
        if (values[i] > values[best]) best = i;
    return best;
}

/* The best lag, and the shortest strong one among its submultiples. */
static size_t choose_lag(const double *correlation) {
    size_t lag = peak(correlation, LAG_LEAST, LAG_MOST);
    for (size_t divisor = 2; divisor <= SUBMULTIPLES; divisor++) {
        size_t part = lag / divisor;
        if (part < LAG_LEAST) continue;
        size_t near = peak(correlation, part - 1 > LAG_LEAST ? part - 1 : LAG_LEAST, part + 1);
        if (correlation[near] > SUBMULTIPLE_SHARE * correlation[lag]) return near;
    }
    return lag;
}

vocode_status quality_periodicity(const float *samples, size_t n, double *periodicity, double *f0,
                                  vocode_error *error) {
    arena memory = arena_over(NULL, 0);
    take(&memory);
    void *scratch = aligned_new(memory.peak, 1);
    if (!scratch) return failed(error, VOCODE_MEMORY, "out of memory to find the pitch");
    memory = arena_over(scratch, memory.peak);
    pitch_work w = take(&memory);
    vocode_status status = fft_plan_get(FFT_REAL_FORWARD, POINTS, &w.forward, error);
    if (!status) status = fft_plan_get(FFT_REAL_INVERSE, POINTS, &w.inverse, error);
    for (size_t t = 0; t < n / HOP && !status; t++) {
        for (size_t i = 0; i < WINDOW + LAG_MOST; i++) {
            size_t position = t * HOP + i; /* half a window further on than the sample */
            int inside = position >= WINDOW / 2 && position - WINDOW / 2 < n;
            w.segment[i] = inside ? (double)samples[position - WINDOW / 2] : 0;
        }
        memset(w.segment + WINDOW + LAG_MOST, 0, (POINTS - WINDOW - LAG_MOST) * sizeof(double));
        correlate(&w);
        size_t lag = choose_lag(w.correlation);
        int silent = sqrt(w.energy[WINDOW] / WINDOW) < SILENCE;
        periodicity[t] = silent ? 0 : fmax(0, w.correlation[lag]);
        f0[t] = (double)QUALITY_RATE / (double)lag;
    }
    aligned_free(scratch);
    return status;
}
