/* Which files belong together. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/eval.h"
#include "cli/names.h"

static int is_audio(const struct dirent *entry) {
    static const char *const endings[] = {".wav", ".flac", NULL};
    return has_ending(entry->d_name, endings);
}

typedef struct listing {
    struct dirent **entries; /* sorted by name */
    int count;
} listing;

static vocode_status list(const char *folder, listing *out, vocode_error *error) {
    *out = (listing){0};
    int count = scandir(folder, &out->entries, is_audio, alphasort);
    if (count < 0) return failed_errno(error, VOCODE_IO, "cannot read the folder %s", folder);
    out->count = count;
    return VOCODE_OK;
}

static void listing_free(listing *files) {
    for (int i = 0; i < files->count; i++) free(files->entries[i]);
    free(files->entries);
}

static int same_stem(const char *a, const char *b) {
    size_t length = stem_length(a);
    return length == stem_length(b) && memcmp(a, b, length) == 0;
}

/* The index of the first file with name's stem, or -1. */
static int find(const listing *files, const char *name) {
    for (int i = 0; i < files->count; i++)
        if (same_stem(files->entries[i]->d_name, name)) return i;
    return -1;
}

static char *joined(const char *folder, const char *name) {
    char *path = NULL;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

static vocode_status no_memory(vocode_error *error) {
    return failed(error, VOCODE_MEMORY, "no memory for a list of files");
}

static vocode_status add_pair(eval_set *set, const char *name, char *reference, char *generated, vocode_error *error) {
    eval_pair *pair = &set->pairs[set->count++];
    *pair = (eval_pair){.name = strndup(name, stem_length(name)), .reference = reference, .generated = generated};
    return pair->name && reference && generated ? VOCODE_OK : no_memory(error);
}

static vocode_status add_unmatched(eval_set *set, const char *folder, const char *name, vocode_error *error) {
    char *path = joined(folder, name);
    if (!path) return no_memory(error);
    set->unmatched[set->unmatched_count++] = path;
    return VOCODE_OK;
}

static vocode_status match(const char *reference, const listing *a, const char *generated, const listing *b,
                           eval_set *set, vocode_error *error) {
    size_t most = (size_t)a->count + (size_t)b->count + 1;
    set->pairs = calloc(most, sizeof *set->pairs);
    set->unmatched = calloc(most, sizeof *set->unmatched);
    if (!set->pairs || !set->unmatched) return no_memory(error);
    for (int i = 0; i < a->count; i++) {
        const char *name = a->entries[i]->d_name;
        int partner = find(b, name);
        if (partner < 0 || find(a, name) != i)
            TRY(add_unmatched(set, reference, name, error));
        else
            TRY(add_pair(set, base_name(name), joined(reference, name), joined(generated, b->entries[partner]->d_name),
                         error));
    }
    for (int i = 0; i < b->count; i++) {
        const char *name = b->entries[i]->d_name;
        if (find(a, name) < 0 || find(b, name) != i) TRY(add_unmatched(set, generated, name, error));
    }
    if (set->count > 0) return VOCODE_OK;
    return failed(error, VOCODE_IO,
                  "found no pair: expected .wav or .flac files of the same names in %s (%d such files) and %s (%d)",
                  reference, a->count, generated, b->count);
}

static vocode_status collect_folders(const char *reference, const char *generated, eval_set *out, vocode_error *error) {
    listing a, b;
    TRY(list(reference, &a, error));
    vocode_status status = list(generated, &b, error);
    if (status == VOCODE_OK) {
        status = match(reference, &a, generated, &b, out, error);
        listing_free(&b);
    }
    listing_free(&a);
    return status;
}

static vocode_status is_folder(const char *path, bool *folder, vocode_error *error) {
    struct stat about;
    if (stat(path, &about) != 0) return failed_errno(error, VOCODE_IO, "cannot read %s", path);
    *folder = S_ISDIR(about.st_mode);
    return VOCODE_OK;
}

vocode_status eval_collect(const char *reference, const char *generated, eval_set *out, vocode_error *error) {
    bool folders[2];
    *out = (eval_set){0};
    TRY(is_folder(reference, &folders[0], error));
    TRY(is_folder(generated, &folders[1], error));
    if (folders[0] != folders[1])
        return failed(error, VOCODE_IO, "expected two folders or two files, found the folder %s and the file %s",
                      folders[0] ? reference : generated, folders[0] ? generated : reference);
    if (folders[0]) return collect_folders(reference, generated, out, error);
    out->pairs = calloc(1, sizeof *out->pairs);
    if (!out->pairs) return no_memory(error);
    return add_pair(out, base_name(generated), strdup(reference), strdup(generated), error);
}

void eval_free(eval_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        free(set->pairs[i].name);
        free(set->pairs[i].reference);
        free(set->pairs[i].generated);
    }
    for (size_t i = 0; i < set->unmatched_count; i++) free(set->unmatched[i]);
    free(set->pairs);
    free(set->unmatched);
    *set = (eval_set){0};
}
