/* Lists of recordings by name, such as those that are held out. A name is a path, the last parts of one
 * ("kathleen/wavs/a0027.flac") or a base name, each with or without its ending. */
#ifndef TRAIN_NAMES_H
#define TRAIN_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#include "core/fail.h"

typedef struct name_list {
    char **names; /* [count], sorted, owned */
    bool *met;    /* [count]: some path was called so */
    size_t count, room;
} name_list;

/* Reads a text file, a name a line (files_lines). */
vocode_status names_read(const char *path, name_list *out, vocode_error *error);
void names_free(name_list *list);

/* Whether a name of the list is path's; notes which. */
bool names_match(name_list *list, const char *path);

/* How many names have met nothing; *first is one of them. */
size_t names_unmet(const name_list *list, const char **first);

#endif
