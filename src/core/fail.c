#include "core/fail.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *vocode_status_text(vocode_status code) {
    switch (code) {
#define STATUS_CASE(name, value, text) \
    case VOCODE_##name: return text;
        VOCODE_STATUS_LIST(STATUS_CASE)
#undef STATUS_CASE
    }
    return "unknown status";
}

static void set(vocode_error *error, vocode_status code, const char *format, va_list arguments) {
    if (!error) return;
    error->code = code;
    vsnprintf(error->message, sizeof error->message, format, arguments);
}

vocode_status failed(vocode_error *error, vocode_status code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    set(error, code, format, arguments);
    va_end(arguments);
    return code;
}

vocode_status failed_errno(vocode_error *error, vocode_status code, const char *format, ...) {
    int number = errno;
    va_list arguments;
    va_start(arguments, format);
    set(error, code, format, arguments);
    va_end(arguments);
    if (error) {
        size_t used = strlen(error->message);
        char text[128];
        const char *reason = strerror_r(number, text, sizeof text); /* the GNU form, thread-safe */
        snprintf(error->message + used, sizeof error->message - used, ": %s", reason);
    }
    return code;
}

vocode_status failed_in(vocode_error *error, vocode_status code, const char *prefix) {
    if (!error) return code;
    char sentence[sizeof error->message];
    memcpy(sentence, error->message, sizeof sentence);
    snprintf(error->message, sizeof error->message, "%.400s: %.600s", prefix, sentence);
    return code;
}

void warn_caller(const warning_sink *sink, const char *format, ...) {
    if (!sink || !sink->warn) return;
    char sentence[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    sink->warn(sink->context, sentence);
}
