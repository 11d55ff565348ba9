/* The arithmetic type of kernels, networks and flows. The library is built with float; the conformance tests build the
 * same files a second time with double, so that gradients can be held to 1e-6 instead of 1e-2. */
#ifndef CORE_REAL_H
#define CORE_REAL_H

#include <tgmath.h>

#ifdef VOCODE_REAL_DOUBLE
typedef double real;
#define REAL_DTYPE DTYPE_F64
#else
typedef float real;
#define REAL_DTYPE DTYPE_F32
#endif

#endif
