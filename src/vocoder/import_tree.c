#include "vocoder/import_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WALK_DEPTH 24 /* nested mappings; a WaveGlow module takes 9 */
#define WALK_STEPS ((size_t)1 << 21)
#define SEQUENCE_LIMIT 64 /* items of a list that are looked at: lists of models are short */
#define ENTRY_BYTES 32    /* the file has more a tensor; names may come from shared nodes */
#define ENTRIES_ALWAYS ((size_t)64)

static vocode_status walk(tree *t, pickle_ref ref, size_t length, int depth, vocode_error *error);

static vocode_status add_entry(tree *t, pickle_ref ref, size_t length, int foreign, vocode_error *error) {
    size_t limit = torch_size(t->file) / ENTRY_BYTES + ENTRIES_ALWAYS;
    if (t->count == limit)
        return failed(error, VOCODE_FORMAT, "it names more than %zu tensors, too many for its size", limit);
    if (t->count == t->capacity) {
        size_t capacity = t->capacity ? 2 * t->capacity : ENTRIES_ALWAYS;
        if (capacity > limit) capacity = limit;
        tree_entry *grown = realloc(t->entries, capacity * sizeof *grown);
        if (!grown) return failed(error, VOCODE_MEMORY, "out of memory for the names of tensors");
        t->entries = grown;
        t->capacity = capacity;
    }
    char *name = strndup(t->path, length);
    if (!name) return failed(error, VOCODE_MEMORY, "out of memory for the names of tensors");
    t->entries[t->count++] = (tree_entry){name, ref, foreign};
    return VOCODE_OK;
}

/* Appends ".key" to the path; 0 where the key is no text or the name gets too long. */
static int extend_path(tree *t, size_t *length, const char *key, size_t size) {
    size_t dot = *length > 0;
    if (size + dot + 1 > sizeof t->path - *length || memchr(key, 0, size)) return 0;
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)key[i] < ' ' || key[i] == 0x7f) return 0; /* names go into messages */
    if (dot) t->path[*length] = '.';
    memcpy(t->path + *length + dot, key, size);
    *length += dot + size;
    t->path[*length] = 0;
    return 1;
}

static int is_text(const pickle_node *node) {
    return node->kind == PICKLE_TEXT || node->kind == PICKLE_BYTES;
}

/* Optimizers have a state as large as two models under keys such as optimizer, optim_g, optimizer_states. */
static int is_optimizer(const pickle_node *key) {
    static const char prefix[] = "optim";
    return key->count >= sizeof prefix - 1 && memcmp(key->text, prefix, sizeof prefix - 1) == 0;
}

static vocode_status walk_pairs(tree *t, pickle_ref ref, size_t length, int depth, vocode_error *error) {
    size_t pairs = pickle_pairs(t->graph, ref);
    for (size_t i = 0; i < pairs; i++) {
        if (++t->steps > WALK_STEPS) break;
        pickle_ref key, value;
        pickle_pair(t->graph, ref, i, &key, &value);
        if (key == PICKLE_ABSENT || value == PICKLE_ABSENT) continue;
        const pickle_node *text = pickle_at(t->graph, key);
        size_t extended = length;
        if (!is_text(text) || is_optimizer(text) || !extend_path(t, &extended, text->text, text->count)) continue;
        TRY(walk(t, value, extended, depth + 1, error));
        t->path[length] = 0;
    }
    return VOCODE_OK;
}

static vocode_status walk_sequence(tree *t, const pickle_node *node, size_t length, int depth, vocode_error *error) {
    for (uint32_t i = 0; i < node->count && i < SEQUENCE_LIMIT; i++) {
        char digits[16];
        int size = snprintf(digits, sizeof digits, "%u", i);
        size_t extended = length;
        if (!extend_path(t, &extended, digits, (size_t)size)) continue;
        TRY(walk(t, node->items[i], extended, depth + 1, error));
        t->path[length] = 0;
    }
    return VOCODE_OK;
}

/* A module's tensors and modules have their names without _parameters, _buffers and _modules between. */
static vocode_status walk_module(tree *t, pickle_ref state, size_t length, int depth, vocode_error *error) {
    static const char *const parts[] = {"_parameters", "_buffers", "_modules"};
    if (!t->module_path && pickle_get(t->graph, state, "n_flows") != PICKLE_ABSENT) {
        t->module_path = strndup(t->path, length);
        if (!t->module_path) return failed(error, VOCODE_MEMORY, "out of memory");
        t->module = state;
    }
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        TRY(walk_pairs(t, pickle_get(t->graph, state, parts[i]), length, depth, error));
    return VOCODE_OK;
}

static void note_facts(tree *t, pickle_ref mapping) {
    const pickle *graph = t->graph;
    if (t->config == PICKLE_ABSENT && pickle_get(graph, mapping, "n_flows") != PICKLE_ABSENT &&
        (pickle_get(graph, mapping, "n_group") != PICKLE_ABSENT ||
         pickle_get(graph, mapping, "n_audio_channel") != PICKLE_ABSENT))
        t->config = mapping;
    if (t->audio == PICKLE_ABSENT && (pickle_get(graph, mapping, "sampling_rate") != PICKLE_ABSENT ||
                                      pickle_get(graph, mapping, "sample_rate") != PICKLE_ABSENT))
        t->audio = mapping;
}

