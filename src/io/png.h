/* Pictures and bytes for self-contained HTML pages. */
#ifndef IO_PNG_H
#define IO_PNG_H

#include <stddef.h>

#include "core/fail.h"

/* Encodes rgb [height, width, 3] (8 bits each, top row first) as a PNG of *size bytes at *out; free it with free(). */
vocode_status rgb_to_png(const unsigned char *rgb, size_t width, size_t height, unsigned char **out, size_t *size,
                         vocode_error *error);

/* The base64 text (RFC 4648, padded) of bytes, ending in a zero byte; free it with free(). NULL when out of memory. */
char *base64_text(const void *bytes, size_t size);

#endif
