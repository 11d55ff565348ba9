#include "nn/param.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/rng.h"

static param *register_new(param_set *set, param *item) {
    if (set->count == set->capacity) {
        size_t capacity = set->capacity ? 2 * set->capacity : 64;
        param **items = realloc(set->items, capacity * sizeof *items);
        if (!items) return NULL;
        set->items = items;
        set->capacity = capacity;
    }
    return set->items[set->count++] = item;
}

param *param_add(param_set *set, param_kind kind, const char *prefix, const char *name, int rank, const size_t *shape) {
    param *item = calloc(1, sizeof *item);
    bool good = item && rank <= PARAM_MAX_RANK;
    if (good) {
        int length = snprintf(item->name, sizeof item->name, "%s%s", prefix, name);
        good = length > 0 && (size_t)length < sizeof item->name;
        item->kind = kind;
        item->rank = rank;
        item->count = 1;
        for (int i = 0; i < rank; i++) {
            item->shape[i] = shape[i];
            good = good && !__builtin_mul_overflow(item->count, shape[i], &item->count);
        }
        item->offset = set->total;
        good = good && !__builtin_add_overflow(set->total, item->count, &set->total);
        good = good && !(set->limit && set->total > set->limit) && !param_find(set, item->name);
    }
    if (good && register_new(set, item)) return item;
    free(item);
    set->failed = true;
    return NULL;
}

vocode_status param_allocate(param_set *set, vocode_error *error) {
    if (set->failed) return failed(error, VOCODE_MEMORY, "a parameter's name or size is impossible, or memory ran out");
    set->storage = aligned_new(set->total, sizeof(real));
    if (!set->storage) return failed(error, VOCODE_MEMORY, "cannot allocate %zu parameters", set->total);
    for (size_t i = 0; i < set->count; i++) set->items[i]->value = set->storage + set->items[i]->offset;
    return VOCODE_OK;
}

param *param_find(const param_set *set, const char *name) {
    for (size_t i = 0; i < set->count; i++)
        if (strcmp(set->items[i]->name, name) == 0) return set->items[i];
    return NULL;
}

size_t param_set_trained(const param_set *set) {
    size_t count = 0;
    for (size_t i = 0; i < set->count; i++) count += set->items[i]->kind == PARAM_TRAINED ? set->items[i]->count : 0;
    return count;
}

void param_set_free(param_set *set) {
    for (size_t i = 0; i < set->count; i++) free(set->items[i]);
    free(set->items);
    aligned_free(set->storage);
    memory_pool_free(&set->packed);
    *set = (param_set){0};
}

real *param_grad(const param *p, real *grads) {
    return grads ? grads + p->offset : NULL;
}

/* FNV-1a of the name: the stream of its random numbers. */
static uint64_t stream_of(const param *p) {
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char *c = p->name; *c; c++) hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
    return hash;
}

void param_init_normal(param *p, uint64_t seed, double deviation) {
    uint64_t stream = stream_of(p);
    for (size_t i = 0; i < p->count; i++) p->value[i] = (real)(deviation * rng_normal(seed, stream, i));
}

void param_init_uniform(param *p, uint64_t seed, double bound) {
    uint64_t stream = stream_of(p);
    for (size_t i = 0; i < p->count; i++) p->value[i] = (real)(bound * (2 * rng_uniform(seed, stream, i) - 1));
}

void param_fill(param *p, double value) {
    for (size_t i = 0; i < p->count; i++) p->value[i] = (real)value;
}

enum { WORTH_RETURNING = 1 << 18 }; /* bytes */

void param_rest(const param *p) {
    size_t bytes = p->count * sizeof *p->value, page = (size_t)sysconf(_SC_PAGESIZE);
    if (!p->mapped || bytes < WORTH_RETURNING) return;
    uintptr_t first = ((uintptr_t)p->value + page - 1) / page * page,
              past = ((uintptr_t)p->value + bytes) / page * page;
    madvise((void *)first, past - first, MADV_DONTNEED);
}