static int is_namespace(const pickle *graph, pickle_ref ref) {
    pickle_ref class = pickle_class(graph, ref);
    return pickle_says(graph, class, "argparse Namespace") || pickle_says(graph, class, "types SimpleNamespace");
}

static vocode_status walk_object(tree *t, pickle_ref ref, size_t length, int depth, vocode_error *error) {
    pickle_ref state = pickle_at(t->graph, ref)->state;
    t->steps += pickle_pairs(t->graph, state) + pickle_pairs(t->graph, ref); /* what the look-ups here cost */
    if (torch_is_tensor(t->graph, ref)) return add_entry(t, ref, length, 0, error);
    if (pickle_get(t->graph, state, "_modules") != PICKLE_ABSENT ||
        pickle_get(t->graph, state, "_parameters") != PICKLE_ABSENT)
        return walk_module(t, state, length, depth, error);
    pickle_ref class = pickle_class(t->graph, ref);
    int mapping = pickle_pairs(t->graph, ref) > 0 || pickle_says(t->graph, class, "collections OrderedDict");
    if (mapping || is_namespace(t->graph, ref)) {
        pickle_ref pairs = mapping ? ref : state;
        note_facts(t, pairs);
        return walk_pairs(t, pairs, length, depth, error);
    }
    return add_entry(t, ref, length, 1, error);
}

static vocode_status walk(tree *t, pickle_ref ref, size_t length, int depth, vocode_error *error) {
    if (depth > WALK_DEPTH) return VOCODE_OK; /* nothing that is known here lies so deep */
    if (++t->steps > WALK_STEPS)
        return failed(error, VOCODE_FORMAT, "its objects refer to each other in more than %zu ways", WALK_STEPS);
    const pickle_node *node = pickle_at(t->graph, ref);
    switch (node->kind) {
    case PICKLE_DICT:
        t->steps += 4 * pickle_pairs(t->graph, ref); /* what noting facts costs */
        note_facts(t, ref);
        return walk_pairs(t, ref, length, depth, error);
    case PICKLE_LIST:
    case PICKLE_TUPLE: return walk_sequence(t, node, length, depth, error);
    case PICKLE_OBJECT: return walk_object(t, ref, length, depth, error);
    case PICKLE_NONE:
    case PICKLE_BOOL:
    case PICKLE_INT:
    case PICKLE_LONG:
    case PICKLE_FLOAT:
    case PICKLE_TEXT:
    case PICKLE_BYTES:
    case PICKLE_SET:
    case PICKLE_GLOBAL:
    case PICKLE_PERSISTENT: break;
    }
    return VOCODE_OK;
}

vocode_status tree_walk(torch_file *file, tree *out, vocode_error *error) {
    *out = (tree){.file = file,
                  .graph = torch_graph(file),
                  .config = PICKLE_ABSENT,
                  .audio = PICKLE_ABSENT,
                  .module = PICKLE_ABSENT};
    TRY(walk(out, pickle_root(out->graph), 0, 0, error));
    if (out->steps > WALK_STEPS)
        return failed(error, VOCODE_FORMAT, "its objects refer to each other in more than %zu ways", WALK_STEPS);
    return VOCODE_OK;
}

void tree_free(tree *t) {
    for (size_t i = 0; i < t->count; i++) free(t->entries[i].name);
    free(t->entries);
    free(t->module_path);
    *t = (tree){0};
}

pickle_ref tree_get(const pickle *graph, pickle_ref ref, const char *key) {
    if (ref == PICKLE_ABSENT) return PICKLE_ABSENT;
    pickle_ref value = pickle_get(graph, ref, key);
    if (value != PICKLE_ABSENT || pickle_at(graph, ref)->kind != PICKLE_OBJECT) return value;
    return pickle_get(graph, pickle_at(graph, ref)->state, key);
}

/* Where name holds the tensor that every flow model has, the length of what stands before it; -1 elsewhere. */
static long prefix_length(const char *name) {
    static const char sign[] = "convinv.0.conv.weight", head[] = "convinv.0.";
    const char *at = strstr(name, head);
    if (!at || strcmp(at, sign) != 0 || (at > name && at[-1] != '.')) return -1;
    return at - name;
}

vocode_status tree_find_model(const tree *t, char prefix[TREE_NAME_SIZE], size_t *models, vocode_error *error) {
    static const char average[] = "ema"; /* a running average beside the model itself: the model is asked for */
    const char *best = NULL;
    size_t length = 0;
    *models = 0;
    for (size_t i = 0; i < t->count; i++) {
        long found = prefix_length(t->entries[i].name);
        if (found < 0) continue;
        ++*models;
        const char *name = t->entries[i].name;
        char head[TREE_NAME_SIZE];
        snprintf(head, sizeof head, "%.*s", (int)length, best ? best : "");
        if (best && !(strstr(head, average) && !memmem(name, (size_t)found, average, sizeof average - 1))) continue;
        best = name;
        length = (size_t)found;
    }
    if (!best) return tree_refuse(t, error);
    snprintf(prefix, TREE_NAME_SIZE, "%.*s", (int)length, best);
    return VOCODE_OK;
}
