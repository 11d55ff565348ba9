/* What the public functions share: options and arrays of callers. */
#ifndef DENSITY_API_H
#define DENSITY_API_H

#include "density/base.h"
#include "density/vectors.h"

enum { MOST_ROWS_OF_A_STEP = 1 << 20 };

/* Each says VOCODE_ARGUMENT, or VOCODE_VALUE for a name that there is none of. */
vocode_status api_find_threads(int given, int *out, vocode_error *error); /* 0: all */
vocode_status api_find_base(const char *name, base_kind *out, vocode_error *error);
vocode_status api_check_number(const char *name, double value, double most, vocode_error *error);
vocode_status api_check_count(const char *name, size_t value, size_t most, vocode_error *error);

/* An array of a caller as reals: itself where a real is a float, else a copy. */
typedef struct borrowed {
    real *values, *copy;
} borrowed;

vocode_status api_borrow(const float *from, size_t count, borrowed *out, vocode_error *error);
/* Ends it; to (NULL: nothing) receives what was written to a copy. */
void api_give_back(borrowed *it, size_t count, float *to);

#endif
