/* Steps of the pickle machine that make containers and objects. */
#include "io/torch_pickle_machine.h"

vocode_status run_empty(machine *m, size_t kind) {
    pickle_ref ref;
    if (kind == PICKLE_TUPLE) return vm_push(m, m->empty);
    TRY(vm_make(m, (pickle_kind)kind, &ref));
    return vm_push(m, ref);
}

/* LIST, TUPLE, DICT, FROZENSET: of what is above the mark. */
vocode_status run_collect(machine *m, size_t kind) {
    const pickle_ref *items;
    size_t count;
    pickle_ref ref;
    TRY(vm_pop_mark(m, &items, &count));
    if (kind == PICKLE_DICT && count % 2) return vm_broken(m, "a dictionary has a key without a value");
    TRY(vm_make_sequence(m, (pickle_kind)kind, items, count, &ref));
    return vm_push(m, ref);
}

vocode_status run_short_tuple(machine *m, size_t count) {
    pickle_ref items[3], ref;
    for (size_t i = count; i-- > 0;) TRY(vm_pop(m, &items[i]));
    TRY(vm_make_sequence(m, PICKLE_TUPLE, items, count, &ref));
    return vm_push(m, ref);
}

/* Appends to a list or a set. What an object of some other list-like class is given is dropped: nothing here reads it.
 */
static vocode_status extend(machine *m, pickle_ref target, const pickle_ref *items, size_t count) {
    pickle_kind kind = pickle_at(m->graph, target)->kind;
    if (kind == PICKLE_OBJECT) return VOCODE_OK;
    if (kind != PICKLE_LIST && kind != PICKLE_SET) return vm_broken(m, "items are added to a value that is no list");
    return pickle_append(m->graph, target, items, count) ? VOCODE_OK : vm_out_of_memory(m);
}

static vocode_status set_pairs(machine *m, pickle_ref target, const pickle_ref *items, size_t count) {
    pickle_kind kind = pickle_at(m->graph, target)->kind;
    if (kind != PICKLE_DICT && kind != PICKLE_OBJECT)
        return vm_broken(m, "a key is set in a value that is no dictionary");
    if (count % 2) return vm_broken(m, "a dictionary has a key without a value");
    return pickle_append(m->graph, target, items, count) ? VOCODE_OK : vm_out_of_memory(m);
}

vocode_status run_append(machine *m, size_t width) {
    (void)width;
    pickle_ref item, target;
    TRY(vm_pop(m, &item));
    TRY(vm_peek(m, 0, &target));
    return extend(m, target, &item, 1);
}

vocode_status run_setitem(machine *m, size_t width) {
    (void)width;
    pickle_ref pair[2], target;
    TRY(vm_pop(m, &pair[1]));
    TRY(vm_pop(m, &pair[0]));
    TRY(vm_peek(m, 0, &target));
    return set_pairs(m, target, pair, 2);
}

/* APPENDS, ADDITEMS, SETITEMS. */
vocode_status run_extend(machine *m, size_t with_keys) {
    const pickle_ref *items;
    size_t count;
    pickle_ref target;
    TRY(vm_pop_mark(m, &items, &count));
    TRY(vm_peek(m, 0, &target));
    return with_keys ? set_pairs(m, target, items, count) : extend(m, target, items, count);
}

static vocode_status make_global(machine *m, pickle_ref module, pickle_ref name, pickle_ref *ref) {
    TRY(vm_make(m, PICKLE_GLOBAL, ref));
    pickle_edit(m->graph, *ref)->callee = module;
    pickle_edit(m->graph, *ref)->arguments = name;
    return VOCODE_OK;
}

static vocode_status read_global(machine *m, pickle_ref *ref) {
    pickle_ref parts[2];
    for (int i = 0; i < 2; i++) {
        const char *text;
        size_t size;
        TRY(vm_read_line(m, &text, &size));
        TRY(vm_make_text(m, PICKLE_TEXT, text, size, &parts[i]));
    }
    return make_global(m, parts[0], parts[1], ref);
}

vocode_status run_global(machine *m, size_t width) {
    (void)width;
    pickle_ref ref;
    TRY(read_global(m, &ref));
    return vm_push(m, ref);
}

vocode_status run_stack_global(machine *m, size_t width) {
    (void)width;
    pickle_ref module, name, ref;
    TRY(vm_pop(m, &name));
    TRY(vm_pop(m, &module));
    if (pickle_at(m->graph, module)->kind != PICKLE_TEXT || pickle_at(m->graph, name)->kind != PICKLE_TEXT)
        return vm_broken(m, "a class's name is no text");
    TRY(make_global(m, module, name, &ref));
    return vm_push(m, ref);
}

static vocode_status push_object(machine *m, pickle_ref callee, pickle_ref arguments) {
    pickle_ref ref;
    TRY(vm_make(m, PICKLE_OBJECT, &ref));
    pickle_edit(m->graph, ref)->callee = callee;
    pickle_edit(m->graph, ref)->arguments = arguments;
    return vm_push(m, ref);
}

/* REDUCE, NEWOBJ and NEWOBJ_EX: a call that is not made. Keyword arguments carry nothing that is needed here. */
vocode_status run_call(machine *m, size_t keywords) {
    pickle_ref callee, arguments, unused;
    if (keywords) TRY(vm_pop(m, &unused));
    TRY(vm_pop(m, &arguments));
    TRY(vm_pop(m, &callee));
    return push_object(m, callee, arguments);
}

/* INST names its class in the code, OBJ has it first above the mark. */
vocode_status run_instance(machine *m, size_t on_stack) {
    const pickle_ref *items;
    size_t count;
    pickle_ref callee, arguments;
    if (!on_stack) TRY(read_global(m, &callee));
    TRY(vm_pop_mark(m, &items, &count));
    if (on_stack) {
        if (count == 0) return vm_broken(m, "an object has no class");
        callee = items[0];
        items++;
        count--;
    }
    TRY(vm_make_sequence(m, PICKLE_TUPLE, items, count, &arguments));
    return push_object(m, callee, arguments);
}

vocode_status run_build(machine *m, size_t width) {
    (void)width;
    pickle_ref state, target;
    TRY(vm_pop(m, &state));
    TRY(vm_peek(m, 0, &target));
    if (pickle_at(m->graph, target)->kind != PICKLE_OBJECT)
        return vm_broken(m, "a state is set in a value that is no object");
    pickle_edit(m->graph, target)->state = state;
    return VOCODE_OK;
}

vocode_status run_persistent(machine *m, size_t on_stack) {
    pickle_ref identifier, ref;
    if (on_stack) {
        TRY(vm_pop(m, &identifier));
    } else {
        const char *text;
        size_t size;
        TRY(vm_read_line(m, &text, &size));
        identifier = pickle_persistent_text(m->graph, text, size);
        if (identifier == PICKLE_ABSENT) return vm_broken(m, "a persistent identifier is not that of a storage");
    }
    TRY(vm_make_sequence(m, PICKLE_PERSISTENT, &identifier, 1, &ref));
    return vm_push(m, ref);
}

vocode_status run_refused(machine *m, size_t width) {
    static const char *const whys[] = {"refers to a registry of the writer's program",
                                       "refers to a buffer that the file does not hold"};
    return failed(m->error, VOCODE_UNSUPPORTED, "pickle opcode 0x%02x at byte %zu %s", m->code[m->start], m->start,
                  whys[width]);
}
