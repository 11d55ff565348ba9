/* Lines that name flows, and all families that they may name: both ways, conditioned, of images. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rng.h"
#include "density/models.h"
#include "density/spec.h"

/* Rows of five numbers, or images where the family is for them. */
static vectors_model *model_for(const flow_family *family, size_t context) {
    vectors_model *model;
    vocode_error error = {0};
    if (strcmp(family->name, "multiscale") != 0) return model_of(family->name, 5, context);
    const image_size image = {2, 4, 0};
    if (vectors_create_images("multiscale:channels=4", BASE_gaussian, image, context, 3, &model, &error) != VOCODE_OK)
        fail_msg("multiscale: %s", error.message);
    return model;
}

/* Data that a model of the family can have. */
static void draw_data(const flow_family *family, const vectors_model *model, size_t rows, real *x) {
    size_t count = rows * model->channels;
    rng_fill_normal(x, rows, model->channels, 1, 0, 1);
    for (size_t k = 0; vectors_dequantize(model) && k < count; k++) x[k] = floor(4 * x[k]);
    for (size_t k = 0; strcmp(family->name, "exp") == 0 && k < count; k++) x[k] = exp(x[k]);
}

static void every_family_inverts(void **state) {
    (void)state;
    enum { ROWS = 19, CHANNELS = 8, CONTEXT = 2 };
    static real x[ROWS * CHANNELS], z[ROWS * CHANNELS], back[ROWS * CHANNELS], context[ROWS * CONTEXT];
    static double density[ROWS];
    rng_fill_normal(context, ROWS, CONTEXT, 2, 0, 1);
    for (size_t i = 0; i < flow_family_count(); i++)
        for (size_t width = 0; width <= CONTEXT; width += CONTEXT) {
            const flow_family *family = flow_family_at(i);
            vectors_model *model = model_for(family, width);
            vocode_error error = {0};
            assert_true(strlen(family->summary) && strlen(family->paper) && strlen(family->density));
            if (strcmp(family->name, "exp") != 0) stir(model);
            draw_data(family, model, ROWS, x);
            const real *given = width ? context : NULL;
            if (vectors_encode(model, x, given, ROWS, 2, z, density, &error) != VOCODE_OK)
                fail_msg("%s", error.message);
            assert_int_equal(vectors_decode(model, z, given, ROWS, 2, back, &error), VOCODE_OK);
            for (size_t k = 0; k < ROWS * model->channels; k++)
                if (!(fabs((double)(back[k] - x[k])) < 1e-3 * (1 + fabs((double)x[k]))))
                    fail_msg("%s: number %zu comes back as %g from %g", family->name, k, (double)back[k], (double)x[k]);
            vectors_free(model);
        }
}

