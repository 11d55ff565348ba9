/* What static analysis of one file at a time cannot see; tools/check_static.sh includes it ahead of every file but
 * core/fail.c. The failing functions return the code that they are given, which is never VOCODE_OK. */
#ifndef TOOLS_ANALYSIS_H
#define TOOLS_ANALYSIS_H

#include "core/fail.h"

#define failed(error, code, ...) ((void)(failed)(error, code, __VA_ARGS__), (code))
#define failed_errno(error, code, ...) ((void)(failed_errno)(error, code, __VA_ARGS__), (code))
#define failed_in(error, code, prefix) ((void)(failed_in)(error, code, prefix), (code))

#endif
