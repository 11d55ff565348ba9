/* What the two containers give to torch_file.c. Only the torch files include this. */
#ifndef IO_TORCH_CONTAINER_H
#define IO_TORCH_CONTAINER_H

#include <zip.h>

#include "io/torch_file.h"

typedef struct torch_storage {
    const char *key; /* [key_size] */
    size_t key_size;
    size_t element;             /* bytes of one */
    const unsigned char *bytes; /* [size]; NULL while unread */
    size_t size;
} torch_storage;

struct torch_file {
    char *name;
    const unsigned char *bytes; /* [size]: the file */
    size_t size;
    void *mapping, *owned; /* how to release bytes; both NULL where the caller keeps them */
    pickle *graph;

    zip_t *zip;             /* zip container, otherwise NULL */
    char *folder;           /* its top folder with the slash */
    unsigned char *code;    /* data.pkl */
    unsigned char **loaded; /* [entries]: storages that were read, NULL before */
    size_t entries, budget; /* bytes that may still be inflated */
    int swap;               /* storages are big-endian */

    torch_storage *storages; /* legacy container: sorted by key */
    size_t storage_count;
    pickle *keys;
};

/* Both fill graph and what storages are found by. */
vocode_status torch_zip_open(torch_file *file, vocode_error *error);
vocode_status torch_legacy_open(torch_file *file, vocode_error *error);

/* Refuses archives that would cost libzip much more than their size. */
vocode_status torch_zip_check(const unsigned char *bytes, size_t size, vocode_error *error);

/* The bytes of the storage of that name. */
vocode_status torch_zip_storage(torch_file *file, const pickle_node *key, const unsigned char **bytes, size_t *size,
                                vocode_error *error);
vocode_status torch_legacy_storage(torch_file *file, const pickle_node *key, const unsigned char **bytes, size_t *size,
                                   vocode_error *error);

/* Reads ref as a storage's persistent identifier: its element type (DTYPE_COUNT for one that is not supported), key,
 * elements and the part of the storage that is meant. 0 where it is none. */
typedef struct torch_storage_claim {
    dtype type;
    size_t element; /* bytes of one */
    int untyped;    /* elements are bytes until a dtype says otherwise */
    pickle_ref class, key;
    size_t first, end; /* elements */
} torch_storage_claim;

int torch_storage_identify(const pickle *graph, pickle_ref ref, torch_storage_claim *claim);

/* The type that a GLOBAL such as torch.float16 names, or DTYPE_COUNT. */
dtype torch_dtype_of(const pickle *graph, pickle_ref ref);

#endif
