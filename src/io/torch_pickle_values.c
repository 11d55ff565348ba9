/* Steps of the pickle machine that make plain values, and those of the memo. */
#include <string.h>

#include "io/torch_pickle_machine.h"

#define PICKLE_NEWEST 5 /* protocol */

vocode_status run_proto(machine *m, size_t width) {
    uint64_t protocol;
    TRY(vm_read_unsigned(m, width, &protocol));
    if (protocol > PICKLE_NEWEST)
        return failed(m->error, VOCODE_UNSUPPORTED, "pickle protocol %u at byte %zu is newer than %d",
                      (unsigned)protocol, m->start, PICKLE_NEWEST);
    return VOCODE_OK;
}

vocode_status run_frame(machine *m, size_t width) {
    uint64_t length;
    TRY(vm_read_unsigned(m, width, &length));
    return length > m->size - m->position ? vm_broken(m, "a frame is longer than the file") : VOCODE_OK;
}

vocode_status run_stop(machine *m, size_t width) {
    (void)width;
    m->stopped = 1;
    return vm_pop(m, &m->graph->root);
}

vocode_status run_none(machine *m, size_t width) {
    (void)width;
    return vm_push(m, m->none);
}

vocode_status run_bool(machine *m, size_t width) {
    return vm_push(m, width ? m->yes : m->no);
}

vocode_status run_mark(machine *m, size_t width) {
    (void)width;
    return vm_push(m, PICKLE_MARK);
}

vocode_status run_pop(machine *m, size_t width) { /* also takes a mark, as Python's does */
    (void)width;
    if (m->depth == 0) return vm_broken(m, "the stack is empty");
    m->depth--;
    return VOCODE_OK;
}

vocode_status run_pop_mark(machine *m, size_t width) {
    (void)width;
    const pickle_ref *items;
    size_t count;
    return vm_pop_mark(m, &items, &count);
}

vocode_status run_dup(machine *m, size_t width) {
    pickle_ref ref;
    TRY(vm_peek(m, width, &ref));
    return vm_push(m, ref);
}

static vocode_status push_decimal(machine *m, const char *text, size_t size) {
    int64_t value;
    int known = pickle_decimal(text, size, &value);
    if (known == 0) return vm_broken(m, "a number has a character that is no digit");
    return known > 0 ? vm_push_integer(m, value) : vm_push_text(m, PICKLE_LONG, text, size);
}

vocode_status run_int(machine *m, size_t width) {
    (void)width;
    const char *text;
    size_t size;
    TRY(vm_read_line(m, &text, &size));
    if (size == 2 && text[0] == '0' && (text[1] == '0' || text[1] == '1'))
        return vm_push(m, text[1] == '1' ? m->yes : m->no); /* how protocol 0 writes False and True */
    return push_decimal(m, text, size);
}

vocode_status run_long(machine *m, size_t width) {
    (void)width;
    const char *text;
    size_t size;
    TRY(vm_read_line(m, &text, &size));
    if (size > 0 && text[size - 1] == 'L') size--;
    return push_decimal(m, text, size);
}

vocode_status run_unsigned(machine *m, size_t width) {
    uint64_t value;
    TRY(vm_read_unsigned(m, width, &value));
    return vm_push_integer(m, (int64_t)value);
}

vocode_status run_binint(machine *m, size_t width) {
    uint64_t value;
    TRY(vm_read_unsigned(m, width, &value));
    return vm_push_integer(m, (int32_t)(uint32_t)value);
}

vocode_status run_binlong(machine *m, size_t width) {
    const char *text;
    size_t size;
    TRY(vm_read_counted(m, width, &text, &size));
    if (size > sizeof(int64_t)) return vm_push_text(m, PICKLE_LONG, text, size);
    uint64_t value = size > 0 && text[size - 1] < 0 ? UINT64_MAX : 0; /* the sign goes on upwards */
    for (size_t i = size; i-- > 0;) value = value << 8 | (unsigned char)text[i];
    return vm_push_integer(m, (int64_t)value);
}

