/* What the program says to the person at the terminal: always on standard error, one sentence a line, each beginning
 * with "vocode: ". Standard output carries only what was asked for. */
#ifndef CLI_CONSOLE_H
#define CLI_CONSOLE_H

#include <stdbool.h>

#include "core/fail.h"

enum { EXIT_USAGE = 2 }; /* beside EXIT_SUCCESS and EXIT_FAILURE */

typedef struct console {
    bool quiet;          /* -q: no notes, no progress; errors and warnings stay */
    bool verbose;        /* -v: details */
    bool terminal;       /* standard error is one */
    bool bar_shown;      /* a progress bar stands on the current line: it is wiped before anything else is said */
    const char *subject; /* NULL, or what warnings from the library are about: a file's name */
} console;

void console_init(console *out);

/* Wipes the bar from its line. */
void console_clear(console *out);

__attribute__((format(printf, 2, 3))) void console_error(console *out, const char *format, ...);
__attribute__((format(printf, 2, 3))) void console_warning(console *out, const char *format, ...);
__attribute__((format(printf, 2, 3))) void console_note(console *out, const char *format, ...);   /* not with -q */
__attribute__((format(printf, 2, 3))) void console_detail(console *out, const char *format, ...); /* with -v alone */

/* Says what was wrong with the command line and where its help is; returns EXIT_USAGE. command may be NULL. */
__attribute__((format(printf, 3, 4))) int console_usage(console *out, const char *command, const char *format, ...);

/* EXIT_SUCCESS, or EXIT_FAILURE after saying why. */
int console_finish(console *out, vocode_status status, const vocode_error *error);

/* Where the library's sentences go that are notes, such as "resampled from ...". */
warning_sink console_notes(console *out);

/* Flushes standard output; EXIT_FAILURE with a sentence where that or an earlier write failed, else status. */
int console_close_output(console *out, int status);

#endif
