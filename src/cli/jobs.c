#include "cli/jobs.h"

#include <errno.h>
#include <fts.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/names.h"
#include "io/bytes.h"

/* relative: what the output's place below directory is called after. */
static vocode_status add(job_list *jobs, const char *input, const char *relative, const job_kind *kind,
                         const char *directory, vocode_error *error) {
    if (jobs->count == jobs->room) {
        size_t room = jobs->room ? 2 * jobs->room : 64;
        job *more = reallocarray(jobs->items, room, sizeof *more);
        if (!more) return failed(error, VOCODE_MEMORY, "no memory for a list of %zu files", room);
        jobs->items = more;
        jobs->room = room;
    }
    job *item = &jobs->items[jobs->count];
    *item = (job){.input = strdup(input)};
    int made = 0;
    if (directory)
        made =
            asprintf(&item->output, "%s/%.*s%s", directory, (int)stem_length(relative), relative, kind->output_ending);
    if (!item->input || made < 0) {
        free(item->input);
        return failed(error, VOCODE_MEMORY, "no memory for a list of %zu files", jobs->count + 1);
    }
    jobs->count++;
    return VOCODE_OK;
}

static int by_entry_name(const FTSENT **a, const FTSENT **b) {
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static vocode_status visit(job_list *jobs, const FTSENT *entry, const char *root, const job_kind *kind,
                           const char *directory, console *say, vocode_error *error) {
    switch (entry->fts_info) {
    case FTS_F:
        if (!has_ending(entry->fts_name, kind->endings)) return VOCODE_OK;
        return add(jobs, entry->fts_path, entry->fts_path + strlen(root) + 1, kind, directory, error);
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        console_error(say, "cannot read %s: %s", entry->fts_path, strerror(entry->fts_errno));
        jobs->unreadable++;
        return VOCODE_OK;
    default: return VOCODE_OK;
    }
}

static vocode_status add_folder(job_list *jobs, const char *folder, const job_kind *kind, const char *directory,
                                console *say, vocode_error *error) {
    size_t length = strlen(folder);
    while (length > 1 && folder[length - 1] == '/') length--;
    char *root = strndup(folder, length);
    FTS *tree = root ? fts_open((char *const[]){root, NULL}, FTS_LOGICAL | FTS_NOCHDIR, by_entry_name) : NULL;
    vocode_status status = tree ? VOCODE_OK : failed_errno(error, VOCODE_IO, "cannot read %s", folder);
    for (FTSENT *entry; status == VOCODE_OK && (entry = fts_read(tree));)
        status = visit(jobs, entry, strcmp(root, "/") == 0 ? "" : root, kind, directory, say, error);
    if (tree) fts_close(tree);
    free(root);
    return status;
}

static int by_output(const void *a, const void *b) {
    return strcmp((*(const job *const *)a)->output, (*(const job *const *)b)->output);
}

static vocode_status refuse_same_outputs(const job_list *jobs, vocode_error *error) {
    const job **sorted = calloc(jobs->count, sizeof *sorted);
    if (!sorted) return failed(error, VOCODE_MEMORY, "no memory for a list of %zu files", jobs->count);
    for (size_t i = 0; i < jobs->count; i++) sorted[i] = &jobs->items[i];
    qsort(sorted, jobs->count, sizeof *sorted, by_output);
    vocode_status status = VOCODE_OK;
    for (size_t i = 1; i < jobs->count && status == VOCODE_OK; i++)
        if (by_output(&sorted[i - 1], &sorted[i]) == 0)
            status = failed(error, VOCODE_ARGUMENT, "%s and %s would both be written to %s", sorted[i - 1]->input,
                            sorted[i]->input, sorted[i]->output);
    free(sorted);
    return status;
}

vocode_status jobs_collect(char *const *inputs, size_t count, const job_kind *kind, const char *directory,
                           job_list *out, console *say, vocode_error *error) {
    *out = (job_list){.make_folders = directory != NULL};
    for (size_t i = 0; i < count; i++) {
        struct stat about;
        if (stat(inputs[i], &about) == 0 && S_ISDIR(about.st_mode))
            TRY(add_folder(out, inputs[i], kind, directory, say, error));
        else if (directory && strcmp(inputs[i], "-") == 0)
            return failed(error, VOCODE_ARGUMENT, "standard input has no name to call an output in %s after",
                          directory);
        else
            TRY(add(out, inputs[i], base_name(inputs[i]), kind, directory, error));
    }
    if (out->count == 0 && out->unreadable == 0)
        return failed(error, VOCODE_IO, "found no file ending in %s in %s", kind->endings[0], inputs[0]);
    return directory && out->count ? refuse_same_outputs(out, error) : VOCODE_OK;
}

void jobs_free(job_list *jobs) {
    for (size_t i = 0; i < jobs->count; i++) {
        free(jobs->items[i].input);
        free(jobs->items[i].output);
    }
    free(jobs->items);
    *jobs = (job_list){0};
}

/* Makes every folder that path is in. */
static vocode_status make_folders(const char *path, vocode_error *error) {
    char folder[PATH_MAX];
    size_t length = strlen(path);
    if (length >= sizeof folder) return failed(error, VOCODE_IO, "cannot write %.200s...: its name is too long", path);
    memcpy(folder, path, length + 1);
    for (char *slash = strchr(folder + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(folder, 0777) != 0 && errno != EEXIST)
            return failed_errno(error, VOCODE_IO, "cannot make the folder %s", folder);
        *slash = '/';
    }
    return VOCODE_OK;
}

int jobs_run(const job_list *jobs, job_run run, void *context, console *say) {
    size_t bad = jobs->unreadable;
    progress bar;
    progress_begin(&bar, say, jobs->count);
    for (size_t i = 0; i < jobs->count; i++) {
        vocode_error error = {0};
        say->subject = input_name(jobs->items[i].input);
        vocode_status status = VOCODE_OK;
        if (jobs->make_folders) status = make_folders(jobs->items[i].output, &error);
        if (status == VOCODE_OK) status = run(context, &jobs->items[i], &bar, &error);
        if (status != VOCODE_OK) {
            console_error(say, "%s", error.message);
            bad++;
        }
        progress_item(&bar, status == VOCODE_OK);
    }
    say->subject = NULL;
    progress_end(&bar);
    if (bad && jobs->count + jobs->unreadable > 1)
        console_note(say, "%zu of %zu inputs failed", bad, jobs->count + jobs->unreadable);
    return bad ? EXIT_FAILURE : EXIT_SUCCESS;
}

int jobs_plan(const arguments *given, const command *about, const char *forms, const job_kind *kind, job_list *out,
              console *say) {
    vocode_error error;
    vocode_status status;
    *out = (job_list){0};
    if (given->output.given) {
        status = jobs_collect(given->items, given->count, kind, given->output.text, out, say, &error);
    } else if (given->count == 2) {
        status = add(out, given->items[0], given->items[0], kind, NULL, &error);
        if (status == VOCODE_OK && !(out->items[0].output = strdup(given->items[1])))
            status = failed(&error, VOCODE_MEMORY, "no memory for the name %s", given->items[1]);
    } else {
        return console_usage(say, about->name, "expected %s, or -o DIR for many files, found %zu argument%s", forms,
                             given->count, given->count == 1 ? "" : "s");
    }
    if (status == VOCODE_ARGUMENT) return console_usage(say, about->name, "%s", error.message);
    return console_finish(say, status, &error);
}
