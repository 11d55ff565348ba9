/* How the pickle machine builds a graph. Only the torch_pickle files include this. */
#ifndef IO_TORCH_PICKLE_GRAPH_H
#define IO_TORCH_PICKLE_GRAPH_H

#include "io/torch_pickle.h"

/* Nodes of one pickle. Checkpoints of large models hold some 10^5; the limit keeps memory below 200 MB. */
#define PICKLE_MAX_NODES ((size_t)1 << 22)

typedef struct pickle_block {
    struct pickle_block *next;
    size_t size, used;
    _Alignas(max_align_t) char bytes[];
} pickle_block;

struct pickle {
    pickle_node **chunks; /* nodes never move: chunk i holds refs from i * PICKLE_CHUNK on */
    size_t chunk_count, chunk_capacity;
    size_t count;
    size_t limit;         /* items one container may have: every one took a byte of code */
    pickle_block *blocks; /* item arrays and decoded texts */
    pickle_ref root;
};

pickle *pickle_new(size_t limit);

/* A new node of that kind, everything else zero or absent. PICKLE_ABSENT when out of memory or past the limit. */
pickle_ref pickle_add(pickle *graph, pickle_kind kind);

pickle_node *pickle_edit(pickle *graph, pickle_ref ref);

/* size bytes that live as long as the graph, NULL when out of memory. */
void *pickle_take(pickle *graph, size_t size);

/* Appends count items to the node's; 0 when out of memory or past the limit. */
int pickle_append(pickle *graph, pickle_ref ref, const pickle_ref *items, size_t count);

/* Decoders of the text protocols. Each returns the bytes written to target, or SIZE_MAX for malformed text; target
 * has room for 2 * size bytes. */
size_t pickle_unescape_string(const char *source, size_t size, char *target);  /* 'a\n\x41' with its quotes */
size_t pickle_unescape_unicode(const char *source, size_t size, char *target); /* raw-unicode-escape to UTF-8 */

/* Reads the whole of text [size] as a decimal integer: 1, or 0 where it is none, or -1 where it exceeds 64 bits. */
int pickle_decimal(const char *text, size_t size, int64_t *value);

/* Reads the whole of text [size] as a float in Python's repr; 0 where it is none. */
int pickle_number(const char *text, size_t size, double *value);

/* Reads what str() makes of a torch persistent identifier, ('storage', <class 'torch.FloatStorage'>, '0', 'cpu', 6),
 * into a TUPLE node with the same meaning; PICKLE_ABSENT where it is none. */
pickle_ref pickle_persistent_text(pickle *graph, const char *text, size_t size);

#endif
