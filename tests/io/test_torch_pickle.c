/* The pickle reader against pickles written by hand, opcode by opcode, and its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "io/torch_pickle.h"

/* Writes a node as Python's repr would, or nearly. */
static void show(const pickle *graph, pickle_ref ref, char *text, size_t size, int depth) {
    size_t used = strlen(text);
    if (ref == PICKLE_ABSENT || depth > 6 || used + 1 >= size) return;
    const pickle_node *node = pickle_at(graph, ref);
    char class[PICKLE_CLASS_TEXT];
    static const char *const open[] = {
        [PICKLE_LIST] = "[", [PICKLE_TUPLE] = "(", [PICKLE_SET] = "{", [PICKLE_DICT] = "{"};
    static const char *const close[] = {
        [PICKLE_LIST] = "]", [PICKLE_TUPLE] = ")", [PICKLE_SET] = "}", [PICKLE_DICT] = "}"};
    char *at = text + used;
    size_t room = size - used;
    switch (node->kind) {
    case PICKLE_NONE: snprintf(at, room, "None"); break;
    case PICKLE_BOOL: snprintf(at, room, "%s", node->integer ? "True" : "False"); break;
    case PICKLE_INT: snprintf(at, room, "%lld", (long long)node->integer); break;
    case PICKLE_LONG: snprintf(at, room, "long of %u", node->count); break;
    case PICKLE_FLOAT: snprintf(at, room, "%g", node->number); break;
    case PICKLE_TEXT: snprintf(at, room, "'%.*s'", (int)node->count, node->text); break;
    case PICKLE_BYTES: snprintf(at, room, "b'%.*s'", (int)node->count, node->text); break;
    case PICKLE_GLOBAL: snprintf(at, room, "<%s>", pickle_class_text(graph, ref, class, sizeof class)); break;
    case PICKLE_LIST:
    case PICKLE_TUPLE:
    case PICKLE_SET:
    case PICKLE_DICT:
        snprintf(at, room, "%s", open[node->kind]);
        for (uint32_t i = 0; i < node->count; i++) {
            if (i) snprintf(text + strlen(text), size - strlen(text), node->kind == PICKLE_DICT && i % 2 ? ":" : ",");
            show(graph, node->items[i], text, size, depth + 1);
        }
        snprintf(text + strlen(text), size - strlen(text), "%s", close[node->kind]);
        break;
    case PICKLE_OBJECT:
        show(graph, node->callee, text, size, depth + 1);
        show(graph, node->arguments, text, size, depth + 1);
        if (node->state != PICKLE_ABSENT) strncat(text, "|", size - strlen(text) - 1);
        show(graph, node->state, text, size, depth + 1);
        for (uint32_t i = 0; i < node->count; i += 2) {
            snprintf(text + strlen(text), size - strlen(text), "+");
            show(graph, node->items[i], text, size, depth + 1);
            snprintf(text + strlen(text), size - strlen(text), "=");
            show(graph, node->items[i + 1], text, size, depth + 1);
        }
        break;
    case PICKLE_PERSISTENT:
        snprintf(at, room, "@");
        show(graph, node->items[0], text, size, depth + 1);
        break;
    }
}

#define PICKLE(code, shown) \
    { code, sizeof code - 1, shown }

