#include "density/adam.h"

#include <string.h>

static const double keep_first = 0.9, keep_second = 0.999, epsilon = 1e-8;

bool adam_new(adam *state, const param_set *set, const char *frozen, double keep) {
    size_t total = set->total;
    *state = (adam){.total = total,
                    .first = aligned_new(total, sizeof(real)),
                    .second = aligned_new(total, sizeof(real)),
                    .rate = aligned_new(total, sizeof(real)),
                    .mean = aligned_new(total, sizeof(real)),
                    .keep = keep};
    if (!state->first || !state->second || !state->rate || !state->mean) return false;
    memcpy(state->mean, set->storage, total * sizeof *state->mean);
    for (size_t i = 0; i < set->count; i++) {
        const param *p = set->items[i];
        bool moves = p->kind == PARAM_TRAINED && !(frozen && strncmp(p->name, frozen, strlen(frozen)) == 0);
        for (size_t k = 0; moves && k < p->count; k++) state->rate[p->offset + k] = 1;
    }
    return true;
}

void adam_free(adam *state) {
    aligned_free(state->first);
    aligned_free(state->second);
    aligned_free(state->rate);
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

/* The shards' sum, in the first one's place, and its square. */
static void sum_piece(void *context, size_t index) {
    const job *work = context;
    size_t first = index * work->piece, count = smaller(work->piece, work->state->total - first);
    real *to = work->grads + first;
    const real *rate = work->state->rate + first;
    double sum = 0;
    for (size_t s = 1; s < work->shards; s++) {
        const real *from = to + s * work->state->total;
        for (size_t i = 0; i < count; i++) to[i] += from[i];
    }
    for (size_t i = 0; i < count; i++) {
        to[i] *= rate[i];
        sum += (double)to[i] * (double)to[i];
    }
    work->squares[index] = sum;
}

static void step_piece(void *context, size_t index) {
    const job *work = context;
    size_t start = index * work->piece, count = smaller(work->piece, work->state->total - start);
    real *value = work->set->storage + start, *mean = work->state->mean + start, *first = work->state->first + start,
         *second = work->state->second + start;
    const real *gradient = work->grads + start, *moves = work->state->rate + start;
    const real a = (real)keep_first, b = (real)keep_second, tiny = (real)epsilon;
    for (size_t i = 0; i < count; i++) {
        real g = gradient[i] * work->scale;
        first[i] = a * first[i] + (1 - a) * g;
        second[i] = b * second[i] + (1 - b) * g * g;
        value[i] -=
            moves[i] * (work->rate * first[i] / (sqrt(second[i] * work->correct) + tiny) + work->shrink * value[i]);
        mean[i] = moves[i] > 0 ? work->keep * mean[i] + (1 - work->keep) * value[i] : value[i];
    }
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
