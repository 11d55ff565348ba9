/* Rows that are images: the numbers of a row lie in it as [height, width, planes]. */
#ifndef DENSITY_IMAGE_H
#define DENSITY_IMAGE_H

#include <stddef.h>

typedef struct image_size {
    size_t height, width,
        planes; /* all 0: rows are no images; planes 0 alone: one plane, and arrays have no axis for it */
} image_size;

/* Numbers of an image; 0 where there are none, or more than memory can hold. */
size_t image_count(image_size image);

#endif
