#include "cli/names.h"

#include <string.h>
#include <strings.h>

const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

size_t stem_length(const char *path) {
    const char *base = base_name(path), *dot = strrchr(base, '.');
    return dot && dot != base ? (size_t)(dot - path) : strlen(path);
}

bool has_ending(const char *name, const char *const *endings) {
    size_t length = strlen(name);
    for (; *endings; endings++) {
        size_t tail = strlen(*endings);
        if (length > tail && strcasecmp(name + length - tail, *endings) == 0) return true;
    }
    return false;
}
