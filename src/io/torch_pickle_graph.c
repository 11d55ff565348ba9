#include "io/torch_pickle_graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PICKLE_CHUNK ((size_t)512)     /* nodes, some 20 KiB */
#define BLOCK_BYTES ((size_t)16 << 10) /* of small items; larger ones get a block of their own */

pickle *pickle_new(size_t limit) {
    pickle *graph = calloc(1, sizeof *graph);
    if (graph) graph->limit = limit;
    return graph;
}

void pickle_free(pickle *graph) {
    if (!graph) return;
    for (size_t i = 0; i < graph->chunk_count; i++) free(graph->chunks[i]);
    free(graph->chunks);
    while (graph->blocks) {
        pickle_block *next = graph->blocks->next;
        free(graph->blocks);
        graph->blocks = next;
    }
    free(graph);
}

pickle_node *pickle_edit(pickle *graph, pickle_ref ref) {
    return &graph->chunks[ref / PICKLE_CHUNK][ref % PICKLE_CHUNK];
}

const pickle_node *pickle_at(const pickle *graph, pickle_ref ref) {
    return &graph->chunks[ref / PICKLE_CHUNK][ref % PICKLE_CHUNK];
}

pickle_ref pickle_root(const pickle *graph) {
    return graph->root;
}

size_t pickle_count(const pickle *graph) {
    return graph->count;
}

static int add_chunk(pickle *graph) {
    if (graph->chunk_count == graph->chunk_capacity) {
        size_t capacity = graph->chunk_capacity ? 2 * graph->chunk_capacity : 16;
        pickle_node **chunks = realloc(graph->chunks, capacity * sizeof *chunks);
        if (!chunks) return 0;
        graph->chunks = chunks;
        graph->chunk_capacity = capacity;
    }
    pickle_node *chunk = malloc(PICKLE_CHUNK * sizeof *chunk);
    if (!chunk) return 0;
    graph->chunks[graph->chunk_count++] = chunk;
    return 1;
}

pickle_ref pickle_add(pickle *graph, pickle_kind kind) {
    if (graph->count == PICKLE_MAX_NODES) return PICKLE_ABSENT;
    if (graph->count == graph->chunk_count * PICKLE_CHUNK && !add_chunk(graph)) return PICKLE_ABSENT;
    pickle_ref ref = (pickle_ref)graph->count++;
    *pickle_edit(graph, ref) =
        (pickle_node){.kind = kind, .callee = PICKLE_ABSENT, .arguments = PICKLE_ABSENT, .state = PICKLE_ABSENT};
    return ref;
}

void *pickle_take(pickle *graph, size_t size) {
    size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    pickle_block *block = graph->blocks;
    if (!block || block->size - block->used < size) {
        size_t room = size > BLOCK_BYTES / 4 ? size : BLOCK_BYTES;
        pickle_block *fresh = malloc(sizeof *fresh + room);
        if (!fresh) return NULL;
        *fresh = (pickle_block){.size = room};
        if (block && room == size) { /* full at once: the block with room left stays first */
            fresh->next = block->next;
            block->next = fresh;
        } else {
            fresh->next = block;
            graph->blocks = fresh;
        }
        block = fresh;
    }
    void *taken = block->bytes + block->used;
    block->used += size;
    return taken;
}

int pickle_append(pickle *graph, pickle_ref ref, const pickle_ref *items, size_t count) {
    pickle_node *node = pickle_edit(graph, ref);
    if (count > graph->limit - node->count) return 0;
    size_t needed = node->count + count;
    if (needed > node->capacity) {
        size_t capacity = node->capacity ? 2 * (size_t)node->capacity : count;
        if (capacity > graph->limit) capacity = graph->limit;
        if (capacity < needed) capacity = needed;
        pickle_ref *grown = pickle_take(graph, capacity * sizeof *grown);
        if (!grown) return 0;
        if (node->count) memcpy(grown, node->items, node->count * sizeof *grown);
        node->items = grown;
        node->capacity = (uint32_t)capacity;
    }
    if (count) memcpy(node->items + node->count, items, count * sizeof *items);
    node->count = (uint32_t)needed;
    return 1;
}

static int same(const pickle_node *node, const char *text, size_t size) {
    return node->count == size && memcmp(node->text, text, size) == 0;
}

int pickle_says(const pickle *graph, pickle_ref ref, const char *text) {
    if (ref == PICKLE_ABSENT) return 0;
    const pickle_node *node = pickle_at(graph, ref);
    size_t size = strlen(text);
    if (node->kind == PICKLE_TEXT || node->kind == PICKLE_BYTES) return same(node, text, size);
    const char *space = memchr(text, ' ', size);
    if (node->kind != PICKLE_GLOBAL || !space) return 0;
    size_t module = (size_t)(space - text);
    return same(pickle_at(graph, node->callee), text, module) &&
           same(pickle_at(graph, node->arguments), space + 1, size - module - 1);
}

const char *pickle_class_text(const pickle *graph, pickle_ref class, char *text, size_t size) {
    if (class == PICKLE_ABSENT || pickle_at(graph, class)->kind != PICKLE_GLOBAL) {
        snprintf(text, size, "(no name)");
        return text;
    }
    const pickle_node *module = pickle_at(graph, pickle_at(graph, class)->callee);
    const pickle_node *name = pickle_at(graph, pickle_at(graph, class)->arguments);
    int room = PICKLE_CLASS_TEXT / 2 - 2;
    snprintf(text, size, "%.*s.%.*s", (int)module->count < room ? (int)module->count : room, module->text,
             (int)name->count < room ? (int)name->count : room, name->text);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f) *c = '?'; /* it goes into messages */
    return text;
}

