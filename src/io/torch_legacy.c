/* The legacy container: five pickles one after the other (a magic number, the protocol 1001, facts of the writer's
 * machine, the object, the storages' names), then for each name a u64 count and as many elements, little-endian
 * whatever the machine was. */
#include <stdlib.h>
#include <string.h>

#include "io/torch_container.h"

#define LEGACY_PROTOCOL 1001

/* 0x1950a86a20f9469cfc6c as protocols 0, 1 and the later ones write it. */
static const char magic_decimal[] = "119547037146038801333356";
static const char magic_bytes[] = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";

typedef struct reader {
    const torch_file *file;
    size_t position;
    vocode_error *error;
} reader;

/* The next pickle of the stream; what names it in messages. */
static vocode_status next_pickle(reader *r, const char *what, pickle **graph) {
    size_t used;
    vocode_status status =
        pickle_read(r->file->bytes + r->position, r->file->size - r->position, graph, &used, r->error);
    if (status != VOCODE_OK) return failed_in(r->error, status, what);
    r->position += used;
    return VOCODE_OK;
}

static int is_magic(const pickle *graph) {
    const pickle_node *node = pickle_at(graph, pickle_root(graph));
    if (node->kind != PICKLE_LONG) return 0;
    if (node->count == sizeof magic_bytes - 1) return memcmp(node->text, magic_bytes, node->count) == 0;
    return node->count == sizeof magic_decimal - 1 && memcmp(node->text, magic_decimal, node->count) == 0;
}

static vocode_status read_preamble(reader *r) {
    pickle *graph;
    TRY(next_pickle(r, "not a PyTorch checkpoint", &graph));
    int magic = is_magic(graph);
    pickle_free(graph);
    if (!magic)
        return failed(r->error, VOCODE_UNSUPPORTED,
                      "expected a PyTorch checkpoint, found a Python pickle without PyTorch's magic number");
    TRY(next_pickle(r, "protocol number", &graph));
    int64_t protocol = 0;
    pickle_integer(graph, pickle_root(graph), &protocol);
    pickle_free(graph);
    if (protocol != LEGACY_PROTOCOL)
        return failed(r->error, VOCODE_UNSUPPORTED, "legacy checkpoint of protocol %lld, expected %d",
                      (long long)protocol, LEGACY_PROTOCOL);
    TRY(next_pickle(r, "facts of the writer's machine", &graph));
    pickle_free(graph);
    return VOCODE_OK;
}