/* Parts of a line: the standardising map comes first. */
static void lines_are_read(void **state) {
    (void)state;
    static const struct {
        const char *spec;
        size_t parameters; /* tensors */
    } good[] = {
        {"actnorm", 2 + 2},
        {"actnorm,linear", 2 + 2 + 4},
        {"actnorm*3,linear", 2 + 3 * 2 + 4},
        {"(actnorm,linear)*2,actnorm", 2 + 2 * 6 + 2},
        {"((actnorm)*2)*3", 2 + 6 * 2},
        {"planar:K=3", 2 + 3 * 3},
        {"coupling:depth=1,hidden=3,actnorm", 2 + 4 + 2},
        {"maf:layers=2,hidden=5,depth=1", 2 + 2 * (2 + 4)},
        {"permute:order=shuffle,seed=4,scaling", 2 + 1},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        vectors_model *model = model_of(good[i].spec, 4, 0);
        if (model->set.count != good[i].parameters)
            fail_msg("%s: expected %zu tensors, found %zu", good[i].spec, good[i].parameters, model->set.count);
        vectors_free(model);
    }
    static const struct {
        const char *spec, *says;
    } bad[] = {{"", "name of a flow"},
               {"mafs", "found \"mafs\""},
               {"maf:layers=0", "layers"},
               {"maf:layer=3", "layers"},
               {"actnorm,", "name of a flow"},
               {"actnorm*0", "number of times"},
               {"actnorm*9999", "number of times"},
               {"(actnorm", "expected \")\""},
               {"actnorm)", "expected \",\""},
               {"coupling:mask=left", "mask"},
               {"actnorm,dequantize", "before all others"},
               {"dequantize*2", "before all others"},
               {"actnorm*500,actnorm*500,actnorm*500", "at most 1024"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vectors_model *model;
        vocode_error error = {0};
        assert_int_equal(vectors_create(bad[i].spec, BASE_gaussian, 4, 0, 0, &model, &error), VOCODE_VALUE);
        if (!strstr(error.message, bad[i].says)) fail_msg("%s: says %s", bad[i].spec, error.message);
    }
}

/* Whatever has a network, and planar, hears what it is conditioned on, as vocode flow list says. */
static void every_network_is_conditioned(void **state) {
    (void)state;
    enum { ROWS = 3, CHANNELS = 8 };
    static const char *const deaf[] = {"affine",  "scaling",    "exp",    "actnorm", "batchnorm",
                                       "permute", "dequantize", "linear", "inv1x1"};
    static real x[ROWS * CHANNELS];
    const real given[2][ROWS] = {{0.5F, -1, 2}, {1, -1, -2}}; /* the second row's is the same */
    double density[2][ROWS];
    for (size_t i = 0; i < flow_family_count(); i++) {
        const flow_family *family = flow_family_at(i);
        vectors_model *model = model_for(family, 1);
        vocode_error error = {0};
        bool hears = true;
        for (size_t k = 0; k < sizeof deaf / sizeof *deaf; k++) hears = hears && strcmp(family->name, deaf[k]) != 0;
        if (strcmp(family->name, "exp") != 0) stir(model);
        draw_data(family, model, ROWS, x);
        for (size_t k = 0; k < 2; k++)
            assert_int_equal(vectors_encode(model, x, given[k], ROWS, 1, NULL, density[k], &error), VOCODE_OK);
        assert_true(density[0][1] == density[1][1]);
        if ((density[0][0] != density[1][0]) != hears || (density[0][2] != density[1][2]) != hears ||
            family->conditioned != hears)
            fail_msg("%s: the context changes %g to %g", family->name, density[0][0], density[1][0]);
        vectors_free(model);
    }
}

static vocode_status build_images(const char *spec, image_size image, vocode_error *error) {
    vectors_model *model;
    vocode_status status = vectors_create_images(spec, BASE_gaussian, image, 0, 0, &model, error);
    vectors_free(model);
    return status;
}

static void images_have_to_fit(void **state) {
    (void)state;
    static const struct {
        const char *spec, *says;
        image_size image;
    } bad[] = {{"multiscale", "found 6 x 7 pixels at level 1", {6, 7, 0}},
               {"multiscale:levels=3", "squeezed 2 times, found 3 x 3 pixels at level 2", {6, 6, 1}},
               {"multiscale:width=4", "expected images of 10 x 4 pixels", {6, 7, 0}},
               {"multiscale:levels=1", "two pixels at every level, found 1 x 1 at level 1", {1, 1, 4}},
               {"coupling:network=conv,width=5", "rows of 5 pixels", {6, 6, 0}}};
    vocode_error error = {0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(build_images(bad[i].spec, bad[i].image, &error), VOCODE_VALUE);
        if (!strstr(error.message, bad[i].says)) fail_msg("%s: says %s", bad[i].spec, error.message);
    }
    assert_int_equal(build_images("actnorm", (image_size){0, 4, 1}, &error), VOCODE_SHAPE);
    assert_int_equal(build_images("actnorm", (image_size){SIZE_MAX / 2, 4, 1}, &error), VOCODE_SHAPE);
    static const char *const good[] = {"multiscale:levels=3,couplings=1,channels=2", "multiscale:levels=1,norm=none",
                                       "multiscale:network=perceptron,norm=batchnorm,blocks=2",
                                       "coupling:network=conv,mask=alternate_checkerboard,hidden=3,depth=1*2",
                                       "multiscale:couplings=1*2"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (build_images(good[i], (image_size){4, 8, 3}, &error) != VOCODE_OK)
            fail_msg("%s: says %s", good[i], error.message);
    vectors_model *flat = model_of("multiscale:width=4,height=2,planes=2", 16, 0); /* the line may say it instead */
    assert_int_equal(flat->image.height, 0);
    vectors_free(flat);
}

static void masks_alternate(void **state) {
    (void)state;
    vectors_model *model = model_of("coupling:hidden=4,depth=1,coupling:hidden=4,depth=1", 3, 0);
    /* the first passes one of three and moves two, the second passes the last and moves the first two */
    const param *first = param_find(&model->set, "1.masked.layers.0.weight");
    assert_non_null(first);
    assert_int_equal(first->shape[0], 1);
    real x[] = {0.1F, 0.2F, 0.3F}, z[2][3];
    vocode_error error;
    stir(model);
    for (int i = 0; i < 2; i++) {
        x[1] += (real)i; /* the middle one is moved by both and read by neither */
        assert_int_equal(vectors_encode(model, x, NULL, 1, 1, z[i], NULL, &error), VOCODE_OK);
    }
    assert_true(z[0][0] == z[1][0] && z[0][2] == z[1][2] && z[0][1] != z[1][1]);
    vectors_free(model);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_family_inverts),
        cmocka_unit_test(lines_are_read),
        cmocka_unit_test(every_network_is_conditioned),
        cmocka_unit_test(images_have_to_fit),
        cmocka_unit_test(masks_alternate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
