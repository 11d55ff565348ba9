/* What a checkpoint says about itself beside its tensors: sizes, mels, iteration; and the config made of it. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dsp/mel.h"
#include "io/json.h"
#include "vocoder/import_plan.h"

#define SIGMA 0.6     /* of the noise that WaveGlow's authors synthesise with */
#define STRIDE_PART 4 /* published upsamplers have kernels of four hops */

/* Nonzero and *value where the attribute is a positive whole number. */
static int read_size(const tree *t, pickle_ref from, const char *key, size_t *value) {
    int64_t number;
    if (!pickle_integer(t->graph, tree_get(t->graph, from, key), &number) || number <= 0) return 0;
    *value = (size_t)number;
    return 1;
}

static vocode_status check(const tree *t, pickle_ref from, const char *where, const char *key, size_t found,
                           vocode_error *error) {
    size_t said;
    if (!read_size(t, from, key, &said) || said == found) return VOCODE_OK;
    return failed(error, VOCODE_SHAPE, "%s says %s = %zu, the tensors have %zu", where, key, said, found);
}

/* Early outputs that never come, in a model of fewer flows, cannot be seen in shapes: there what is said holds. */
static vocode_status check_early(const tree *t, pickle_ref from, const char *where, model_sizes *sizes,
                                 vocode_error *error) {
    size_t every = sizes->early_every, size = sizes->early_size;
    if (every > 0) {
        TRY(check(t, from, where, "n_early_every", every, error));
        return check(t, from, where, "n_early_size", size, error);
    }
    if (read_size(t, from, "n_early_every", &every) && every < sizes->n_flows)
        return failed(error, VOCODE_SHAPE, "%s says n_early_every = %zu, none of the %zu flows has fewer channels",
                      where, every, sizes->n_flows);
    return VOCODE_OK;
}

/* One place that states sizes: a config's mapping or a pickled module. networks states those of the networks. */
static vocode_status check_place(const tree *t, pickle_ref from, pickle_ref networks, const char *where,
                                 model_sizes *sizes, vocode_error *error) {
    const struct {
        pickle_ref from;
        const char *key;
        size_t found;
    } checks[] = {
        {from, "n_mel_channels", sizes->n_mels},
        {from, "n_flows", sizes->n_flows},
        {from, sizes->squeezewave ? "n_audio_channel" : "n_group", sizes->n_group},
        {networks, "n_layers", sizes->n_layers},
        {networks, "n_channels", sizes->n_channels},
        {networks, "kernel_size", sizes->kernel_size},
    };
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        TRY(check(t, checks[i].from, where, checks[i].key, checks[i].found, error));
    return check_early(t, from, where, sizes, error);
}

static pickle_ref submodule(const tree *t, pickle_ref module, const char *name) {
    return tree_get(t->graph, tree_get(t->graph, module, "_modules"), name);
}

/* The stride of a pickled upsampler: an int or a tuple of one. */
static size_t module_stride(const tree *t, pickle_ref module) {
    size_t stride = 0;
    pickle_ref said = tree_get(t->graph, submodule(t, module, "upsample"), "stride");
    if (said == PICKLE_ABSENT) return 0;
    const pickle_node *tuple = pickle_at(t->graph, said);
    if (tuple->kind == PICKLE_TUPLE && tuple->count == 1) said = tuple->items[0];
    int64_t number;
    if (pickle_integer(t->graph, said, &number) && number > 0) stride = (size_t)number;
    return stride;
}

/* Whether prefix ("model.module.") is that of the module at module_path ("model.module"). */
static int is_module(const tree *t, const char *prefix) {
    if (!t->module_path) return 0;
    size_t length = strlen(t->module_path);
    if (strncmp(prefix, t->module_path, length) != 0) return 0;
    return prefix[length] == 0 || strcmp(prefix + length, ".") == 0;
}

vocode_status import_sizes(const tree *t, const char *prefix, model_sizes *sizes, vocode_error *error) {
    size_t stride = 0;
    if (t->config != PICKLE_ABSENT) {
        pickle_ref networks = tree_get(t->graph, t->config, "WN_config");
        TRY(check_place(t, t->config, networks != PICKLE_ABSENT ? networks : t->config, "its config", sizes, error));
        read_size(t, t->config, "upsample_stride", &stride);
    }
    if (is_module(t, prefix)) {
        pickle_ref networks = submodule(t, submodule(t, t->module, "WN"), "0");
        TRY(check_place(t, t->module, networks, "its module", sizes, error));
        if (module_stride(t, t->module)) stride = module_stride(t, t->module);
    }
    if (!sizes->early_every) { /* any numbers that leave the flows as they are */
        sizes->early_every = sizes->n_flows;
        sizes->early_size = 2;
        pickle_ref from = t->config != PICKLE_ABSENT ? t->config : t->module;
        read_size(t, from, "n_early_every", &sizes->early_every);
        read_size(t, from, "n_early_size", &sizes->early_size);
    }
    if (sizes->squeezewave) return VOCODE_OK;
    sizes->upsample_stride = stride ? stride : sizes->upsample_kernel / STRIDE_PART;
    if (sizes->upsample_stride == 0 || sizes->upsample_stride > sizes->upsample_kernel)
        return failed(error, VOCODE_SHAPE, "the upsampler has a kernel of %zu and a stride of %zu samples",
                      sizes->upsample_kernel, sizes->upsample_stride);
    return VOCODE_OK;
}