int pickle_integer(const pickle *graph, pickle_ref ref, int64_t *value) {
    if (ref == PICKLE_ABSENT) return 0;
    const pickle_node *node = pickle_at(graph, ref);
    if (node->kind != PICKLE_INT && node->kind != PICKLE_BOOL) return 0;
    *value = node->integer;
    return 1;
}

pickle_ref pickle_argument(const pickle *graph, pickle_ref ref, size_t index) {
    if (ref == PICKLE_ABSENT) return PICKLE_ABSENT;
    const pickle_node *node = pickle_at(graph, ref);
    if (node->kind != PICKLE_OBJECT || node->arguments == PICKLE_ABSENT) return PICKLE_ABSENT;
    const pickle_node *arguments = pickle_at(graph, node->arguments);
    if (arguments->kind != PICKLE_TUPLE || index >= arguments->count) return PICKLE_ABSENT;
    return arguments->items[index];
}

/* Legacy torch.save writes a module's class as the persistent identifier ("module", class, file, source). */
static pickle_ref unwrapped_class(const pickle *graph, pickle_ref ref) {
    if (ref == PICKLE_ABSENT) return PICKLE_ABSENT;
    const pickle_node *node = pickle_at(graph, ref);
    if (node->kind == PICKLE_PERSISTENT) {
        const pickle_node *identifier = pickle_at(graph, node->items[0]);
        if (identifier->kind != PICKLE_TUPLE || identifier->count < 2) return PICKLE_ABSENT;
        if (!pickle_says(graph, identifier->items[0], "module")) return PICKLE_ABSENT;
        ref = identifier->items[1];
        node = pickle_at(graph, ref);
    }
    return node->kind == PICKLE_GLOBAL ? ref : PICKLE_ABSENT;
}

pickle_ref pickle_class(const pickle *graph, pickle_ref ref) {
    static const char *const makers[] = {"copy_reg _reconstructor", "copyreg _reconstructor", "copy_reg __newobj__",
                                         "copyreg __newobj__"};
    if (ref == PICKLE_ABSENT) return PICKLE_ABSENT;
    const pickle_node *node = pickle_at(graph, ref);
    if (node->kind != PICKLE_OBJECT) return unwrapped_class(graph, ref);
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
        if (pickle_says(graph, node->callee, makers[i])) return unwrapped_class(graph, pickle_argument(graph, ref, 0));
    return unwrapped_class(graph, node->callee);
}

/* The container that a dict-like constructor was given, or PICKLE_ABSENT: OrderedDict([[k, v], ...]), dict({...}). */
static pickle_ref initial_pairs(const pickle *graph, pickle_ref ref) {
    static const char *const classes[] = {"collections OrderedDict", "builtins dict", "__builtin__ dict"};
    pickle_ref class = pickle_class(graph, ref);
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
        if (pickle_says(graph, class, classes[i])) return pickle_argument(graph, ref, 0);
    return PICKLE_ABSENT;
}

static size_t initial_count(const pickle *graph, pickle_ref initial) {
    if (initial == PICKLE_ABSENT) return 0;
    const pickle_node *node = pickle_at(graph, initial);
    if (node->kind == PICKLE_DICT) return node->count / 2;
    return node->kind == PICKLE_LIST || node->kind == PICKLE_TUPLE ? node->count : 0;
}

size_t pickle_pairs(const pickle *graph, pickle_ref ref) {
    if (ref == PICKLE_ABSENT) return 0;
    const pickle_node *node = pickle_at(graph, ref);
    if (node->kind == PICKLE_DICT) return node->count / 2;
    if (node->kind != PICKLE_OBJECT) return 0;
    return initial_count(graph, initial_pairs(graph, ref)) + node->count / 2;
}

void pickle_pair(const pickle *graph, pickle_ref ref, size_t index, pickle_ref *key, pickle_ref *value) {
    const pickle_node *node = pickle_at(graph, ref);
    if (node->kind == PICKLE_OBJECT) {
        pickle_ref initial = initial_pairs(graph, ref);
        size_t count = initial_count(graph, initial);
        if (index >= count) {
            index -= count;
        } else if (pickle_at(graph, initial)->kind == PICKLE_DICT) {
            node = pickle_at(graph, initial);
        } else {
            const pickle_node *pair = pickle_at(graph, pickle_at(graph, initial)->items[index]);
            int whole = (pair->kind == PICKLE_LIST || pair->kind == PICKLE_TUPLE) && pair->count == 2;
            *key = whole ? pair->items[0] : PICKLE_ABSENT;
            *value = whole ? pair->items[1] : PICKLE_ABSENT;
            return;
        }
    }
    *key = node->items[2 * index];
    *value = node->items[2 * index + 1];
}

pickle_ref pickle_get(const pickle *graph, pickle_ref ref, const char *key) {
    for (size_t i = pickle_pairs(graph, ref); i-- > 0;) {
        pickle_ref found, value;
        pickle_pair(graph, ref, i, &found, &value);
        if (pickle_says(graph, found, key)) return value;
    }
    return PICKLE_ABSENT;
}
