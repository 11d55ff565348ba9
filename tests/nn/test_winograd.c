/* Convolutions by pairs of rows against the plain sum, in any cut and with any number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nn/subject.h"
#include "nn/winograd.h"
#include "support/allocations.h" /* used by subject.c */

enum { INPUTS = 37, OUTPUTS = 70, ROWS = 700, MOST_DILATION = 128 };

static const double most_error = 5e-7; /* of the sum of absolute products, as the header says */

typedef struct setting {
    conv1d layer;
    param_set set;
    size_t dilation;
    real *x;      /* [dilation + ROWS + dilation, INPUTS]: zeros, the rows, zeros */
    real *shared; /* [ROWS, OUTPUTS]: what y holds before */
} setting;

static void begin(setting *it, size_t dilation, weight_style style) {
    vocode_error error = {0};
    const conv1d_options options = {
        .inputs = INPUTS, .outputs = OUTPUTS, .taps = 3, .dilation = dilation, .style = style, .pairs = true};
    *it = (setting){.dilation = dilation};
    assert_int_equal(conv1d_build(&it->layer, &it->set, "", &options, &error), VOCODE_OK);
    assert_int_equal(param_allocate(&it->set, &error), VOCODE_OK);
    conv1d_init(&it->layer, 3);
    conv1d_prepare(&it->layer);
    real *values = numbers(ROWS * INPUTS, 1);
    it->x = calloc((ROWS + 2 * dilation) * INPUTS, sizeof *it->x);
    memcpy(it->x + dilation * INPUTS, values, ROWS * INPUTS * sizeof *values);
    free(values);
    it->shared = numbers(ROWS * OUTPUTS, 2);
}

static void end(setting *it) {
    free(it->x), free(it->shared);
    conv1d_free(&it->layer);
    param_set_free(&it->set);
}

/* What a call of run_pair_tiles works on. */
typedef struct call {
    const setting *it;
    size_t position;
    bool add;
    const real *before;
    real *kept, *room, *y; /* y: of the call's first row */
} call;

static void run_tile(void *context, const compute *run, size_t part, const pair_tile *tile) {
    const call *job = context;
    const setting *it = job->it;
    size_t rows = tile->firsts + tile->seconds, room = winograd_room(&it->layer) + 2 * MOST_PAIRS * OUTPUTS;
    real *own = job->room + part * room;
    for (size_t i = 0; i < rows; i++) {
        size_t row = i < tile->firsts ? tile->first[i] : tile->second[i - tile->firsts];
        memcpy(own + i * OUTPUTS, it->shared + (job->position + row) * OUTPUTS, OUTPUTS * sizeof *own);
    }
    winograd_rows(&it->layer, run, tile, it->x + (it->dilation + job->position) * INPUTS, INPUTS, job->before,
                  job->kept, job->add, own + 2 * MOST_PAIRS * OUTPUTS, own);
    for (size_t i = 0; i < rows; i++) {
        size_t row = i < tile->firsts ? tile->first[i] : tile->second[i - tile->firsts];
        memcpy(job->y + row * OUTPUTS, own + i * OUTPUTS, OUTPUTS * sizeof *own);
    }
}

/* All rows in calls of at most `chunk`. */
static real *run_all(const setting *it, size_t chunk, int threads, bool add) {
    char memory[1];
    const compute run = {.scratch = arena_over(memory, 1), .threads = threads};
    size_t kept = it->dilation * OUTPUTS, room = winograd_room(&it->layer) + 2 * MOST_PAIRS * OUTPUTS;
    real *y = calloc(ROWS * OUTPUTS, sizeof *y), *before = calloc(kept, sizeof *before);
    call job = {.it = it, .add = add, .before = before};
    job.kept = calloc(kept, sizeof *job.kept);
    job.room = calloc(pair_parts(&run) * room, sizeof *job.room);
    for (size_t done = 0; done < ROWS; done += chunk) {
        size_t rows = smaller(chunk, ROWS - done);
        memcpy(before, job.kept, kept * sizeof *before);
        job.position = done;
        job.y = y + done * OUTPUTS;
        run_pair_tiles(&run, it->dilation, done, rows, 2, run_tile, &job);
    }
    free(before), free(job.kept), free(job.room);
    return y;
}

/* The largest error against sums in double, of the sums of absolute products. */
static double error_of(const setting *it, const real *y, bool add) {
    const param *plain = it->layer.w.plain, *direction = it->layer.w.direction;
    const real *w = (plain ? plain : direction)->value, *bias = it->layer.bias->value; /* fresh: gains are the norms */
    double worst = 0;
    for (size_t t = 0; t < ROWS; t++)
        for (size_t o = 0; o < OUTPUTS; o++) {
            double sum = (double)bias[o] + (add ? (double)it->shared[t * OUTPUTS + o] : 0), size = fabs(sum);
            for (size_t tap = 0; tap < 3; tap++)
                for (size_t i = 0; i < INPUTS; i++) {
                    double term =
                        (double)it->x[(t + tap * it->dilation) * INPUTS + i] * (double)w[(o * INPUTS + i) * 3 + tap];
                    sum += term;
                    size += fabs(term);
                }
            worst = fmax(worst, fabs((double)y[t * OUTPUTS + o] - sum) / size);
        }
    return worst;
}

static void pairs_give_the_convolution(void **state) {
    (void)state;
    const size_t dilations[] = {1, 2, 3, 8, 50, MOST_DILATION};
    for (size_t k = 0; k < sizeof dilations / sizeof *dilations; k++)
        for (int add = 0; add < 2; add++) {
            setting it;
            begin(&it, dilations[k], add ? WEIGHT_NORMED : WEIGHT_PLAIN);
            real *whole = run_all(&it, ROWS, 1, add);
            assert_true(error_of(&it, whole, add) <= most_error);
            const size_t chunks[] = {1, 7, 64, 129, ROWS};
            for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++)
                for (int threads = 1; threads <= 3; threads++) {
                    real *cut = run_all(&it, chunks[i], threads, add);
                    assert_memory_equal(cut, whole, ROWS * OUTPUTS * sizeof *cut);
                    free(cut);
                }
            free(whole);
            end(&it);
        }
}

/* Every row of a call is in one tile, once, beside its partner where that is in the call too. */
static void every_row_has_its_place(void **state) {
    (void)state;
    enum { MOST = 40 };
    for (size_t dilation = 1; dilation <= 9; dilation++)
        for (size_t position = 0; position < 30; position++)
            for (size_t rows = 1; rows <= MOST; rows++) {
                size_t low, high, seen[MOST] = {0};
                pair_tile tile;
                pairs_of(dilation, position, rows, &low, &high);
                assert_true(high - low <= MOST_PAIRS);
                pairs_in(dilation, position, rows, low, high, &tile);
                for (size_t i = 0; i < tile.firsts; i++) {
                    size_t t = position + tile.first[i];
                    seen[tile.first[i]]++;
                    assert_int_equal(t / dilation % 2, 0);
                    assert_int_equal(tile.slot[i] == NO_SLOT, t + dilation < position + rows);
                }
                for (size_t i = 0; i < tile.seconds; i++) {
                    size_t t = position + tile.second[i], from = tile.partner[i];
                    seen[tile.second[i]]++;
                    assert_int_equal(t / dilation % 2, 1);
                    if (from < tile.firsts)
                        assert_int_equal(position + tile.first[from] + dilation, t);
                    else
                        assert_true(t - dilation < position && from - tile.firsts < dilation);
                }
                for (size_t i = 0; i < rows; i++) assert_int_equal(seen[i], 1);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_give_the_convolution),
        cmocka_unit_test(every_row_has_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
