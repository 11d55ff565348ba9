/* Whole models in double: what holds of a flow holds of every kind of vocoder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "kernels/lu.h"
#include "support/allocations.h"
#include "vocoder/blocks.h"
#include "vocoder/tiny_models.h"

enum { MAX_COUNT = 512 };

typedef struct fixture {
    vocode_model *model;
    block_shape shape;
    size_t block; /* samples of one batch element */
    real mel[MAX_COUNT], x[MAX_COUNT];
} fixture;

static fixture make(const char *config, uint64_t seed, size_t batch) {
    fixture f = {.model = tiny_model(config, seed)};
    size_t frames = 3, columns = frames * f.model->hop / f.model->group;
    f.shape = (block_shape){batch, frames, columns};
    f.block = columns * f.model->group;
    assert_true(batch * frames * f.model->n_mels <= MAX_COUNT && batch * f.block <= MAX_COUNT);
    rng_fill_normal(f.mel, batch * frames * f.model->n_mels, 1, seed + 2, 0, 2);
    rng_fill_normal(f.x, batch * f.block, 1, seed + 3, 0, 0.5);
    return f;
}

static void forward(const fixture *f, const real *x, real *z, double *logdet) {
    vocode_error error = {0};
    if (blocks_forward(f->model, f->shape, 1, f->mel, x, z, logdet, NULL, &error) != VOCODE_OK)
        fail_msg("%s", error.message);
}

static void inverse_is_exact(void **state) {
    (void)state;
    for (size_t i = 0; tiny_configs[i]; i++)
        for (uint64_t seed = 1; seed < 4; seed++) {
            fixture f = make(tiny_configs[i], seed, 2);
            real z[MAX_COUNT], back[MAX_COUNT];
            double logdet[2];
            vocode_error error = {0};
            forward(&f, f.x, z, logdet);
            assert_int_equal(blocks_inverse(f.model, f.shape, 1, f.mel, z, back, &error), VOCODE_OK);
            double moved = 0;
            for (size_t k = 0; k < 2 * f.block; k++) {
                assert_true(fabs(back[k] - f.x[k]) <= 1e-9);
                moved += fabs(z[k] - f.x[k]);
            }
            assert_true(moved > 1);
            vocode_model_free(f.model);
        }
}

/* dz/dx by 4-point central differences, its log-determinant by LU. */
static void log_determinant_is_the_jacobians(void **state) {
    (void)state;
    const double step = 1e-3, weight[] = {1.0 / 12, -2.0 / 3, 2.0 / 3, -1.0 / 12}, at[] = {-2, -1, 1, 2};
    for (size_t i = 0; tiny_configs[i]; i++) {
        fixture f = make(tiny_configs[i], 5, 1);
        size_t n = f.block;
        double *jacobian = calloc(n * n, sizeof *jacobian), expected, logdet;
        size_t *pivot = calloc(n, sizeof *pivot);
        real x[MAX_COUNT], z[MAX_COUNT];
        for (size_t column = 0; column < n; column++)
            for (size_t k = 0; k < 4; k++) {
                memcpy(x, f.x, n * sizeof *x);
                x[column] += at[k] * step;
                forward(&f, x, z, &logdet);
                for (size_t row = 0; row < n; row++) jacobian[row * n + column] += weight[k] * z[row] / step;
            }
        assert_true(lu_factor(n, jacobian, pivot));
        expected = lu_log_determinant(n, jacobian, pivot, NULL);
        forward(&f, f.x, z, &logdet);
        assert_true(fabs(expected - logdet) <= 1e-8 * (1 + fabs(expected)));
        free(jacobian);
        free(pivot);
        vocode_model_free(f.model);
    }
}

/* Of kinds with an objective of their own: what it says without gradients. */
static double own_loss(const fixture *f) {
    const block_objective objective = {.sigma = 0.7};
    double loss;
    vocode_error error = {0};
    assert_int_equal(blocks_gradient(f->model, f->shape, 1, &objective, f->mel, f->x, &loss, NULL, &error), VOCODE_OK);
    return loss;
}

static double loss_of(const fixture *f) {
    real z[MAX_COUNT];
    double logdet[2], square = 0, sum = 0, sigma = 0.7;
    if (f->model->type->objective) return own_loss(f);
    forward(f, f->x, z, logdet);
    for (size_t b = 0; b < f->shape.batch; b++) sum += logdet[b];
    for (size_t k = 0; k < f->shape.batch * f->block; k++) square += z[k] * z[k];
    return (square / (2 * sigma * sigma) - sum) / (double)(f->shape.batch * f->block);
}

