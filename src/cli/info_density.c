/* vocode info of densities of vectors and of autoencoders. Both forms, text and JSON, are made of one list of facts. */
#include "cli/info.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "cli/json_out.h"
#include "density/tensors.h"
#include "density/vae.h"
#include "density/vectors.h"

enum { FEW_COLUMNS = 8 }; /* whose means and deviations are printed one by one */

static json_t *image_facts(image_size image) {
    if (!image.height) return json_null();
    json_t *facts = json_object();
    json_set_size(facts, "height", image.height);
    json_set_size(facts, "width", image.width);
    json_set_size(facts, "planes", image.planes);
    return facts;
}

static void put_number(json_t *facts, const char *key, double value) {
    json_array_append_new(json_object_get(facts, key), json_real(value));
}

/* Of the first count columns. logs: deviation holds logarithms. */
static json_t *standard_facts(const real *mean, const real *deviation, size_t count, bool logs) {
    json_t *facts = json_object();
    json_object_set_new(facts, "mean", json_array());
    json_object_set_new(facts, "deviation", json_array());
    for (size_t c = 0; c < count; c++) {
        put_number(facts, "mean", (double)mean[c]);
        put_number(facts, "deviation", logs ? exp((double)deviation[c]) : (double)deviation[c]);
    }
    return facts;
}

/* The pixels of an image's plane have one mean and one deviation. A turned flow has no data to standardise. */
static json_t *data_facts(const vectors_model *model) {
    size_t planes = model->image.planes ? model->image.planes : 1;
    if (model->turned) return json_null();
    return standard_facts(model->mean->value, model->log_deviation->value,
                          model->image.height ? planes : model->channels, true);
}

static json_t *context_facts(const vectors_model *model) {
    if (!model->context) return json_null();
    return standard_facts(model->context_mean->value, model->context_deviation->value, model->context, false);
}

static vocode_status vectors_facts(const char *path, json_t *facts, vocode_error *error) {
    vectors_model *model;
    TRY(vectors_open(path, &model, error));
    json_object_set_new(facts, "flow", json_string(model->spec));
    json_object_set_new(facts, "direction", json_string(model->turned ? "to_data" : "to_latent"));
    json_object_set_new(facts, "base", json_string(base_names[model->base]));
    json_set_size(facts, "channels", model->channels);
    json_object_set_new(facts, "image", image_facts(model->image));
    json_set_size(facts, "context", model->context);
    json_set_size(facts, "parameters", param_set_trained(&model->set));
    json_object_set_new(facts, "dequantization", json_string(vectors_noise(model)));
    json_object_set_new(facts, "standardisation", data_facts(model));
    json_object_set_new(facts, "context_standardisation", context_facts(model));
    if (vectors_dequantize(model) && isfinite(model->valid_nll))
        json_object_set_new(facts, "valid_bits", json_real(model->valid_nll / (double)model->channels / log(2.0)));
    vectors_free(model);
    return VOCODE_OK;
}

static vocode_status vae_facts(const char *path, json_t *facts, vocode_error *error) {
    vae *model;
    TRY(vae_open(path, &model, error));
    json_object_set_new(facts, "posterior", json_string(model->sizes.posterior));
    json_set_size(facts, "channels", model->sizes.channels);
    json_object_set_new(facts, "image", image_facts(model->sizes.image));
    json_set_size(facts, "levels", model->sizes.levels);
    json_set_size(facts, "latent", model->sizes.latent);
    json_set_size(facts, "hidden", model->sizes.hidden);
    json_set_size(facts, "depth", model->sizes.depth);
    json_set_size(facts, "parameters", param_set_trained(&model->set));
    vae_free(model);
    return VOCODE_OK;
}

static json_int_t whole(const json_t *facts, const char *key) {
    return json_integer_value(json_object_get(facts, key));
}

