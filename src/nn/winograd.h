/* Two outputs of a 3-tap dilated convolution from four products instead of six: Winograd's minimal filtering F(2, 3)
 * (Winograd, "Arithmetic complexity of computations", 1980; in this form Lavin, Gray, "Fast algorithms for
 * convolutional neural networks", CVPR 2016, eq. 5 and 6), along time, for rows that lie `dilation` = d apart:
 *
 *     y[t]     = x[t - d] W_0 + x[t] W_1     + x[t + d] W_2     = m_1 + m_2 + m_3
 *     y[t + d] = x[t] W_0     + x[t + d] W_1 + x[t + 2 d] W_2   = m_2 - m_3 - m_4
 *     m_1 = (x[t - d] - x[t + d]) W_0       m_2 = (x[t] + x[t + d]) (W_0 + W_1 + W_2) / 2
 *     m_4 = (x[t] - x[t + 2 d]) W_2         m_3 = (x[t + d] - x[t]) (W_0 - W_1 + W_2) / 2
 *
 * A position t is the first of a pair where floor(t / d) is even, else the second. The first sees no further than the
 * plain convolution does, so a stream loses no time: what the second needs of the first, m_2 - m_3, is kept until the
 * second's rows are there. Pairs hang on absolute positions and rows of a product do not depend on each other, so
 * neither chunks nor threads change a bit. Error against the plain sum: 5e-7 of the sum of absolute products at most
 * (tests/nn/test_winograd). */
#ifndef NN_WINOGRAD_H
#define NN_WINOGRAD_H

#include "nn/conv1d.h"

enum { MOST_PAIRS = 64 }; /* of a tile: its rows stay in the second-level cache */

/* Some pairs, and which of their rows a call has. Rows are counted from the call's first one; where they are given side
 * by side (y below) the firsts come before the seconds. */
typedef struct pair_tile {
    size_t firsts, seconds;
    size_t first[MOST_PAIRS], second[MOST_PAIRS]; /* rows of the call */
    size_t slot[MOST_PAIRS];                      /* of a first: its place in kept, or NO_SLOT: its second is here */
    size_t partner[MOST_PAIRS]; /* of a second: its first, an index into first, or into kept + firsts */
} pair_tile;

#define NO_SLOT SIZE_MAX

/* The pairs [*low, *high) that rows [position, position + rows) are of. position >= 0. */
void pairs_of(size_t dilation, size_t position, size_t rows, size_t *low, size_t *high);

/* The part of the pairs [low, high), at most MOST_PAIRS of them, that lies in those rows. */
void pairs_in(size_t dilation, size_t position, size_t rows, size_t low, size_t high, pair_tile *tile);

/* Takes rows [position, position + rows) tile by tile: calls body(context, run, part, tile), part counting the threads'
 * shares, each of which has scratch of its own. `other` is what a row costs besides, in products of winograd_rows.
 * Where rows are few there is one part and the run has all threads. Nothing while measuring. */
typedef void pair_body(void *context, const compute *run, size_t part, const pair_tile *tile);
void run_pair_tiles(const compute *run, size_t dilation, size_t position, size_t rows, size_t other, pair_body *body,
                    void *context);

/* The most parts that there can be. */
size_t pair_parts(const compute *run);

/* Reals that winograd_rows takes from room. */
size_t winograd_room(const conv1d *layer);

/* y [firsts + seconds, outputs], = or += with add, from x [.., inputs], which points at the call's first row, rows ldx
 * apart, all rows that are seen in memory. kept [dilation, outputs] gains what later calls need; before is what it held
 * when the call began: a copy where there are several parts, else kept itself. The layer has 3 taps and was built with
 * `pairs`. room: see winograd_room. */
void winograd_rows(const conv1d *layer, const compute *run, const pair_tile *tile, const real *x, size_t ldx,
                   const real *before, real *kept, bool add, real *room, real *y);

#endif
