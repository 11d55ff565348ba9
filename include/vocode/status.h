/* Status codes and error messages: every fallible function of the library returns a vocode_status and can fill a
 * vocode_error. The library never prints, exits or asserts on content. */
#ifndef VOCODE_STATUS_H
#define VOCODE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define VOCODE_API
#else
#define VOCODE_API __attribute__((visibility("default")))
#endif

/* X(NAME, value, text): the one list of codes. Values are part of the ABI and never reused. */
#define VOCODE_STATUS_LIST(X)                         \
    X(OK, 0, "ok")                                    \
    X(ARGUMENT, 1, "invalid argument")                \
    X(IO, 2, "input or output failed")                \
    X(FORMAT, 3, "malformed file")                    \
    X(UNSUPPORTED, 4, "not supported")                \
    X(SHAPE, 5, "wrong shape")                        \
    X(VALUE, 6, "invalid value")                      \
    X(MEMORY, 7, "out of memory")                     \
    X(CANCELLED, 8, "cancelled")                      \
    X(CONVENTION, 9, "mel convention does not match") \
    X(INTERNAL, 10, "internal error")

typedef enum vocode_status {
#define VOCODE_STATUS_ENUM(name, value, text) VOCODE_##name = (value),
    VOCODE_STATUS_LIST(VOCODE_STATUS_ENUM)
#undef VOCODE_STATUS_ENUM
} vocode_status;

/* What went wrong: a code and one sentence in English, without a final newline, that names the file or the tensor, what
 * was expected and what was found. Functions write it only when they fail, and take NULL from callers who do not ask.
 */
typedef struct vocode_error {
    vocode_status code;
    char message[1024];
} vocode_error;

/* The short text of a code, such as "malformed file"; never NULL. */
VOCODE_API const char *vocode_status_text(vocode_status code);

#ifdef __cplusplus
}
#endif
#endif
