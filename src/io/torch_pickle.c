#include "io/torch_pickle.h"

#include <stdlib.h>

#include "io/torch_pickle_machine.h"

static const struct {
    pickle_step *run; /* NULL: no such opcode */
    size_t variant;
} opcodes[256] = {
#define OPCODE_ROW(code, name, run, variant) [code] = {run, variant},
    PICKLE_OPCODES(OPCODE_ROW)
#undef OPCODE_ROW
};

static vocode_status make_constants(machine *m) {
    TRY(vm_make(m, PICKLE_NONE, &m->none));
    TRY(vm_make(m, PICKLE_BOOL, &m->no));
    TRY(vm_make(m, PICKLE_BOOL, &m->yes));
    pickle_edit(m->graph, m->yes)->integer = 1;
    return vm_make(m, PICKLE_TUPLE, &m->empty);
}

static vocode_status run(machine *m) {
    TRY(make_constants(m));
    while (!m->stopped) {
        m->start = m->position;
        if (m->position == m->size)
            return failed(m->error, VOCODE_FORMAT, "the pickle ends at byte %zu without its STOP opcode", m->position);
        unsigned char code = m->code[m->position++];
        if (!opcodes[code].run)
            return failed(m->error, VOCODE_UNSUPPORTED, "unknown pickle opcode 0x%02x at byte %zu", code, m->start);
        TRY(opcodes[code].run(m, opcodes[code].variant));
    }
    return VOCODE_OK;
}

vocode_status pickle_read(const void *code, size_t size, pickle **out, size_t *used, vocode_error *error) {
    *out = NULL;
    machine m = {.code = code, .size = size, .error = error};
    m.graph = pickle_new(size < UINT32_MAX ? size : UINT32_MAX);
    if (!m.graph) return failed(error, VOCODE_MEMORY, "out of memory for a pickle");
    vocode_status status = run(&m);
    free(m.stack);
    free(m.memo);
    if (status != VOCODE_OK) {
        pickle_free(m.graph);
        return status;
    }
    *out = m.graph;
    *used = m.position;
    return VOCODE_OK;
}
