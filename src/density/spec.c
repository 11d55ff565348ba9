#include "density/spec.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flows/composite.h"
#include "flows/registry.h"

enum { MOST_PARTS = 1024, MOST_TIMES = 512, MOST_DEPTH = 8, MOST_LEVELS = 16, OPTIONS_SIZE = 512 };

struct spec_builder {
    flow_dims dims;
    image_size image;
    bool turned;
    param_set *set;
    flow *parts[MOST_PARTS];
    size_t count, turns;
    size_t named;              /* flows so far, those that became parts of others included */
    size_t whole;              /* channels of what the levels are made of */
    size_t first_level, level; /* the places of their first and of the present one's first part */
    size_t early[MOST_LEVELS], levels;
    vocode_status status; /* the first failure stays */
    vocode_error *error;
};

size_t spec_turn(spec_builder *to) {
    return to->turns++;
}

size_t spec_channels(const spec_builder *to) {
    return to->dims.channels;
}

image_size spec_image(const spec_builder *to) {
    return to->image;
}

void spec_refuse(spec_builder *to, const char *format, ...) {
    char sentence[OPTIONS_SIZE];
    va_list values;
    va_start(values, format);
    vsnprintf(sentence, sizeof sentence, format, values);
    va_end(values);
    if (to->status == VOCODE_OK) to->status = failed(to->error, VOCODE_VALUE, "%s", sentence);
}

void spec_begin_levels(spec_builder *to) {
    to->first_level = to->level = to->count;
    to->levels = 0;
    to->whole = to->dims.channels;
}

void spec_end_level(spec_builder *to, size_t early) {
    flow **parts = to->parts + to->level, **levels = to->parts + to->first_level;
    if (to->levels == MOST_LEVELS) spec_refuse(to, "expected at most %d levels", MOST_LEVELS);
    if (to->status != VOCODE_OK) return;
    size_t count = to->count - to->level;
    to->count = to->level; /* what they become takes them over, also on failure */
    to->status = sequence_new(parts, count, parts, to->error);
    if (to->status != VOCODE_OK) return;
    to->early[to->levels++] = early;
    to->level = ++to->count;
    to->dims.channels -= early;
    if (early) return;
    to->dims.channels = to->whole;
    to->count = to->first_level;
    to->status = multiscale_new(levels, to->early, to->levels, levels, to->error);
    to->count += to->status == VOCODE_OK;
}

/* Noise comes before all else, also before what was put in front of the line. */
static vocode_status to_front(spec_builder *to) {
    size_t last = to->count - 1;
    if (last > 1 || to->turns)
        return failed(to->error, VOCODE_VALUE, "expected dequantize once and before all others, found it later");
    flow *noise = to->parts[last];
    to->parts[last] = to->parts[0];
    to->parts[0] = noise;
    return VOCODE_OK;
}

bool spec_turned(const spec_builder *to) {
    return to->turned;
}

static void add(spec_builder *to, const char *kind, const char *options) {
    char prefix[64];
    if (to->status != VOCODE_OK) return;
    if (to->count == MOST_PARTS) {
        to->status = failed(to->error, VOCODE_VALUE, "expected at most %d flows", MOST_PARTS);
        return;
    }
    snprintf(prefix, sizeof prefix, "%zu.%s.", to->named++, kind);
    to->status = flow_build(kind, options, to->dims, to->set, prefix, &to->parts[to->count], to->error);
    if (to->status != VOCODE_OK) return;
    bool noisy = to->parts[to->count++]->traits & FLOW_DEQUANTIZES;
    if (noisy) to->status = to_front(to);
}

void spec_add(spec_builder *to, const char *kind, const char *format, ...) {
    char options[OPTIONS_SIZE];
    va_list values;
    va_start(values, format);
    vsnprintf(options, sizeof options, format, values);
    va_end(values);
    add(to, kind, options);
}

/* A stretch of the line that is still to be read. */
typedef struct text {
    const char *at, *end;
} text;

static int length_of(text piece) {
    return (int)(piece.end - piece.at);
}

/* "5" and "true" become what JSON calls them, anything else a string. */
static json_t *value_of(const char *from, size_t length) {
    char copy[OPTIONS_SIZE], *end;
    snprintf(copy, sizeof copy, "%.*s", (int)length, from);
    if (strcmp(copy, "true") == 0 || strcmp(copy, "false") == 0) return json_boolean(copy[0] == 't');
    double number = strtod(copy, &end);
    if (end == copy || *end) return json_string(copy);
    return number == floor(number) && fabs(number) < 0x1p53 ? json_integer((json_int_t)number) : json_real(number);
}

/* The options from item.at on, KEY=VALUE,..., as an object; *item moves behind them. */
static json_t *read_options(text *item) {
    json_t *object = json_object();
    while (item->at < item->end) {
        size_t most = (size_t)length_of(*item), size = strcspn(item->at, ",()*"), key = strcspn(item->at, "=,()*");
        if (size > most) size = most;
        if (key >= size) break;
        json_object_setn_new(object, item->at, key, value_of(item->at + key + 1, size - key - 1));
        item->at += size;
        if (item->at == item->end || *item->at != ',') break;
        size_t following = strcspn(item->at + 1, "=,:()*");
        if (item->at + 1 + following >= item->end || item->at[1 + following] != '=') break;
        item->at++;
    }
    return object;
}

