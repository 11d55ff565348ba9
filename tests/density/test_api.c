/* The public face: what it gives is what the inside gives, in all threads, and what it is given is checked. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <vocode/vocode.h>

#include "core/rng.h"

enum { ROWS = 400, CHANNELS = 2, CONTEXT = 1 };
static float data[ROWS * CHANNELS], about[ROWS * CONTEXT];
static const char spec[] = "maf:layers=2,hidden=8,depth=1";

/* x1 follows x0 and what it is conditioned on. */
static int draw_data(void **state) {
    (void)state;
    for (size_t t = 0; t < ROWS; t++) {
        about[t] = t % 2 ? 1 : -1;
        data[2 * t] = (float)(3 + 2 * rng_normal(1, 0, t));
        data[2 * t + 1] = (float)((double)about[t] * (double)data[2 * t] / 2 + rng_normal(1, 1, t) / 2);
    }
    return 0;
}

static vocode_flow *fitted(const vocode_flow_options *options) {
    vocode_flow *model;
    vocode_error error = {0};
    if (vocode_flow_fit(spec, data, ROWS, CHANNELS, about, CONTEXT, options, &model, &error) != VOCODE_OK)
        fail_msg("%s", error.message);
    return model;
}

static void a_fit_is_what_it_says(void **state) {
    (void)state;
    const vocode_flow_options options = {.epochs = 30, .rate = 1e-2, .batch = 64, .seed = 5, .base = "logistic"};
    vocode_flow *model = fitted(&options);
    vocode_flow_info info;
    vocode_flow_describe(model, &info);
    assert_string_equal(info.spec, spec);
    assert_string_equal(info.base, "logistic");
    assert_true(info.channels == CHANNELS && info.context == CONTEXT && info.rows == ROWS);
    assert_true(info.epochs >= 1 && info.epochs <= 30);
    /* two layers of [2, 3 + 1 -> 8 -> 4] with their norms, and the data's mean and deviation */
    assert_int_equal(info.parameters, 2 * (8 * 3 + 8 + 4 * 8 + 4 + 2 * 2) + 2 * 2);
    static double density[ROWS];
    vocode_error error = {0};
    assert_int_equal(vocode_flow_score(model, data, about, ROWS, 2, density, &error), VOCODE_OK);
    double mean = 0;
    for (size_t t = 0; t < ROWS; t++) mean -= density[t] / ROWS;
    /* the entropy is 2 * 1.419 + log 2 - log 2 */
    if (!(mean > 2.6 && mean < 3.2) || !(fabs(mean - info.valid_nll) < 0.3))
        fail_msg("%g nats a row, %g held out, in truth %g", mean, info.valid_nll, 2.838);
    vocode_flow_free(model);
}

/* Encode, decode, sample and score agree with each other by the change of variables. */
static void directions_agree(void **state) {
    (void)state;
    const vocode_flow_options options = {.epochs = 3};
    vocode_flow *model = fitted(&options);
    static float z[ROWS * CHANNELS], back[ROWS * CHANNELS], few[8 * CHANNELS];
    static double density[ROWS];
    vocode_error error = {0};
    assert_int_equal(vocode_flow_encode(model, data, about, ROWS, 1, z, &error), VOCODE_OK);
    assert_int_equal(vocode_flow_decode(model, z, about, ROWS, 3, back, &error), VOCODE_OK);
    for (size_t i = 0; i < ROWS * CHANNELS; i++) assert_true(fabsf(back[i] - data[i]) < 1e-4F * (1 + fabsf(data[i])));
    assert_int_equal(vocode_flow_sample(model, about, ROWS, 3, 2, back, &error), VOCODE_OK);
    assert_int_equal(vocode_flow_sample(model, about, 8, 3, 1, few, &error), VOCODE_OK);
    assert_memory_equal(back, few, sizeof few);
    /* and back to the noise that the samples were made of */
    assert_int_equal(vocode_flow_encode(model, back, about, ROWS, 1, z, &error), VOCODE_OK);
    for (size_t i = 0; i < ROWS; i++)
        for (size_t c = 0; c < CHANNELS; c++)
            assert_true(fabs((double)z[i * CHANNELS + c] - rng_normal(3, c, i)) < 1e-3);
    assert_int_equal(vocode_flow_score(model, data, about, ROWS, 1, density, &error), VOCODE_OK);
    const float far[] = {40, 0};
    double low;
    assert_int_equal(vocode_flow_score(model, far, about, 1, 1, &low, &error), VOCODE_OK);
    for (size_t i = 0; i < ROWS; i++) assert_true(density[i] > low);
    vocode_flow_free(model);
}

