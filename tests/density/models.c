#include "density/models.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/rng.h"

vectors_model *model_of(const char *spec, size_t channels, size_t context) {
    vectors_model *model;
    vocode_error error = {0};
    if (vectors_create(spec, BASE_gaussian, channels, context, 3, &model, &error) != VOCODE_OK)
        fail_msg("%s: %s", spec, error.message);
    return model;
}

void stir(vectors_model *model) {
    vocode_error error;
    for (size_t i = 0; i < model->set.count; i++) {
        param *p = model->set.items[i];
        for (size_t k = 0; p->kind == PARAM_TRAINED && k < p->count; k++)
            p->value[k] += (real)(0.01 * rng_normal(9, i, k));
    }
    assert_int_equal(flow_prepare(model->chain, &error), VOCODE_OK);
}
