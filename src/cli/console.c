#include "cli/console.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void console_init(console *out) {
    *out = (console){.terminal = isatty(STDERR_FILENO)};
}

void console_clear(console *out) {
    if (out->bar_shown) fputs("\r\033[K", stderr);
    out->bar_shown = false;
}

static void say(console *out, const char *prefix, const char *format, va_list arguments) {
    console_clear(out);
    fputs(prefix, stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

void console_error(console *out, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(out, "vocode: ", format, arguments);
    va_end(arguments);
}

void console_warning(console *out, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    say(out, "vocode: warning: ", format, arguments);
    va_end(arguments);
}

void console_note(console *out, const char *format, ...) {
    if (out->quiet) return;
    va_list arguments;
    va_start(arguments, format);
    say(out, "vocode: ", format, arguments);
    va_end(arguments);
}

void console_detail(console *out, const char *format, ...) {
    if (!out->verbose || out->quiet) return;
    va_list arguments;
    va_start(arguments, format);
    say(out, "vocode: ", format, arguments);
    va_end(arguments);
}

int console_usage(console *out, const char *command, const char *format, ...) {
    char sentence[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    console_error(out, "%s; see 'vocode %s%s--help'", sentence, command ? command : "", command ? " " : "");
    return EXIT_USAGE;
}

int console_finish(console *out, vocode_status status, const vocode_error *error) {
    console_clear(out);
    if (status == VOCODE_OK) return EXIT_SUCCESS;
    console_error(out, "%s", error->message);
    return EXIT_FAILURE;
}

static void note(void *context, const char *sentence) {
    console_note(context, "%s", sentence);
}

warning_sink console_notes(console *out) {
    return (warning_sink){note, out};
}

int console_close_output(console *out, int status) {
    bool bad = ferror(stdout) != 0;
    errno = 0;
    if (fflush(stdout) != 0) bad = true;
    if (!bad) return status;
    if (status == EXIT_SUCCESS)
        console_error(out, "cannot write standard output: %s", errno ? strerror(errno) : "an earlier write failed");
    return EXIT_FAILURE;
}
