/* A queue of rows by absolute position: what a layer keeps of its past while rows arrive. Rows lie side by side in
 * memory, so a run of them is one array. */
#ifndef NN_ROWS_H
#define NN_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "core/real.h"

typedef struct row_queue {
    size_t width;    /* reals a row */
    size_t capacity; /* rows of memory */
    size_t start;    /* where the oldest row lies */
    size_t count;    /* rows held */
    ptrdiff_t first; /* position of the oldest row */
    real *rows;      /* [capacity, width], owned */
} row_queue;

/* Room for `most` rows held at once; the first to be pushed has the given position. A push moves what is held to the
 * front where the memory behind it does not suffice: some more room than is held at any time makes that rare. false: no
 * memory. */
bool row_queue_new(row_queue *queue, size_t width, size_t most, ptrdiff_t position);
void row_queue_free(row_queue *queue);

/* Appends n rows, contents undefined, and gives the first of them; there must be room. May move what is held. */
real *row_queue_push(row_queue *queue, size_t n);
void row_queue_push_zeros(row_queue *queue, size_t n);

/* The row at a position that is held; those after it follow. */
real *row_queue_at(const row_queue *queue, ptrdiff_t position);

/* The position after the last row held. */
ptrdiff_t row_queue_end(const row_queue *queue);

/* Rows that may still be pushed. */
size_t row_queue_room(const row_queue *queue);

/* Forgets the rows before a position. */
void row_queue_drop(row_queue *queue, ptrdiff_t position);

#endif
