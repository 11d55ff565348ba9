/* Batch norm in training, where rows see each other: gradients through the batch's statistics, and the running ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flows/conform.h"
#include "nn/batch_norm.h"

static const flow_case plain = {"batchnorm in training", "batchnorm", NULL, NULL, 3, 0, 1, 1, false};

static void gradients_go_through_the_statistics(void **state) {
    (void)state;
    const norm_batch norm = {.parts = 1};
    for (size_t batch = 2; batch < 6; batch++) {
        subject *s = subject_new(&plain, 2, batch, 4, 1);
        s->norm = &norm;
        conform_gradients(s);
        conform_accumulation(s);
        subject_free(s);
    }
}

static void rows_come_out_normalised(void **state) {
    (void)state;
    enum { ROWS = 8, CHANNELS = 3 };
    subject *s = subject_new(&plain, 2, ROWS / 2, 4, 1);
    real *recent = aligned_new(s->set.total, sizeof *recent), *z = aligned_new(s->count, sizeof *z);
    const norm_batch norm = {.parts = 1, .recent = recent};
    double logdet[ROWS / 2];
    param *gain = param_find(&s->set, "flow.log_gain"), *shift = param_find(&s->set, "flow.shift");
    const param *mean = param_find(&s->set, "flow.running_mean"), *variance = param_find(&s->set, "flow.running_var");
    s->norm = &norm;
    param_fill(gain, 0);
    param_fill(shift, 0);
    subject_forward(s, s->x, s->cond, z, logdet);
    double expected = 0;
    for (size_t c = 0; c < CHANNELS; c++) {
        double of_z[2] = {0}, of_x[2] = {0};
        for (size_t t = 0; t < ROWS; t++) {
            double x = (double)s->x[t * CHANNELS + c], y = (double)z[t * CHANNELS + c];
            of_x[0] += x / ROWS;
            of_x[1] += x * x / ROWS;
            of_z[0] += y / ROWS;
            of_z[1] += y * y / ROWS;
        }
        double spread = of_x[1] - of_x[0] * of_x[0];
        expected -= log(spread + 1e-5); /* two frames of half of it */
        assert_true(fabs(of_z[0]) < 1e-12 && fabs(of_z[1] - spread / (spread + 1e-5)) < 1e-12);
        assert_true(fabs((double)recent[mean->offset + c] - 0.1 * of_x[0]) < 1e-12);
        assert_true(fabs((double)recent[variance->offset + c] - 0.1 * spread * ROWS / (ROWS - 1)) < 1e-12);
    }
    for (size_t b = 0; b < ROWS / 2; b++) assert_true(fabs(logdet[b] - expected) < 1e-12);
    s->norm = NULL; /* the running statistics serve again, and have not changed by themselves */
    subject_forward(s, s->x, s->cond, z, logdet);
    double first = ((double)s->x[0] - (double)mean->value[0]) / sqrt((double)variance->value[0] + 1e-5);
    assert_true(fabs((double)z[0] - first) < 1e-12);
    aligned_free(recent);
    aligned_free(z);
    subject_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_go_through_the_statistics),
        cmocka_unit_test(rows_come_out_normalised),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
