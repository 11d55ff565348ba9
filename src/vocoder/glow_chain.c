#include "vocoder/glow_chain.h"

#include <stdio.h>
#include <stdlib.h>

#include "flows/composite.h"
#include "flows/registry.h"

/* The flows collected so far; composites take them over, also when they fail. */
typedef struct parts {
    flow **items;
    size_t count;
} parts;

static void free_parts(parts *list) {
    for (size_t i = 0; i < list->count; i++) flow_free(list->items[i]);
    free(list->items);
    *list = (parts){0};
}

static vocode_status parts_new(parts *list, size_t capacity, vocode_error *error) {
    *list = (parts){calloc(capacity, sizeof *list->items), 0};
    return list->items ? VOCODE_OK : failed(error, VOCODE_MEMORY, "cannot allocate a chain of %zu flows", capacity);
}

/* Hands the parts to a new sequence. */
static vocode_status close_sequence(parts *list, flow **out, vocode_error *error) {
    vocode_status status = sequence_new(list->items, list->count, out, error);
    free(list->items);
    *list = (parts){0};
    return status;
}

static vocode_status add_step(vocode_model *model, const glow_chain_options *options, size_t k, size_t channels,
                              parts *level, vocode_error *error) {
    flow_dims dims = {channels, options->cond_channels};
    char prefix[PARAM_NAME_SIZE];
    snprintf(prefix, sizeof prefix, "convinv.%zu.conv.weight", k);
    TRY(flow_build("inv1x1", "{\"conv\": true, \"init\": \"orthogonal\"}", dims, &model->params, prefix,
                   &level->items[level->count], error));
    level->count++;
    snprintf(prefix, sizeof prefix, "WN.%zu.", k);
    TRY(flow_build("coupling", options->coupling, dims, &model->params, prefix, &level->items[level->count], error));
    level->count++;
    return VOCODE_OK;
}

/* Steps first .. past on that many channels, one sequence. */
static vocode_status build_level(vocode_model *model, const glow_chain_options *options, size_t first, size_t past,
                                 size_t channels, flow **out, vocode_error *error) {
    if (channels < 2 || channels % 2)
        return failed(error, VOCODE_VALUE,
                      "early outputs leave %zu channels for flow %zu: expected an even number, 2 or more", channels,
                      first);
    parts level;
    TRY(parts_new(&level, 2 * (past - first), error));
    vocode_status status = VOCODE_OK;
    for (size_t k = first; status == VOCODE_OK && k < past; k++)
        status = add_step(model, options, k, channels, &level, error);
    if (status != VOCODE_OK) {
        free_parts(&level);
        return status;
    }
    return close_sequence(&level, out, error);
}

static vocode_status build_levels(vocode_model *model, const glow_chain_options *options, parts *levels,
                                  vocode_error *error) {
    size_t channels = options->group;
    for (size_t first = 0; first < options->n_flows; first += options->early_every) {
        size_t left = options->n_flows - first, steps = left < options->early_every ? left : options->early_every;
        if (first > 0) channels = channels > options->early_size ? channels - options->early_size : 0;
        TRY(build_level(model, options, first, first + steps, channels, &levels->items[levels->count], error));
        levels->count++;
    }
    return VOCODE_OK;
}

static vocode_status build_multiscale(vocode_model *model, const glow_chain_options *options, flow **out,
                                      vocode_error *error) {
    size_t count = (options->n_flows + options->early_every - 1) / options->early_every;
    size_t *early = calloc(count, sizeof *early);
    parts levels;
    vocode_status status =
        early ? parts_new(&levels, count, error) : failed(error, VOCODE_MEMORY, "cannot allocate %zu levels", count);
    if (status != VOCODE_OK) {
        free(early);
        return status;
    }
    for (size_t i = 0; i + 1 < count; i++) early[i] = options->early_size;
    status = build_levels(model, options, &levels, error);
    if (status == VOCODE_OK) {
        status = multiscale_new(levels.items, early, count, out, error);
        levels.count = 0;
    }
    free_parts(&levels);
    free(early);
    return status;
}

vocode_status glow_chain_build(vocode_model *model, const glow_chain_options *options, vocode_error *error) {
    char factor[64];
    snprintf(factor, sizeof factor, "{\"factor\": %zu}", options->group);
    flow *pair[2] = {0};
    TRY(flow_build("squeeze", factor, (flow_dims){1, 0}, &model->params, "", &pair[0], error));
    vocode_status status = build_multiscale(model, options, &pair[1], error);
    if (status != VOCODE_OK) {
        flow_free(pair[0]);
        return status;
    }
    return sequence_new(pair, 2, &model->chain, error);
}
