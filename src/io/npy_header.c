#include "io/npy_header.h"

#include <string.h>

#include "io/bytes.h"

#define MAGIC "\x93NUMPY"
#define MAGIC_SIZE 6
#define QUOTED_SIZE 64 /* of a dtype or a key, with its zero byte */

/* Where the parser stands in the literal. */
typedef struct cursor {
    const char *at, *end;
    const char *name;
    vocode_error *error;
} cursor;

static void skip_spaces(cursor *c) {
    while (c->at < c->end && (*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r')) c->at++;
}

/* Takes one punctuation character if it comes next. */
static int take(cursor *c, char wanted) {
    skip_spaces(c);
    if (c->at == c->end || *c->at != wanted) return 0;
    c->at++;
    return 1;
}

static int take_word(cursor *c, const char *word) {
    size_t length = strlen(word);
    skip_spaces(c);
    if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length) != 0) return 0;
    c->at += length;
    return 1;
}

static vocode_status malformed(cursor *c, const char *expected) {
    skip_spaces(c);
    if (c->at == c->end)
        return failed(c->error, VOCODE_FORMAT, "%s: malformed .npy header: expected %s, found its end", c->name,
                      expected);
    return failed(c->error, VOCODE_FORMAT, "%s: malformed .npy header: expected %s, found byte 0x%02x ('%c')", c->name,
                  expected, (unsigned char)*c->at, *c->at >= ' ' && *c->at < 0x7f ? *c->at : '?');
}

/* A string in either kind of quotes; escapes do not occur in dtypes and keys. */
static vocode_status quoted(cursor *c, const char *expected, char text[QUOTED_SIZE]) {
    skip_spaces(c);
    if (c->at == c->end || (*c->at != '\'' && *c->at != '"')) return malformed(c, expected);
    char quote = *c->at++;
    size_t length = 0;
    while (c->at < c->end && *c->at != quote) {
        if (length + 1 == QUOTED_SIZE || *c->at == '\\' || (unsigned char)*c->at < ' ') return malformed(c, expected);
        text[length++] = *c->at++;
    }
    if (c->at == c->end) return malformed(c, "a closing quote");
    c->at++;
    text[length] = 0;
    return VOCODE_OK;
}

static vocode_status whole_number(cursor *c, size_t *value) {
    skip_spaces(c);
    if (c->at == c->end || *c->at < '0' || *c->at > '9') return malformed(c, "a whole number");
    for (*value = 0; c->at < c->end && *c->at >= '0' && *c->at <= '9'; c->at++)
        if (__builtin_mul_overflow(*value, (size_t)10, value) ||
            __builtin_add_overflow(*value, (size_t)(*c->at - '0'), value))
            return failed(c->error, VOCODE_FORMAT, "%s: a size in the .npy header does not fit in 64 bits", c->name);
    if (c->at < c->end && *c->at == 'L') c->at++; /* Python 2 wrote long integers so */
    return VOCODE_OK;
}

static vocode_status shape_of(cursor *c, npy_header *out) {
    if (!take(c, '(')) return malformed(c, "a shape in parentheses");
    while (!take(c, ')')) {
        size_t size = 0;
        TRY(whole_number(c, &size));
        if (out->rank == NPY_MAX_RANK)
            return failed(c->error, VOCODE_UNSUPPORTED, "%s: more than %d dimensions", c->name, NPY_MAX_RANK);
        out->shape[out->rank++] = size;
        int comma = take(c, ',');
        if (comma) continue;
        if (out->rank == 1 || !take(c, ')')) return malformed(c, "a comma");
        break;
    }
    return VOCODE_OK;
}

/* Why a dtype without a float meaning is refused, by its kind character. */
static vocode_status refuse_dtype(const cursor *c, char kind, const char *text) {
    const char *name = c->name;
    switch (kind) {
    case 'O':
        return failed(c->error, VOCODE_UNSUPPORTED,
                      "%s: holds Python objects (dtype '%s'), which are never loaded; save the array as float32", name,
                      text);
    case 'U':
    case 'S':
    case 'a':
    case 'T': return failed(c->error, VOCODE_UNSUPPORTED, "%s: holds strings (dtype '%s'), not numbers", name, text);
    case 'c':
        return failed(c->error, VOCODE_UNSUPPORTED,
                      "%s: holds complex numbers (dtype '%s'); save magnitudes as float32", name, text);
    case 'V':
        return failed(c->error, VOCODE_UNSUPPORTED,
                      "%s: holds untyped bytes (dtype '%s', as bfloat16 arrays are saved); save it as float32", name,
                      text);
    case 'M':
    case 'm': return failed(c->error, VOCODE_UNSUPPORTED, "%s: holds dates or times (dtype '%s')", name, text);
    default: break;
    }
    return failed(c->error, VOCODE_UNSUPPORTED,
                  "%s: dtype '%s' is not supported; float16, float32, float64, integers and bool are", name, text);
}

