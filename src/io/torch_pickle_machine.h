/* The pickle machine's stack, memo and reading of code: what the steps of torch_pickle.c are made of. */
#ifndef IO_TORCH_PICKLE_MACHINE_H
#define IO_TORCH_PICKLE_MACHINE_H

#include "io/torch_pickle_graph.h"

#define PICKLE_MARK PICKLE_ABSENT /* on the stack; no node has that number */

typedef struct machine {
    pickle *graph;
    const unsigned char *code;
    size_t size, position; /* position is the next byte to read */
    size_t start;          /* of the current opcode */
    pickle_ref *stack;
    size_t depth, stack_capacity;
    pickle_ref *memo; /* PICKLE_ABSENT where nothing was put */
    size_t memo_capacity, memo_count;
    pickle_ref none, no, yes, empty; /* None, False, True, (): one node each, however often they occur */
    int stopped;
    vocode_error *error;
} machine;

/* X(code, NAME, step, variant). The variant says which of the opcodes a shared step runs: bytes of a number or of a
 * length, how many items, what kind of container. */
#define PICKLE_OPCODES(X)                        \
    X('(', MARK, run_mark, 0)                    \
    X('.', STOP, run_stop, 0)                    \
    X('0', POP, run_pop, 0)                      \
    X('1', POP_MARK, run_pop_mark, 0)            \
    X('2', DUP, run_dup, 0)                      \
    X('F', FLOAT, run_float, 0)                  \
    X('I', INT, run_int, 0)                      \
    X('J', BININT, run_binint, 4)                \
    X('K', BININT1, run_unsigned, 1)             \
    X('L', LONG, run_long, 0)                    \
    X('M', BININT2, run_unsigned, 2)             \
    X('N', NONE, run_none, 0)                    \
    X('P', PERSID, run_persistent, 0)            \
    X('Q', BINPERSID, run_persistent, 1)         \
    X('R', REDUCE, run_call, 0)                  \
    X('S', STRING, run_escaped, 0)               \
    X('T', BINSTRING, run_bytes, 4)              \
    X('U', SHORT_BINSTRING, run_bytes, 1)        \
    X('V', UNICODE, run_escaped, 1)              \
    X('X', BINUNICODE, run_text, 4)              \
    X('a', APPEND, run_append, 0)                \
    X('b', BUILD, run_build, 0)                  \
    X('c', GLOBAL, run_global, 0)                \
    X('d', DICT, run_collect, PICKLE_DICT)       \
    X('}', EMPTY_DICT, run_empty, PICKLE_DICT)   \
    X('e', APPENDS, run_extend, 0)               \
    X('g', GET, run_get, 0)                      \
    X('h', BINGET, run_get, 1)                   \
    X('i', INST, run_instance, 0)                \
    X('j', LONG_BINGET, run_get, 4)              \
    X('l', LIST, run_collect, PICKLE_LIST)       \
    X(']', EMPTY_LIST, run_empty, PICKLE_LIST)   \
    X('o', OBJ, run_instance, 1)                 \
    X('p', PUT, run_put, 0)                      \
    X('q', BINPUT, run_put, 1)                   \
    X('r', LONG_BINPUT, run_put, 4)              \
    X('s', SETITEM, run_setitem, 0)              \
    X('t', TUPLE, run_collect, PICKLE_TUPLE)     \
    X(')', EMPTY_TUPLE, run_empty, PICKLE_TUPLE) \
    X('u', SETITEMS, run_extend, 1)              \
    X('G', BINFLOAT, run_binfloat, 8)            \
    X('B', BINBYTES, run_bytes, 4)               \
    X('C', SHORT_BINBYTES, run_bytes, 1)         \
    X(0x80, PROTO, run_proto, 1)                 \
    X(0x81, NEWOBJ, run_call, 0)                 \
    X(0x82, EXT1, run_refused, 0)                \
    X(0x83, EXT2, run_refused, 0)                \
    X(0x84, EXT4, run_refused, 0)                \
    X(0x85, TUPLE1, run_short_tuple, 1)          \
    X(0x86, TUPLE2, run_short_tuple, 2)          \
    X(0x87, TUPLE3, run_short_tuple, 3)          \
    X(0x88, NEWTRUE, run_bool, 1)                \
    X(0x89, NEWFALSE, run_bool, 0)               \
    X(0x8a, LONG1, run_binlong, 1)               \
    X(0x8b, LONG4, run_binlong, 4)               \
    X(0x8c, SHORT_BINUNICODE, run_text, 1)       \
    X(0x8d, BINUNICODE8, run_text, 8)            \
    X(0x8e, BINBYTES8, run_bytes, 8)             \
    X(0x8f, EMPTY_SET, run_empty, PICKLE_SET)    \
    X(0x90, ADDITEMS, run_extend, 0)             \
    X(0x91, FROZENSET, run_collect, PICKLE_SET)  \
    X(0x92, NEWOBJ_EX, run_call, 1)              \
    X(0x93, STACK_GLOBAL, run_stack_global, 0)   \
    X(0x94, MEMOIZE, run_put, 8)                 \
    X(0x95, FRAME, run_frame, 8)                 \
    X(0x96, BYTEARRAY8, run_bytes, 8)            \
    X(0x97, NEXT_BUFFER, run_refused, 1)         \
    X(0x98, READONLY_BUFFER, run_refused, 1)

typedef vocode_status pickle_step(machine *m, size_t variant);

#define OPCODE_STEP(code, name, run, variant) pickle_step run;
PICKLE_OPCODES(OPCODE_STEP)
#undef OPCODE_STEP

/* VOCODE_FORMAT with the opcode's position. */
vocode_status vm_broken(machine *m, const char *what);
vocode_status vm_out_of_memory(machine *m); /* or past PICKLE_MAX_NODES, which is VOCODE_FORMAT */

/* Grows an array of refs to hold index, to at most limit elements or what index needs; 0 when out of memory. */
int vm_grow(pickle_ref **array, size_t *capacity, size_t index, size_t limit);

vocode_status vm_push(machine *m, pickle_ref ref);
vocode_status vm_pop(machine *m, pickle_ref *ref);
vocode_status vm_peek(machine *m, size_t below, pickle_ref *ref); /* the value with `below` others above it */

/* Takes everything above the topmost mark, and the mark: the items stay readable at *items until the next push. */
vocode_status vm_pop_mark(machine *m, const pickle_ref **items, size_t *count);

vocode_status vm_make(machine *m, pickle_kind kind, pickle_ref *ref);
vocode_status vm_make_sequence(machine *m, pickle_kind kind, const pickle_ref *items, size_t count, pickle_ref *ref);

vocode_status vm_make_text(machine *m, pickle_kind kind, const char *text, size_t size,
                           pickle_ref *ref); /* not copied */
vocode_status vm_push_text(machine *m, pickle_kind kind, const char *text, size_t size);
vocode_status vm_push_integer(machine *m, int64_t value);
vocode_status vm_push_number(machine *m, double value);

vocode_status vm_read_bytes(machine *m, size_t size, const unsigned char **bytes);
vocode_status vm_read_unsigned(machine *m, size_t width, uint64_t *value); /* little-endian, width <= 8 */
vocode_status vm_read_line(machine *m, const char **text, size_t *size);   /* without its newline */
/* A length of width bytes and as many bytes of text. */
vocode_status vm_read_counted(machine *m, size_t width, const char **text, size_t *size);

#endif
