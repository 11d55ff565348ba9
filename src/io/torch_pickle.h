/* Python pickles, protocols 0 to 5, read as data. Nothing is executed and no class is looked up: a call becomes an
 * OBJECT node that holds what would be called and with what. Nodes may be shared and may form cycles, so whoever walks
 * the graph limits its depth and its steps. Format: Lib/pickletools.py, PEP 307, PEP 3154, PEP 574. */
#ifndef IO_TORCH_PICKLE_H
#define IO_TORCH_PICKLE_H

#include <stddef.h>
#include <stdint.h>

#include "core/fail.h"

typedef enum pickle_kind {
    PICKLE_NONE,
    PICKLE_BOOL,
    PICKLE_INT,  /* fits in 64 bits */
    PICKLE_LONG, /* does not: text is its decimal digits or its little-endian two's complement */
    PICKLE_FLOAT,
    PICKLE_TEXT,  /* UTF-8, may hold zero bytes */
    PICKLE_BYTES, /* also Python 2 strings and bytearrays */
    PICKLE_LIST,
    PICKLE_TUPLE,
    PICKLE_SET,
    PICKLE_DICT,
    PICKLE_GLOBAL,    /* a class or function: callee is the TEXT of its module, arguments that of its name */
    PICKLE_OBJECT,    /* callee(arguments...), then state and pairs as Python would have set them */
    PICKLE_PERSISTENT /* items[0] is the persistent identifier */
} pickle_kind;

typedef uint32_t pickle_ref; /* a node of one graph */

#define PICKLE_ABSENT UINT32_MAX

typedef struct pickle_node {
    pickle_kind kind;
    uint32_t count, capacity; /* TEXT, BYTES, LONG: bytes of text; otherwise items in use and allocated */
    union {
        int64_t integer; /* BOOL, INT */
        double number;
        const char *text;  /* [count], no final zero */
        pickle_ref *items; /* [count]; DICT and OBJECT: keys and values in turn */
    };
    pickle_ref callee, arguments, state; /* OBJECT, GLOBAL; PICKLE_ABSENT where there is none */
} pickle_node;

typedef struct pickle pickle;

/* Runs the pickle at the start of code [size], which must outlive the graph; *used is the bytes up to and including its
 * STOP. An unknown opcode is VOCODE_UNSUPPORTED, named with its position; anything that Python would choke on is
 * VOCODE_FORMAT. Memory stays within a small multiple of size. Free with pickle_free. */
vocode_status pickle_read(const void *code, size_t size, pickle **out, size_t *used, vocode_error *error);

void pickle_free(pickle *graph); /* NULL is fine */

pickle_ref pickle_root(const pickle *graph);
size_t pickle_count(const pickle *graph); /* nodes: every ref below it is valid */
const pickle_node *pickle_at(const pickle *graph, pickle_ref ref);

/* Nonzero where ref is a TEXT or BYTES of these bytes, or a GLOBAL and text is "module name". */
int pickle_says(const pickle *graph, pickle_ref ref, const char *text);

/* The class of an OBJECT, a GLOBAL (through copyreg._reconstructor, copyreg.__newobj__ and the class wrappers of
 * older torch.save), or PICKLE_ABSENT. A GLOBAL is its own class. */
pickle_ref pickle_class(const pickle *graph, pickle_ref ref);

#define PICKLE_CLASS_TEXT 200 /* bytes that a class's name takes at most */

/* Writes "module.name" of a GLOBAL (or absent ref) to text [size] for a message; returns text. */
const char *pickle_class_text(const pickle *graph, pickle_ref class, char *text, size_t size);

/* Pairs of a DICT, or of an OBJECT of a dict-like class: what its constructor was given, then what was set after. */
size_t pickle_pairs(const pickle *graph, pickle_ref ref);
void pickle_pair(const pickle *graph, pickle_ref ref, size_t index, pickle_ref *key, pickle_ref *value);

/* The last value under key, or PICKLE_ABSENT. */
pickle_ref pickle_get(const pickle *graph, pickle_ref ref, const char *key);

/* Argument number index of an OBJECT's call, or PICKLE_ABSENT. */
pickle_ref pickle_argument(const pickle *graph, pickle_ref ref, size_t index);

/* 1 and *value where ref is an INT or a BOOL. */
int pickle_integer(const pickle *graph, pickle_ref ref, int64_t *value);

#endif
