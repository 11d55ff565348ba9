/* Pictures decode to the same pixels; base64 against the vectors of RFC 4648. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <png.h>

#include "io/png.h"

static void pictures_come_back(void **state) {
    (void)state;
    enum { WIDTH = 37, HEIGHT = 19 };
    unsigned char rgb[WIDTH * HEIGHT * 3], back[sizeof rgb], *bytes;
    size_t size;
    for (size_t i = 0; i < sizeof rgb; i++) rgb[i] = (unsigned char)(i * i * 31 + i);
    assert_int_equal(rgb_to_png(rgb, WIDTH, HEIGHT, &bytes, &size, NULL), VOCODE_OK);
    assert_memory_equal(bytes, "\x89PNG\r\n\x1a\n", 8);
    png_image image = {.version = PNG_IMAGE_VERSION};
    assert_true(png_image_begin_read_from_memory(&image, bytes, size));
    assert_int_equal(image.width, WIDTH);
    assert_int_equal(image.height, HEIGHT);
    image.format = PNG_FORMAT_RGB;
    assert_true(png_image_finish_read(&image, NULL, back, 0, NULL));
    assert_memory_equal(rgb, back, sizeof rgb);
    free(bytes);
    vocode_error error = {0};
    assert_int_equal(rgb_to_png(rgb, 0, 1, &bytes, &size, &error), VOCODE_ARGUMENT);
    assert_int_equal(rgb_to_png(rgb, 1, SIZE_MAX, &bytes, &size, &error), VOCODE_ARGUMENT);
}

static void base64_known_answers(void **state) {
    (void)state;
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"\xff\xef\xfe", "/+/+"}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        char *text = base64_text(pairs[i][0], strlen(pairs[i][0]));
        assert_string_equal(text, pairs[i][1]);
        free(text);
    }
    assert_null(base64_text("", SIZE_MAX));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(pictures_come_back), cmocka_unit_test(base64_known_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