static void print_rows(const json_t *facts) {
    const json_t *image = json_object_get(facts, "image");
    json_int_t channels = whole(facts, "channels");
    if (!json_is_object(image))
        info_line("rows", "%" JSON_INTEGER_FORMAT " number%s", channels, channels == 1 ? "" : "s");
    else if (whole(image, "planes"))
        info_line("rows",
                  "images of %" JSON_INTEGER_FORMAT " x %" JSON_INTEGER_FORMAT " pixels of %" JSON_INTEGER_FORMAT
                  " planes",
                  whole(image, "height"), whole(image, "width"), whole(image, "planes"));
    else
        info_line("rows", "images of %" JSON_INTEGER_FORMAT " x %" JSON_INTEGER_FORMAT " pixels",
                  whole(image, "height"), whole(image, "width"));
}

/* A few numbers, or the least and the greatest of many. */
static void print_numbers(const json_t *values) {
    size_t count = json_array_size(values);
    double least = INFINITY, most = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        double value = json_number_value(json_array_get(values, i));
        least = fmin(least, value);
        most = fmax(most, value);
        if (count <= FEW_COLUMNS) printf("%s%g", i ? ", " : " ", value);
    }
    if (count > FEW_COLUMNS) printf("s from %g to %g", least, most);
}

static void print_standard(const char *label, const json_t *facts) {
    if (!json_is_object(facts)) return;
    info_line(label, NULL);
    printf("mean");
    print_numbers(json_object_get(facts, "mean"));
    printf("; deviation");
    print_numbers(json_object_get(facts, "deviation"));
    putchar('\n');
}

static void print_training(const json_t *facts) {
    const json_t *training = json_object_get(facts, "training"), *bits = json_object_get(facts, "valid_bits");
    if (!whole(training, "rows")) {
        info_line("training", "on no rows");
        return;
    }
    info_value("training", training);
    if (bits) info_line("held out", "at most %.4f bits a number", json_real_value(bits));
}

static void print_text(const char *path, const json_t *facts) {
    static const char *const plain[] = {"flow",   "posterior", "direction", "base",       "levels",        "latent",
                                        "hidden", "depth",     "context",   "parameters", "dequantization"};
    info_line("file", "%s", path);
    info_value("kind", json_object_get(facts, "kind"));
    print_rows(facts);
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++) {
        const json_t *fact = json_object_get(facts, plain[i]);
        if (fact) info_value(plain[i], fact);
    }
    print_standard("standardisation", json_object_get(facts, "standardisation"));
    print_standard("of the context", json_object_get(facts, "context_standardisation"));
    print_training(facts);
}

static vocode_status tell(const char *path, bool as_json, const json_t *config, vocode_error *error) {
    json_t *facts = json_object();
    if (!facts) return failed(error, VOCODE_MEMORY, "%s: out of memory", path);
    json_object_set_new(facts, "file", json_name(path));
    json_object_set(facts, "kind", json_object_get(config, "kind"));
    bool coder = strcmp(json_string_value(json_object_get(config, "kind")), "vae") == 0;
    vocode_status status = coder ? vae_facts(path, facts, error) : vectors_facts(path, facts, error);
    json_t *training = json_object_get(config, "training");
    json_object_set_new(facts, "training", training ? json_incref(training) : json_null());
    json_object_set(facts, "config", (json_t *)config);
    if (status == VOCODE_OK && as_json) return json_show(facts, error);
    if (status == VOCODE_OK) print_text(path, facts);
    json_decref(facts);
    return status;
}

vocode_status info_density(const char *path, bool as_json, bool *known, vocode_error *error) {
    st_file *file;
    json_t *config;
    *known = false;
    if (tensors_open(path, &file, &config, NULL) != VOCODE_OK) return VOCODE_OK;
    st_close(file);
    const char *kind = json_string_value(json_object_get(config, "kind"));
    *known = kind && (strcmp(kind, "vectors") == 0 || strcmp(kind, "vae") == 0);
    vocode_status status = *known ? tell(path, as_json, config, error) : VOCODE_OK;
    json_decref(config);
    return status;
}
