#include "dsp/stft_pass.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/fail.h"
#include "kernels/pool.h"

/* A stretch of the padded signal. */
typedef struct stretch {
    double *values; /* [capacity], owned */
    size_t capacity, first, count;
} stretch;

struct stft_pass {
    const stft *transform;
    stft_frame_fn *frame;
    void *context;
    stretch in, sum;   /* padded signal; overlap-added frames */
    size_t received;   /* samples so far */
    size_t next;       /* frame to do */
    size_t given;      /* position of the padded signal up to which samples were given */
    bool begun, ended; /* the left padding is there; the right one */
    double *out;       /* [room] */
    int threads;
};

vocode_status stft_works_new(const stft *transform, stft_work work[STFT_SLOTS], void **memory, vocode_error *error) {
    arena area = arena_over(NULL, 0);
    for (size_t i = 0; i < STFT_SLOTS; i++) stft_work_take(transform, &area);
    *memory = aligned_new(area.peak, 1);
    if (!*memory) return failed(error, VOCODE_MEMORY, "cannot allocate an STFT of %zu points", transform->n_fft);
    area = arena_over(*memory, area.peak);
    for (size_t i = 0; i < STFT_SLOTS; i++) work[i] = stft_work_take(transform, &area);
    return VOCODE_OK;
}

static bool stretch_new(stretch *self, size_t capacity) {
    *self = (stretch){aligned_new(capacity, sizeof *self->values), capacity, 0, 0};
    return self->values != NULL;
}

static double *stretch_at(const stretch *self, size_t position) {
    return self->values + (position - self->first);
}

/* Forgets what lies before a position, once that frees half of the room. */
static void stretch_drop(stretch *self, size_t position) {
    size_t gone = position > self->first ? position - self->first : 0;
    if (gone > self->count) gone = self->count;
    if (2 * gone < self->capacity) return;
    memmove(self->values, self->values + gone, (self->count - gone) * sizeof *self->values);
    self->first += gone;
    self->count -= gone;
}

/* The room that is left: what is held besides what a push brings is some frames' worth. */
static size_t room_for(const stft *transform, size_t most) {
    return 2 * (most + 4 * transform->n_fft + 4 * transform->pad + 2 * transform->hop);
}

vocode_status stft_pass_new(const stft *transform, size_t most, int threads, stft_frame_fn *frame, void *context,
                            stft_pass **out, vocode_error *error) {
    stft_pass *pass = calloc(1, sizeof *pass);
    *out = NULL;
    if (pass) {
        size_t room = room_for(transform, most);
        *pass = (stft_pass){.transform = transform,
                            .frame = frame,
                            .context = context,
                            .given = transform->pad,
                            .out = aligned_new(room, sizeof *pass->out),
                            .threads = threads};
        bool good = stretch_new(&pass->in, room);
        good = stretch_new(&pass->sum, room) && good;
        if (good && pass->out) {
            pass->in.count = transform->pad; /* filled when enough of the signal is known */
            *out = pass;
            return VOCODE_OK;
        }
    }
    stft_pass_free(pass);
    return failed(error, VOCODE_MEMORY, "cannot allocate an STFT of %zu points", transform->n_fft);
}

void stft_pass_free(stft_pass *pass) {
    if (!pass) return;
    aligned_free(pass->in.values);
    aligned_free(pass->sum.values);
    aligned_free(pass->out);
    free(pass);
}

static void append(stretch *to, const double *values, size_t count) {
    double *end = to->values + to->count;
    if (values)
        memcpy(end, values, count * sizeof *end);
    else
        memset(end, 0, count * sizeof *end);
    to->count += count;
}

/* Reflection asks for one sample more than the padding; where the signal is shorter, its end decides. */
static void begin_signal(stft_pass *pass, bool last) {
    const stft *s = pass->transform;
    if (pass->begun || (pass->received <= s->pad && !last)) return;
    pass->begun = true;
    if (last && pass->received <= s->pad) {
        append(&pass->in, NULL, s->pad);
        if (pass->received) stft_fill_ends(s, pass->in.values, pass->received);
        pass->ended = true;
        return;
    }
    double *values = pass->in.values;
    for (size_t i = 0; i < s->pad; i++) values[i] = s->padding == STFT_ZERO ? 0 : values[2 * s->pad - i];
}

static void end_signal(stft_pass *pass) {
    const stft *s = pass->transform;
    if (pass->ended) return;
    pass->ended = true;
    size_t end = pass->in.first + pass->in.count; /* the right padding's first position */
    append(&pass->in, NULL, s->pad);
    for (size_t i = 0; s->padding == STFT_REFLECT && i < s->pad; i++)
        *stretch_at(&pass->in, end + i) = *stretch_at(&pass->in, end - 2 - i);
}

/* Makes room in the sum up to a position. */
static void extend_sum(stft_pass *pass, size_t position) {
    size_t end = pass->sum.first + pass->sum.count;
    if (position > end) append(&pass->sum, NULL, position - end);
}

/* Frames that the padded signal holds whole and that are still to do. */
static size_t frames_ready(const stft_pass *pass) {
    const stft *s = pass->transform;
    size_t known = pass->in.first + pass->in.count, start = pass->next * s->hop;
    return pass->begun && known >= start + s->n_fft ? (known - start - s->n_fft) / s->hop + 1 : 0;
}

typedef struct frame_job {
    const stft_pass *pass;
    const double *done[STFT_SLOTS];
} frame_job;

static void do_frame(void *context, size_t slot) {
    frame_job *job = context;
    const stft_pass *pass = job->pass;
    size_t t = pass->next + slot;
    job->done[slot] = pass->frame(pass->context, t, slot, stretch_at(&pass->in, t * pass->transform->hop));
}

/* Frames are made side by side and added up in their order. */
static void do_frames(stft_pass *pass) {
    const stft *s = pass->transform;
    size_t ready;
    while ((ready = frames_ready(pass)) > 0) {
        frame_job job = {.pass = pass};
        size_t most = pass->threads > 1 ? STFT_SLOTS : 1, count = ready < most ? ready : most;
        pool_run(pass->threads, count, do_frame, &job);
        for (size_t i = 0; i < count; i++) {
            size_t start = pass->next++ * s->hop;
            extend_sum(pass, start + s->n_fft);
            if (job.done[i]) stft_add(s, job.done[i], stretch_at(&pass->sum, start));
        }
    }
}

const double *stft_pass_push(stft_pass *pass, const double *samples, size_t n, bool last, size_t *count) {
    const stft *s = pass->transform;
    append(&pass->in, samples, n);
    pass->received += n;
    begin_signal(pass, last);
    if (last) end_signal(pass);
    do_frames(pass);
    size_t frames = last ? stft_frames(s, pass->received) : SIZE_MAX;
    size_t until = last ? s->pad + pass->received : pass->next * s->hop;
    *count = until > pass->given ? until - pass->given : 0;
    extend_sum(pass, until);
    if (*count) stft_uncover(s, stretch_at(&pass->sum, pass->given), pass->given, frames, *count, pass->out);
    pass->given += *count;
    size_t start = pass->next * s->hop, past = start > 2 * s->pad + 2 ? start - 2 * s->pad - 2 : 0;
    stretch_drop(&pass->in, past);
    stretch_drop(&pass->sum, pass->given < start ? pass->given : start);
    return pass->out;
}
