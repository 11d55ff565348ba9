#include "density/vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "density/spec.h"
#include "density/tensors.h"
#include "flows/registry.h"

static const char standard_prefix[] = "standard.";

static vocode_status add_context(vectors_model *model, vocode_error *error) {
    if (!model->context) return VOCODE_OK;
    model->context_mean = param_add(&model->set, PARAM_BUFFER, "context.", "mean", 1, &model->context);
    model->context_deviation = param_add(&model->set, PARAM_BUFFER, "context.", "deviation", 1, &model->context);
    if (model->context_mean && model->context_deviation) return VOCODE_OK;
    return failed(error, VOCODE_MEMORY, "cannot register the context's mean");
}

static vocode_status build(vectors_model *model, vocode_error *error) {
    flow_dims dims = {model->channels, model->context};
    flow *first = NULL;
    TRY(flow_build("affine", NULL, dims, &model->set, standard_prefix, &first, error));
    TRY(spec_build(model->spec, dims, model->image, model->turned, &model->set, first, &model->chain, error));
    TRY(add_context(model, error));
    if (model->chain->fold != 1)
        return failed(error, VOCODE_VALUE, "flow \"%.200s\": expected flows that keep vectors as they are",
                      model->spec);
    TRY(param_allocate(&model->set, error));
    model->mean = param_find(&model->set, "standard.shift");
    model->log_deviation = param_find(&model->set, "standard.log_scale");
    return VOCODE_OK;
}

/* What a model is made for. */
typedef struct plan {
    const char *spec;
    base_kind base;
    size_t channels, context;
    image_size image;
    bool turned;
} plan;

/* Everything but values. */
static vocode_status make(const plan *of, vectors_model **out, vocode_error *error) {
    vectors_model *model = calloc(1, sizeof *model);
    *out = NULL;
    if (!model) return failed(error, VOCODE_MEMORY, "out of memory for a model");
    *model = (vectors_model){.channels = of->channels,
                             .context = of->context,
                             .image = of->image,
                             .base = of->base,
                             .turned = of->turned,
                             .valid_nll = NAN};
    model->set.limit = SIZE_MAX / 64;
    model->spec = strdup(of->spec);
    vocode_status status =
        model->spec ? build(model, error) : failed(error, VOCODE_MEMORY, "out of memory for a model");
    if (status != VOCODE_OK) {
        vectors_free(model);
        return status;
    }
    *out = model;
    return VOCODE_OK;
}

static vocode_status create(const plan *of, uint64_t seed, vectors_model **out, vocode_error *error) {
    vectors_model *model;
    *out = NULL;
    TRY(make(of, &model, error));
    flow_init(model->chain, seed);
    if (model->context_deviation) param_fill(model->context_deviation, 1);
    vocode_status status = flow_prepare(model->chain, error);
    if (status != VOCODE_OK) {
        vectors_free(model);
        model = NULL;
    }
    *out = model;
    return status;
}

vocode_status vectors_create(const char *spec, base_kind base, size_t channels, size_t context, uint64_t seed,
                             vectors_model **out, vocode_error *error) {
    const plan of = {.spec = spec, .base = base, .channels = channels, .context = context};
    return create(&of, seed, out, error);
}

vocode_status vectors_create_images(const char *spec, base_kind base, image_size image, size_t context, uint64_t seed,
                                    vectors_model **out, vocode_error *error) {
    size_t channels = image_count(image);
    *out = NULL;
    if (!channels)
        return failed(error, VOCODE_SHAPE,
                      "expected images of at least one number, and of as many as memory can hold, "
                      "found %zu x %zu pixels",
                      image.height, image.width);
    const plan of = {.spec = spec, .base = base, .channels = channels, .context = context, .image = image};
    return create(&of, seed, out, error);
}

vocode_status vectors_create_turned(const char *spec, base_kind base, size_t channels, uint64_t seed,
                                    vectors_model **out, vocode_error *error) {
    const plan of = {.spec = spec, .base = base, .channels = channels, .turned = true};
    return create(&of, seed, out, error);
}

void vectors_free(vectors_model *model) {
    if (!model) return;
    flow_free(model->chain);
    param_set_free(&model->set);
    free(model->spec);
    free(model);
}

static const char *const directions[] = {"to_latent", "to_data", NULL};

static char *config_text(const vectors_model *model) {
    json_t *config = json_pack("{s:s, s:I, s:I, s:s, s:s, s:s, s:{s:I, s:I}}", "kind", "vectors", "channels",
                               (json_int_t)model->channels, "context", (json_int_t)model->context, "flow", model->spec,
                               "base", base_names[model->base], "direction", directions[model->turned], "training",
                               "rows", (json_int_t)model->rows, "epochs", (json_int_t)model->epochs);
    if (!config) return NULL;
    if (model->image.height)
        json_object_set_new(config, "image",
                            json_pack("{s:I, s:I, s:I}", "height", (json_int_t)model->image.height, "width",
                                      (json_int_t)model->image.width, "planes", (json_int_t)model->image.planes));
    if (isfinite(model->valid_nll))
        json_object_set_new(json_object_get(config, "training"), "valid_nll", json_real(model->valid_nll));
    char *text = json_print(config, 0);
    json_decref(config);
    return text;
}

