#include "train/checkpoint.h"

#include <errno.h>
#include <math.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/atomic.h"
#include "io/bytes.h"
#include "io/safetensors.h"

enum { NAME_SIZE = PARAM_NAME_SIZE + 32, KINDS = 4, HASH_BYTES = 32, CHECKPOINT_VERSION = 1 };

/* Of the tensors of a parameter, in the order of the file. */
static const char *const prefixes[KINDS] = {"", "train.weight.", "train.moment1.", "train.moment2."};

/* The states' numbers, by name: X(member, JSON type's letter) */
#define STATE_COUNTS(X) X(step) X(batches) X(skipped) X(skipped_in_row) X(undone) X(best_step)
#define STATE_REALS(X) X(best) X(last_validation) X(seconds)

static json_t *state_to_json(const train_state *state, uint64_t updates) {
    json_t *object = json_object();
    json_object_set_new(object, "version", json_integer(CHECKPOINT_VERSION));
    json_object_set_new(object, "updates", json_integer((json_int_t)updates));
#define PUT_COUNT(name) json_object_set_new(object, #name, json_integer((json_int_t)state->name));
#define PUT_REAL(name) \
    if (isfinite(state->name)) json_object_set_new(object, #name, json_real(state->name));
    STATE_COUNTS(PUT_COUNT)
    STATE_REALS(PUT_REAL)
#undef PUT_COUNT
#undef PUT_REAL
    return object;
}

/* What is absent, in files of other versions, keeps what it starts with. */
static vocode_status state_from_json(const json_t *object, const char *path, train_state *state, uint64_t *updates,
                                     vocode_error *error) {
    json_int_t version = json_integer_value(json_object_get(object, "version"));
    if (version != CHECKPOINT_VERSION)
        return failed(error, VOCODE_UNSUPPORTED, "%s: expected version %d of a checkpoint, found %lld", path,
                      CHECKPOINT_VERSION, (long long)version);
    *state = (train_state){.best = INFINITY, .last_validation = NAN};
    *updates = (uint64_t)json_integer_value(json_object_get(object, "updates"));
    const json_t *value;
#define GET_COUNT(name) state->name = (uint64_t)json_integer_value(json_object_get(object, #name));
#define GET_REAL(name) \
    if ((value = json_object_get(object, #name)) != NULL) state->name = json_number_value(value);
    STATE_COUNTS(GET_COUNT)
    STATE_REALS(GET_REAL)
#undef GET_COUNT
#undef GET_REAL
    return VOCODE_OK;
}

static real *array_of(const optimizer *arrays, int kind) {
    real *const all[KINDS] = {arrays->average, arrays->weights, arrays->first, arrays->second};
    return all[kind];
}

/* A buffer has no moments. */
static bool has_kind(const param *p, int kind) {
    return kind < 2 || p->kind == PARAM_TRAINED;
}

/* names [count * KINDS] and tensors of the same size; gives how many there are. */
static size_t list_tensors(const optimizer *arrays, char (*names)[NAME_SIZE], st_tensor *tensors) {
    size_t used = 0;
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t i = 0; i < arrays->set->count; i++) {
            const param *p = arrays->set->items[i];
            if (!has_kind(p, kind)) continue;
            snprintf(names[used], NAME_SIZE, "%s%s", prefixes[kind], p->name);
            tensors[used] = (st_tensor){.name = names[used],
                                        .type = REAL_DTYPE,
                                        .rank = p->rank,
                                        .count = p->count,
                                        .data = array_of(arrays, kind) + p->offset};
            memcpy(tensors[used].shape, p->shape, (size_t)p->rank * sizeof *p->shape);
            used++;
        }
    return used;
}

static void hash_text(crypto_generichash_state *hash, const char *text) {
    crypto_generichash_update(hash, (const unsigned char *)text, strlen(text) + 1);
}

static void hash_tensor(crypto_generichash_state *hash, const st_tensor *tensor) {
    hash_text(hash, tensor->name);
    crypto_generichash_update(hash, tensor->data, tensor->count * dtype_size(tensor->type));
}

static void hash_end(crypto_generichash_state *hash, char text[2 * HASH_BYTES + 1]) {
    unsigned char bytes[HASH_BYTES];
    crypto_generichash_final(hash, bytes, sizeof bytes);
    sodium_bin2hex(text, 2 * HASH_BYTES + 1, bytes, sizeof bytes);
}

static crypto_generichash_state hash_begin(const char *config, const char *state) {
    crypto_generichash_state hash;
    crypto_generichash_init(&hash, NULL, 0, HASH_BYTES);
    hash_text(&hash, config);
    hash_text(&hash, state);
    return hash;
}

vocode_status checkpoint_save(const char *path, const char *config, const optimizer *arrays, const train_state *state,
                              vocode_error *error) {
    size_t most = arrays->set->count * KINDS + 1;
    char(*names)[NAME_SIZE] = calloc(most, sizeof *names), checksum[2 * HASH_BYTES + 1];
    st_tensor *tensors = calloc(most, sizeof *tensors);
    json_t *object = state_to_json(state, arrays->updates);
    char *text = json_print(object, 0);
    json_decref(object);
    vocode_status status = VOCODE_OK;
    if (!names || !tensors || !text) {
        status = failed(error, VOCODE_MEMORY, "%s: cannot allocate a table of %zu tensors", path, most);
    } else {
        size_t count = list_tensors(arrays, names, tensors);
        crypto_generichash_state hash = hash_begin(config, text);
        for (size_t i = 0; i < count; i++) hash_tensor(&hash, &tensors[i]);
        hash_end(&hash, checksum);
        const st_entry metadata[] = {
            {"format", "vocode"}, {"version", "1"}, {"config", config}, {"train", text}, {"train_checksum", checksum}};
        status = st_write(path, tensors, count, metadata, sizeof metadata / sizeof *metadata, error);
    }
    free(text);
    free(tensors);
    free(names);
    return status;
}

static vocode_status check_whole(const st_file *file, const char *path, vocode_error *error) {
    const char *config = st_metadata(file, "config"), *state = st_metadata(file, "train");
    const char *expected = st_metadata(file, "train_checksum");
    char found[2 * HASH_BYTES + 1];
    if (!config || !state || !expected)
        return failed(error, VOCODE_FORMAT, "%s: a model, but not a checkpoint that training can go on from", path);
    crypto_generichash_state hash = hash_begin(config, state);
    for (size_t i = 0; i < st_count(file); i++) hash_tensor(&hash, st_at(file, i));
    hash_end(&hash, found);
    if (strcmp(found, expected) != 0)
        return failed(error, VOCODE_FORMAT, "%s: damaged: expected the checksum %.16s..., found %.16s...", path,
                      expected, found);
    return VOCODE_OK;
}

static vocode_status copy_tensor(const st_file *file, const param *p, int kind, real *to, const char *path,
                                 vocode_error *error) {
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "%s%s", prefixes[kind], p->name);
    const st_tensor *tensor = st_find(file, name);
    if (!tensor && p->kind == PARAM_BUFFER) tensor = st_find(file, p->name); /* older files hold one value of it */
    if (!tensor) return failed(error, VOCODE_FORMAT, "%s: tensor %s is missing", path, name);
    if (tensor->count != p->count)
        return failed(error, VOCODE_SHAPE, "%s: tensor %s: expected %zu numbers, found %zu", path, name, p->count,
                      tensor->count);
    dtype_to_real(tensor->type, tensor->data, 0, to, p->count);
    return VOCODE_OK;
}

static vocode_status load(const st_file *file, const char *path, optimizer *arrays, train_state *state,
                          vocode_error *error) {
    TRY(check_whole(file, path, error));
    const char *text = st_metadata(file, "train");
    json_t *object;
    TRY(json_parse(text, strlen(text), NULL, path, &object, error));
    uint64_t updates;
    vocode_status status = state_from_json(object, path, state, &updates, error);
    json_decref(object);
    if (status != VOCODE_OK) return status;
    arrays->updates = updates;
    for (size_t i = 0; i < arrays->set->count; i++) {
        const param *p = arrays->set->items[i];
        for (int kind = 0; kind < KINDS; kind++)
            if (has_kind(p, kind)) TRY(copy_tensor(file, p, kind, array_of(arrays, kind) + p->offset, path, error));
    }
    return VOCODE_OK;
}

vocode_status checkpoint_read(const char *path, optimizer *arrays, train_state *state, vocode_error *error) {
    st_file *file;
    TRY(st_open(path, &file, error));
    vocode_status status = load(file, path, arrays, state, error);
    st_close(file);
    return status;
}

static vocode_status copy_file(const char *from, const char *to, vocode_error *error) {
    unsigned char *bytes;
    size_t size;
    atomic_file *file;
    TRY(bytes_read(from, SIZE_MAX / 2, &bytes, &size, error));
    vocode_status status = atomic_open(to, &file, error);
    if (status == VOCODE_OK) {
        status = atomic_write(file, bytes, size, error);
        if (status == VOCODE_OK)
            status = atomic_commit(file, error);
        else
            atomic_abort(file);
    }
    free(bytes);
    return status;
}

vocode_status checkpoint_alias(const char *from, const char *to, vocode_error *error) {
    char *temporary;
    if (asprintf(&temporary, "%s.link.part", to) < 0)
        return failed(error, VOCODE_MEMORY, "cannot write %s: out of memory", to);
    unlink(temporary);
    bool linked = link(from, temporary) == 0 && rename(temporary, to) == 0;
    unlink(temporary); /* also where both names were one file already: rename leaves that as it is */
    free(temporary);
    return linked ? VOCODE_OK : copy_file(from, to, error);
}
