/* Element types of tensors on disk and their conversion to float, double or real. */
#ifndef CORE_DTYPE_H
#define CORE_DTYPE_H

#include <stddef.h>
#include <stdint.h>

#include "core/real.h"

/* X(NAME, bytes, safetensors name) */
#define DTYPE_LIST(X)  \
    X(F16, 2, "F16")   \
    X(BF16, 2, "BF16") \
    X(F32, 4, "F32")   \
    X(F64, 8, "F64")   \
    X(I8, 1, "I8")     \
    X(I16, 2, "I16")   \
    X(I32, 4, "I32")   \
    X(I64, 8, "I64")   \
    X(U8, 1, "U8")     \
    X(U16, 2, "U16")   \
    X(U32, 4, "U32")   \
    X(U64, 8, "U64")   \
    X(BOOL, 1, "BOOL")

typedef enum dtype {
#define DTYPE_ENUM(name, bytes, text) DTYPE_##name,
    DTYPE_LIST(DTYPE_ENUM)
#undef DTYPE_ENUM
        DTYPE_COUNT
} dtype;

size_t dtype_size(dtype type);      /* bytes an element */
const char *dtype_name(dtype type); /* the safetensors name, such as "F32" */
int dtype_is_float(dtype type);
/* The type of that safetensors name, or DTYPE_COUNT. name need not end in a zero byte. */
dtype dtype_from_name(const char *name, size_t length);

/* One element as a double. source need not be aligned; swap reverses its bytes first. */
double dtype_load(dtype type, const void *source, int swap);

/* Converts count consecutive elements (host byte order unless swap). source need not be aligned. */
void dtype_to_float(dtype type, const void *source, int swap, float *target, size_t count);
void dtype_to_double(dtype type, const void *source, int swap, double *target, size_t count);
void dtype_to_real(dtype type, const void *source, int swap, real *target, size_t count);

#endif
