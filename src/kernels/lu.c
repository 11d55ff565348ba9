/* Doolittle's method with partial pivoting (Golub, Van Loan, "Matrix computations", algorithm 3.4.1), by blocks of
 * columns (their section 3.4.7). The inner loop subtracts multiples of rows from a strip of a row that stays in
 * registers. Blocks change no bit: every element sees its subtractions in the order of the plain method. */
#include "kernels/lu.h"

#include <math.h>
#include <string.h>

static void swap_rows(size_t n, double *a, double *b) {
    for (size_t j = 0; j < n; j++) {
        double kept = a[j];
        a[j] = b[j];
        b[j] = kept;
    }
}

typedef double pair __attribute__((vector_size(16), aligned(8), may_alias));

enum { PAIRS = LU_STRIP / 2 };

/* row [LU_STRIP] -= factors [k] rows [k] for every k < count, one after the other; rows are ld apart. */
static void subtract_strip(size_t count, const double *factors, const double *rows, size_t ld, double *row) {
    pair *place = (pair *)row, sums[PAIRS];
    for (int j = 0; j < PAIRS; j++) sums[j] = place[j];
    for (size_t k = 0; k < count; k++, rows += ld) {
        const pair *next = (const pair *)rows;
        for (int j = 0; j < PAIRS; j++) sums[j] -= factors[k] * next[j];
    }
    for (int j = 0; j < PAIRS; j++) place[j] = sums[j];
}

/* The same of rows of any width. */
static void subtract_rows(size_t count, size_t width, const double *factors, const double *rows, size_t ld,
                          double *row) {
    size_t first = 0;
    for (; first + LU_STRIP <= width; first += LU_STRIP) subtract_strip(count, factors, rows + first, ld, row + first);
    for (size_t k = 0; k < count; k++)
        for (size_t j = first; j < width; j++) row[j] -= factors[k] * rows[k * ld + j];
}

/* Columns [start, past) of a, below and on the diagonal, once those before them are done. */
static bool factor_columns(size_t n, size_t start, size_t past, double *a, size_t *pivot) {
    for (size_t k = start; k < past; k++) {
        size_t best = k;
        for (size_t i = k + 1; i < n; i++)
            if (fabs(a[i * n + k]) > fabs(a[best * n + k])) best = i;
        pivot[k] = best;
        if (best != k) swap_rows(n, a + k * n, a + best * n);
        double head = a[k * n + k];
        if (!(fabs(head) > 0) || !isfinite(head)) return false;
        for (size_t i = k + 1; i < n; i++) {
            double factor = a[i * n + k] / head;
            a[i * n + k] = factor;
            for (size_t j = k + 1; j < past; j++) a[i * n + j] -= factor * a[k * n + j];
        }
    }
    return true;
}

bool lu_factor(size_t n, double *a, size_t *pivot) {
    for (size_t start = 0; start < n; start += LU_STRIP) {
        size_t past = n - start < LU_STRIP ? n : start + LU_STRIP;
        if (!factor_columns(n, start, past, a, pivot)) return false;
        for (size_t i = start + 1; i < n; i++)
            subtract_rows((i < past ? i : past) - start, n - past, a + i * n + start, a + start * n + past, n,
                          a + i * n + past);
    }
    return true;
}

double lu_log_determinant(size_t n, const double *lu, const size_t *pivot, int *sign) {
    double sum = 0;
    int parity = 1;
    for (size_t k = 0; k < n; k++) {
        double head = lu[k * n + k];
        sum += log(fabs(head));
        if ((head < 0) != (pivot[k] != k)) parity = -parity;
    }
    if (sign) *sign = parity;
    return sum;
}

void lu_solve(size_t n, const double *lu, const size_t *pivot, double *x) {
    for (size_t k = 0; k < n; k++)
        if (pivot[k] != k) swap_rows(1, x + k, x + pivot[k]);
    for (size_t i = 1; i < n; i++) subtract_rows(i, 1, lu + i * n, x, 1, x + i);
    for (size_t i = n; i-- > 0;) {
        subtract_rows(n - 1 - i, 1, lu + i * n + i + 1, x + i + 1, 1, x + i);
        x[i] /= lu[i * n + i];
    }
}

/* Columns [first, first + LU_STRIP) of U^-1 L^-1 into strip [n, LU_STRIP]: those of L^-1 are zero above row `first`. */
static void invert_strip(size_t n, const double *lu, size_t first, double *strip) {
    memset(strip, 0, n * LU_STRIP * sizeof *strip);
    for (size_t i = first; i < n; i++) {
        double *row = strip + i * LU_STRIP;
        if (i - first < LU_STRIP) row[i - first] = 1;
        subtract_strip(i - first, lu + i * n + first, strip + first * LU_STRIP, LU_STRIP, row);
    }
    for (size_t i = n; i-- > 0;) {
        double *row = strip + i * LU_STRIP, head = lu[i * n + i];
        subtract_strip(n - 1 - i, lu + i * n + i + 1, row + LU_STRIP, LU_STRIP, row);
        for (size_t j = 0; j < LU_STRIP; j++) row[j] /= head;
    }
}

/* A = P' L U with the exchanges P, so A^-1 = (U^-1 L^-1) P: columns change places, the last exchange first. */
void lu_inverse(size_t n, const double *lu, const size_t *pivot, double *strip, double *inverse) {
    for (size_t first = 0; first < n; first += LU_STRIP) {
        size_t width = n - first < LU_STRIP ? n - first : LU_STRIP;
        invert_strip(n, lu, first, strip);
        for (size_t i = 0; i < n; i++) memcpy(inverse + i * n + first, strip + i * LU_STRIP, width * sizeof *inverse);
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = n; k-- > 0;)
            if (pivot[k] != k) swap_rows(1, inverse + i * n + k, inverse + i * n + pivot[k]);
}
