/* Making, opening, saving and freeing models. */
#include "vocoder/model.h"

#include <stdlib.h>
#include <string.h>

#include "core/arena.h"

static vocode_status set_config(vocode_model *model, const json_t *original, const char *where, vocode_error *error) {
    json_t *echo = model_echo(model, original);
    model->config = echo ? json_print(echo, 0) : NULL;
    json_decref(echo);
    if (!model->config) return failed(error, VOCODE_MEMORY, "%s: cannot allocate the configuration", where);
    return VOCODE_OK;
}

/* What must agree between the sizes and the mel convention, once build has set the geometry. */
static vocode_status check_geometry(const vocode_model *model, const char *where, vocode_error *error) {
    if (!model->has_mel) return VOCODE_OK;
    if (model->mel.n_mels != model->n_mels)
        return failed(error, VOCODE_VALUE, "%s: the model takes %zu mel bands but its mel convention has %zu", where,
                      model->n_mels, model->mel.n_mels);
    if (model->mel.hop != model->hop)
        return failed(error, VOCODE_VALUE,
                      "%s: the model makes %zu samples a frame but its mel convention's hop is %zu", where, model->hop,
                      model->mel.hop);
    return VOCODE_OK;
}

static vocode_status build(vocode_model *model, const json_t *config, bool normed, const char *where,
                           vocode_error *error) {
    vocode_status status = model->type->build(model, normed, error);
    if (status != VOCODE_OK) return failed_in(error, status, where);
    TRY(check_geometry(model, where, error));
    return set_config(model, config, where, error);
}

vocode_status model_prepare(vocode_model *model, vocode_error *error) {
    if (model->type->prepare) model->type->prepare(model);
    TRY(flow_prepare(model->chain, error));
    if (model->params.failed)
        return failed(error, VOCODE_MEMORY, "cannot allocate the packed weights of %zu parameters",
                      model->params.total);
    return VOCODE_OK;
}

vocode_status model_prepare_training(vocode_model *model, vocode_error *error) {
    if (!model->params.fixed) return VOCODE_OK;
    model->params.fixed = false;
    return model_prepare(model, error);
}

static vocode_status create(vocode_model *model, const json_t *config, const char *where, uint64_t seed,
                            vocode_error *error) {
    TRY(build(model, config, true, where, error));
    TRY(param_allocate(&model->params, error));
    flow_init(model->chain, seed);
    if (model->type->init) model->type->init(model, seed);
    return model_prepare(model, error);
}

vocode_status model_create(const json_t *config, const char *where, uint64_t seed, vocode_model **out,
                           vocode_error *error) {
    vocode_model *model;
    TRY(model_parse(config, where, true, &model, error));
    vocode_status status = create(model, config, where, seed, error);
    if (status != VOCODE_OK) {
        vocode_model_free(model);
        return status;
    }
    *out = model;
    return VOCODE_OK;
}

/* Whether any weight is stored as a gain and a direction. */
static bool has_weight_norm(const st_tensor *tensors, size_t count) {
    static const char ending[] = ".weight_g";
    for (size_t i = 0; i < count; i++) {
        size_t length = strlen(tensors[i].name);
        if (length > sizeof ending && strcmp(tensors[i].name + length - (sizeof ending - 1), ending) == 0) return true;
    }
    return false;
}

/* More than the parameters that these tensors can fill: each number once, and a gain for every folded weight. */
static size_t parameter_limit(const st_tensor *tensors, size_t count) {
    size_t total = 1;
    for (size_t i = 0; i < count; i++) total += 2 * tensors[i].count; /* cannot wrap: the numbers are in memory */
    return total;
}

static vocode_status assemble(vocode_model *model, const json_t *config, const st_tensor *tensors, size_t count,
                              const char *where, vocode_error *error) {
    model->params.limit = parameter_limit(tensors, count);
    vocode_status built = build(model, config, has_weight_norm(tensors, count), where, error);
    if (built != VOCODE_OK && model->params.total > model->params.limit)
        return failed(error, VOCODE_FORMAT,
                      "%s: the configuration asks for more parameters than the file holds (%zu numbers)", where,
                      model->params.limit / 2);
    TRY(built);
    TRY(model_bind(model, tensors, count, where, error));
    model->params.fixed = true;
    vocode_status status = model_prepare(model, error);
    return status == VOCODE_OK ? VOCODE_OK : failed_in(error, status, where);
}