static void files_come_back(void **state) {
    (void)state;
    const vocode_flow_options options = {.epochs = 1};
    vocode_flow *model = fitted(&options), *read;
    vocode_error error = {0};
    char path[] = "/tmp/vocode-flow-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    static float a[ROWS * CHANNELS], b[ROWS * CHANNELS];
    assert_int_equal(vocode_flow_save(model, path, &error), VOCODE_OK);
    assert_int_equal(vocode_flow_open(path, &read, &error), VOCODE_OK);
    unlink(path);
    assert_int_equal(vocode_flow_sample(model, about, ROWS, 1, 1, a, &error), VOCODE_OK);
    assert_int_equal(vocode_flow_sample(read, about, ROWS, 1, 2, b, &error), VOCODE_OK);
    assert_memory_equal(a, b, sizeof a);
    vocode_flow_free(model);
    vocode_flow_free(read);
    assert_int_equal(vocode_flow_open(path, &read, &error), VOCODE_IO);
    assert_null(read);
    vocode_flow_free(NULL);
}

/* Rows as images: the file keeps what they are, and the line's flows know it. */
static void images_keep_their_shape(void **state) {
    (void)state;
    enum { IMAGES = ROWS * CHANNELS / 8 };
    static const char of_images[] = "coupling:network=conv,mask=alternate_checkerboard,hidden=2,depth=1*2";
    const vocode_flow_options options = {
        .size = sizeof options, .epochs = 1, .seed = 4, .image = {.height = 2, .width = 2, .planes = 2}};
    vocode_flow *model, *read;
    vocode_error error = {0};
    vocode_image image = {9, 9, 9};
    if (vocode_flow_fit(of_images, data, IMAGES, 8, NULL, 0, &options, &model, &error) != VOCODE_OK)
        fail_msg("%s", error.message);
    char path[] = "/tmp/vocode-flow-XXXXXX";
    int file = mkstemp(path);
    assert_true(file >= 0);
    close(file);
    assert_int_equal(vocode_flow_save(model, path, &error), VOCODE_OK);
    assert_int_equal(vocode_flow_open(path, &read, &error), VOCODE_OK);
    unlink(path);
    vocode_flow_image(read, &image);
    assert_true(image.height == 2 && image.width == 2 && image.planes == 2);
    vocode_flow_free(model);
    vocode_flow_free(read);
    assert_int_equal(vocode_flow_create("multiscale:channels=2", 36, 0, NULL, &model, &error), VOCODE_VALUE);
    const vocode_flow_options square = {.size = sizeof square, .image = {.height = 6, .width = 6}};
    assert_int_equal(vocode_flow_create("multiscale:channels=2", 36, 0, &square, &model, &error), VOCODE_OK);
    vocode_flow_image(model, &image);
    assert_true(image.height == 6 && image.width == 6 && image.planes == 0);
    vocode_flow_free(model);
    assert_int_equal(vocode_flow_create(spec, 2, 1, NULL, &model, &error), VOCODE_OK);
    vocode_flow_image(model, &image);
    assert_true(image.height == 0 && image.width == 0 && image.planes == 0);
    vocode_flow_free(model);
}

