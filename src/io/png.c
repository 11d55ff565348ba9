#include "io/png.h"

#include <png.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "io/bytes.h"

#define CHANNELS 3

vocode_status rgb_to_png(const unsigned char *rgb, size_t width, size_t height, unsigned char **out, size_t *size,
                         vocode_error *error) {
    const size_t longest = 65536; /* keeps PNG_IMAGE_PNG_SIZE_MAX's arithmetic far from overflow */
    png_image image = {.version = PNG_IMAGE_VERSION, .format = PNG_FORMAT_RGB};
    *out = NULL;
    *size = 0;
    if (width == 0 || height == 0 || width > longest || height > longest)
        return failed(error, VOCODE_ARGUMENT, "cannot make a picture of %zu x %zu pixels, at most %zu each way", width,
                      height, longest);
    image.width = (png_uint_32)width;
    image.height = (png_uint_32)height;
    png_alloc_size_t room = PNG_IMAGE_PNG_SIZE_MAX(image);
    unsigned char *bytes = malloc(room);
    if (!bytes) return failed(error, VOCODE_MEMORY, "no memory for a picture of %zu x %zu pixels", width, height);
    if (!png_image_write_to_memory(&image, bytes, &room, 0, rgb, (png_int_32)(width * CHANNELS), NULL)) {
        free(bytes);
        return failed(error, VOCODE_INTERNAL, "cannot encode a picture: %s", image.message);
    }
    unsigned char *fitted = realloc(bytes, room);
    *out = fitted ? fitted : bytes;
    *size = room;
    return VOCODE_OK;
}

char *base64_text(const void *bytes, size_t size) {
    if (size > SIZE_MAX / 2) return NULL;
    size_t room = sodium_base64_ENCODED_LEN(size, sodium_base64_VARIANT_ORIGINAL);
    char *text = malloc(room);
    if (text) sodium_bin2base64(text, room, bytes, size, sodium_base64_VARIANT_ORIGINAL);
    return text;
}
