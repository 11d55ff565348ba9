#include "density/adam.h"

#include <string.h>

#include "kernels/sums.h"

static const double keep_first = 0.9, keep_second = 0.999, epsilon = 1e-8;

/* Parameters lie side by side in the order of registration. */
static void find_ranges(adam *state, const param_set *set, const char *frozen) {
    for (size_t i = 0; i < set->count; i++) {
        const param *p = set->items[i];
        bool moves = p->kind == PARAM_TRAINED && !(frozen && strncmp(p->name, frozen, strlen(frozen)) == 0);
        if (state->ranges % 2 == moves) state->ends[state->ranges++] = p->offset; /* the other kind ends here */
        state->ends[state->ranges] = p->offset + p->count;
    }
    state->ranges++;
}

bool adam_new(adam *state, const param_set *set, const char *frozen, double keep) {
    size_t total = set->total;
    *state = (adam){.total = total,
                    .first = aligned_new(total, sizeof(real)),
                    .second = aligned_new(total, sizeof(real)),
                    .ends = aligned_new(set->count + 2, sizeof(size_t)),
                    .mean = aligned_new(total, sizeof(real)),
                    .keep = keep};
    if (!state->first || !state->second || !state->ends || !state->mean) return false;
    memcpy(state->mean, set->storage, total * sizeof *state->mean);
    find_ranges(state, set, frozen);
    return true;
}

void adam_free(adam *state) {
    aligned_free(state->first);
    aligned_free(state->second);
    aligned_free(state->ends);
    aligned_free(state->mean);
    *state = (adam){0};
}

void adam_swap(adam *state, param_set *set) {
    for (size_t i = 0; i < state->total; i++) {
        real kept = state->mean[i];
        state->mean[i] = set->storage[i];
        set->storage[i] = kept;
    }
}

enum { PIECE = 1 << 13 }; /* numbers that one task takes */
enum { MOST_PIECES = 1 << 12 };

typedef struct job {
    adam *state;
    param_set *set;
    real *grads;
    size_t shards, piece;
    double *squares; /* [pieces] */
    real scale, rate, shrink, correct, keep;
} job;

/* Runs the body for every stretch of [start, past) that moves, and for every one that stays. */
typedef void stretch_fn(const job *work, size_t start, size_t count, bool moves, double *sum);

static void over_stretches(const job *work, size_t index, stretch_fn *body, double *sum) {
    const adam *state = work->state;
    size_t start = index * work->piece, past = smaller(start + work->piece, state->total);
    for (size_t r = 0; r < state->ranges && start < past; r++) {
        if (state->ends[r] <= start) continue;
        size_t end = smaller(state->ends[r], past);
        body(work, start, end - start, r % 2 == 0, sum);
        start = end;
    }
}

/* The shards' sum, in the first one's place, and its square. */
static void sum_stretch(const job *work, size_t start, size_t count, bool moves, double *sum) {
    real *restrict to = work->grads + start;
    if (!moves) return;
    for (size_t s = 1; s < work->shards; s++) {
        const real *restrict from = work->grads + s * work->state->total + start;
        for (size_t i = 0; i < count; i++) to[i] += from[i];
    }
    *sum += square_of(count, to);
}

static void sum_piece(void *context, size_t index) {
    const job *work = context;
    work->squares[index] = 0;
    over_stretches(work, index, sum_stretch, &work->squares[index]);
}

static void step_stretch(const job *work, size_t start, size_t count, bool moves, double *sum) {
    (void)sum;
    real *restrict value = work->set->storage + start, *restrict mean = work->state->mean + start;
    real *restrict first = work->state->first + start, *restrict second = work->state->second + start;
    const real *restrict gradient = work->grads + start;
    const real a = (real)keep_first, b = (real)keep_second, tiny = (real)epsilon;
    const real scale = work->scale, rate = work->rate, shrink = work->shrink, correct = work->correct,
               keep = work->keep;
    if (!moves) {
        memcpy(mean, value, count * sizeof *mean);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        real g = gradient[i] * scale;
        first[i] = a * first[i] + (1 - a) * g;
        second[i] = b * second[i] + (1 - b) * g * g;
        value[i] -= rate * first[i] / (sqrt(second[i] * correct) + tiny) + shrink * value[i];
        mean[i] = keep * mean[i] + (1 - keep) * value[i];
    }
}

static void step_piece(void *context, size_t index) {
    over_stretches(context, index, step_stretch, NULL);
}

bool adam_step(adam *state, param_set *set, const compute *run, real *grads, size_t shards, double rate, double decay,
               double clip) {
    double squares[MOST_PIECES], square = 0;
    size_t piece = PIECE;
    while (tiles_of(state->total, piece) > MOST_PIECES) piece *= 2;
    job work = {.state = state, .set = set, .grads = grads, .shards = shards, .piece = piece, .squares = squares};
    size_t pieces = tiles_of(state->total, piece);
    run_tasks(run, pieces, sum_piece, &work);
    for (size_t i = 0; i < pieces; i++) square += squares[i];
    if (!isfinite(square)) return false;
    double norm = sqrt(square);
    state->steps++;
    work.scale = (real)(norm > clip ? clip / norm : 1);
    work.rate = (real)(rate / (1 - pow(keep_first, (double)state->steps)));
    work.correct = (real)(1 / (1 - pow(keep_second, (double)state->steps)));
    double young = (1 + (double)state->steps) / (10 + (double)state->steps);
    work.keep = (real)(young < state->keep ? young : state->keep);
    work.shrink = (real)(rate * decay);
    run_tasks(run, pieces, step_piece, &work);
    return true;
}
