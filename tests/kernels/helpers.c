#include "kernels/helpers.h"

#include <stdlib.h>
#include <string.h>

#include "core/rng.h"

real *noise(size_t count, unsigned stream) {
    real *values = malloc((count + 1) * sizeof *values);
    for (size_t i = 0; i < count; i++) values[i] = (real)rng_normal(11, stream, i);
    return values;
}

real *copy_of(const real *from, size_t count) {
    real *values = malloc((count + 1) * sizeof *values);
    memcpy(values, from, count * sizeof *values);
    return values;
}

double distance(const real *a, const real *b, size_t count) {
    double error = 0, size = 0;
    for (size_t i = 0; i < count; i++) {
        double gap = fabs((double)a[i] - (double)b[i]);
        if (!(gap <= error)) error = gap; /* NaN stays */
        size = fmax(size, fabs((double)b[i]));
    }
    return size > 0 ? error / size : error;
}
