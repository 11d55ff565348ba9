#include "train/names.h"

#include <stdlib.h>
#include <string.h>

#include "train/files.h"

static vocode_status take(void *context, const char *line, vocode_error *error) {
    name_list *list = context;
    while (strncmp(line, "./", 2) == 0) line += 2;
    if (list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 64;
        char **more = realloc(list->names, room * sizeof *more);
        if (!more) return failed(error, VOCODE_MEMORY, "no memory for a list of %zu names", room);
        list->names = more;
        list->room = room;
    }
    list->names[list->count] = strdup(line);
    if (!list->names[list->count]) return failed(error, VOCODE_MEMORY, "no memory for the name %s", line);
    list->count++;
    return VOCODE_OK;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

vocode_status names_read(const char *path, name_list *out, vocode_error *error) {
    *out = (name_list){0};
    vocode_status status = files_lines(path, take, out, error);
    if (status == VOCODE_OK && out->count) {
        qsort(out->names, out->count, sizeof *out->names, by_text);
        out->met = calloc(out->count, sizeof *out->met);
        if (!out->met) status = failed(error, VOCODE_MEMORY, "%s: no memory for %zu names", path, out->count);
    }
    if (status != VOCODE_OK) names_free(out);
    return status;
}

void names_free(name_list *list) {
    for (size_t i = 0; i < list->count; i++) free(list->names[i]);
    free(list->names);
    free(list->met);
    *list = (name_list){0};
}

static bool meet(name_list *list, const char *name) {
    char **found = list->count ? bsearch(&name, list->names, list->count, sizeof *list->names, by_text) : NULL;
    if (!found) return false;
    size_t first = (size_t)(found - list->names), last = first;
    while (first && strcmp(list->names[first - 1], name) == 0) first--; /* a name may stand in a list twice */
    while (last + 1 < list->count && strcmp(list->names[last + 1], name) == 0) last++;
    for (size_t i = first; i <= last; i++) list->met[i] = true;
    return true;
}

/* Every tail of path that begins at a name. */
static bool meet_tails(name_list *list, const char *path) {
    bool any = false;
    for (const char *tail = path; tail;) {
        any |= meet(list, tail);
        tail = strchr(tail, '/');
        if (tail) tail++;
    }
    return any;
}

static bool meet_path(name_list *list, char *path) {
    bool any = meet_tails(list, path);
    char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    if (!dot || (slash && dot < slash)) return any;
    *dot = 0;
    return meet_tails(list, path) || any;
}

bool names_match(name_list *list, const char *path) {
    if (list->count == 0) return false;
    char *given = strdup(path), *true_path = realpath(path, NULL);
    bool any = given && meet_path(list, given);
    if (true_path && meet_path(list, true_path)) any = true;
    free(given);
    free(true_path);
    return any;
}

size_t names_unmet(const name_list *list, const char **first) {
    size_t count = 0;
    for (size_t i = list->count; i-- > 0;) {
        if (list->met[i]) continue;
        *first = list->names[i];
        count++;
    }
    return count;
}
