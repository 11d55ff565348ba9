/* The arithmetic peak of this processor: fused multiply-adds on registers alone, in its widest vectors. What products
 * of matrices are measured against. */
#ifndef CLI_PEAK_H
#define CLI_PEAK_H

/* Multiply-adds a second of so many threads at once, measured for about a tenth of a second; 0 where there is no loop
 * for this processor. */
double peak_multiply_adds(int threads);

#endif