static double difference_quotient(const fixture *f, param *p, size_t element) {
    const double step = 1e-3, weight[] = {1.0 / 12, -2.0 / 3, 2.0 / 3, -1.0 / 12}, at[] = {-2, -1, 1, 2};
    real kept = p->value[element];
    double slope = 0;
    vocode_error error = {0};
    for (size_t k = 0; k < 4; k++) {
        p->value[element] = kept + at[k] * step;
        assert_int_equal(model_prepare(f->model, &error), VOCODE_OK);
        slope += weight[k] * loss_of(f) / step;
    }
    p->value[element] = kept;
    assert_int_equal(model_prepare(f->model, &error), VOCODE_OK);
    return slope;
}

static void gradients_are_the_losses(void **state) {
    (void)state;
    for (size_t i = 0; tiny_configs[i]; i++) {
        fixture f = make(tiny_configs[i], 9, 2);
        size_t total = f.model->params.total;
        real *grads = calloc(total, sizeof *grads), *rebuilt = calloc(total, sizeof *rebuilt);
        double loss, again, largest = 0;
        vocode_error error = {0};
        block_objective taped = {.sigma = 0.7}, constant = {.sigma = 0.7, .memory = BLOCKS_REBUILT};
        assert_int_equal(blocks_gradient(f.model, f.shape, 1, &taped, f.mel, f.x, &loss, grads, &error), VOCODE_OK);
        assert_int_equal(blocks_gradient(f.model, f.shape, 2, &constant, f.mel, f.x, &again, rebuilt, &error),
                         VOCODE_OK);
        assert_true(fabs(loss - loss_of(&f)) <= 1e-12 && fabs(again - loss) <= 1e-12);
        for (size_t k = 0; k < total; k++) largest = fmax(largest, fabs(grads[k]));
        for (size_t k = 0; k < total; k++) assert_true(fabs(grads[k] - rebuilt[k]) <= 1e-9 * largest);
        for (size_t j = 0; j < f.model->params.count; j++) {
            param *p = f.model->params.items[j];
            size_t stride = p->count > 40 ? p->count / 20 : 1;
            bool fixed = f.model->type->objective && strncmp(p->name, "field.", 6) != 0; /* as drafts are */
            for (size_t k = 0; fixed && k < p->count; k++) assert_true(grads[p->offset + k] == 0);
            for (size_t k = 0; p->kind == PARAM_TRAINED && !fixed && k < p->count; k += stride)
                if (!(fabs(difference_quotient(&f, p, k) - grads[p->offset + k]) <= 1e-6 * largest))
                    fail_msg("config %zu: gradient of %s[%zu]", i, p->name, k);
        }
        free(grads);
        free(rebuilt);
        vocode_model_free(f.model);
    }
}

/* A planned step allocates nothing, leaves nothing behind that changes the next one, and accumulates. */
static void steps_reuse_their_memory(void **state) {
    (void)state;
    for (size_t i = 0; tiny_configs[i]; i++)
        for (int memory = BLOCKS_TAPED; memory <= BLOCKS_REBUILT; memory++) {
            fixture f = make(tiny_configs[i], 11, 2);
            size_t total = f.model->params.total;
            real *once = calloc(total, sizeof *once), *twice = calloc(total, sizeof *twice);
            double loss, again, alone;
            vocode_error error = {0};
            block_objective objective = {.sigma = 0.7, .memory = (block_memory)memory};
            block_trainer *trainer;
            assert_int_equal(block_trainer_new(f.model, f.shape, 2, &objective, &trainer, &error), VOCODE_OK);
            assert_int_equal(block_trainer_run(trainer, &objective, f.mel, f.x, &loss, once, &error), VOCODE_OK);
            size_t before = allocations();
            for (int step = 0; step < 2; step++)
                assert_int_equal(block_trainer_run(trainer, &objective, f.mel, f.x, &again, twice, &error), VOCODE_OK);
            assert_int_equal(block_trainer_run(trainer, &objective, f.mel, f.x, &alone, NULL, &error), VOCODE_OK);
            assert_int_equal(allocations(), before);
            assert_true(again == loss && alone == loss);
            for (size_t k = 0; k < total; k++) assert_true(fabs(twice[k] - 2 * once[k]) <= 1e-12 * (1 + fabs(once[k])));
            block_trainer_free(trainer);
            free(once);
            free(twice);
            vocode_model_free(f.model);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inverse_is_exact),
        cmocka_unit_test(log_determinant_is_the_jacobians),
        cmocka_unit_test(gradients_are_the_losses),
        cmocka_unit_test(steps_reuse_their_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