static const struct {
    const char *code;
    size_t size;
    const char *shown;
} plain[] = {
    PICKLE("I-12\n.", "-12"),
    PICKLE("I01\n.", "True"),
    PICKLE("I00\n.", "False"),
    PICKLE("I99999999999999999999\n.", "long of 20"),
    PICKLE("L-7L\n.", "-7"),
    PICKLE("L119547037146038801333356L\n.", "long of 24"),
    PICKLE("J\xff\xff\xff\xff.", "-1"),
    PICKLE("J\x00\x00\x00\x80.", "-2147483648"),
    PICKLE("K\xff.", "255"),
    PICKLE("M\x01\x02.", "513"),
    PICKLE("\x8a\x00.", "0"),
    PICKLE("\x8a\x01\xff.", "-1"),
    PICKLE("\x8a\x02\xff\x00.", "255"),
    PICKLE("\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80.", "-9223372036854775808"),
    PICKLE("\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.", "long of 10"),
    PICKLE("\x8b\x02\x00\x00\x00\x39\x30.", "12345"),
    PICKLE("F-1.5\n.", "-1.5"),
    PICKLE("Finf\n.", "inf"),
    PICKLE("F1e3\n.", "1000"),
    PICKLE("G?\xf8\x00\x00\x00\x00\x00\x00.", "1.5"),
    PICKLE("N.", "None"),
    PICKLE("\x80\x02\x88.", "True"),
    PICKLE("\x89.", "False"),
    PICKLE("S'a\\n\\x41\\'\\\\\\101'\n.", "b'a\nA'\\A'"),
    PICKLE("S\"q\"\n.", "b'q'"),
    PICKLE("T\x03\x00\x00\x00"
           "abc.",
           "b'abc'"),
    PICKLE("U\x02hi.", "b'hi'"),
    PICKLE("Vplain\n.", "'plain'"),
    PICKLE("V\\u00e9\xe9\\u20ac\\U0001f600\\q\n.", "'\xc3\xa9\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\\q'"),
    PICKLE("X\x02\x00\x00\x00\xc3\xa9.", "'\xc3\xa9'"),
    PICKLE("\x8c\x01x.", "'x'"),
    PICKLE("\x8d\x01\x00\x00\x00\x00\x00\x00\x00y.", "'y'"),
    PICKLE("B\x01\x00\x00\x00z.", "b'z'"),
    PICKLE("C\x01z.", "b'z'"),
    PICKLE("\x8e\x01\x00\x00\x00\x00\x00\x00\x00z.", "b'z'"),
    PICKLE("\x96\x01\x00\x00\x00\x00\x00\x00\x00z.", "b'z'"),
    PICKLE("(K\x01K\x02l.", "[1,2]"),
    PICKLE("](K\x01K\x02"
           "e.",
           "[1,2]"),
    PICKLE("]K\x01"
           "aK\x02"
           "a.",
           "[1,2]"),
    PICKLE("(K\x01K\x02t.", "(1,2)"),
    PICKLE(").", "()"),
    PICKLE("K\x01\x85.", "(1)"),
    PICKLE("K\x01K\x02\x86.", "(1,2)"),
    PICKLE("K\x01K\x02K\x03\x87.", "(1,2,3)"),
    PICKLE("(K\x01K\x02"
           "d.",
           "{1:2}"),
    PICKLE("}K\x01K\x02s.", "{1:2}"),
    PICKLE("}(K\x01K\x02K\x03K\x04u.", "{1:2,3:4}"),
    PICKLE("\x8f(K\x01K\x02\x90.", "{1,2}"),
    PICKLE("(K\x01\x91.", "{1}"),
    PICKLE("K\x01K\x02"
           "0.",
           "1"),
    PICKLE("K\x01(K\x02K\x03"
           "1.",
           "1"),
    PICKLE("K\x07"
           "2\x86.",
           "(7,7)"),
    PICKLE("K\x05q\x00"
           "0h\x00.",
           "5"),
    PICKLE("K\x05r\x00\x00\x00\x00"
           "0j\x00\x00\x00\x00.",
           "5"),
    PICKLE("K\x05p0\n0g0\n.", "5"),
    PICKLE("K\x05\x94K\x06\x94"
           "00h\x01h\x00\x86.",
           "(6,5)"),
    PICKLE("\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00K\x09.", "9"),
    PICKLE("ca.b\nc\n.", "<a.b.c>"),
    PICKLE("\x8c\x01m\x8c\x01n\x93.", "<m.n>"),
    PICKLE("cposix\nsystem\n(Vtouch x\ntR.", "<posix.system>('touch x')"),
    PICKLE("cm\nc\n)\x81}b.", "<m.c>()|{}"),
    PICKLE("cm\nc\n)}\x92.", "<m.c>()"),
    PICKLE("(K\x01im\nc\n.", "<m.c>(1)"),
    PICKLE("(cm\nc\nK\x01o.", "<m.c>(1)"),
    PICKLE("ccollections\nOrderedDict\n)R(K\x01K\x02u.", "<collections.OrderedDict>()+1=2"),
    PICKLE("K\x03Q.", "@3"),
    PICKLE("P('storage', <class 'torch.FloatStorage'>, '0', 'cpu', 6)\n.",
           "@('storage',<torch.FloatStorage>,'0','cpu',6)"),
    PICKLE("P('storage', <class 'torch.HalfStorage'>, '9', 'cuda:0', 6, None)\n.",
           "@('storage',<torch.HalfStorage>,'9','cuda:0',6)"),
};

static void every_opcode_means_what_python_says(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        pickle *graph;
        size_t used;
        vocode_error error = {0};
        char shown[256] = "";
        if (pickle_read(plain[i].code, plain[i].size, &graph, &used, &error) != VOCODE_OK)
            fail_msg("row %zu: %s", i, error.message);
        assert_int_equal(used, plain[i].size);
        show(graph, pickle_root(graph), shown, sizeof shown, 0);
        assert_string_equal(shown, plain[i].shown);
        pickle_free(graph);
    }
}

