/* Curves over the steps of a run, as inline SVG whose labels are ordinary text, so that they keep their size where the
 * picture is scaled. */
#ifndef CLI_CURVE_H
#define CLI_CURVE_H

#include <stdbool.h>
#include <stdio.h>

#include "train/history.h"

enum { CURVE_MOST_LINES = 2 };

typedef struct curve_line {
    const history_series *series; /* an empty one is not drawn */
    const char *name;
} curve_line;

typedef struct curve {
    const char *title, *unit;
    curve_line lines[CURVE_MOST_LINES];
    size_t line_count;
    bool logarithmic; /* of positive values; others are left out */
    bool from_zero;   /* the axis begins there */
    bool skip_start; /* the axis fits what comes after the first twentieth of the steps, where losses still fall steeply
                      */
    double other_factor; /* 0, or a second axis on the right, of values times this */
    const char *other_unit;
    const char *explanation; /* plain words, HTML */
} curve;

/* CSS of curves. */
extern const char curve_style[];

/* Draws over steps 0..last; nothing where no line has a value. */
void curve_write(const curve *about, uint64_t last, FILE *to);

#endif
