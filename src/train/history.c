#include "train/history.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/bytes.h"

#define FIRST_ROOM 256

static const struct {
    const char *field, *other;
} fields[HISTORY_COUNT] = {
#define HISTORY_FIELDS(name, field, other) {field, other},
    HISTORY_LIST(HISTORY_FIELDS)
#undef HISTORY_FIELDS
};

/* Both arrays, so that one more value fits. */
static vocode_status make_room(history_series *series, vocode_error *error) {
    if (series->count < series->room) return VOCODE_OK;
    size_t room = series->room ? 2 * series->room : FIRST_ROOM;
    uint64_t *steps = realloc(series->steps, room * sizeof *steps);
    if (steps) series->steps = steps;
    double *values = realloc(series->values, room * sizeof *values);
    if (values) series->values = values;
    if (!steps || !values) return failed(error, VOCODE_MEMORY, "no memory for %zu values of a log", room);
    series->room = room;
    return VOCODE_OK;
}

static vocode_status add_value(history_series *series, uint64_t step, double value, vocode_error *error) {
    while (series->count && series->steps[series->count - 1] >= step) series->count--;
    TRY(make_room(series, error));
    series->steps[series->count] = step;
    series->values[series->count++] = value;
    return VOCODE_OK;
}

/* The run went back to before this step. */
static void go_back(run_history *to, uint64_t step) {
    for (size_t i = 0; i < HISTORY_COUNT; i++) {
        history_series *series = &to->series[i];
        while (series->count && series->steps[series->count - 1] >= step) series->count--;
    }
}

static vocode_status add_fields(run_history *to, const json_t *line, uint64_t step, vocode_error *error) {
    for (size_t i = 0; i < HISTORY_COUNT; i++) {
        const json_t *value = json_object_get(line, fields[i].field);
        if (value && i == HISTORY_LOSS) to->likelihood = true;
        if (!value && fields[i].other) value = json_object_get(line, fields[i].other);
        if (!value) continue;
        if (json_is_number(value) && isfinite(json_number_value(value)))
            TRY(add_value(&to->series[i], step, json_number_value(value), error));
        else
            to->infinite++;
    }
    return VOCODE_OK;
}

static vocode_status add_line(run_history *to, const json_t *line, vocode_error *error) {
    to->lines++;
    const json_t *about = json_object_get(line, "about"), *seconds = json_object_get(line, "seconds"),
                 *skipped = json_object_get(line, "skipped");
    json_t *config = json_object_get(line, "config");
    if (json_is_string(about) && !to->about && !(to->about = strdup(json_string_value(about))))
        return failed(error, VOCODE_MEMORY, "no memory for a line of a log");
    if (json_is_object(config) && !to->config) to->config = json_incref(config);
    if (json_is_number(seconds)) to->seconds = json_number_value(seconds);
    if (json_is_integer(skipped) && json_integer_value(skipped) >= 0) to->skipped = json_integer_value(skipped);
    const json_t *step = json_object_get(line, "step");
    if (!json_is_integer(step) || json_integer_value(step) < 0) return VOCODE_OK;
    if ((uint64_t)json_integer_value(step) < to->step) go_back(to, (uint64_t)json_integer_value(step));
    to->step = (uint64_t)json_integer_value(step);
    return add_fields(to, line, to->step, error);
}

static vocode_status read_lines(const char *text, size_t size, run_history *to, vocode_error *error) {
    for (size_t place = 0; place < size;) {
        const char *end = memchr(text + place, '\n', size - place);
        size_t length = end ? (size_t)(end - text) - place : size - place;
        json_t *line = NULL;
        bool read = json_parse(text + place, length, NULL, "log", &line, NULL) == VOCODE_OK && json_is_object(line);
        vocode_status status = VOCODE_OK;
        if (read)
            status = add_line(to, line, error);
        else if (end)
            to->damaged++;
        else
            to->torn = true;
        json_decref(line);
        TRY(status);
        place += length + 1;
    }
    return VOCODE_OK;
}

vocode_status history_read(const char *path, run_history *out, vocode_error *error) {
    unsigned char *text;
    size_t size;
    *out = (run_history){.likelihood = false};
    TRY(bytes_read(path, SIZE_MAX / 2, &text, &size, error));
    vocode_status status = read_lines((const char *)text, size, out, error);
    free(text);
    return status == VOCODE_OK ? status : failed_in(error, status, path);
}

void history_free(run_history *history) {
    for (size_t i = 0; i < HISTORY_COUNT; i++) {
        free(history->series[i].steps);
        free(history->series[i].values);
    }
    free(history->about);
    json_decref(history->config);
    *history = (run_history){.likelihood = false};
}

bool history_lowest(const history_series *series, uint64_t *step, double *value) {
    for (size_t i = 0; i < series->count; i++) {
        if (i && series->values[i] >= *value) continue;
        *step = series->steps[i];
        *value = series->values[i];
    }
    return series->count > 0;
}
