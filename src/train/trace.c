#include "train/trace.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "io/atomic.h"
#include "io/json.h"

struct train_trace {
    char *path;
    json_t *events;
    double start; /* the first event's beginning; negative before it */
};

static const char *const lane_names[TRACE_LANES] = {"computation", "communication"};

vocode_status trace_open(const char *path, train_trace **out, vocode_error *error) {
    *out = NULL;
    train_trace *self = calloc(1, sizeof *self);
    if (!self) return failed(error, VOCODE_MEMORY, "%s: out of memory", path);
    *self = (train_trace){strdup(path), json_array(), -1};
    for (int lane = 0; self->events && lane < TRACE_LANES; lane++)
        json_array_append_new(self->events, json_pack("{s:s, s:s, s:i, s:i, s:{s:s}}", "name", "thread_name", "ph", "M",
                                                      "pid", 0, "tid", lane, "args", "name", lane_names[lane]));
    if (self->path && self->events) {
        *out = self;
        return VOCODE_OK;
    }
    free(self->path);
    json_decref(self->events);
    free(self);
    return failed(error, VOCODE_MEMORY, "%s: out of memory", path);
}

void trace_add(train_trace *trace, trace_lane lane, const char *name, double began, double ended) {
    const double microseconds = 1e6;
    if (trace->start < 0) trace->start = began;
    json_array_append_new(trace->events, json_pack("{s:s, s:s, s:i, s:i, s:f, s:f}", "name", name, "ph", "X", "pid", 0,
                                                   "tid", (int)lane, "ts", microseconds * (began - trace->start), "dur",
                                                   microseconds * (ended - began)));
}

vocode_status trace_close(train_trace *trace, vocode_error *error) {
    if (!trace) return VOCODE_OK;
    json_t *root = json_pack("{s:s, s:o}", "displayTimeUnit", "ms", "traceEvents", trace->events);
    char *text = root ? json_print(root, 0) : NULL;
    vocode_status status = text ? atomic_put(trace->path, text, strlen(text), error)
                                : failed(error, VOCODE_MEMORY, "%s: out of memory", trace->path);
    json_decref(root);
    free(text);
    free(trace->path);
    free(trace);
    return status;
}
