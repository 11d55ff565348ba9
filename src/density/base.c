#include "density/base.h"

#include "core/rng.h"
#include "kernels/kernels.h"
#include "kernels/sums.h"

#define NAME_OF(name, meaning) #name,
const char *const base_names[] = {BASE_LIST(NAME_OF) NULL};
#undef NAME_OF

static const double log_two_pi = 1.8378770664093454836;

/* -z - 2 log(1 + e^-z), even in z */
static double logistic(double z) {
    double size = fabs(z);
    return -size - 2 * log1p(exp(-size));
}

double base_log_density(base_kind base, const real *z, size_t count) {
    double sum = 0;
    switch (base) {
    case BASE_logistic:
        for (size_t i = 0; i < count; i++) sum += logistic((double)z[i]);
        return sum;
    case BASE_uniform:
        for (size_t i = 0; i < count; i++)
            if (!(z[i] > 0 && z[i] < 1)) return -INFINITY;
        return 0;
    default: return -square_of(count, z) / 2 - (double)count * log_two_pi / 2;
    }
}

void base_slope(base_kind base, const real *z, size_t count, double scale, real *dz) {
    switch (base) {
    case BASE_logistic:
        for (size_t i = 0; i < count; i++) dz[i] = (real)(-scale * tanh((double)z[i] / 2));
        return;
    case BASE_uniform:
        for (size_t i = 0; i < count; i++) dz[i] = 0;
        return;
    default:
        for (size_t i = 0; i < count; i++) dz[i] = (real)-scale * z[i];
    }
}

void base_draw(base_kind base, uint64_t seed, uint64_t first, size_t rows, size_t channels, real *z) {
    if (base == BASE_gaussian || base >= BASE_COUNT) {
        kernels()->normals(rows, channels, seed, first, 1, z);
        return;
    }
    for (size_t t = 0; t < rows; t++)
        for (size_t c = 0; c < channels; c++) {
            double u = rng_uniform(seed, c, first + t);
            z[t * channels + c] = (real)(base == BASE_uniform ? u : log(u / (1 - u)));
        }
}