static vocode_status descr_of(cursor *c, npy_header *out) {
    static const struct {
        const char *text;
        dtype type;
    } known[] = {{"f2", DTYPE_F16}, {"f4", DTYPE_F32}, {"f8", DTYPE_F64}, {"i1", DTYPE_I8},
                 {"i2", DTYPE_I16}, {"i4", DTYPE_I32}, {"i8", DTYPE_I64}, {"u1", DTYPE_U8},
                 {"u2", DTYPE_U16}, {"u4", DTYPE_U32}, {"u8", DTYPE_U64}, {"b1", DTYPE_BOOL}};
    char text[QUOTED_SIZE];
    skip_spaces(c);
    if (c->at < c->end && (*c->at == '[' || *c->at == '(' || *c->at == '{'))
        return failed(c->error, VOCODE_UNSUPPORTED, "%s: holds records (a structured dtype), not an array of numbers",
                      c->name);
    TRY(quoted(c, "a dtype in quotes", text));
    const char *rest = text;
    char order = '=';
    if (*rest && strchr("<>=|", *rest)) order = *rest++;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(rest, known[i].text) != 0) continue;
        out->type = known[i].type;
        out->swap = order == '>' && dtype_size(out->type) > 1;
        return VOCODE_OK;
    }
    return refuse_dtype(c, *rest, text);
}

static vocode_status fortran_of(cursor *c, npy_header *out) {
    if (take_word(c, "True"))
        out->fortran = 1;
    else if (!take_word(c, "False"))
        return malformed(c, "True or False");
    return VOCODE_OK;
}

/* {'descr': '<f4', 'fortran_order': False, 'shape': (80, 100), } with keys in any order, each once. */
static vocode_status dict_of(cursor *c, npy_header *out) {
    static const struct {
        const char *key;
        vocode_status (*parse)(cursor *, npy_header *);
    } keys[] = {{"descr", descr_of}, {"fortran_order", fortran_of}, {"shape", shape_of}};
    int seen[3] = {0};
    if (!take(c, '{')) return malformed(c, "a dict in braces");
    while (!take(c, '}')) {
        char key[QUOTED_SIZE];
        size_t which = 0;
        TRY(quoted(c, "a key in quotes", key));
        while (which < 3 && strcmp(key, keys[which].key) != 0) which++;
        if (which == 3)
            return failed(c->error, VOCODE_FORMAT, "%s: malformed .npy header: unknown key '%s'", c->name, key);
        if (seen[which]++)
            return failed(c->error, VOCODE_FORMAT, "%s: malformed .npy header: key '%s' comes twice", c->name, key);
        if (!take(c, ':')) return malformed(c, "a colon");
        TRY(keys[which].parse(c, out));
        if (take(c, ',')) continue;
        if (!take(c, '}')) return malformed(c, "a comma or a closing brace");
        break;
    }
    for (size_t i = 0; i < 3; i++)
        if (!seen[i])
            return failed(c->error, VOCODE_FORMAT, "%s: malformed .npy header: key '%s' is missing", c->name,
                          keys[i].key);
    skip_spaces(c);
    return c->at == c->end ? VOCODE_OK : malformed(c, "nothing after the dict");
}

/* The product of the sizes. Zero axes count as one in the overflow check, so that products of some axes fit too. */
static vocode_status count_of(const char *name, npy_header *out, vocode_error *error) {
    size_t product = 1;
    int empty = 0;
    for (int i = 0; i < out->rank; i++) {
        if (out->shape[i] == 0)
            empty = 1;
        else if (!size_multiply(product, out->shape[i], &product))
            return failed(error, VOCODE_FORMAT, "%s: the shape in the .npy header has more elements than fit in memory",
                          name);
    }
    out->count = empty ? 0 : product;
    return VOCODE_OK;
}

vocode_status npy_header_parse(const unsigned char *bytes, size_t size, const char *name, npy_header *out,
                               vocode_error *error) {
    *out = (npy_header){0};
    if (size < MAGIC_SIZE || memcmp(bytes, MAGIC, MAGIC_SIZE) != 0)
        return failed(error, VOCODE_FORMAT, "%s: not a .npy file: it is %s", name, bytes_kind(bytes, size));
    size_t version = size > MAGIC_SIZE ? bytes[MAGIC_SIZE] : 0;
    size_t length_size = version == 1 ? 2 : 4; /* NEP 1: u16 in version 1, u32 from version 2 on */
    size_t start = MAGIC_SIZE + 2 + length_size, length = 0;
    if (size < start) return failed(error, VOCODE_FORMAT, "%s: truncated: %zu bytes of a .npy file", name, size);
    if (version < 1 || version > 3)
        return failed(error, VOCODE_UNSUPPORTED, "%s: .npy version %zu.%u; versions 1 to 3 are read", name, version,
                      bytes[MAGIC_SIZE + 1]);
    for (size_t i = 0; i < length_size; i++) length |= (size_t)bytes[MAGIC_SIZE + 2 + i] << (8 * i);
    if (length > size - start)
        return failed(error, VOCODE_FORMAT, "%s: truncated: the .npy header needs %zu bytes, the file has %zu", name,
                      start + length, size);
    out->data_offset = start + length;
    const char *text = (const char *)bytes + start;
    cursor c = {text, text + length, name, error};
    TRY(dict_of(&c, out));
    return count_of(name, out, error);
}
