/* Flows for vectors, written in a line:
 *
 *     SPEC = ITEM,ITEM,...      ITEM = NAME | NAME:KEY=VALUE,KEY=VALUE,... | ITEM*TIMES | (SPEC)*TIMES
 *
 * from data to latent, such as "maf:layers=5,hidden=128" or "actnorm,linear,coupling*8" or
 * "(actnorm,linear,coupling)*8". What follows a comma and has a '=' belongs to the item before it. Names are those of
 * the table of families; masks and orders that alternate do so over the whole line. */
#ifndef DENSITY_SPEC_H
#define DENSITY_SPEC_H

#include "density/image.h"
#include "flows/flow.h"
#include "io/config.h"

typedef struct spec_builder spec_builder;

typedef struct flow_family {
    const char *name, *summary;
    const char *density, *sample; /* what a row costs in each direction */
    const char *paper;
    const config_key *keys; /* of family_options, or of the flow that it is */
    size_t key_count;
    const char *kind; /* of the registry, where it is one flow; NULL: expand makes it of several */
    void (*expand)(spec_builder *to, const void *options);
    bool conditioned; /* a context changes its density: it has a network, or is planar */
} flow_family;

/* In the order of lists for people. */
size_t flow_family_count(void);
const flow_family *flow_family_at(size_t index);

/* first (NULL: nothing), then what spec says, as one flow. first is taken over, also on failure. turned: the flow goes
 * from latent to data, and families that are quick in one direction change it. VOCODE_VALUE for what cannot be read or
 * built: the sentence quotes the item. */
vocode_status spec_build(const char *spec, flow_dims dims, image_size image, bool turned, param_set *set, flow *first,
                         flow **out, vocode_error *error);

/* For expand: appends a flow of the registry with options (JSON text by printf); failures are kept. */
__attribute__((format(printf, 3, 4))) void spec_add(spec_builder *to, const char *kind, const char *format, ...);
/* 0, 1, 2, ...: how many times it was asked before, for what alternates. */
size_t spec_turn(spec_builder *to);
size_t spec_channels(const spec_builder *to);
image_size spec_image(const spec_builder *to);
__attribute__((format(printf, 2, 3))) void spec_refuse(spec_builder *to, const char *format, ...); /* VOCODE_VALUE */

/* Levels with early outputs (composite.h): what is added after spec_begin_levels is the first one; spec_end_level ends
 * it, and its first `early` channels leave, so that what is added next has the others. With early 0 it is the last, and
 * all of them become one flow. */
void spec_begin_levels(spec_builder *to);
void spec_end_level(spec_builder *to, size_t early);
bool spec_turned(const spec_builder *to);

#endif
