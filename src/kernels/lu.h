/* LU factorisation of small dense matrices in double, for invertible 1x1 convolutions and for tests of Jacobians. */
#ifndef KERNELS_LU_H
#define KERNELS_LU_H

#include <stdbool.h>
#include <stddef.h>

enum { LU_STRIP = 16 }; /* columns that are worked on at once */

/* Factors a [n, n] (row-major) in place with partial pivoting; pivot [n] receives the row exchanges.
 * false when a pivot is zero or not finite: the matrix is singular to working precision. */
bool lu_factor(size_t n, double *a, size_t *pivot);

/* log|det| of a factored matrix, and the determinant's sign through sign unless NULL. */
double lu_log_determinant(size_t n, const double *lu, const size_t *pivot, int *sign);

/* Solves A x = b in place (x [n] holds b). */
void lu_solve(size_t n, const double *lu, const size_t *pivot, double *x);

/* inverse [n, n] of a factored matrix, row-major; strip [n, LU_STRIP] is room to work in. */
void lu_inverse(size_t n, const double *lu, const size_t *pivot, double *strip, double *inverse);

#endif