static const flow_family *find(const char *name, size_t length) {
    for (size_t i = 0; i < flow_family_count(); i++) {
        const flow_family *family = flow_family_at(i);
        if (strlen(family->name) == length && memcmp(family->name, name, length) == 0) return family;
    }
    return NULL;
}

static vocode_status unknown(const char *name, size_t length, vocode_error *error) {
    char names[OPTIONS_SIZE] = "";
    for (size_t i = 0, used = 0; i < flow_family_count() && used < sizeof names; i++)
        used += (size_t)snprintf(names + used, sizeof names - used, i ? ", %s" : "%s", flow_family_at(i)->name);
    return failed(error, VOCODE_VALUE, "expected the name of a flow (%s), found \"%.*s\"", names, (int)length, name);
}

static vocode_status expand(spec_builder *to, const flow_family *family, json_t *options) {
    if (family->kind) {
        char *line = json_print(options, 0);
        if (!line) return failed(to->error, VOCODE_MEMORY, "out of memory");
        add(to, family->kind, line);
        free(line);
        return to->status;
    }
    /* config_read fills a struct whose size the rows know */
    double values[OPTIONS_SIZE / sizeof(double)] = {0};
    to->status = config_read(options, family->keys, family->key_count, values, family->name, to->error);
    if (to->status == VOCODE_OK) family->expand(to, values);
    return to->status;
}

static vocode_status read_spec(spec_builder *to, text *spec, int depth, bool build);

/* One item without its times; *spec moves behind it. */
static vocode_status read_item(spec_builder *to, text *spec, int depth, bool build) {
    if (spec->at < spec->end && *spec->at == '(') {
        if (depth == MOST_DEPTH)
            return failed(to->error, VOCODE_VALUE, "expected brackets at most %d deep", MOST_DEPTH);
        spec->at++;
        TRY(read_spec(to, spec, depth + 1, build));
        if (spec->at == spec->end || *spec->at != ')')
            return failed(to->error, VOCODE_VALUE, "expected \")\", found \"%.*s\"", length_of(*spec), spec->at);
        spec->at++;
        return VOCODE_OK;
    }
    size_t length = 0;
    while (spec->at + length < spec->end && (isalnum((unsigned char)spec->at[length]) || spec->at[length] == '_'))
        length++;
    const flow_family *family = find(spec->at, length);
    if (!family) return unknown(spec->at, length ? length : (size_t)length_of(*spec), to->error);
    spec->at += length;
    json_t *options = NULL;
    if (spec->at < spec->end && *spec->at == ':') {
        spec->at++;
        options = read_options(spec);
    } else {
        options = json_object();
    }
    if (!options) return failed(to->error, VOCODE_MEMORY, "out of memory");
    vocode_status status = build ? expand(to, family, options) : VOCODE_OK;
    json_decref(options);
    return status;
}

static vocode_status read_times(spec_builder *to, text *spec, size_t *times) {
    *times = 1;
    if (spec->at == spec->end || *spec->at != '*') return VOCODE_OK;
    char *end;
    unsigned long read = isdigit((unsigned char)spec->at[1]) ? strtoul(spec->at + 1, &end, 10) : 0;
    if (!read || read > MOST_TIMES)
        return failed(to->error, VOCODE_VALUE, "expected a number of times from 1 to %d after \"*\", found \"%.*s\"",
                      MOST_TIMES, length_of(*spec) - 1, spec->at + 1);
    *times = read;
    spec->at = end;
    return VOCODE_OK;
}

/* Items up to a closing bracket or the end. An item is read once to find its times, then built as often. */
static vocode_status read_spec(spec_builder *to, text *spec, int depth, bool build) {
    for (;;) {
        text after = *spec;
        size_t times;
        TRY(read_item(to, &after, depth, false));
        TRY(read_times(to, &after, &times));
        for (size_t i = 0; build && i < times; i++) {
            text item = *spec;
            TRY(read_item(to, &item, depth, true));
        }
        spec->at = after.at;
        if (spec->at == spec->end || *spec->at != ',') return VOCODE_OK;
        spec->at++;
    }
}

vocode_status spec_build(const char *spec, flow_dims dims, image_size image, bool turned, param_set *set, flow *first,
                         flow **out, vocode_error *error) {
    spec_builder *to = calloc(1, sizeof *to);
    *out = NULL;
    if (!to) {
        flow_free(first);
        return failed(error, VOCODE_MEMORY, "out of memory");
    }
    to->dims = dims;
    to->turned = turned;
    to->set = set;
    to->error = error;
    to->image = image;
    if (first) to->parts[to->count++] = first;
    to->named = to->count;
    text line = {spec, spec + strlen(spec)};
    vocode_status status = read_spec(to, &line, 0, true);
    if (status == VOCODE_OK && line.at < line.end)
        status = failed(error, VOCODE_VALUE, "expected \",\" or the end, found \"%s\"", line.at);
    if (status == VOCODE_OK)
        status = sequence_new(to->parts, to->count, out, error);
    else
        for (size_t i = 0; i < to->count; i++) flow_free(to->parts[i]);
    free(to);
    if (status == VOCODE_OK || status == VOCODE_MEMORY) return status;
    char where[OPTIONS_SIZE];
    snprintf(where, sizeof where, "flow \"%.200s\"", spec);
    return failed_in(error, status, where);
}
