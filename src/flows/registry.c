#include "flows/registry.h"

#include <stdlib.h>
#include <string.h>

#include "flows/flows.h"

#define BUILD_BY_KIND(name, options, summary, paper)                                                          \
    static vocode_status build_##name(const void *values, flow_dims dims, param_set *set, const char *prefix, \
                                      flow **out, vocode_error *error) {                                      \
        return name##_build(values, dims, set, prefix, out, error);                                           \
    }
FLOW_KIND_LIST(BUILD_BY_KIND)
#undef BUILD_BY_KIND

#define KIND_ROW(name, options, summary, paper) \
    {#name, (summary), (paper), name##_keys, (options), sizeof(name##_options), build_##name},
static const flow_kind kinds[] = {FLOW_KIND_LIST(KIND_ROW)};
#undef KIND_ROW

const flow_kind *flow_kinds(size_t *count) {
    *count = sizeof kinds / sizeof *kinds;
    return kinds;
}

const flow_kind *flow_kind_find(const char *name) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, name) == 0) return &kinds[i];
    return NULL;
}

/* values: a struct of kind->options_size bytes */
static vocode_status read_options(const flow_kind *kind, const char *text, void *values, vocode_error *error) {
    json_t *object = NULL;
    if (text) TRY(json_parse(text, strlen(text), NULL, kind->name, &object, error));
    vocode_status status = config_read(object, kind->keys, kind->key_count, values, kind->name, error);
    json_decref(object); /* NULL is fine */
    return status;
}

vocode_status flow_build(const char *name, const char *options, flow_dims dims, param_set *set, const char *prefix,
                         flow **out, vocode_error *error) {
    *out = NULL;
    const flow_kind *kind = flow_kind_find(name);
    if (!kind) return failed(error, VOCODE_UNSUPPORTED, "there is no flow \"%s\"", name);
    void *values = calloc(1, kind->options_size);
    if (!values) return failed(error, VOCODE_MEMORY, "flow %s: out of memory", name);
    size_t before = set->count;
    vocode_status status = read_options(kind, options, values, error);
    if (status == VOCODE_OK) status = kind->build(values, dims, set, prefix, out, error);
    free(values);
    if (status != VOCODE_OK) return status;
    (*out)->first_param = before;
    (*out)->param_count = set->count - before;
    return VOCODE_OK;
}
