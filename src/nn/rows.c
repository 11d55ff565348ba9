#include "nn/rows.h"

#include <stdint.h>
#include <string.h>

#include "core/arena.h"

bool row_queue_new(row_queue *queue, size_t width, size_t most, ptrdiff_t position) {
    *queue = (row_queue){.width = width, .capacity = most, .first = position};
    if (width > SIZE_MAX / sizeof(real)) return false;
    queue->rows = aligned_new(most, width * sizeof(real));
    return queue->rows != NULL;
}

void row_queue_free(row_queue *queue) {
    aligned_free(queue->rows);
    queue->rows = NULL;
}

real *row_queue_push(row_queue *queue, size_t n) {
    if (queue->start + queue->count + n > queue->capacity) {
        memmove(queue->rows, queue->rows + queue->start * queue->width, queue->count * queue->width * sizeof(real));
        queue->start = 0;
    }
    real *fresh = queue->rows + (queue->start + queue->count) * queue->width;
    queue->count += n;
    return fresh;
}

void row_queue_push_zeros(row_queue *queue, size_t n) {
    real *fresh = row_queue_push(queue, n);
    memset(fresh, 0, n * queue->width * sizeof *fresh);
}

real *row_queue_at(const row_queue *queue, ptrdiff_t position) {
    return queue->rows + (queue->start + (size_t)(position - queue->first)) * queue->width;
}

ptrdiff_t row_queue_end(const row_queue *queue) {
    return queue->first + (ptrdiff_t)queue->count;
}

void row_queue_drop(row_queue *queue, ptrdiff_t position) {
    if (position <= queue->first) return;
    size_t gone = (size_t)(position - queue->first);
    if (gone > queue->count) gone = queue->count;
    queue->start += gone;
    queue->count -= gone;
    queue->first += (ptrdiff_t)gone;
}

size_t row_queue_room(const row_queue *queue) {
    return queue->capacity - queue->count;
}
