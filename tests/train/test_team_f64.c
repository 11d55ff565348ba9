/* Two trainers in a team, here threads of one process, take the steps of one with the double batch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rng.h"
#include "train/tiny_run.h"

enum { RANKS = 2, STEPS = 6, ACCUMULATE = 2, MOST_PIECES = 64, MOST = 1 << 12 };

/* Where the ranks meet: everyone shows its array, computes the sums and goes on when all have. */
typedef struct meeting {
    pthread_barrier_t barrier;
    void *shown[RANKS];
} meeting;

typedef struct piece {
    const char *name;
    real *values, *before; /* before [count]: what they were when their reduction began */
    size_t count;
} piece;

typedef struct member {
    train_team team;
    meeting *place;
    piece pieces[MOST_PIECES];
    size_t count;
    size_t early;             /* pieces of the last step that began before finish was called */
    size_t reported, touched; /* touched: pieces that changed while they were on their way */
    trainer *training;
    double losses[STEPS], norms[STEPS];
} member;

static void show(member *self, void *array) {
    self->place->shown[self->team.rank] = array;
    pthread_barrier_wait(&self->place->barrier);
}

static void meet_again(member *self) {
    pthread_barrier_wait(&self->place->barrier);
}

static void combine(member *self, double *values, size_t count, bool least) {
    static _Thread_local double result[MOST];
    assert_true(count <= MOST);
    show(self, values);
    const double *a = self->place->shown[0], *b = self->place->shown[1];
    for (size_t i = 0; i < count; i++) result[i] = !least ? a[i] + b[i] : a[i] < b[i] ? a[i] : b[i];
    meet_again(self);
    memcpy(values, result, count * sizeof *values);
}

static void sum(void *context, double *values, size_t count) {
    combine(context, values, count, false);
}

static void least(void *context, double *values, size_t count) {
    combine(context, values, count, true);
}

static void share(void *context, void *bytes, size_t size) {
    member *self = context;
    show(self, bytes);
    if (self->team.rank) memcpy(bytes, self->place->shown[0], size);
    meet_again(self);
}

static void reduce(void *context, const char *name, real *values, size_t count) {
    member *self = context;
    assert_true(self->count < MOST_PIECES);
    real *before = malloc(count * sizeof *before);
    if (!before) abort();
    self->pieces[self->count++] = (piece){name, values, memcpy(before, values, count * sizeof *before), count};
}

static void finish(void *context, team_report report, void *to) {
    member *self = context;
    for (size_t i = 0; i < self->count; i++) {
        const piece *it = &self->pieces[i];
        if (memcmp(it->before, it->values, it->count * sizeof *it->before) != 0) self->touched++;
        free(it->before);
        for (size_t done = 0; done < it->count; done += MOST)
            sum(self, it->values + done, it->count - done < MOST ? it->count - done : MOST);
        report(to, it->name, 0, 1);
    }
    self->reported = self->count;
    self->count = 0;
}

/* Everyone draws the whole batches and takes its part of each. */
static void *take_steps(void *context) {
    member *self = context;
    trainer *training = self->training;
    vocode_error error = {0};
    size_t ranks = team_size(training->team), rank = team_rank(training->team), batch = training->shape.batch;
    size_t mels = batch * training->shape.frames * training->model->n_mels;
    size_t samples = batch * training->shape.columns * training->model->group;
    real *mel = calloc(ranks * mels, sizeof *mel), *x = calloc(ranks * samples, sizeof *x);
    for (size_t k = 0; k < STEPS; k++) {
        double total = 0, loss;
        train_outcome outcome;
        for (size_t i = 0; i < ACCUMULATE; i++) {
            if (self->count) abort(); /* the gradient was not whole yet */
            rng_fill_normal(mel, ranks * mels, 1, k * ACCUMULATE + i, 0, 1);
            rng_fill_normal(x, ranks * samples, 1, 1000 + k * ACCUMULATE + i, 0, 0.3);
            const train_batch part = {mel + rank * mels, x + rank * samples};
            if (trainer_gradient(training, &part, &loss, &error) != VOCODE_OK) abort();
            total += loss;
        }
        self->early = self->count;
        if (trainer_update(training, total / ACCUMULATE, &outcome, &error) != VOCODE_OK) abort();
        self->losses[k] = outcome.loss;
        self->norms[k] = outcome.norm;
    }
    free(mel);
    free(x);
    return NULL;
}

