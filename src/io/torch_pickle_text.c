/* The decimal and escaped texts of the old pickle protocols. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "io/torch_pickle_graph.h"

#define NUMBER_ROOM 64 /* bytes: longer than any float or 64-bit integer that Python prints */

/* Value of a hexadecimal digit, or -1. */
static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* digits hexadecimal digits at source [size]; -1 where they are not there. */
static long hex_number(const char *source, size_t size, size_t digits) {
    if (size < digits) return -1;
    long value = 0;
    for (size_t i = 0; i < digits; i++) {
        int digit = hex_digit(source[i]);
        if (digit < 0) return -1;
        value = value << 4 | digit;
    }
    return value;
}

static size_t put_utf8(char *target, long code) {
    if (code < 0x80) {
        target[0] = (char)code;
        return 1;
    }
    size_t length = code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = length - 1; i > 0; i--, code >>= 6) target[i] = (char)(0x80 | (code & 0x3f));
    target[0] = (char)(lead[length] | code);
    return length;
}

size_t pickle_unescape_unicode(const char *source, size_t size, char *target) {
    size_t written = 0;
    for (size_t i = 0; i < size;) {
        size_t digits = 0;
        if (source[i] == '\\' && i + 1 < size) digits = source[i + 1] == 'u' ? 4 : source[i + 1] == 'U' ? 8 : 0;
        if (digits == 0) { /* any other byte is its Latin-1 character */
            written += put_utf8(target + written, (unsigned char)source[i++]);
            continue;
        }
        long code = hex_number(source + i + 2, size - i - 2, digits);
        if (code < 0 || code > 0x10ffff) return SIZE_MAX;
        written += put_utf8(target + written, code);
        i += 2 + digits;
    }
    return written;
}

size_t pickle_unescape_string(const char *source, size_t size, char *target) {
    static const char letters[] = "\\'\"abfnrtv", values[] = "\\'\"\a\b\f\n\r\t\v";
    if (size < 2 || (source[0] != '\'' && source[0] != '"') || source[size - 1] != source[0]) return SIZE_MAX;
    size_t written = 0, end = size - 1;
    for (size_t i = 1; i < end; i++) {
        if (source[i] != '\\') {
            target[written++] = source[i];
            continue;
        }
        if (++i == end) return SIZE_MAX;
        const char *letter = memchr(letters, source[i], sizeof letters - 1);
        if (letter) {
            target[written++] = values[letter - letters];
        } else if (source[i] == 'x') {
            long code = hex_number(source + i + 1, end - i - 1, 2);
            if (code < 0) return SIZE_MAX;
            target[written++] = (char)code;
            i += 2;
        } else if (source[i] >= '0' && source[i] <= '7') {
            int code = 0;
            size_t stop = i + 3 < end ? i + 3 : end;
            for (; i < stop && source[i] >= '0' && source[i] <= '7'; i++) code = code << 3 | (source[i] - '0');
            target[written++] = (char)code;
            i--;
        } else { /* as Python: an unknown escape stands for itself */
            target[written++] = '\\';
            target[written++] = source[i];
        }
    }
    return written;
}

int pickle_decimal(const char *text, size_t size, int64_t *value) {
    size_t digits = size > 0 && (text[0] == '-' || text[0] == '+') ? size - 1 : size;
    if (digits == 0) return 0;
    for (size_t i = size - digits; i < size; i++)
        if (text[i] < '0' || text[i] > '9') return 0;
    if (size >= NUMBER_ROOM) return -1;
    char number[NUMBER_ROOM];
    memcpy(number, text, size);
    number[size] = 0;
    errno = 0;
    *value = strtoll(number, NULL, 10);
    return errno == ERANGE ? -1 : 1;
}

int pickle_number(const char *text, size_t size, double *value) {
    if (size == 0 || size >= NUMBER_ROOM || memchr(text, 'x', size) || memchr(text, 'X', size)) return 0;
    char number[NUMBER_ROOM], *end;
    memcpy(number, text, size);
    number[size] = 0;
    *value = strtod(number, &end);
    return end == number + size;
}

/* A cursor over text; each step returns 0 where the text does not go on as expected. */
typedef struct cursor {
    const char *at, *end;
} cursor;

static int expect(cursor *c, const char *literal) {
    size_t length = strlen(literal);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, literal, length) != 0) return 0;
    c->at += length;
    return 1;
}

/* A TEXT node of [from, to), which outlives the graph. */
static pickle_ref text_node(pickle *graph, const char *from, const char *to) {
    pickle_ref ref = pickle_add(graph, PICKLE_TEXT);
    if (ref == PICKLE_ABSENT) return PICKLE_ABSENT;
    pickle_edit(graph, ref)->text = from;
    pickle_edit(graph, ref)->count = (uint32_t)(to - from);
    return ref;
}

/* The text up to the next quote, which is passed over. */
static pickle_ref quoted(pickle *graph, cursor *c) {
    const char *from = c->at, *quote = memchr(from, '\'', (size_t)(c->end - from));
    if (!quote) return PICKLE_ABSENT;
    c->at = quote + 1;
    return text_node(graph, from, quote);
}

/* torch.FloatStorage and the quote after it, as a GLOBAL. */
static pickle_ref quoted_class(pickle *graph, cursor *c) {
    const char *from = c->at, *quote = memchr(from, '\'', (size_t)(c->end - from));
    const char *dot = quote ? memrchr(from, '.', (size_t)(quote - from)) : NULL;
    if (!dot) return PICKLE_ABSENT;
    c->at = quote + 1;
    pickle_ref module = text_node(graph, from, dot), name = text_node(graph, dot + 1, quote);
    pickle_ref ref = name == PICKLE_ABSENT ? PICKLE_ABSENT : pickle_add(graph, PICKLE_GLOBAL);
    if (module == PICKLE_ABSENT || ref == PICKLE_ABSENT) return PICKLE_ABSENT;
    pickle_edit(graph, ref)->callee = module;
    pickle_edit(graph, ref)->arguments = name;
    return ref;
}

static pickle_ref digits(pickle *graph, cursor *c) {
    const char *from = c->at;
    int64_t value;
    while (c->at < c->end && *c->at >= '0' && *c->at <= '9') c->at++;
    if (pickle_decimal(from, (size_t)(c->at - from), &value) != 1) return PICKLE_ABSENT;
    pickle_ref ref = pickle_add(graph, PICKLE_INT);
    if (ref != PICKLE_ABSENT) pickle_edit(graph, ref)->integer = value;
    return ref;
}

pickle_ref pickle_persistent_text(pickle *graph, const char *text, size_t size) {
    static const char *const between[] = {"('", ", <class '", ">, '", ", '", ", "};
    cursor c = {text, text + size};
    pickle_ref parts[5];
    for (int i = 0; i < 5; i++) {
        if (!expect(&c, between[i])) return PICKLE_ABSENT;
        parts[i] = i == 4 ? digits(graph, &c) : i == 1 ? quoted_class(graph, &c) : quoted(graph, &c);
        if (parts[i] == PICKLE_ABSENT) return PICKLE_ABSENT;
    }
    (void)expect(&c, ", None"); /* the legacy container's: no view of another storage */
    if (!expect(&c, ")") || c.at != c.end) return PICKLE_ABSENT;
    pickle_ref tuple = pickle_add(graph, PICKLE_TUPLE);
    return tuple != PICKLE_ABSENT && pickle_append(graph, tuple, parts, 5) ? tuple : PICKLE_ABSENT;
}
