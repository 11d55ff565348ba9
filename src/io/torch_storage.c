/* Storage identifiers: ("storage", class, key, location, elements) and, in the legacy container, a view or None. The
 * location ("cuda:0") does not matter here: the bytes are the same. */
#include <string.h>

#include "io/torch_container.h"

/* Storage classes and dtypes; type DTYPE_COUNT where elements of that size have no float meaning here. */
static const struct {
    const char *storage, *dtype_name;
    dtype type;
    size_t element;
} element_types[] = {
    {"FloatStorage", "float32", DTYPE_F32, 4},
    {"HalfStorage", "float16", DTYPE_F16, 2},
    {"BFloat16Storage", "bfloat16", DTYPE_BF16, 2},
    {"DoubleStorage", "float64", DTYPE_F64, 8},
    {"LongStorage", "int64", DTYPE_I64, 8},
    {"IntStorage", "int32", DTYPE_I32, 4},
    {"ShortStorage", "int16", DTYPE_I16, 2},
    {"CharStorage", "int8", DTYPE_I8, 1},
    {"ByteStorage", "uint8", DTYPE_U8, 1},
    {"BoolStorage", "bool", DTYPE_BOOL, 1},
    {"UntypedStorage", "uint8", DTYPE_U8, 1},
    {"_UntypedStorage", "uint8", DTYPE_U8, 1},
    {"ComplexFloatStorage", "complex64", DTYPE_COUNT, 8},
    {"ComplexDoubleStorage", "complex128", DTYPE_COUNT, 16},
    {"QInt8Storage", "qint8", DTYPE_COUNT, 1},
    {"QUInt8Storage", "quint8", DTYPE_COUNT, 1},
    {"QInt32Storage", "qint32", DTYPE_COUNT, 4},
    {"QUInt4x2Storage", "quint4x2", DTYPE_COUNT, 1},
    {"QUInt2x4Storage", "quint2x4", DTYPE_COUNT, 1},
};

#define KEY_LIMIT 255 /* bytes; they are small numbers or addresses, and long ones would be slow to compare */
#define ELEMENT_TYPES (sizeof element_types / sizeof *element_types)

/* The name of a GLOBAL of torch or one of its modules, or PICKLE_ABSENT. */
static pickle_ref torch_name_of(const pickle *graph, pickle_ref ref) {
    if (ref == PICKLE_ABSENT || pickle_at(graph, ref)->kind != PICKLE_GLOBAL) return PICKLE_ABSENT;
    const pickle_node *module = pickle_at(graph, pickle_at(graph, ref)->callee);
    static const char torch[] = "torch";
    size_t length = sizeof torch - 1;
    if (module->count < length || memcmp(module->text, torch, length) != 0) return PICKLE_ABSENT;
    if (module->count > length && module->text[length] != '.') return PICKLE_ABSENT;
    return pickle_at(graph, ref)->arguments;
}

dtype torch_dtype_of(const pickle *graph, pickle_ref ref) {
    pickle_ref name = torch_name_of(graph, ref);
    for (size_t i = 0; i < ELEMENT_TYPES; i++)
        if (pickle_says(graph, name, element_types[i].dtype_name)) return element_types[i].type;
    return DTYPE_COUNT;
}

static int whole_number(const pickle *graph, pickle_ref ref, size_t *value) {
    int64_t number;
    if (!pickle_integer(graph, ref, &number) || number < 0) return 0;
    *value = (size_t)number;
    return 1;
}

/* Narrows the claim to a view (key, first element, elements). */
static int narrow(const pickle *graph, pickle_ref ref, torch_storage_claim *claim) {
    const pickle_node *view = pickle_at(graph, ref);
    if (view->kind == PICKLE_NONE) return 1;
    size_t first, count;
    if (view->kind != PICKLE_TUPLE || view->count < 3 || !whole_number(graph, view->items[1], &first) ||
        !whole_number(graph, view->items[2], &count) || first > claim->end || count > claim->end - first)
        return 0;
    claim->first = first;
    claim->end = first + count;
    return 1;
}

int torch_storage_identify(const pickle *graph, pickle_ref ref, torch_storage_claim *claim) {
    if (ref == PICKLE_ABSENT || pickle_at(graph, ref)->kind != PICKLE_PERSISTENT) return 0;
    const pickle_node *identifier = pickle_at(graph, pickle_at(graph, ref)->items[0]);
    if (identifier->kind != PICKLE_TUPLE || identifier->count < 5) return 0;
    if (!pickle_says(graph, identifier->items[0], "storage")) return 0;
    *claim = (torch_storage_claim){.type = DTYPE_COUNT, .class = identifier->items[1], .key = identifier->items[2]};
    pickle_kind key = pickle_at(graph, claim->key)->kind;
    if ((key != PICKLE_TEXT && key != PICKLE_BYTES) || pickle_at(graph, claim->key)->count > KEY_LIMIT) return 0;
    if (!whole_number(graph, identifier->items[4], &claim->end)) return 0;
    pickle_ref name = torch_name_of(graph, claim->class);
    for (size_t i = 0; i < ELEMENT_TYPES; i++) {
        if (!pickle_says(graph, name, element_types[i].storage)) continue;
        claim->type = element_types[i].type;
        claim->element = element_types[i].element;
        claim->untyped = strstr(element_types[i].storage, "Untyped") != NULL;
    }
    return identifier->count < 6 || narrow(graph, identifier->items[5], claim);
}