static const struct {
    const char *code;
    size_t size;
    const char *says;
} broken[] = {
    PICKLE("", "ends at byte 0 without its STOP"),
    PICKLE("N", "ends at byte 1 without its STOP"),
    PICKLE(".", "the stack is empty"),
    PICKLE("N\xfe.", "unknown pickle opcode 0xfe at byte 1"),
    PICKLE("\x80\x06.", "protocol 6"),
    PICKLE("\x82\x01.", "opcode 0x82 at byte 0"),
    PICKLE("\x97.", "opcode 0x97 at byte 0"),
    PICKLE("I12", "a line does not end"),
    PICKLE("Ix\n.", "no digit"),
    PICKLE("Fx\n.", "a float is not a number"),
    PICKLE("K", "in the middle of a value"),
    PICKLE("X\xff\xff\xff\x7f"
           "a.",
           "longer than the file"),
    PICKLE("\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", "longer than the file"),
    PICKLE("S'a\n.", "malformed escape"),
    PICKLE("S'\\x4'\n.", "malformed escape"),
    PICKLE("V\\u12\n.", "malformed escape"),
    PICKLE("h\x00.", "never put"),
    PICKLE("Nr\xff\xff\xff\x7f.", "memo number is larger"),
    PICKLE("NNt.", "no mark"),
    PICKLE("(t0(Nt\x86.", "the stack is empty"),
    PICKLE("(Nd.", "a key without a value"),
    PICKLE("NN"
           "a.",
           "no list"),
    PICKLE("NNNs.", "no dictionary"),
    PICKLE("N}b.", "no object"),
    PICKLE("NN\x93.", "a class's name is no text"),
    PICKLE("(o.", "an object has no class"),
    PICKLE("Pwhat\n.", "not that of a storage"),
    PICKLE("\x95\xff\x00\x00\x00\x00\x00\x00\x00N.", "a frame is longer"),
};

static void malformed_pickles_are_refused_with_their_place(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        pickle *graph;
        size_t used;
        vocode_error error = {0};
        assert_int_not_equal(pickle_read(broken[i].code, broken[i].size, &graph, &used, &error), VOCODE_OK);
        assert_null(graph);
        if (!strstr(error.message, broken[i].says)) fail_msg("row %zu: %s", i, error.message);
    }
}

static void mappings_are_read_in_all_their_forms(void **state) {
    (void)state;
    static const char *const forms[] = {
        "}(S'a'\nI1\nS'a'\nI2\nS'b'\nI3\nu.",                        /* a dictionary, one key twice */
        "ccollections\nOrderedDict\n(((S'a'\nI2\nl(S'b'\nI3\nlltR.", /* Python 2's OrderedDict([[k, v], ...]) */
        "ccollections\nOrderedDict\n)R(S'a'\nI2\nS'b'\nI3\nu.",      /* Python 3's */
        "ccollections\ndefaultdict\n(c__builtin__\nlist\ntR(S'a'\nI2\nS'b'\nI3\nu.",
    };
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        pickle *graph;
        size_t used;
        vocode_error error = {0};
        vocode_status status = pickle_read(forms[i], strlen(forms[i]), &graph, &used, &error);
        if (status != VOCODE_OK) fail_msg("row %zu: %s", i, error.message);
        int64_t a = 0, b = 0;
        assert_true(pickle_integer(graph, pickle_get(graph, pickle_root(graph), "a"), &a));
        assert_true(pickle_integer(graph, pickle_get(graph, pickle_root(graph), "b"), &b));
        assert_int_equal(a, 2);
        assert_int_equal(b, 3);
        assert_int_equal(pickle_get(graph, pickle_root(graph), "c"), PICKLE_ABSENT);
        pickle_free(graph);
    }
}

/* unit repeated to about a mebibyte, then end. */
static char *repeated(const char *begin, const char *unit, const char *end, size_t *size) {
    size_t first = strlen(begin), step = strlen(unit), times = ((size_t)1 << 20) / step, last = strlen(end);
    char *code = malloc(first + times * step + last + 1);
    memcpy(code, begin, first);
    for (size_t i = 0; i < times; i++) memcpy(code + first + i * step, unit, step);
    memcpy(code + first + times * step, end, last);
    *size = first + times * step + last;
    return code;
}

/* What a mebibyte of pickle can make the reader do is linear in it: below a second of processor time, and below 20
 * where a checker counts every access. Anything quadratic takes minutes. */
static void hostile_pickles_end_soon(void **state) {
    (void)state;
    static const char *const shapes[][3] = {
        {"", "(", "."},     /* marks only */
        {"", "]", "."},     /* a deep stack */
        {"N", "\x85", "."}, /* deep nesting */
        {"]q\x01",
         "h\x01"
         "a",
         "."},              /* a list in itself, again and again */
        {"]", "(NNe", "."}, /* a list that grows by little */
        {"}", "NNs", "."},
        {"N", "\x94", "."},
        {"N", "2", "."},
        {"", "Vabcdefghijklmnop\\u0041\n", "."},
        {"Vlong name\nq\x01",
         "h\x01h\x01\x93"
         "0",
         "."}, /* names of classes are not copied */
        {"", "(((0", "."},
    };
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        size_t size, used;
        char *code = repeated(shapes[i][0], shapes[i][1], shapes[i][2], &size);
        pickle *graph;
        vocode_error error = {0};
        clock_t start = clock();
        pickle_read(code, size, &graph, &used, &error);
        pickle_free(graph);
        if (clock() - start > 20 * CLOCKS_PER_SEC) fail_msg("row %zu took more than 20 seconds", i);
        free(code);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_opcode_means_what_python_says),
        cmocka_unit_test(malformed_pickles_are_refused_with_their_place),
        cmocka_unit_test(mappings_are_read_in_all_their_forms),
        cmocka_unit_test(hostile_pickles_end_soon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
