/* Which part of the recordings a training segment is: a function of (seed, number of the segment) alone. */
#ifndef TRAIN_SAMPLER_H
#define TRAIN_SAMPLER_H

#include <stddef.h>
#include <stdint.h>

/* A permutation of 0..count-1 that needs no memory: a Feistel network of Philox rounds over the next power of four,
 * walked until it falls below count (Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002). */
uint64_t sampler_permute(uint64_t seed, uint64_t epoch, uint64_t index, uint64_t count);

/* A point of [0, 1) for segment number. Every slots segments are an epoch: each of as many equal parts of [0, 1) is
 * visited once an epoch, in an order of the epoch's own, at a point drawn uniformly. */
double sampler_point(uint64_t seed, uint64_t number, uint64_t slots);

#endif