static vocode_status from_tensors(const char *config, const st_tensor *tensors, size_t count, bool mapped,
                                  const char *where, vocode_model **out, vocode_error *error) {
    json_t *root;
    TRY(json_parse(config, strlen(config), NULL, where, &root, error));
    vocode_model *model = NULL;
    vocode_status status = json_is_object(root) ? model_parse(root, where, false, &model, error)
                                                : failed(error, VOCODE_FORMAT, "%s: config is no JSON object", where);
    if (status == VOCODE_OK) {
        model->mapped = mapped;
        status = assemble(model, root, tensors, count, where, error);
    }
    json_decref(root);
    if (status != VOCODE_OK) {
        vocode_model_free(model);
        return status;
    }
    *out = model;
    return VOCODE_OK;
}

vocode_status model_from_tensors(const char *config, const st_tensor *tensors, size_t count, const char *where,
                                 vocode_model **out, vocode_error *error) {
    return from_tensors(config, tensors, count, false, where, out, error);
}

static vocode_status open_file(st_file *file, const char *path, vocode_model **model, vocode_error *error) {
    const char *format = st_metadata(file, "format"), *version = st_metadata(file, "version");
    const char *config = st_metadata(file, "config");
    if (!format || strcmp(format, "vocode") != 0 || !config)
        return failed(
            error, VOCODE_FORMAT,
            "%s: a safetensors file, but not a vocode model: expected \"format\": \"vocode\" and a \"config\" in "
            "its metadata, found format \"%.40s\"",
            path, format ? format : "none");
    if (!version || strcmp(version, "1") != 0)
        return failed(error, VOCODE_UNSUPPORTED, "%s: expected model version 1, found \"%.40s\"", path,
                      version ? version : "none");
    size_t count = st_count(file);
    st_tensor *tensors = calloc(count ? count : 1, sizeof *tensors);
    if (!tensors) return failed(error, VOCODE_MEMORY, "%s: cannot allocate a table of %zu tensors", path, count);
    for (size_t i = 0; i < count; i++) tensors[i] = *st_at(file, i);
    vocode_status status = from_tensors(config, tensors, count, true, path, model, error);
    free(tensors);
    return status;
}

vocode_status vocode_model_open(const char *path, vocode_model **model, vocode_error *error) {
    st_file *file;
    *model = NULL;
    TRY(st_open(path, &file, error));
    vocode_status status = open_file(file, path, model, error);
    if (status != VOCODE_OK) {
        st_close(file);
        return status;
    }
    (*model)->file = file;
    return VOCODE_OK;
}

vocode_status model_save(const vocode_model *model, const char *path, vocode_error *error) {
    size_t count = model->params.count;
    st_tensor *tensors = calloc(count ? count : 1, sizeof *tensors);
    if (!tensors) return failed(error, VOCODE_MEMORY, "%s: cannot allocate a table of %zu tensors", path, count);
    for (size_t i = 0; i < count; i++) {
        const param *p = model->params.items[i];
        tensors[i] =
            (st_tensor){.name = p->name, .type = REAL_DTYPE, .rank = p->rank, .count = p->count, .data = p->value};
        memcpy(tensors[i].shape, p->shape, (size_t)p->rank * sizeof *p->shape);
    }
    const st_entry metadata[] = {{"format", "vocode"}, {"version", "1"}, {"config", model->config}};
    vocode_status status = st_write(path, tensors, count, metadata, sizeof metadata / sizeof *metadata, error);
    free(tensors);
    return status;
}

void vocode_model_free(vocode_model *model) {
    if (!model) return;
    flow_free(model->chain);
    if (model->own && model->type->destroy) model->type->destroy(model);
    param_set_free(&model->params);
    aligned_free(model->unmapped);
    st_close(model->file);
    free(model->sizes);
    free(model->config);
    free(model);
}

size_t model_reach(const vocode_model *model, size_t steps) {
    return model->type->reach ? model->type->reach(model, steps) : flow_reach(model->chain);
}

vocode_status model_mel(const vocode_model *model, const mel_convention **out, vocode_error *error) {
    if (!model->has_mel)
        return failed(error, VOCODE_UNSUPPORTED, "the model does not say which mel convention it was trained on");
    *out = &model->mel;
    return VOCODE_OK;
}

void vocode_model_describe(const vocode_model *model, vocode_model_info *info) {
    size_t reach = flow_reach(model->chain), columns = model->hop / model->group ? model->hop / model->group : 1;
    *info = (vocode_model_info){
        .kind = model->type->kind,
        .config = model->config,
        .parameters = param_set_trained(&model->params),
        .sample_rate = (unsigned)model->settings.sample_rate,
        .hop = model->hop,
        .n_mels = model->n_mels,
        .latent_channels = model->latent_channels,
        .columns_per_frame = (double)model->hop / (double)model->group,
        .sigma = model->settings.sigma,
        .train_sigma = model->settings.train_sigma,
        .mel_match = (unsigned)model->settings.mel_match,
        .refine = (unsigned)model->settings.refine,
        .look_ahead = (reach + columns - 1) / columns,
    };
}
