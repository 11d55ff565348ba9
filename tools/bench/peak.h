/* The arithmetic peak of one core: fused multiply-adds on registers alone, in the widest vectors of the processor. */
#ifndef BENCH_PEAK_H
#define BENCH_PEAK_H

const char *peak_name(void);         /* of the instruction set that measure_peak uses */
double measure_peak(double seconds); /* GFLOP/s; runs for about so long */

#endif
