/* When what happened, as a file that chrome://tracing and ui.perfetto.dev show: the Trace Event Format's complete
 * events, a lane for each kind. */
#ifndef TRAIN_TRACE_H
#define TRAIN_TRACE_H

#include <stddef.h>

#include "core/fail.h"

typedef enum trace_lane { TRACE_COMPUTATION, TRACE_COMMUNICATION, TRACE_LANES } trace_lane;

typedef struct train_trace train_trace;

/* The file appears when the trace is closed. */
vocode_status trace_open(const char *path, train_trace **out, vocode_error *error);

/* Times are clock_seconds (core/clock.h). What memory does not hold is left out. */
void trace_add(train_trace *trace, trace_lane lane, const char *name, double began, double ended);

/* Writes the file. The trace is freed in any case; NULL is fine. */
vocode_status trace_close(train_trace *trace, vocode_error *error);

#endif
