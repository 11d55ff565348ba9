#include "core/dtype.h"

#include <math.h>
#include <string.h>

static const struct {
    size_t bytes;
    const char *name;
} types[] = {
#define DTYPE_ROW(name, bytes, text) {bytes, text},
    DTYPE_LIST(DTYPE_ROW)
#undef DTYPE_ROW
};

size_t dtype_size(dtype type) {
    return types[type].bytes;
}

const char *dtype_name(dtype type) {
    return types[type].name;
}

int dtype_is_float(dtype type) {
    return type <= DTYPE_F64;
}

dtype dtype_from_name(const char *name, size_t length) {
    for (int type = 0; type < DTYPE_COUNT; type++)
        if (strlen(types[type].name) == length && memcmp(types[type].name, name, length) == 0) return (dtype)type;
    return DTYPE_COUNT;
}

/* IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
static double half_to_double(uint16_t bits) {
    int exponent = (bits >> 10) & 31;
    int fraction = bits & 1023;
    double magnitude;
    if (exponent == 31)
        magnitude = fraction ? (double)NAN : (double)INFINITY;
    else if (exponent == 0)
        magnitude = ldexp(fraction, -24);
    else
        magnitude = ldexp(1024 + fraction, exponent - 25);
    return bits & 0x8000 ? -magnitude : magnitude;
}

/* bfloat16: the upper half of a binary32. */
static double bfloat_to_double(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return (double)value;
}

/* Reads the element's bytes as an unsigned number of that width. */
static uint64_t load_bits(const unsigned char *source, size_t bytes, int swap) {
    uint64_t wide = 0;
    for (size_t i = 0; i < bytes; i++) {
        size_t from = swap ? i : bytes - 1 - i; /* hosts are little-endian: the last byte is the highest */
        wide = wide << 8 | source[from];
    }
    return wide;
}

double dtype_load(dtype type, const void *source, int swap) {
    uint64_t bits = load_bits(source, types[type].bytes, swap);
    float single;
    double value;
    uint32_t low = (uint32_t)bits;
    switch (type) {
    case DTYPE_F16: return half_to_double((uint16_t)bits);
    case DTYPE_BF16: return bfloat_to_double((uint16_t)bits);
    case DTYPE_F32: memcpy(&single, &low, sizeof single); return (double)single;
    case DTYPE_F64: memcpy(&value, &bits, sizeof value); return value;
    case DTYPE_I8: return (double)(int8_t)bits;
    case DTYPE_I16: return (double)(int16_t)bits;
    case DTYPE_I32: return (double)(int32_t)bits;
    case DTYPE_I64: return (double)(int64_t)bits;
    case DTYPE_BOOL: return bits != 0;
    case DTYPE_U8:
    case DTYPE_U16:
    case DTYPE_U32:
    case DTYPE_U64:
    case DTYPE_COUNT: break;
    }
    return (double)bits;
}

void dtype_to_float(dtype type, const void *source, int swap, float *target, size_t count) {
    if (type == DTYPE_F32 && !swap) {
        memcpy(target, source, count * sizeof *target);
        return;
    }
    const unsigned char *bytes = source;
    for (size_t i = 0; i < count; i++) target[i] = (float)dtype_load(type, bytes + i * types[type].bytes, swap);
}

void dtype_to_double(dtype type, const void *source, int swap, double *target, size_t count) {
    if (type == DTYPE_F64 && !swap) {
        memcpy(target, source, count * sizeof *target);
        return;
    }
    const unsigned char *bytes = source;
    for (size_t i = 0; i < count; i++) target[i] = dtype_load(type, bytes + i * types[type].bytes, swap);
}

void dtype_to_real(dtype type, const void *source, int swap, real *target, size_t count) {
#ifdef VOCODE_REAL_DOUBLE
    dtype_to_double(type, source, swap, target, count);
#else
    dtype_to_float(type, source, swap, target, count);
#endif
}