/* A plane's pixels have one mean and deviation, which rows of numbers have each for itself. */
static void images_are_standardised_by_planes(void **state) {
    (void)state;
    vocode_flow_options options = {
        .size = sizeof options, .epochs = 1, .rate = 1e-9, .image = {.height = 2, .width = 1}};
    vocode_error error = {0};
    vocode_flow *model;
    float z[CHANNELS];
    const float same[CHANNELS] = {1, 1};
    for (int images = 1; images >= 0; images--) {
        assert_int_equal(vocode_flow_fit("permute", data, ROWS, CHANNELS, NULL, 0, &options, &model, &error),
                         VOCODE_OK);
        assert_int_equal(vocode_flow_encode(model, same, NULL, 1, 1, z, &error), VOCODE_OK);
        assert_int_equal(fabsf(z[0] - z[1]) < 1e-5F, images);
        vocode_flow_free(model);
        options.image = (vocode_image){0};
    }
}

/* How often it was called, and after how many calls it answers what. */
typedef struct listener {
    size_t calls, patience;
    int answer;
    double best;
} listener;

static int listen(void *context, const vocode_flow_progress *now) {
    listener *self = context;
    assert_int_equal(now->epoch, ++self->calls);
    assert_int_equal(now->epochs, 9);
    if (now->best) self->best = now->valid_nll;
    return self->calls == self->patience ? self->answer : 0;
}

static void watchers_stop_and_cancel(void **state) {
    (void)state;
    listener all = {.patience = 100}, some = {.patience = 4, .answer = 1}, none = {.patience = 2, .answer = -1};
    vocode_flow_options options = {.epochs = 9, .patience = 9, .watch = listen, .context = &all};
    vocode_flow_info info;
    vocode_flow *model = fitted(&options);
    vocode_flow_describe(model, &info);
    assert_true(all.calls == 9 && info.valid_nll == all.best);
    vocode_flow_free(model);
    options.context = &some;
    model = fitted(&options);
    vocode_flow_describe(model, &info);
    assert_true(some.calls == 4 && info.epochs == 4 && info.valid_nll == some.best);
    vocode_flow_free(model);
    options.context = &none;
    vocode_error error = {0};
    assert_int_equal(vocode_flow_fit(spec, data, ROWS, CHANNELS, about, CONTEXT, &options, &model, &error),
                     VOCODE_CANCELLED);
    assert_true(none.calls == 2 && !model);
}

typedef struct worker {
    pthread_t thread;
    const vocode_flow *model;
    float x[ROWS * CHANNELS];
    double density[ROWS];
    vocode_status status;
} worker;

static void *work(void *context) {
    worker *self = context;
    vocode_error error;
    self->status = vocode_flow_sample(self->model, about, ROWS, 6, 2, self->x, &error);
    if (self->status == VOCODE_OK)
        self->status = vocode_flow_score(self->model, self->x, about, ROWS, 2, self->density, &error);
    return NULL;
}

static void threads_share_a_flow(void **state) {
    (void)state;
    const vocode_flow_options options = {.epochs = 1};
    vocode_flow *model = fitted(&options);
    static worker workers[4];
    for (int i = 0; i < 4; i++) {
        workers[i].model = model;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(workers[i].thread, NULL);
        assert_int_equal(workers[i].status, VOCODE_OK);
        assert_memory_equal(workers[i].x, workers[0].x, sizeof workers[0].x);
        assert_memory_equal(workers[i].density, workers[0].density, sizeof workers[0].density);
    }
    vocode_flow_free(model);
}

static void expect(vocode_status expected, const char *says, vocode_status status, const vocode_error *error) {
    assert_int_equal(status, expected);
    assert_int_equal(error->code, expected);
    if (!strstr(error->message, says)) fail_msg("expected \"%s\" in: %s", says, error->message);
}

