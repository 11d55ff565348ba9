/* Levels with early outputs as rows come: the rows of the level above arrive late, so what left early waits for them.
 * Only where all levels have one frame rate. */
#include <stdlib.h>
#include <string.h>

#include "flows/stream.h"
#include "flows/streamed.h"

typedef struct multiscale_stream multiscale_stream;

typedef struct level_stream {
    multiscale_stream *whole;
    size_t index;
    flow_stream *stream;
    row_queue early; /* what left after this level and waits; not used by the last */
    real *joined;    /* [most, channels]: early outputs and the rest, side by side */
} level_stream;

struct multiscale_stream {
    flow_stream base;
    size_t count;
    const size_t *early_size;
    compute *run; /* of the push that is under way */
    row_sink to;
    level_stream levels[];
};

static vocode_status push_level(level_stream *level, const real *z, size_t rows, bool last);

/* The data of level k + 1 is the rest of level k's latent. */
static vocode_status take_rest(void *context, const real *rest, size_t rows, bool last) {
    level_stream *above = context;
    multiscale_stream *self = above->whole;
    if (above->index == 0) return self->to.take(self->to.context, rest, rows, last);
    level_stream *level = above - 1;
    size_t early = level->early.width, channels = level->stream->of->channels * level->stream->of->fold;
    const real *waited = rows ? row_queue_at(&level->early, level->early.first) : NULL;
    for (size_t t = 0; t < rows; t++) {
        real *row = level->joined + t * channels;
        memcpy(row, waited + t * early, early * sizeof *row);
        memcpy(row + early, rest + t * (channels - early), (channels - early) * sizeof *row);
    }
    row_queue_drop(&level->early, level->early.first + (ptrdiff_t)rows);
    return push_level(level, level->joined, rows, last);
}

static vocode_status push_level(level_stream *level, const real *z, size_t rows, bool last) {
    row_sink next = {take_rest, level};
    return flow_stream_push(level->stream, level->whole->run, z, rows, last, next);
}

static vocode_status push(flow_stream *base, compute *run, const real *z, size_t rows, bool last, row_sink to) {
    multiscale_stream *self = (multiscale_stream *)base;
    size_t channels = base->of->channels * base->of->fold, first = 0;
    self->run = run;
    self->to = to;
    for (size_t k = 0; k + 1 < self->count; k++) {
        size_t early = self->levels[k].early.width;
        real *kept = row_queue_push(&self->levels[k].early, rows);
        for (size_t t = 0; t < rows; t++) memcpy(kept + t * early, z + t * channels + first, early * sizeof *kept);
        first += early;
    }
    level_stream *top = &self->levels[self->count - 1];
    size_t rest = channels - first;
    for (size_t t = 0; t < rows; t++) memcpy(top->joined + t * rest, z + t * channels + first, rest * sizeof *z);
    return push_level(top, top->joined, rows, last);
}

static ptrdiff_t wants(const flow_stream *base) {
    const multiscale_stream *self = (const multiscale_stream *)base;
    ptrdiff_t least = PTRDIFF_MAX;
    for (size_t k = 0; k < self->count; k++) {
        const flow_stream *part = self->levels[k].stream;
        ptrdiff_t wanted = part->type->wants ? part->type->wants(part) : PTRDIFF_MAX;
        if (wanted < least) least = wanted;
    }
    return least;
}

static void destroy(flow_stream *base) {
    multiscale_stream *self = (multiscale_stream *)base;
    for (size_t k = 0; k < self->count; k++) {
        flow_stream_free(self->levels[k].stream);
        row_queue_free(&self->levels[k].early);
        aligned_free(self->levels[k].joined);
    }
    free(self);
}

static const flow_stream_class multiscale_stream_class = {.push = push, .wants = wants, .destroy = destroy};

/* Rows that wait for the levels above k: those levels' reach, and what arrives at once. */
static vocode_status make_level(multiscale_stream *self, const flow_parts *levels, size_t k, size_t waiting,
                                vocode_error *error) {
    const flow *level = levels->items[k];
    const stream_setting *setting = &self->base.setting;
    self->levels[k].whole = self;
    self->levels[k].index = k;
    if (k > 0 && level->fold != 1)
        return failed(error, VOCODE_UNSUPPORTED, "multiscale: early outputs at several frame rates cannot be streamed");
    TRY(flow_stream_new(level, setting, &self->levels[k].stream, error));
    if (self->levels[k].stream->scratch > self->base.scratch) self->base.scratch = self->levels[k].stream->scratch;
    self->levels[k].joined = aligned_new(setting->most, level->channels * level->fold * sizeof(real));
    bool good = self->levels[k].joined != NULL;
    if (k + 1 < self->count)
        good = good && row_queue_new(&self->levels[k].early, self->early_size[k], waiting + 2 * setting->most, 0);
    return good ? VOCODE_OK : failed(error, VOCODE_MEMORY, "multiscale: cannot allocate a stream");
}

vocode_status multiscale_stream_new(const flow *of, const stream_setting *setting, flow_stream **out,
                                    vocode_error *error) {
    const flow_parts *levels = multiscale_levels(of);
    size_t waiting = 0;
    TRY(flow_stream_make(sizeof(multiscale_stream) + levels->count * sizeof(level_stream), &multiscale_stream_class, of,
                         setting, out, error));
    multiscale_stream *self = (multiscale_stream *)*out;
    self->count = levels->count;
    self->early_size = multiscale_early(of);
    vocode_status status = VOCODE_OK;
    for (size_t k = levels->count; status == VOCODE_OK && k-- > 0;) {
        status = make_level(self, levels, k, waiting, error);
        waiting += flow_reach(levels->items[k]);
    }
    if (status != VOCODE_OK) {
        destroy(*out);
        *out = NULL;
    }
    return status;
}
