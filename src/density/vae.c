#include "density/vae.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "density/spec.h"
#include "density/tensors.h"
#include "io/config.h"
#include "nn/networks.h"

static const char mean_field[] = "mean-field";

/* What the short names stand for. */
static const struct { const char *name, *spec; } usual[] = {{"planar", "planar:K=32"}, {"iaf", "iaf:layers=4,depth=2"}};

static const char *spec_of(const char *posterior) {
    for (size_t i = 0; i < sizeof usual / sizeof *usual; i++)
        if (strcmp(posterior, usual[i].name) == 0) return usual[i].spec;
    return posterior;
}

static vocode_status build_flow(vae *model, vocode_error *error) {
    const vae_sizes *sizes = &model->sizes;
    if (strcmp(sizes->posterior, mean_field) == 0) return VOCODE_OK;
    flow_dims dims = {sizes->latent, sizes->latent};
    TRY(spec_build(spec_of(sizes->posterior), dims, (image_size){0}, true, &model->set, NULL, &model->flow, error));
    if (model->flow->fold == 1 && !(model->flow->traits & (FLOW_MATCHED | FLOW_DEQUANTIZES | FLOW_POSITIVE_DATA |
                                                           FLOW_BATCH_STATISTICS | FLOW_STOCHASTIC_LOGDET)))
        return VOCODE_OK;
    return failed(error, VOCODE_VALUE,
                  "posterior \"%.200s\": expected flows that take noise to any vector, found others", sizes->posterior);
}

static vocode_status build(vae *model, vocode_error *error) {
    const vae_sizes *sizes = &model->sizes;
    size_t told = 2 * sizes->latent + (strcmp(sizes->posterior, mean_field) == 0 ? 0 : sizes->latent);
    const mlp_options encoder = {
        .inputs = sizes->channels, .outputs = told, .layers = sizes->depth, .channels = sizes->hidden};
    const mlp_options decoder = {
        .inputs = sizes->latent, .outputs = sizes->channels, .layers = sizes->depth, .channels = sizes->hidden};
    TRY(mlp_build(&encoder, &model->set, "encoder.", &model->encoder, error));
    TRY(build_flow(model, error));
    TRY(mlp_build(&decoder, &model->set, "decoder.", &model->decoder, error));
    return param_allocate(&model->set, error);
}

/* Of a model that no file holds. */
static const size_t no_limit = SIZE_MAX / 64;

/* Everything but values, with at most so many parameters. */
static vocode_status make(const vae_sizes *sizes, size_t limit, vae **out, vocode_error *error) {
    *out = NULL;
    if (!sizes->channels || !sizes->levels || !sizes->latent || !sizes->hidden || !sizes->depth)
        return failed(error, VOCODE_VALUE,
                      "expected at least one column, level, latent number, hidden unit and layer, found %zu, %zu, %zu, "
                      "%zu and %zu",
                      sizes->channels, sizes->levels, sizes->latent, sizes->hidden, sizes->depth);
    vae *model = calloc(1, sizeof *model);
    char *posterior = strdup(sizes->posterior);
    if (!model || !posterior) {
        free(model);
        free(posterior);
        return failed(error, VOCODE_MEMORY, "out of memory for a model");
    }
    *model = (vae){.sizes = *sizes, .valid_elbo = NAN};
    model->sizes.posterior = posterior;
    model->set.limit = limit;
    model->choices = aligned_new(sizes->levels + 1, sizeof *model->choices);
    vocode_status status =
        model->choices ? build(model, error) : failed(error, VOCODE_MEMORY, "out of memory for a model");
    for (size_t k = 0; status == VOCODE_OK && k < sizes->levels; k++)
        model->choices[k + 1] = model->choices[k] + log((double)(sizes->levels - k) / (double)(k + 1));
    if (status == VOCODE_OK) {
        *out = model;
        return VOCODE_OK;
    }
    if (limit < no_limit && model->set.total > limit)
        status = failed(error, VOCODE_FORMAT, "its configuration asks for more parameters than the %zu numbers in it",
                        limit);
    vae_free(model);
    return status;
}

vocode_status vae_prepare(vae *model, vocode_error *error) {
    model->encoder->type->prepare(model->encoder);
    model->decoder->type->prepare(model->decoder);
    if (model->set.failed) return failed(error, VOCODE_MEMORY, "out of memory for packed weights");
    return model->flow ? flow_prepare(model->flow, error) : VOCODE_OK;
}

vocode_status vae_create(const vae_sizes *sizes, uint64_t seed, vae **out, vocode_error *error) {
    TRY(make(sizes, no_limit, out, error));
    vae *model = *out;
    model->encoder->type->init(model->encoder, seed);
    model->decoder->type->init(model->decoder, seed);
    if (model->flow) flow_init(model->flow, seed);
    vocode_status status = vae_prepare(model, error);
    if (status == VOCODE_OK) return status;
    vae_free(model);
    *out = NULL;
    return status;
}

void vae_free(vae *model) {
    if (!model) return;
    network_free(model->encoder);
    network_free(model->decoder);
    flow_free(model->flow);
    param_set_free(&model->set);
    aligned_free(model->choices);
    free((char *)model->sizes.posterior);
    free(model);
}

