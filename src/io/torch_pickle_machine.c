#include "io/torch_pickle_machine.h"

#include <stdlib.h>
#include <string.h>

vocode_status vm_broken(machine *m, const char *what) {
    return failed(m->error, VOCODE_FORMAT, "the pickle is malformed at byte %zu: %s", m->start, what);
}

vocode_status vm_out_of_memory(machine *m) {
    if (m->graph->count == PICKLE_MAX_NODES)
        return failed(m->error, VOCODE_FORMAT, "the pickle holds more than %zu objects", PICKLE_MAX_NODES);
    return failed(m->error, VOCODE_MEMORY, "out of memory for the pickle's objects");
}

int vm_grow(pickle_ref **array, size_t *capacity, size_t index, size_t limit) {
    if (index < *capacity) return 1;
    size_t wanted = *capacity ? 2 * *capacity : 64;
    if (wanted > limit) wanted = limit;
    if (wanted <= index) wanted = index + 1;
    pickle_ref *grown = realloc(*array, wanted * sizeof *grown);
    if (!grown) return 0;
    for (size_t i = *capacity; i < wanted; i++) grown[i] = PICKLE_ABSENT;
    *array = grown;
    *capacity = wanted;
    return 1;
}

vocode_status vm_push(machine *m, pickle_ref ref) {
    if (!vm_grow(&m->stack, &m->stack_capacity, m->depth, m->size + 1)) return vm_out_of_memory(m);
    m->stack[m->depth++] = ref;
    return VOCODE_OK;
}

vocode_status vm_peek(machine *m, size_t below, pickle_ref *ref) {
    if (m->depth <= below || m->stack[m->depth - 1 - below] == PICKLE_MARK) return vm_broken(m, "the stack is empty");
    *ref = m->stack[m->depth - 1 - below];
    return VOCODE_OK;
}

vocode_status vm_pop(machine *m, pickle_ref *ref) {
    TRY(vm_peek(m, 0, ref));
    m->depth--;
    return VOCODE_OK;
}

vocode_status vm_pop_mark(machine *m, const pickle_ref **items, size_t *count) {
    size_t at = m->depth;
    while (at > 0 && m->stack[at - 1] != PICKLE_MARK) at--;
    if (at == 0) return vm_broken(m, "there is no mark on the stack");
    *items = m->stack + at;
    *count = m->depth - at;
    m->depth = at - 1;
    return VOCODE_OK;
}

vocode_status vm_make(machine *m, pickle_kind kind, pickle_ref *ref) {
    *ref = pickle_add(m->graph, kind);
    return *ref == PICKLE_ABSENT ? vm_out_of_memory(m) : VOCODE_OK;
}

vocode_status vm_make_sequence(machine *m, pickle_kind kind, const pickle_ref *items, size_t count, pickle_ref *ref) {
    TRY(vm_make(m, kind, ref));
    return pickle_append(m->graph, *ref, items, count) ? VOCODE_OK : vm_out_of_memory(m);
}

vocode_status vm_make_text(machine *m, pickle_kind kind, const char *text, size_t size, pickle_ref *ref) {
    if (size > UINT32_MAX) return vm_broken(m, "a text is longer than 4 GiB");
    TRY(vm_make(m, kind, ref));
    pickle_node *node = pickle_edit(m->graph, *ref);
    node->text = text;
    node->count = (uint32_t)size;
    return VOCODE_OK;
}

vocode_status vm_push_text(machine *m, pickle_kind kind, const char *text, size_t size) {
    pickle_ref ref = PICKLE_ABSENT;
    TRY(vm_make_text(m, kind, text, size, &ref));
    return vm_push(m, ref);
}

vocode_status vm_push_integer(machine *m, int64_t value) {
    pickle_ref ref;
    TRY(vm_make(m, PICKLE_INT, &ref));
    pickle_edit(m->graph, ref)->integer = value;
    return vm_push(m, ref);
}

vocode_status vm_push_number(machine *m, double value) {
    pickle_ref ref;
    TRY(vm_make(m, PICKLE_FLOAT, &ref));
    pickle_edit(m->graph, ref)->number = value;
    return vm_push(m, ref);
}

vocode_status vm_read_bytes(machine *m, size_t size, const unsigned char **bytes) {
    if (size > m->size - m->position) return vm_broken(m, "it ends in the middle of a value");
    *bytes = m->code + m->position;
    m->position += size;
    return VOCODE_OK;
}

static uint64_t little_endian(const unsigned char *bytes, size_t width) {
    uint64_t value = 0;
    for (size_t i = width; i-- > 0;) value = value << 8 | bytes[i];
    return value;
}

vocode_status vm_read_unsigned(machine *m, size_t width, uint64_t *value) {
    const unsigned char *bytes = NULL;
    TRY(vm_read_bytes(m, width, &bytes));
    *value = little_endian(bytes, width);
    return VOCODE_OK;
}

vocode_status vm_read_line(machine *m, const char **text, size_t *size) {
    const unsigned char *from = m->code + m->position;
    const unsigned char *end = memchr(from, '\n', m->size - m->position);
    if (!end) return vm_broken(m, "a line does not end");
    *text = (const char *)from;
    *size = (size_t)(end - from);
    m->position += *size + 1;
    return VOCODE_OK;
}

vocode_status vm_read_counted(machine *m, size_t width, const char **text, size_t *size) {
    uint64_t length;
    const unsigned char *bytes;
    TRY(vm_read_unsigned(m, width, &length));
    if (length > m->size - m->position) return vm_broken(m, "a text is longer than the file");
    TRY(vm_read_bytes(m, (size_t)length, &bytes));
    *text = (const char *)bytes;
    *size = (size_t)length;
    return VOCODE_OK;
}
