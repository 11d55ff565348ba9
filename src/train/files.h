/* Which recordings a training run is given: folder trees, metadata.csv files, lists of paths, single files. */
#ifndef TRAIN_FILES_H
#define TRAIN_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "core/fail.h"

typedef struct file_list {
    char **paths; /* [count], owned */
    size_t count, room;
    size_t missing; /* names of metadata.csv files for which there is no audio */
} file_list;

/* Appends the recordings that path stands for, in a fixed order:
 *   a folder: every file below it with an ending of audio, sorted by name;
 *   NAME.csv: LJSpeech's metadata, "id|text|..." a line; audio is wavs/<id>.<ending> or <id>.<ending> beside it;
 *   a file with an ending of audio: itself;
 *   other text: a path a line, relative to the list's folder or else to where the program runs; what follows a "|" is
 *   not looked at, nor are empty lines and those that begin with "#".
 * Names in a metadata.csv without audio are warned of one by one. VOCODE_IO where path cannot be read. */
vocode_status files_collect(file_list *list, const char *path, const warning_sink *warnings, vocode_error *error);

void files_free(file_list *list);

/* Calls each(context, line) with every line of a text file, without white space at its ends, "#" comments, empty lines
 * and what follows a "|"; stops at the first failure. */
vocode_status files_lines(const char *path, vocode_status (*each)(void *context, const char *line, vocode_error *error),
                          void *context, vocode_error *error);

/* A new string: folder of path (with its slash, or nothing) + name + ending; NULL when memory is out. */
char *files_beside(const char *path, const char *name, const char *ending);

#endif