static void wrong_options_are_refused(void **state) {
    (void)state;
    static const struct {
        vocode_flow_options options;
        vocode_status status;
        const char *says;
    } bad[] = {{{.valid = 0.95}, VOCODE_ARGUMENT, "options.valid from 0 (the default) to 0.9, found 0.95"},
               {{.valid = NAN}, VOCODE_ARGUMENT, "options.valid"},
               {{.rate = -1}, VOCODE_ARGUMENT, "options.rate"},
               {{.clip = -1}, VOCODE_ARGUMENT, "options.clip"},
               {{.decay = 2}, VOCODE_ARGUMENT, "options.decay"},
               {{.batch = SIZE_MAX}, VOCODE_ARGUMENT, "options.batch"},
               {{.epochs = SIZE_MAX}, VOCODE_ARGUMENT, "options.epochs"},
               {{.threads = -1}, VOCODE_ARGUMENT, "threads from 0"},
               {{.size = 3}, VOCODE_ARGUMENT, "sizeof(vocode_flow_options)"},
               {{.base = "cauchy"}, VOCODE_VALUE, "found \"cauchy\""},
               {{.size = sizeof(vocode_flow_options), .image = {2, 2, 0}},
                VOCODE_SHAPE,
                "expected options.image of 2 numbers, found 2 x 2 pixels"},
               {{.size = sizeof(vocode_flow_options), .image = {0, 0, 2}},
                VOCODE_SHAPE,
                "expected options.image of 2 numbers, found 0 x 0 pixels of 2 planes"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vocode_flow *model = (vocode_flow *)data;
        vocode_error error = {0};
        expect(bad[i].status, bad[i].says,
               vocode_flow_fit(spec, data, ROWS, CHANNELS, NULL, 0, &bad[i].options, &model, &error), &error);
        assert_null(model);
    }
}

static void wrong_arrays_are_refused(void **state) {
    (void)state;
    vocode_error error = {0};
    vocode_flow *model;
    expect(VOCODE_SHAPE, "at least one row", vocode_flow_fit(spec, data, 0, 2, NULL, 0, NULL, &model, &error), &error);
    expect(VOCODE_VALUE, "at least 2 rows", vocode_flow_fit(spec, data, 1, 2, NULL, 0, NULL, &model, &error), &error);
    expect(VOCODE_SHAPE, "at least one number", vocode_flow_fit(spec, data, 9, 0, NULL, 0, NULL, &model, &error),
           &error);
    expect(VOCODE_SHAPE, "no columns", vocode_flow_fit(spec, data, 9, 2, about, 0, NULL, &model, &error), &error);
    expect(VOCODE_VALUE, "found \"mafs\"", vocode_flow_create("mafs", 2, 0, NULL, &model, &error), &error);
    expect(VOCODE_SHAPE, "at least one number", vocode_flow_create(spec, 0, 0, NULL, &model, &error), &error);
    assert_int_equal(vocode_flow_create(spec, 2, 1, NULL, &model, &error), VOCODE_OK);
    float x[] = {1, 2, 3, 4}, z[4];
    double density[2];
    expect(VOCODE_SHAPE, "1 numbers of context a row, found none",
           vocode_flow_score(model, x, NULL, 2, 1, density, &error), &error);
    expect(VOCODE_SHAPE, "at least one row", vocode_flow_sample(model, about, 0, 1, 1, z, &error), &error);
    expect(VOCODE_ARGUMENT, "threads", vocode_flow_sample(model, about, 2, 1, -2, z, &error), &error);
    x[3] = NAN;
    expect(VOCODE_VALUE, "x: expected finite numbers, found nan in row 1, column 1",
           vocode_flow_encode(model, x, about, 2, 1, z, &error), &error);
    expect(VOCODE_VALUE, "z: expected finite", vocode_flow_decode(model, x, about, 2, 1, z, &error), &error);
    expect(VOCODE_VALUE, "context: expected finite numbers, found nan in row 1, column 0",
           vocode_flow_sample(model, x + 2, 2, 1, 1, z, &error), &error);
    vocode_flow_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fit_is_what_it_says),
        cmocka_unit_test(directions_agree),
        cmocka_unit_test(files_come_back),
        cmocka_unit_test(watchers_stop_and_cancel),
        cmocka_unit_test(threads_share_a_flow),
        cmocka_unit_test(wrong_options_are_refused),
        cmocka_unit_test(wrong_arrays_are_refused),
        cmocka_unit_test(images_keep_their_shape),
        cmocka_unit_test(images_are_standardised_by_planes),
    };
    return cmocka_run_group_tests(tests, draw_data, NULL);
}