static void *join_and_take_steps(void *context) {
    member *self = context;
    vocode_error error = {0};
    if (trainer_join(self->training, &self->team, NULL, &error) != VOCODE_OK) abort();
    return take_steps(self);
}

static const char wide[] = /* couplings whose gradients are worth a piece of their own */
    "\"kind\": \"squeezewave\", \"squeezewave\": {\"n_mel_channels\": 3, \"n_flows\": 3, \"n_audio_channel\": 8, "
    "\"n_early_every\": 2, \"n_early_size\": 2, \"WN_config\": {\"n_layers\": 2, \"n_channels\": 32, \"kernel_size\": "
    "3}}, \"mel\": {\"n_mels\": 3, \"hop\": 16, \"n_fft\": 64}";

/* Wide couplings of random weights make numbers that say nothing: near the identity, rather. */
static void calm(vocode_model *model) {
    vocode_error error = {0};
    for (size_t i = 0; i < model->params.count; i++) {
        param *p = model->params.items[i];
        for (size_t k = 0; strstr(p->name, ".end.") && k < p->count; k++) p->value[k] *= (real)0.02;
    }
    if (model_prepare(model, &error) != VOCODE_OK) abort();
}

/* more: the segment's length, which further keys may follow. */
static void open_member(member *self, const char *model, const char *batch, const char *more, train_config *config) {
    char train[512];
    snprintf(train, sizeof train,
             "\"batch\": %s, \"warmup\": 0, \"learning_rate\": 0.01, \"clip\": 0.3, \"accumulate\": "
             "2, \"threads\": 1, \"segment\": %s",
             batch, more);
    self->training = tiny_run_trainer(tiny_run_folder, model, train, config);
    if (model == wide) calm(self->training->model);
    self->team = (train_team){
        .size = RANKS, .context = self, .sum = sum, .least = least, .share = share, .reduce = reduce, .finish = finish};
}

static void compare(const member *ranks, const member *one) {
    const optimizer *expected = &one->training->arrays;
    for (size_t k = 0; k < STEPS; k++) {
        assert_true(fabs(ranks[0].losses[k] - one->losses[k]) <= 1e-11 * (1 + fabs(one->losses[k])));
        assert_true(fabs(ranks[0].norms[k] - one->norms[k]) <= 1e-10 * (1 + one->norms[k]));
        assert_true(isfinite(one->norms[k]) && ranks[0].losses[k] == ranks[1].losses[k]);
    }
    for (size_t i = 0; i < expected->set->total; i++) {
        const optimizer *found = &ranks[0].training->arrays;
        if (!(fabs(found->weights[i] - expected->weights[i]) <= 1e-8)) fail_msg("weight %zu", i);
        assert_true(fabs(found->average[i] - expected->average[i]) <= 1e-8);
        assert_true(found->weights[i] == ranks[1].training->arrays.weights[i]);
    }
    assert_int_equal(ranks[1].training->state.batches, STEPS * ACCUMULATE * RANKS);
}

/* The ranks' members, after their steps. late: pieces are reduced at the end. */
static void run_ranks(member *all, train_config *configs, const char *model, const char *more, bool late) {
    meeting place;
    pthread_t threads[RANKS];
    pthread_barrier_init(&place.barrier, NULL, RANKS);
    for (size_t r = 0; r < RANKS; r++) {
        open_member(&all[r], model, "2", more, &configs[r]);
        all[r].place = &place;
        all[r].team.rank = r;
        all[r].team.late = late;
        if (r) all[r].training->arrays.weights[0] += 1; /* it takes over those of rank 0 */
    }
    for (size_t r = 0; r < RANKS; r++) pthread_create(&threads[r], NULL, join_and_take_steps, &all[r]);
    for (size_t r = 0; r < RANKS; r++) pthread_join(threads[r], NULL);
    pthread_barrier_destroy(&place.barrier);
    assert_true(all[0].touched == 0 && all[1].touched == 0);
    if (model == wide) assert_int_equal(all[0].early, late ? 0 : 3);
    if (model == wide) assert_int_equal(all[0].reported, 3 + 3); /* and the 1x1s between them */
}

