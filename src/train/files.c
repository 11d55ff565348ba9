#include "train/files.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/bytes.h"

/* Endings of what libsndfile reads, without raw formats. The first ones are tried first for names of metadata.csv. */
static const char *const endings[] = {".wav", ".flac", ".ogg", ".opus", ".mp3",  ".aiff", ".aif", ".aifc",
                                      ".au",  ".snd",  ".caf", ".w64",  ".rf64", ".oga",  ".wave"};
enum { ENDINGS = sizeof endings / sizeof *endings };

static const size_t most_list_bytes = (size_t)1 << 30;

static bool ends_in(const char *path, const char *ending) {
    size_t length = strlen(path), tail = strlen(ending);
    return length > tail && strcasecmp(path + length - tail, ending) == 0;
}

static bool is_audio_name(const char *path) {
    for (size_t i = 0; i < ENDINGS; i++)
        if (ends_in(path, endings[i])) return true;
    return false;
}

/* Takes path, also when memory is out. */
static vocode_status append(file_list *list, char *path, vocode_error *error) {
    if (path && list->count == list->room) {
        size_t room = list->room ? 2 * list->room : 256;
        char **more = realloc(list->paths, room * sizeof *more);
        if (more) {
            list->paths = more;
            list->room = room;
        }
    }
    if (!path || list->count == list->room) {
        free(path);
        return failed(error, VOCODE_MEMORY, "no memory for a list of %zu recordings", list->count);
    }
    list->paths[list->count++] = path;
    return VOCODE_OK;
}

void files_free(file_list *list) {
    for (size_t i = 0; i < list->count; i++) free(list->paths[i]);
    free(list->paths);
    *list = (file_list){0};
}

char *files_beside(const char *path, const char *name, const char *ending) {
    const char *slash = strrchr(path, '/');
    char *result = NULL;
    int folder = slash ? (int)(slash + 1 - path) : 0;
    return asprintf(&result, "%.*s%s%s", folder, path, name, ending) < 0 ? NULL : result;
}

static int by_name(const FTSENT **a, const FTSENT **b) {
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static vocode_status collect_tree(file_list *list, const char *path, const warning_sink *warnings,
                                  vocode_error *error) {
    char *root = strdup(path);
    if (!root) return failed(error, VOCODE_MEMORY, "no memory for the folder %s", path);
    size_t length = strlen(root);
    while (length > 1 && root[length - 1] == '/') root[--length] = 0;
    char *const roots[] = {root, NULL};
    FTS *tree = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name); /* which sees through links and their loops */
    vocode_status status = tree ? VOCODE_OK : failed_errno(error, VOCODE_IO, "cannot read the folder %s", path);
    for (FTSENT *entry; status == VOCODE_OK && (entry = fts_read(tree));) {
        if (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR) {
            if (entry->fts_level == 0)
                status = failed(error, VOCODE_IO, "cannot read the folder %s: %s", path, strerror(entry->fts_errno));
            else
                warn_caller(warnings, "skipped: %s: cannot be read: %s", entry->fts_path, strerror(entry->fts_errno));
        }
        /* Links to nothing too: they are named when they are opened. */
        bool file = entry->fts_info == FTS_F || entry->fts_info == FTS_SLNONE;
        if (file && entry->fts_name[0] != '.' && is_audio_name(entry->fts_name))
            status = append(list, strdup(entry->fts_path), error);
    }
    if (tree) fts_close(tree);
    free(root);
    return status;
}

vocode_status files_lines(const char *path, vocode_status (*each)(void *context, const char *line, vocode_error *error),
                          void *context, vocode_error *error) {
    unsigned char *bytes;
    size_t size;
    TRY(bytes_read(path, most_list_bytes, &bytes, &size, error));
    vocode_status status = VOCODE_OK;
    char *text = (char *)bytes, *rest = text;
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    if (memchr(text, 0, size))
        status =
            failed(error, VOCODE_FORMAT, "%s: expected text, a name a line, found %s", path, bytes_kind(bytes, size));
    if (strncmp(rest, byte_order_mark, 3) == 0) rest += 3;
    for (char *line; status == VOCODE_OK && (line = strsep(&rest, "\n"));) {
        line += strspn(line, " \t\r");
        line[strcspn(line, "|")] = 0;
        size_t length = strlen(line);
        while (length && strchr(" \t\r", line[length - 1])) line[--length] = 0;
        if (length && line[0] != '#') status = each(context, line, error);
    }
    free(bytes);
    return status;
}

typedef struct collecting {
    file_list *list;
    const char *path; /* of the file that is read */
    const warning_sink *warnings;
} collecting;

/* name itself or below wavs/, with an ending or with one of audio; NULL where there is no such file. */
static char *find_clip(const char *path, const char *name) {
    static const char *const folders[] = {"wavs/", ""};
    for (size_t f = 0; f < sizeof folders / sizeof *folders; f++) {
        char *folder = files_beside(path, folders[f], "");
        if (!folder) return NULL;
        for (size_t i = 0; i <= ENDINGS; i++) {
            if (i == ENDINGS && !is_audio_name(name)) continue;
            char *candidate = files_beside(folder, name, i < ENDINGS ? endings[i] : "");
            if (candidate && access(candidate, F_OK) == 0) {
                free(folder);
                return candidate;
            }
            free(candidate);
        }
        free(folder);
    }
    return NULL;
}

static vocode_status take_clip(void *context, const char *line, vocode_error *error) {
    const collecting *self = context;
    char *found = find_clip(self->path, line);
    if (found) return append(self->list, found, error);
    self->list->missing++;
    warn_caller(self->warnings, "skipped: %s: \"%s\" has no audio: neither wavs/%s.wav nor another format beside it",
                self->path, line, line);
    return VOCODE_OK;
}

static vocode_status take_path(void *context, const char *line, vocode_error *error) {
    const collecting *self = context;
    char *beside = line[0] == '/' ? NULL : files_beside(self->path, line, "");
    if (beside && (access(beside, F_OK) == 0 || access(line, F_OK) != 0)) return append(self->list, beside, error);
    free(beside);
    return append(self->list, strdup(line), error);
}

/* Whether a file without an ending of audio is a list rather than audio. */
static vocode_status is_text(const char *path, bool *text, vocode_error *error) {
    unsigned char first[256];
    FILE *file = fopen(path, "rb");
    if (!file) return failed_errno(error, VOCODE_IO, "cannot open %s", path);
    size_t size = fread(first, 1, sizeof first, file);
    fclose(file);
    *text = size == 0 || strcmp(bytes_kind(first, size), "text") == 0;
    return VOCODE_OK;
}

vocode_status files_collect(file_list *list, const char *path, const warning_sink *warnings, vocode_error *error) {
    struct stat about;
    bool text;
    if (stat(path, &about) != 0) return failed_errno(error, VOCODE_IO, "cannot read %s", path);
    if (S_ISDIR(about.st_mode)) return collect_tree(list, path, warnings, error);
    if (is_audio_name(path)) return append(list, strdup(path), error);
    collecting self = {list, path, warnings};
    if (ends_in(path, ".csv")) return files_lines(path, take_clip, &self, error);
    TRY(is_text(path, &text, error));
    return text ? files_lines(path, take_path, &self, error) : append(list, strdup(path), error);
}
