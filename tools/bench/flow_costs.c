/* What a density and a sample cost: microseconds a row of every flow at 2, 64 and 1024 columns, as a table.
 *
 * usage: flow_costs [SECONDS [NAME...]]     how long each cell is measured (0.3); the rows that are wanted (all)
 *
 * One thread, shards of 128 rows as the program takes them, the best of some repetitions. Weights are random, but those
 * of continuous flows are fitted to correlated numbers, so that the solver has something to follow. A cell that names
 * evaluations says how often a row's velocity was asked for, in the mean. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/rng.h"
#include "density/fit.h"
#include "density/vectors.h"

typedef struct subject {
    const char *name, *spec, *large; /* large: of 1024 columns, NULL: the same */
} subject;

static const subject subjects[] = {
    {"actnorm", "actnorm", NULL},
    {"linear", "linear", NULL},
    {"planar, 16", "planar", NULL},
    {"nice, 24", "nice", NULL},
    {"realnvp, 16", "realnvp", NULL},
    {"glow, 16", "glow", NULL},
    {"recursive, 12; 2 of 16 units at 1024", "recursive", "recursive:layers=2,hidden=16"},
    {"made", "made", NULL},
    {"maf, 16", "maf", NULL},
    {"iaf, 16", "iaf", NULL},
    {"ode, exact", "ode", NULL},
    {"ode, Hutchinson", "ode:trace=hutchinson", NULL},
};
static const size_t columns[] = {2, 64, 1024};
enum { ROWS = VECTORS_SHARD, FITTED = 2048, EPOCHS = 40 };

static void check(vocode_status status, const vocode_error *error) {
    if (status == VOCODE_OK) return;
    fprintf(stderr, "flow_costs: %s\n", error->message);
    exit(1);
}

static void *numbers(size_t count, size_t width) {
    void *memory = aligned_new(count, width);
    if (memory) return memory;
    fprintf(stderr, "flow_costs: out of memory\n");
    exit(1);
}

/* Each column bends and follows the one before it. */
static real *data(size_t rows, size_t channels) {
    real *x = numbers(rows * channels, sizeof *x);
    rng_fill_normal(x, rows, channels, 1, 0, 1);
    for (size_t t = 0; t < rows; t++)
        for (size_t c = 1; c < channels; c++)
            x[t * channels + c] = (x[t * channels + c] + 2 * sin(x[t * channels + c - 1])) / 2;
    return x;
}

/* Values that no shortcut takes for zeros, small enough for deep chains. */
static void stir(vectors_model *model) {
    for (size_t i = 0; i < model->set.count; i++) {
        const param *p = model->set.items[i];
        real *noise = numbers(p->count, sizeof *noise);
        rng_fill_normal(noise, p->count, 1, i + 1, 0, 0.02);
        for (size_t k = 0; k < p->count; k++) p->value[k] += noise[k];
        aligned_free(noise);
    }
}

static vectors_model *model_of(const subject *it, size_t channels, const real *x) {
    vocode_error error = {0};
    vectors_model *model;
    check(vectors_create(channels >= 1024 && it->large ? it->large : it->spec, BASE_gaussian, channels, 0, 1, &model,
                         &error),
          &error);
    if (strncmp(it->spec, "ode", 3) == 0) {
        fit_options options = fit_defaults;
        options.method = FIT_MATCHING;
        options.epochs = EPOCHS;
        options.valid = 1.0 / FITTED; /* judging takes the solver */
        check(fit_vectors(model, x, NULL, FITTED, &options, NULL, &error), &error);
    } else {
        stir(model);
        check(flow_prepare(model->chain, &error), &error);
    }
    return model;
}

typedef struct cost {
    double microseconds, evaluations; /* a row */
} cost;

/* One shard of `rows` rows, forwards with the log-determinant or backwards, until the time is over. */
static cost measure(const vectors_model *model, bool forward, const real *from, size_t rows, double seconds) {
    vocode_error error = {0};
    size_t size, tape, asked = 0;
    compute work = {.scratch = arena_over(NULL, 0), .threads = 1};
    flow_run run = {.work = &work, .shape = {rows, 1, model->channels}, .error = &error};
    check(flow_measure(model->chain, &run, forward ? FLOW_FORWARD : FLOW_INVERSE, &size, &tape), &error);
    void *memory = numbers(size, 1);
    real *to = numbers(rows * model->channels, sizeof *to);
    double *logdet = numbers(rows, sizeof *logdet);
    double best = INFINITY, start = clock_seconds();
    run.evaluations = &asked;
    size_t turns = 0;
    do {
        double before = clock_seconds();
        work.scratch = arena_over(memory, size);
        check(forward ? flow_forward(model->chain, &run, from, to, logdet, NULL)
                      : flow_inverse(model->chain, &run, from, to),
              &error);
        best = fmin(best, clock_seconds() - before);
        turns++;
    } while (clock_seconds() - start < seconds);
    aligned_free(memory), aligned_free(to), aligned_free(logdet);
    return (cost){1e6 * best / (double)rows, (double)asked / (double)(turns * rows)};
}

static void print_cost(cost it) {
    printf(" %.*f",
           it.microseconds < 1     ? 3
           : it.microseconds < 10  ? 2
           : it.microseconds < 100 ? 1
                                   : 0,
           it.microseconds);
    if (it.evaluations > 0) printf(" (%.0f)", it.evaluations);
    printf(" |");
    fflush(stdout);
}

static bool wanted(const char *name, int count, char **arguments) {
    for (int i = 2; i < count; i++)
        if (strncmp(name, arguments[i], strlen(arguments[i])) == 0) return true;
    return count <= 2;
}

static void run_cell(const subject *it, size_t channels, double seconds) {
    real *x = data(FITTED, channels), *z = numbers(ROWS * channels, sizeof *z);
    vectors_model *model = model_of(it, channels, x);
    bool costly = strcmp(it->spec, "ode") == 0 && channels >= 1024; /* a network a column */
    size_t rows = costly ? 4 : ROWS;
    base_draw(BASE_gaussian, 3, 0, rows, channels, z);
    print_cost(measure(model, true, x, rows, seconds));
    print_cost(measure(model, false, z, ROWS, seconds));
    vectors_free(model);
    aligned_free(x), aligned_free(z);
}

int main(int count, char **arguments) {
    double seconds = count > 1 ? strtod(arguments[1], NULL) : 0.3;
    printf("| flow |");
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) printf(" d = %zu: density | sample |", columns[i]);
    printf("\n|---|---|---|---|---|---|---|\n");
    for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
        if (!wanted(subjects[i].name, count, arguments)) continue;
        printf("| %s |", subjects[i].name);
        for (size_t k = 0; k < sizeof columns / sizeof *columns; k++) run_cell(&subjects[i], columns[k], seconds);
        printf("\n");
    }
    return 0;
}