static int read_frequency(const tree *t, const char *key, double *value) {
    pickle_ref ref = tree_get(t->graph, t->audio, key);
    int64_t whole;
    if (ref == PICKLE_ABSENT) return 0;
    if (pickle_at(t->graph, ref)->kind == PICKLE_FLOAT)
        *value = pickle_at(t->graph, ref)->number;
    else if (pickle_integer(t->graph, ref, &whole))
        *value = (double)whole;
    else
        return 0;
    return 1;
}

/* The convention of a checkpoint that nobody named one for: tacotron2's, with what it says itself. */
static vocode_status stated_mel(const tree *t, const model_sizes *sizes, mel_convention *mel, vocode_error *error) {
    mel_convention usual = *mel;
    mel->n_mels = sizes->n_mels;
    if (t->audio != PICKLE_ABSENT) {
        read_size(t, t->audio, "sample_rate", &mel->sample_rate);
        read_size(t, t->audio, "sampling_rate", &mel->sample_rate);
        read_size(t, t->audio, "filter_length", &mel->n_fft);
        read_size(t, t->audio, "hop_length", &mel->hop);
        read_size(t, t->audio, "win_length", &mel->win);
        read_frequency(t, "mel_fmin", &mel->fmin);
        read_frequency(t, "mel_fmax", &mel->fmax);
    }
    if (!sizes->squeezewave) mel->hop = sizes->upsample_stride;
    if (!mel_convention_equal(mel, &usual)) snprintf(mel->preset, sizeof mel->preset, "%s", MEL_PRESET_CUSTOM);
    vocode_status status = mel_convention_check(mel, error);
    return status == VOCODE_OK ? status : failed_in(error, status, "its mel convention (--mel-preset names another)");
}

static vocode_status choose_mel(const tree *t, const model_sizes *sizes, const char *preset, mel_convention *mel,
                                vocode_error *error) {
    const mel_convention *named;
    TRY(mel_preset_require(preset ? preset : "tacotron2", &named, error));
    *mel = *named;
    if (!preset) return stated_mel(t, sizes, mel, error);
    if (mel->n_mels != sizes->n_mels)
        return failed(error, VOCODE_CONVENTION, "the model takes %zu mel bands, the preset %s has %zu", sizes->n_mels,
                      preset, mel->n_mels);
    if (!sizes->squeezewave && mel->hop != sizes->upsample_stride)
        return failed(error, VOCODE_CONVENTION, "the model makes %zu samples a frame, the preset %s has a hop of %zu",
                      sizes->upsample_stride, preset, mel->hop);
    return VOCODE_OK;
}

static json_t *sizes_to_json(const model_sizes *sizes) {
    json_t *object = json_object();
    const struct {
        const char *key;
        size_t value;
    } rows[] = {
        {"n_mel_channels", sizes->n_mels},
        {"n_flows", sizes->n_flows},
        {sizes->squeezewave ? "n_audio_channel" : "n_group", sizes->n_group},
        {"n_early_every", sizes->early_every},
        {"n_early_size", sizes->early_size},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        json_object_set_new(object, rows[i].key, json_integer((json_int_t)rows[i].value));
    if (sizes->squeezewave) {
        json_object_set_new(object, "batch_norm", json_boolean(sizes->batch_norm));
    } else {
        json_object_set_new(object, "upsample_kernel", json_integer((json_int_t)sizes->upsample_kernel));
        json_object_set_new(object, "upsample_stride", json_integer((json_int_t)sizes->upsample_stride));
    }
    json_object_set_new(object, "WN_config",
                        json_pack("{s:I, s:I, s:I}", "n_layers", (json_int_t)sizes->n_layers, "n_channels",
                                  (json_int_t)sizes->n_channels, "kernel_size", (json_int_t)sizes->kernel_size));
    return object;
}

/* "imported from NAME, iteration N"; names of files need not be UTF-8, JSON must be. */
static json_t *origin(const tree *t, long long iteration) {
    char text[512];
    const char *name = torch_name(t->file), *slash = strrchr(name, '/');
    int used = snprintf(text, sizeof text, "imported from %.400s", slash ? slash + 1 : name);
    if (iteration >= 0) snprintf(text + used, sizeof text - (size_t)used, ", iteration %lld", iteration);
    json_t *string = json_string(text);
    return string ? string : json_string("imported from a checkpoint");
}

vocode_status import_config(const tree *t, const model_sizes *sizes, const import_options *options,
                            const import_summary *summary, char **text, vocode_error *error) {
    mel_convention mel;
    TRY(choose_mel(t, sizes, options ? options->mel_preset : NULL, &mel, error));
    const char *license = options && options->license ? options->license : "not stated";
    json_t *terms = json_string(license), *config = json_object();
    if (!terms) {
        json_decref(config);
        return failed(error, VOCODE_ARGUMENT, "the license text is not UTF-8");
    }
    json_object_set_new(config, "kind", json_string(summary->kind));
    json_object_set_new(config, summary->kind, sizes_to_json(sizes));
    json_object_set_new(config, "sample_rate", json_integer((json_int_t)mel.sample_rate));
    json_object_set_new(config, "mel", mel_convention_to_json(&mel));
    json_object_set_new(config, "sigma", json_real(SIGMA));
    json_object_set_new(config, "mel_match", json_integer(0));
    json_object_set_new(config, "training", origin(t, summary->iteration));
    json_object_set_new(config, "license", terms);
    *text = config ? json_print(config, 0) : NULL;
    json_decref(config);
    return *text ? VOCODE_OK : failed(error, VOCODE_MEMORY, "out of memory for the config");
}
