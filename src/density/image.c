#include "density/image.h"

size_t image_count(image_size image) {
    size_t pixels, count;
    if (__builtin_mul_overflow(image.height, image.width, &pixels) ||
        __builtin_mul_overflow(pixels, image.planes ? image.planes : 1, &count))
        return 0;
    return count;
}
