#include "io/resample.h"

#include <math.h>
#include <soxr.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define LOWEST_RATE 1.0 /* Hz */
#define HIGHEST_RATE 1e7
#define MOST_SAMPLES 1e15 /* well within what a double counts exactly */

vocode_status resample(const float *x, size_t n, double from, double to, float **out, size_t *m, vocode_error *error) {
    *out = NULL;
    *m = 0;
    if (!(from >= LOWEST_RATE && from <= HIGHEST_RATE && to >= LOWEST_RATE && to <= HIGHEST_RATE))
        return failed(error, VOCODE_ARGUMENT, "cannot resample from %g Hz to %g Hz: rates are 1 Hz to 10 MHz", from,
                      to);
    double length = floor((double)n * (to / from) + 0.5);
    if (n == 0 || length > MOST_SAMPLES)
        return failed(error, VOCODE_ARGUMENT, "cannot resample %zu samples from %g Hz to %g Hz", n, from, to);
    size_t count = length < 1 ? 1 : (size_t)length, done = 0;
    float *result = calloc(count, sizeof *result);
    if (!result) return failed(error, VOCODE_MEMORY, "no memory for %zu resampled samples", count);
    if (from == to) {
        memcpy(result, x, n * sizeof *x);
    } else {
        const soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
        /* No roll-off: the default one costs 0.01 dB, a 60 dB error, from four fifths of the band on. */
        const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_VHQ, SOXR_ROLLOFF_NONE);
        const soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
        soxr_error_t problem = soxr_oneshot(from, to, 1, x, n, NULL, result, count, &done, &io, &quality, &runtime);
        if (problem) {
            free(result);
            return failed(error, VOCODE_INTERNAL, "resampling from %g Hz to %g Hz failed: %s", from, to, problem);
        }
    }
    *out = result;
    *m = count;
    return VOCODE_OK;
}
