/* Products of matrices by OpenBLAS, one thread a call: callers hand in tiles that threads of ours share (pool.h). Its
 * OpenMP build takes as many threads as the calling task's OpenMP settings say. A region of one thread has settings of
 * its own, so those of an embedding program, and OpenBLAS's, are never touched. */
#ifdef VOCODE_BLAS
#include <cblas.h>
#include <omp.h>

#include "kernels/levels.h"

#ifdef VOCODE_REAL_DOUBLE
#define GEMM cblas_dgemm
#else
#define GEMM cblas_sgemm
#endif

static void gemm(enum CBLAS_TRANSPOSE ta, enum CBLAS_TRANSPOSE tb, size_t m, size_t n, size_t k, const real *a,
                 size_t lda, const real *b, size_t ldb, int beta, real *c, size_t ldc) {
#pragma omp parallel num_threads(1)
    {
        omp_set_num_threads(1);
        GEMM(CblasRowMajor, ta, tb, (blasint)m, (blasint)n, (blasint)k, 1, a, (blasint)lda, b, (blasint)ldb, (real)beta,
             c, (blasint)ldc);
    }
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