static void close_members(member *all, train_config *configs, size_t count) {
    for (size_t i = 0; i < count; i++) {
        trainer_free(all[i].training);
        train_config_free(&configs[i]);
    }
    free(all);
}

/* Gives the loss of the last step. */
static double run_team(const char *model, const char *more, bool late) {
    train_config configs[RANKS + 1];
    member *all = calloc(RANKS + 1, sizeof *all), *one = all + RANKS;
    run_ranks(all, configs, model, more, late);
    open_member(one, model, "4", more, &configs[RANKS]);
    take_steps(one);
    compare(all, one);
    double last = all[0].losses[STEPS - 1];
    close_members(all, configs, RANKS + 1);
    return last;
}

static void teams_take_the_steps_of_one(void **unused) {
    (void)unused;
    for (size_t i = 0; tiny_run_models[i]; i++) {
        run_team(tiny_run_models[i], "48", false);
        run_team(tiny_run_models[i], "48, \"memory\": \"constant\"", false);
    }
}

static void overlapping_changes_no_number(void **unused) {
    (void)unused;
    assert_true(run_team(wide, "48", false) == run_team(wide, "48", true));
}

/* With a loss of samples, too, pieces begin early, and nothing is added to them afterwards. */
static void losses_of_samples_overlap(void **unused) {
    (void)unused;
    const char *more = "2048, \"spectral_weight\": 0.5, \"spectral_every\": 2";
    double seen[2][2 * STEPS];
    run_team(wide, more, false); /* noise belongs to segments, not to ranks */
    for (int late = 0; late < 2; late++) {
        train_config configs[RANKS];
        member *all = calloc(RANKS, sizeof *all);
        run_ranks(all, configs, wide, more, late);
        memcpy(seen[late], all[0].losses, sizeof all[0].losses);
        memcpy(seen[late] + STEPS, all[0].norms, sizeof all[0].norms);
        assert_true(isfinite(trainer_spectral(all[0].training)) == ((STEPS - 1) % 2 == 0));
        close_members(all, configs, RANKS);
    }
    for (size_t k = 0; k < 2 * STEPS; k++) assert_true(isfinite(seen[0][k]));
    assert_memory_equal(seen[0], seen[1], sizeof seen[0]);
}

/* What a rank that fails, or all, make of a team. */
static void least_of_one(void *context, double *values, size_t count) {
    const double *other = context; /* what the other rank says */
    for (size_t i = 0; i < count; i++) values[i] = fmin(values[i], *other);
}

static void failures_are_said_once(void **unused) {
    (void)unused;
    vocode_error error = {0};
    double other = RANKS; /* fine */
    train_team team = {.rank = 1, .size = RANKS, .context = &other, .least = least_of_one};
    assert_int_equal(team_agree(&team, VOCODE_OK, &error), VOCODE_OK);
    assert_false(team.agreed);
    assert_int_equal(team_agree(&team, VOCODE_IO, &error), VOCODE_IO);
    assert_true(team.agreed && !team.silent);
    other = 0; /* rank 0 failed */
    assert_int_equal(team_agree(&team, VOCODE_OK, &error), VOCODE_CANCELLED);
    assert_true(team.agreed && team.silent);
    assert_int_equal(team_agree(NULL, VOCODE_IO, &error), VOCODE_IO);
    assert_true(team_size(NULL) == 1 && team_rank(NULL) == 0 && team_any(NULL, true) && !team_any(NULL, false));
    assert_int_equal(team_check_same(&team, "text", "they differ", &error), VOCODE_VALUE);
    assert_string_equal(error.message, "they differ");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(teams_take_the_steps_of_one),
        cmocka_unit_test(overlapping_changes_no_number),
        cmocka_unit_test(losses_of_samples_overlap),
        cmocka_unit_test(failures_are_said_once),
    };
    return cmocka_run_group_tests(tests, tiny_run_open, tiny_run_close);
}