vocode_status vae_save(const vae *model, const char *path, vocode_error *error) {
    const vae_sizes *sizes = &model->sizes;
    json_t *config = json_pack(
        "{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:{s:I, s:I}}", "kind", "vae", "channels",
        (json_int_t)sizes->channels, "height", (json_int_t)sizes->image.height, "width", (json_int_t)sizes->image.width,
        "planes", (json_int_t)sizes->image.planes, "levels", (json_int_t)sizes->levels, "latent",
        (json_int_t)sizes->latent, "hidden", (json_int_t)sizes->hidden, "depth", (json_int_t)sizes->depth, "posterior",
        sizes->posterior, "training", "rows", (json_int_t)model->rows, "epochs", (json_int_t)model->epochs);
    if (config && isfinite(model->valid_elbo))
        json_object_set_new(json_object_get(config, "training"), "valid_elbo", json_real(model->valid_elbo));
    char *text = config ? json_print(config, 0) : NULL;
    json_decref(config);
    return tensors_write(&model->set, text, path, error);
}

#define SIZE(what, member)                                                                                      \
    {                                                                                                           \
        .name = (what), .type = CONFIG_INT, .offset = offsetof(vae_sizes, member), .least = 1, .most = 1 << 20, \
        .required = 1                                                                                           \
    }
#define IMAGE(what, member) \
    { .name = (what), .type = CONFIG_INT, .offset = offsetof(vae_sizes, image.member), .least = 0, .most = 1 << 20 }
static const config_key keys[] = {
    {.name = "kind", .type = CONFIG_OTHER},
    SIZE("channels", channels),
    IMAGE("height", height),
    IMAGE("width", width),
    IMAGE("planes", planes),
    SIZE("levels", levels),
    SIZE("latent", latent),
    SIZE("hidden", hidden),
    SIZE("depth", depth),
    {.name = "posterior", .type = CONFIG_OTHER},
    {.name = "training", .type = CONFIG_OTHER},
};

static vocode_status open_config(const json_t *config, const st_file *file, const char *path, vae **out,
                                 vocode_error *error) {
    vae_sizes sizes;
    const char *kind = json_string_value(json_object_get(config, "kind"));
    const char *posterior = json_string_value(json_object_get(config, "posterior"));
    const json_t *training = json_object_get(config, "training"), *elbo = json_object_get(training, "valid_elbo");
    if (!kind || strcmp(kind, "vae") != 0)
        return failed(
            error, VOCODE_UNSUPPORTED,
            "%s: expected an autoencoder, as \"vocode flow vae\" writes them, found a model of kind \"%.40s\"", path,
            kind ? kind : "none");
    if (!posterior) return failed(error, VOCODE_VALUE, "%s: expected \"posterior\" in its config, found none", path);
    TRY(config_read(config, keys, sizeof keys / sizeof *keys, &sizes, path, error));
    if ((sizes.image.height || sizes.image.width || sizes.image.planes) && image_count(sizes.image) != sizes.channels)
        return failed(error, VOCODE_VALUE, "%s: expected images of %zu numbers, found %zu x %zu pixels", path,
                      sizes.channels, sizes.image.height, sizes.image.width);
    sizes.posterior = posterior;
    vocode_status made = make(&sizes, tensors_limit(file), out, error);
    if (made != VOCODE_OK) return failed_in(error, made, path);
    vae *model = *out;
    model->rows = (size_t)json_integer_value(json_object_get(training, "rows"));
    model->epochs = (size_t)json_integer_value(json_object_get(training, "epochs"));
    if (json_is_number(elbo)) model->valid_elbo = json_number_value(elbo);
    vocode_status status = tensors_read(&model->set, file, "an autoencoder", path, error);
    if (status == VOCODE_OK) status = vae_prepare(model, error);
    if (status == VOCODE_OK) return status;
    vae_free(model);
    *out = NULL;
    return status;
}

vocode_status vae_open(const char *path, vae **out, vocode_error *error) {
    st_file *file;
    json_t *config;
    *out = NULL;
    TRY(tensors_open(path, &file, &config, error));
    vocode_status status = open_config(config, file, path, out, error);
    json_decref(config);
    st_close(file);
    return status;
}

bool vae_is(const char *path) {
    st_file *file;
    json_t *config;
    if (tensors_open(path, &file, &config, NULL) != VOCODE_OK) return false;
    const char *kind = json_string_value(json_object_get(config, "kind"));
    bool is = kind && strcmp(kind, "vae") == 0;
    json_decref(config);
    st_close(file);
    return is;
}

vocode_status vae_check(const vae *model, const real *x, size_t rows, vocode_error *error) {
    size_t channels = model->sizes.channels;
    for (size_t i = 0; i < rows * channels; i++)
        if (!(x[i] >= 0 && x[i] <= (real)model->sizes.levels && x[i] == (real)floor((double)x[i])))
            return failed(error, VOCODE_VALUE, "row %zu, column %zu: expected a whole number from 0 to %zu, found %g",
                          i / channels, i % channels, model->sizes.levels, (double)x[i]);
    return VOCODE_OK;
}
