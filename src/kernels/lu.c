/* Doolittle's method with partial pivoting (Golub, Van Loan, "Matrix computations", algorithm 3.4.1), row-oriented so
 * that the inner loops run along rows and vectorise. */
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

bool lu_factor(size_t n, double *a, size_t *pivot) {
    for (size_t k = 0; k < n; k++) {
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
            double *row = a + i * n;
            const double *top = a + k * n;
            for (size_t j = k + 1; j < n; j++) row[j] -= factor * top[j];
        }
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

/* row [width] -= sum over i < count of factors [i] rows [i, width]: four rows a pass, so that row is seldom loaded. */
static void subtract_rows(size_t count, size_t width, const double *factors, const double *rows, double *restrict row) {
    size_t i = 0;
    for (; i + 4 <= count; i += 4, rows += 4 * width) {
        double a = factors[i], b = factors[i + 1], c = factors[i + 2], d = factors[i + 3];
        if (a == 0 && b == 0 && c == 0 && d == 0) continue;
        const double *first = rows, *second = rows + width, *third = rows + 2 * width, *fourth = rows + 3 * width;
        for (size_t j = 0; j < width; j++) row[j] -= a * first[j] + b * second[j] + c * third[j] + d * fourth[j];
    }
    for (; i < count; i++, rows += width)
        for (size_t j = 0; factors[i] != 0 && j < width; j++) row[j] -= factors[i] * rows[j];
}

/* columns [n, width] hold right-hand sides side by side; solved in place. */
static void solve_columns(size_t n, const double *lu, const size_t *pivot, size_t width, double *x) {
    for (size_t k = 0; k < n; k++)
        if (pivot[k] != k) swap_rows(width, x + k * width, x + pivot[k] * width);
    for (size_t i = 1; i < n; i++) subtract_rows(i, width, lu + i * n, x, x + i * width);
    for (size_t i = n; i-- > 0;) {
        subtract_rows(n - 1 - i, width, lu + i * n + i + 1, x + (i + 1) * width, x + i * width);
        double head = lu[i * n + i];
        for (size_t j = 0; j < width; j++) x[i * width + j] /= head;
    }
}

void lu_solve(size_t n, const double *lu, const size_t *pivot, double *x) {
    solve_columns(n, lu, pivot, 1, x);
}

void lu_inverse(size_t n, const double *lu, const size_t *pivot, double *inverse) {
    memset(inverse, 0, n * n * sizeof *inverse);
    for (size_t i = 0; i < n; i++) inverse[i * n + i] = 1;
    solve_columns(n, lu, pivot, n, inverse);
}
