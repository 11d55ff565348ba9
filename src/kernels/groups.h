/* Several products of the same rows, a block of rows at a time, so that rows which do not stay in cache come from
 * memory once, not once a product:
 *
 *     y_i = x W_i + bias_i        i < count
 *
 * x [rows, inputs], y [count, rows, outputs], W_i [inputs, outputs]. Every sum has the terms of the products one by
 * one (convolve.h, one tap), in the same order: so have its bits. */
#ifndef KERNELS_GROUPS_H
#define KERNELS_GROUPS_H

#include "kernels/compute.h"

typedef struct product_group {
    size_t count, rows, inputs, outputs;
    const real *panels, *back; /* of W_0, and of its transpose; those of W_i are i steps further */
    size_t panel_step, back_step;
} product_group;

/* y is overwritten. bias [count, outputs] may be NULL. */
void run_group(const compute *run, const product_group *group, const real *x, const real *bias, real *y);

/* dx [rows, inputs] gains dy_i times the transpose of W_i, from the last i to the first. */
void run_group_data(const compute *run, const product_group *group, const real *dy, real *dx);

/* dw [inputs, count * outputs], overwritten: the W_i's gradients side by side. */
void run_group_weights(const compute *run, const product_group *group, const real *x, const real *dy, real *dw);

#endif
