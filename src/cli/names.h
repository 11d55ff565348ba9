/* The parts of file names. */
#ifndef CLI_NAMES_H
#define CLI_NAMES_H

#include <stdbool.h>
#include <stddef.h>

/* path after its last slash; points into path. */
const char *base_name(const char *path);

/* Length of path without the ending of its last part; a leading dot is no ending. */
size_t stem_length(const char *path);

/* Whether name ends in one of endings (which ends in NULL), in any case, with something before it. */
bool has_ending(const char *name, const char *const *endings);

#endif