static int compare_text(const char *a, size_t a_size, const char *b, size_t b_size) {
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

static int compare_storages(const void *a, const void *b) {
    const torch_storage *left = a, *right = b;
    return compare_text(left->key, left->key_size, right->key, right->key_size);
}

/* Orders two refs to storage identifiers by the storages' names. */
static int compare_claims(const void *a, const void *b, void *graph) {
    torch_storage_claim left, right;
    torch_storage_identify(graph, *(const pickle_ref *)a, &left);
    torch_storage_identify(graph, *(const pickle_ref *)b, &right);
    const pickle_node *left_key = pickle_at(graph, left.key), *right_key = pickle_at(graph, right.key);
    return compare_text(left_key->text, left_key->count, right_key->text, right_key->count);
}

static torch_storage *find(torch_file *file, const char *key, size_t key_size) {
    torch_storage wanted = {.key = key, .key_size = key_size};
    if (file->storage_count == 0) return NULL;
    return bsearch(&wanted, file->storages, file->storage_count, sizeof wanted, compare_storages);
}

/* Fills the table of storages from claims [count], sorted by name; the same name many times becomes one row. */
static vocode_status list_storages(torch_file *file, const pickle_ref *claims, size_t count, vocode_error *error) {
    size_t distinct = 0;
    for (size_t i = 0; i < count; i++)
        distinct += i == 0 || compare_claims(&claims[i - 1], &claims[i], file->graph) != 0;
    file->storages = calloc(distinct ? distinct : 1, sizeof *file->storages);
    if (!file->storages) return failed(error, VOCODE_MEMORY, "out of memory for %zu storages", distinct);
    for (size_t i = 0; i < count; i++) { /* of claims at two widths one is kept: tensors are bounded in bytes */
        if (i > 0 && compare_claims(&claims[i - 1], &claims[i], file->graph) == 0) continue;
        torch_storage_claim claim;
        torch_storage_identify(file->graph, claims[i], &claim);
        const pickle_node *key = pickle_at(file->graph, claim.key);
        file->storages[file->storage_count++] =
            (torch_storage){.key = key->text, .key_size = key->count, .element = claim.element};
    }
    return VOCODE_OK;
}

/* Every storage that the object mentions: the stream itself does not say how wide their elements are. */
static vocode_status collect_storages(torch_file *file, vocode_error *error) {
    size_t mentioned = 0, nodes = pickle_count(file->graph), count = 0;
    torch_storage_claim claim;
    for (pickle_ref ref = 0; ref < nodes; ref++) mentioned += torch_storage_identify(file->graph, ref, &claim) != 0;
    if (mentioned == 0) return VOCODE_OK;
    pickle_ref *claims = malloc(mentioned * sizeof *claims);
    if (!claims) return failed(error, VOCODE_MEMORY, "out of memory for %zu storages", mentioned);
    for (pickle_ref ref = 0; ref < nodes; ref++)
        if (torch_storage_identify(file->graph, ref, &claim)) claims[count++] = ref;
    qsort_r(claims, count, sizeof *claims, compare_claims, file->graph);
    vocode_status status = list_storages(file, claims, count, error);
    free(claims);
    return status;
}

/* Notes where the storage of that name lies and passes over it. */
static vocode_status skip_storage(reader *r, torch_file *file, const pickle_node *key) {
    int shown = key->count < 80 ? (int)key->count : 80;
    if (key->kind != PICKLE_TEXT && key->kind != PICKLE_BYTES)
        return failed(r->error, VOCODE_FORMAT, "a storage's name is no text");
    torch_storage *storage = find(file, key->text, key->count);
    if (!storage || storage->element == 0)
        return failed(r->error, VOCODE_UNSUPPORTED, "storage %.*s is of no known class, or a view beyond its end",
                      shown, key->text);
    uint64_t count = 0;
    if (file->size - r->position < sizeof count)
        return failed(r->error, VOCODE_FORMAT, "truncated: storage %.*s begins at byte %zu, the end of the file", shown,
                      key->text, r->position);
    for (size_t i = sizeof count; i-- > 0;) count = count << 8 | file->bytes[r->position + i];
    r->position += sizeof count;
    if (count > (file->size - r->position) / storage->element)
        return failed(r->error, VOCODE_FORMAT,
                      "truncated: storage %.*s claims %llu elements of %zu bytes at byte %zu of a file of %zu", shown,
                      key->text, (unsigned long long)count, storage->element, r->position, file->size);
    storage->bytes = file->bytes + r->position;
    storage->size = (size_t)count * storage->element;
    r->position += storage->size;
    return VOCODE_OK;
}

vocode_status torch_legacy_open(torch_file *file, vocode_error *error) {
    reader r = {.file = file, .error = error};
    TRY(read_preamble(&r));
    TRY(next_pickle(&r, "its object", &file->graph));
    TRY(next_pickle(&r, "its storages' names", &file->keys));
    TRY(collect_storages(file, error));
    const pickle_node *keys = pickle_at(file->keys, pickle_root(file->keys));
    if (keys->kind != PICKLE_LIST) return failed(error, VOCODE_FORMAT, "its storages' names are no list");
    for (size_t i = 0; i < keys->count; i++) TRY(skip_storage(&r, file, pickle_at(file->keys, keys->items[i])));
    return VOCODE_OK;
}

vocode_status torch_legacy_storage(torch_file *file, const pickle_node *key, const unsigned char **bytes, size_t *size,
                                   vocode_error *error) {
    const torch_storage *storage = find(file, key->text, key->count);
    if (!storage || !storage->bytes)
        return failed(error, VOCODE_FORMAT, "storage %.*s is missing from the file",
                      key->count < 80 ? (int)key->count : 80, key->text);
    *bytes = storage->bytes;
    *size = storage->size;
    return VOCODE_OK;
}