vocode_status vectors_save(const vectors_model *model, const char *path, vocode_error *error) {
    return tensors_write(&model->set, config_text(model), path, error);
}

static vocode_status bind(vectors_model *model, const st_file *file, const char *path, vocode_error *error) {
    char of[256];
    snprintf(of, sizeof of, "flow \"%.200s\"", model->spec);
    TRY(tensors_read(&model->set, file, of, path, error));
    return flow_prepare(model->chain, error);
}

typedef struct vectors_config {
    size_t channels, context;
    int base, direction;
} vectors_config;

static const config_key keys[] = {
    {.name = "kind", .type = CONFIG_OTHER},
    {.name = "channels",
     .type = CONFIG_INT,
     .offset = offsetof(vectors_config, channels),
     .least = 1,
     .most = 1 << 20,
     .required = 1},
    {.name = "context", .type = CONFIG_INT, .offset = offsetof(vectors_config, context), .least = 0, .most = 1 << 20},
    {.name = "flow", .type = CONFIG_OTHER},
    {.name = "base", .type = CONFIG_CHOICE, .offset = offsetof(vectors_config, base), .choices = base_names},
    {.name = "direction", .type = CONFIG_CHOICE, .offset = offsetof(vectors_config, direction), .choices = directions},
    {.name = "image", .type = CONFIG_OTHER},
    {.name = "training", .type = CONFIG_OTHER},
};

#define EXTENT(member, from)                                                                                           \
    {                                                                                                                  \
        .name = #member, .type = CONFIG_INT, .offset = offsetof(image_size, member), .least = (from), .most = 1 << 20, \
        .required = 1                                                                                                  \
    }
static const config_key image_keys[] = {EXTENT(height, 1), EXTENT(width, 1), EXTENT(planes, 0)};

static vocode_status read_image(const json_t *config, size_t channels, const char *path, image_size *out,
                                vocode_error *error) {
    const json_t *image = json_object_get(config, "image");
    *out = (image_size){0};
    if (!image) return VOCODE_OK;
    TRY(config_read(image, image_keys, sizeof image_keys / sizeof *image_keys, out, path, error));
    if (image_count(*out) == channels) return VOCODE_OK;
    return failed(error, VOCODE_SHAPE, "%s: expected images of %zu numbers, found %zu x %zu pixels", path, channels,
                  out->height, out->width);
}

static void read_training(vectors_model *model, const json_t *training) {
    model->rows = (size_t)json_integer_value(json_object_get(training, "rows"));
    model->epochs = (size_t)json_integer_value(json_object_get(training, "epochs"));
    const json_t *nll = json_object_get(training, "valid_nll");
    if (json_is_number(nll)) model->valid_nll = json_number_value(nll);
}

static vocode_status open_config(const json_t *config, const st_file *file, const char *path, vectors_model **out,
                                 vocode_error *error) {
    vectors_config sizes;
    const char *kind = json_string_value(json_object_get(config, "kind"));
    const char *spec = json_string_value(json_object_get(config, "flow"));
    if (!kind || strcmp(kind, "vectors") != 0)
        return failed(
            error, VOCODE_UNSUPPORTED,
            "%s: expected a model of vectors, as \"vocode flow fit\" writes them, found one of kind \"%.40s\"", path,
            kind ? kind : "none");
    if (!spec) return failed(error, VOCODE_VALUE, "%s: expected \"flow\" in its config, found none", path);
    TRY(config_read(config, keys, sizeof keys / sizeof *keys, &sizes, path, error));
    plan of = {.spec = spec,
               .base = (base_kind)sizes.base,
               .channels = sizes.channels,
               .context = sizes.context,
               .turned = sizes.direction};
    TRY(read_image(config, sizes.channels, path, &of.image, error));
    TRY(make(&of, out, error));
    read_training(*out, json_object_get(config, "training"));
    vocode_status status = bind(*out, file, path, error);
    if (status != VOCODE_OK) {
        vectors_free(*out);
        *out = NULL;
    }
    return status;
}

vocode_status vectors_open(const char *path, vectors_model **out, vocode_error *error) {
    st_file *file;
    json_t *config;
    *out = NULL;
    TRY(tensors_open(path, &file, &config, error));
    vocode_status status = open_config(config, file, path, out, error);
    json_decref(config);
    st_close(file);
    return status;
}
