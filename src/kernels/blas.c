/* Products of matrices by OpenBLAS. Callers hand in tiles from inside a parallel region (compute.c), where its OpenMP
 * build stays single-threaded; its global settings are never touched. */
#ifdef VOCODE_BLAS
#include <cblas.h>

#include "kernels/levels.h"

#ifdef VOCODE_REAL_DOUBLE
#define GEMM cblas_dgemm
#else
#define GEMM cblas_sgemm
#endif

static void gemm(enum CBLAS_TRANSPOSE ta, enum CBLAS_TRANSPOSE tb, size_t m, size_t n, size_t k, const real *a,
                 size_t lda, const real *b, size_t ldb, int beta, real *c, size_t ldc) {
    GEMM(CblasRowMajor, ta, tb, (blasint)m, (blasint)n, (blasint)k, 1, a, (blasint)lda, b, (blasint)ldb, (real)beta, c,
         (blasint)ldc);
}

static void gemm_nn(size_t rows, size_t n, size_t k, const real *a, size_t lda, const real *b, size_t ldb, int beta,
                    real *c, size_t ldc) {
    gemm(CblasNoTrans, CblasNoTrans, rows, n, k, a, lda, b, ldb, beta, c, ldc);
}

static void gemm_nt(size_t rows, size_t n, size_t k, const real *a, size_t lda, const real *b, size_t ldb, int beta,
                    real *c, size_t ldc) {
    gemm(CblasNoTrans, CblasTrans, rows, n, k, a, lda, b, ldb, beta, c, ldc);
}

static void gemm_tn(size_t m, size_t n, size_t k, const real *a, size_t lda, const real *b, size_t ldb, int beta,
                    real *c, size_t ldc) {
    gemm(CblasTrans, CblasNoTrans, m, n, k, a, lda, b, ldb, beta, c, ldc);
}

const kernel_table kernels_blas = {.level = "blas", .gemm_nn = gemm_nn, .gemm_nt = gemm_nt, .gemm_tn = gemm_tn};
#endif
