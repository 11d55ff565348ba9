#include "density/rows.h"

#include <math.h>

#include "core/rng.h"

void rows_shuffle(size_t *order, size_t count, uint64_t seed, uint64_t stream) {
    for (size_t left = count; left > 1; left--) {
        size_t chosen = (size_t)(rng_uniform(seed, stream, left) * (double)left), kept = order[left - 1];
        order[left - 1] = order[chosen];
        order[chosen] = kept;
    }
}

vocode_status rows_check(const real *values, size_t rows, size_t width, const char *what, vocode_error *error) {
    size_t bad = 0, where = 0;
    for (size_t t = rows; t-- > 0;)
        for (size_t c = 0; c < width; c++)
            if (!isfinite(values[t * width + c])) {
                bad += where != t + 1;
                where = t + 1;
            }
    if (!bad) return VOCODE_OK;
    return failed(error, VOCODE_VALUE,
                  "expected finite numbers, found %zu %s of %zu with NaN or infinity, the first is %zu", bad, what,
                  rows, where - 1);
}

size_t rows_for_training(size_t rows, double held_out) {
    size_t held = (size_t)(held_out * (double)rows + 0.5);
    return rows - (held < 1 ? 1 : held > rows - 1 ? rows - 1 : held);
}