vocode_status run_float(machine *m, size_t width) {
    (void)width;
    const char *text;
    size_t size;
    double value;
    TRY(vm_read_line(m, &text, &size));
    if (!pickle_number(text, size, &value)) return vm_broken(m, "a float is not a number");
    return vm_push_number(m, value);
}

vocode_status run_binfloat(machine *m, size_t width) {
    const unsigned char *bytes;
    TRY(vm_read_bytes(m, width, &bytes));
    uint64_t bits = 0;
    for (size_t i = 0; i < width; i++) bits = bits << 8 | bytes[i]; /* the one big-endian value of the format */
    double value;
    memcpy(&value, &bits, sizeof value);
    return vm_push_number(m, value);
}

vocode_status run_text(machine *m, size_t width) {
    const char *text;
    size_t size;
    TRY(vm_read_counted(m, width, &text, &size));
    return vm_push_text(m, PICKLE_TEXT, text, size);
}

vocode_status run_bytes(machine *m, size_t width) {
    const char *text;
    size_t size;
    TRY(vm_read_counted(m, width, &text, &size));
    return vm_push_text(m, PICKLE_BYTES, text, size);
}

/* UNICODE and STRING: a line with escapes. */
vocode_status run_escaped(machine *m, size_t unicode) {
    const char *text;
    size_t size;
    TRY(vm_read_line(m, &text, &size));
    int plain = unicode && !memchr(text, '\\', size);
    for (size_t i = 0; plain && i < size; i++) plain = text[i] >= 0; /* ASCII */
    if (plain) return vm_push_text(m, PICKLE_TEXT, text, size);
    char *decoded = pickle_take(m->graph, 2 * size);
    if (!decoded) return vm_out_of_memory(m);
    size_t written = (unicode ? pickle_unescape_unicode : pickle_unescape_string)(text, size, decoded);
    if (written == SIZE_MAX) return vm_broken(m, "a text has a malformed escape");
    return vm_push_text(m, unicode ? PICKLE_TEXT : PICKLE_BYTES, decoded, written);
}

static vocode_status put(machine *m, uint64_t index) {
    pickle_ref ref;
    TRY(vm_peek(m, 0, &ref));
    if (index >= m->size) return vm_broken(m, "a memo number is larger than the file"); /* a put takes a byte or more */
    if (!vm_grow(&m->memo, &m->memo_capacity, (size_t)index, m->size)) return vm_out_of_memory(m);
    if (m->memo[index] == PICKLE_ABSENT) m->memo_count++;
    m->memo[index] = ref;
    return VOCODE_OK;
}

static vocode_status get(machine *m, uint64_t index) {
    if (index >= m->memo_capacity || m->memo[index] == PICKLE_ABSENT)
        return vm_broken(m, "it refers to a memo that was never put");
    return vm_push(m, m->memo[index]);
}

static vocode_status line_index(machine *m, uint64_t *index) {
    const char *text;
    size_t size;
    int64_t value;
    TRY(vm_read_line(m, &text, &size));
    if (pickle_decimal(text, size, &value) != 1 || value < 0) return vm_broken(m, "a memo number is malformed");
    *index = (uint64_t)value;
    return VOCODE_OK;
}

vocode_status run_put(machine *m, size_t width) {
    uint64_t index = m->memo_count; /* what MEMOIZE takes */
    if (width == 0) TRY(line_index(m, &index));
    if (width == 1 || width == 4) TRY(vm_read_unsigned(m, width, &index));
    return put(m, index);
}

vocode_status run_get(machine *m, size_t width) {
    uint64_t index = 0;
    if (width == 0)
        TRY(line_index(m, &index));
    else
        TRY(vm_read_unsigned(m, width, &index));
    return get(m, index);
}
