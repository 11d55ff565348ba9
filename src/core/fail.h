/* Filling a vocode_error, and warnings that a caller may show. */
#ifndef CORE_FAIL_H
#define CORE_FAIL_H

#include <vocode/status.h>

/* Writes code and the formatted sentence to error (which may be NULL) and returns code, so that a failing function ends
 * in `return failed(error, VOCODE_SHAPE, "...")`. */
__attribute__((format(printf, 3, 4))) vocode_status failed(vocode_error *error, vocode_status code, const char *format,
                                                           ...);

/* The same, with ": " and the text of the current errno appended. */
__attribute__((format(printf, 3, 4))) vocode_status failed_errno(vocode_error *error, vocode_status code,
                                                                 const char *format, ...);

/* Puts "<prefix>: " before the sentence that error holds already (a file's name, say); returns error's code. */
vocode_status failed_in(vocode_error *error, vocode_status code, const char *prefix);

/* Where warnings go. The library never prints: it calls this, or is silent where sink or sink->warn is NULL. */
typedef struct warning_sink {
    void (*warn)(void *context, const char *sentence);
    void *context;
} warning_sink;

__attribute__((format(printf, 2, 3))) void warn_caller(const warning_sink *sink, const char *format, ...);

/* Returns early with the status of a call that failed. */
#define TRY(call)                                       \
    do {                                                \
        vocode_status try_status = (call);              \
        if (try_status != VOCODE_OK) return try_status; \
    } while (0)

#endif
