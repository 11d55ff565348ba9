#include "flows/build.h"

#include <stdlib.h>
#include <string.h>

vocode_status flow_new(size_t size, const flow_class *type, unsigned traits, flow_dims dims, const char *name,
                       flow **out, vocode_error *error) {
    size_t length = strlen(name);
    *out = NULL;
    if (length >= PARAM_NAME_SIZE)
        return failed(error, VOCODE_VALUE, "%s: expected a name of at most %d bytes, found %zu", type->name,
                      PARAM_NAME_SIZE - 1, length);
    if (dims.channels == 0)
        return failed(error, VOCODE_VALUE, "%s %s: expected at least one channel, found none", type->name, name);
    flow *self = calloc(1, size);
    if (!self) return failed(error, VOCODE_MEMORY, "%s %s: out of memory", type->name, name);
    self->type = type;
    self->traits = traits;
    self->channels = dims.channels;
    self->fold = 1;
    memcpy(self->name, name, length + 1);
    *out = self;
    return VOCODE_OK;
}

vocode_status flow_abandon(flow **out, vocode_status status) {
    flow_free(*out);
    *out = NULL;
    return status;
}

network_input flow_network_input(const flow *self, const flow_run *run, const real *x) {
    bool conditioned = self->cond_channels > 0;
    return (network_input){.batch = run->shape.batch,
                           .frames = run->shape.frames,
                           .cond_frames = conditioned ? run->cond_frames : run->shape.frames,
                           .x = x,
                           .cond = conditioned ? run->cond : NULL,
                           .norm = run->norm};
}

real *flow_dcond(const flow *self, const flow_run *run) {
    return self->cond_channels > 0 ? run->dcond : NULL;
}

size_t row_tile_count(flow_shape shape) {
    return shape.batch * tiles_of(shape.frames, TILE_ROWS);
}

row_tile row_tile_at(flow_shape shape, size_t index) {
    size_t each = tiles_of(shape.frames, TILE_ROWS), batch = index / each, start = index % each * TILE_ROWS;
    return (row_tile){batch, batch * shape.frames + start, smaller(TILE_ROWS, shape.frames - start)};
}

void add_tile_sums(const compute *work, flow_shape shape, const double *sums, double sign, double *logdet) {
    if (measuring(work)) return;
    size_t each = tiles_of(shape.frames, TILE_ROWS);
    for (size_t b = 0; b < shape.batch; b++)
        for (size_t i = 0; i < each; i++) logdet[b] += sign * sums[b * each + i];
}
