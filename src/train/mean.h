/* The mean of numbers some of which are missing (NAN). */
#ifndef TRAIN_MEAN_H
#define TRAIN_MEAN_H

#include <math.h>
#include <stdint.h>

typedef struct mean {
    double sum;
    uint64_t count;
} mean;

static inline void mean_add(mean *self, double value) {
    if (isnan(value)) return;
    self->sum += value;
    self->count++;
}

/* NAN where none was there. */
static inline double mean_of(const mean *self) {
    return self->count ? self->sum / (double)self->count : NAN;
}

#endif
