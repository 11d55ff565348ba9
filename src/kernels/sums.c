#include "kernels/sums.h"

enum { CHAINS = 8 };

/* The chains' sum; the rest, fewer than CHAINS numbers, went to the first of them. */
static double joined(const double *chains) {
    double sum = 0;
    for (size_t k = 0; k < CHAINS; k++) sum += chains[k];
    return sum;
}

double sum_of(size_t count, const real *x) {
    double chains[CHAINS] = {0};
    size_t i = 0;
    for (; i + CHAINS <= count; i += CHAINS)
        for (size_t k = 0; k < CHAINS; k++) chains[k] += (double)x[i + k];
    for (; i < count; i++) chains[0] += (double)x[i];
    return joined(chains);
}

double square_of(size_t count, const real *x) {
    double chains[CHAINS] = {0};
    size_t i = 0;
    for (; i + CHAINS <= count; i += CHAINS)
        for (size_t k = 0; k < CHAINS; k++) chains[k] += (double)x[i + k] * (double)x[i + k];
    for (; i < count; i++) chains[0] += (double)x[i] * (double)x[i];
    return joined(chains);
}
