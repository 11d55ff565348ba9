#include "train/settings.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "io/bytes.h"
#include "io/json_place.h"

#define FIELD(member) .name = #member, .offset = offsetof(train_settings, member)
#define WHOLE(member, fallback, low, high, text) \
    { FIELD(member), .type = CONFIG_INT, .default_value = (fallback), .least = (low), .most = (high), .doc = (text) }
#define NUMBER(member, fallback, low, high, text) \
    { FIELD(member), .type = CONFIG_REAL, .default_value = (fallback), .least = (low), .most = (high), .doc = (text) }
#define CHOICE(member, list, text) \
    { FIELD(member), .type = CONFIG_CHOICE, .choices = (list), .doc = (text) }

#define NO_END 1e12

static const char *const schedules[] = {"constant", "cosine", "step", NULL};
static const char *const memories[] = {"taped", "constant", NULL};
static const char *const norms[] = {"batch", "running", NULL};
static const char *const precisions[] = {"float", "bf16", NULL};

static const config_key own_keys[] = {
    WHOLE(steps, 100000, 1, NO_END, "steps of the whole run"),
    WHOLE(batch, 16, 1, 65536, "segments a batch"),
    WHOLE(segment, 24576, 1, 1e9, "samples a segment; a multiple of the hop"),
    WHOLE(accumulate, 1, 1, 65536, "batches whose gradients make one step"),
    NUMBER(learning_rate, 3e-4, 0, 10, "of AdamW, at its highest"),
    CHOICE(schedule, schedules, "how the learning rate falls after the warm-up"),
    WHOLE(warmup, 500, 0, NO_END, "steps in which the learning rate rises from zero"),
    NUMBER(final_rate, 0.05, 0, 1, "where cosine ends, in learning rates"),
    WHOLE(decay_every, 50000, 1, NO_END, "steps between the falls of the schedule step"),
    NUMBER(decay_factor, 0.5, 0, 1, "what each of them multiplies by"),
    {"groups", CONFIG_OTHER,
     .doc = "learning rates of parameters by the beginning of their names, in learning rates: "
            "{\"whiten.\": 0.1}"},
    NUMBER(beta1, 0.9, 0, 0.999999, "decay of AdamW's mean gradient"),
    NUMBER(beta2, 0.99, 0, 0.999999, "decay of AdamW's mean square"),
    NUMBER(epsilon, 1e-8, 0, 1, "added to the root of the mean square"),
    NUMBER(weight_decay, 0.01, 0, 10, "a step, in learning rates; of matrices alone"),
    NUMBER(clip, 1, 0, 1e9, "largest norm of the gradient; longer ones are shortened; 0: as they come"),
    NUMBER(ema, 0.999, 0, 0.9999999, "decay of the averaged weights, which are the model that is kept; 0: no average"),
    NUMBER(sigma, 0, 0, 10, "standard deviation of the latent; 0: the model's train_sigma"),
    CHOICE(memory, memories, "taped: activations are kept; constant: they are rebuilt by inverting, flow by flow"),
    CHOICE(norm_statistics, norms,
           "what batch norm normalises by: batch: each batch's own statistics, which the running ones follow; running: "
           "the running ones, which stay"),
    CHOICE(precision, precisions,
           "of the products of training steps; bf16: operands are rounded to bfloat16, which takes AVX512-BF16 to be "
           "faster"),
    NUMBER(spectral_weight, 0, 0, 1e6, "of a spectral loss of samples beside the likelihood; 0: none"),
    WHOLE(spectral_every, 1, 1, NO_END, "steps from one that has it to the next"),
    NUMBER(spectral_mel_weight, 1, 0, 1e3, "in it, of the distance of the samples' mel from the data's"),
    NUMBER(spectral_repulsion, 1, 0, 1, "in it, how far samples are kept apart: 1 as data are, 0 not at all"),
    NUMBER(spectral_sigma, 0, 0, 10, "standard deviation of its samples' noise; 0: the model's sigma"),
    WHOLE(validate_every, 1000, 0, NO_END, "steps between validations; 0: none"),
    WHOLE(validate_batches, 8, 1, 65536, "batches of held-out segments that a validation takes"),
    WHOLE(sample_every, 5000, 0, NO_END, "steps between samples to listen to, also made at the end; 0: none"),
    WHOLE(samples, 4, 1, 64, "held-out recordings that are made again from their mels each time"),
    NUMBER(sample_seconds, 4, 0.1, 60, "of each of them, at most"),
    WHOLE(checkpoint_every, 1000, 1, NO_END, "steps between checkpoints"),
    WHOLE(keep, 3, 0, 65536, "files checkpoint-STEP that are kept, besides last and best"),
    WHOLE(log_every, 10, 1, NO_END, "steps that a line of log.jsonl averages"),
    WHOLE(most_skipped, 20, 1, NO_END,
          "steps in a row that are skipped for numbers that are not finite, before the run stops"),
    WHOLE(seed, 1, 0, NO_END, "of the fresh weights and of all that is drawn in training"),
    WHOLE(threads, 0, 0, 1024, "threads to use; 0: all processors"),
};
enum { OWN_COUNT = sizeof own_keys / sizeof *own_keys, MOST_KEYS = 128 };

/* Both tables as one, whose offsets are those of a train_config. */
typedef struct key_table {
    config_key keys[MOST_KEYS];
    size_t count;
} key_table;

static void add_keys(key_table *table, const config_key *keys, size_t count, size_t offset) {
    for (size_t i = 0; i < count && table->count < MOST_KEYS; i++) {
        table->keys[table->count] = keys[i];
        table->keys[table->count++].offset += offset;
    }
}

static key_table all_keys(void) {
    key_table table = {.count = 0};
    add_keys(&table, own_keys, OWN_COUNT, offsetof(train_config, settings));
    add_keys(&table, dataset_keys, dataset_key_count, offsetof(train_config, data));
    return table;
}

void train_keys_help(FILE *to) {
    fputs("\nkeys of the object \"train\" in CONFIG.json, and of --set:\n", to);
    config_help(own_keys, OWN_COUNT, to);
    fputs("\nand of the data, in the same object:\n", to);
    config_help(dataset_keys, dataset_key_count, to);
}

enum { MOST_DEPTH = 8 };

/* A name of dotted text: its length up to the next dot or the end. */
static size_t name_length(const char *path) {
    return strcspn(path, ".");
}

static bool is_train_key(const char *name, size_t length) {
    key_table table = all_keys();
    for (size_t i = 0; i < table.count; i++)
        if (strlen(table.keys[i].name) == length && memcmp(table.keys[i].name, name, length) == 0) return true;
    return false;
}

/* The value of an assignment: JSON, or else the text as it stands. */
static json_t *value_of(const char *text) {
    json_t *value;
    if (json_parse(text, strlen(text), NULL, "", &value, NULL) == VOCODE_OK) return value;
    return json_string(text);
}

/* Sets object.a.b.c; objects on the way are made where they are absent. */
static vocode_status set_path(json_t *object, const char *path, size_t length, json_t *value, const char *assignment,
                              vocode_error *error) {
    for (size_t depth = 0; depth < MOST_DEPTH; depth++) {
        char name[CONFIG_TEXT_SIZE];
        size_t part = name_length(path) < length ? name_length(path) : length;
        if (part == 0 || part >= sizeof name) break;
        snprintf(name, sizeof name, "%.*s", (int)part, path);
        if (part == length) {
            if (json_object_set(object, name, value) != 0) break;
            return VOCODE_OK;
        }
        json_t *inner = json_object_get(object, name);
        if (!inner) json_object_set_new(object, name, inner = json_object());
        if (!json_is_object(inner))
            return failed(error, VOCODE_VALUE, "--set %.200s: \"%s\" is not an object of the configuration", assignment,
                          name);
        object = inner;
        path += part + 1;
        length -= part + 1;
    }
    return failed(error, VOCODE_VALUE, "--set %.200s: expected KEY=VALUE", assignment);
}

static vocode_status apply(json_t *root, json_t *train, const char *assignment, vocode_error *error) {
    size_t length = strcspn(assignment, "=");
    if (length == 0 || assignment[length] != '=')
        return failed(error, VOCODE_VALUE, "--set %.200s: expected KEY=VALUE", assignment);
    json_t *value = value_of(assignment + length + 1);
    if (!value) return failed(error, VOCODE_VALUE, "--set %.200s: its value is not UTF-8 text", assignment);
    size_t first = name_length(assignment);
    if (first > length) first = length;
    char name[CONFIG_TEXT_SIZE];
    snprintf(name, sizeof name, "%.*s", (int)first, assignment);
    bool of_train = is_train_key(assignment, first) || (first == length && !json_object_get(root, name));
    vocode_status status = set_path(of_train ? train : root, assignment, length, value, assignment, error);
    json_decref(value);
    return status;
}

/* The last assignment that gave a key of this name its value, so that the file's line is not to blame; or NULL. */
static const char *assigned(const char *key, const char *const *sets, size_t set_count) {
    size_t length = strlen(key);
    for (size_t i = set_count; i-- > 0;) {
        const char *name = sets[i];
        for (size_t part = strcspn(name, ".="); name[part] == '.'; part = strcspn(name, ".=")) {
            if (part == length && strncmp(name, key, length) == 0) return sets[i];
            name += part + 1;
        }
        if (strncmp(name, key, length) == 0 && name[length] == '=') return sets[i];
    }
    return NULL;
}

/* Reads "train" key by key first, so that a fault can be said with its line. */
static vocode_status check_keys(const train_config *config, const json_t *train, const char *const *sets,
                                size_t set_count, vocode_error *error) {
    const char *key;
    json_t *value;
    key_table table = all_keys();
    json_object_foreach((json_t *)train, key, value) {
        train_config ignored;
        char where[512];
        const char *set = assigned(key, sets, set_count);
        size_t line = json_line(config->text, config->size, (const char *const[]){"train", key}, 2);
        if (set)
            snprintf(where, sizeof where, "--set %.200s", set);
        else
            snprintf(where, sizeof where, "%.400s: line %zu: train", config->path, line);
        json_t *one = json_object();
        json_object_set(one, key, value);
        vocode_status status = config_read(one, table.keys, table.count, &ignored, where, error);
        json_decref(one);
        if (status != VOCODE_OK) return status;
    }
    return VOCODE_OK;
}

static vocode_status read_groups(train_config *config, const json_t *groups, vocode_error *error) {
    const char *prefix;
    json_t *factor;
    if (groups && !json_is_object(groups))
        return failed(error, VOCODE_VALUE, "%s: train: key \"groups\" must be an object of factors", config->path);
    json_object_foreach((json_t *)groups, prefix, factor) {
        if (config->group_count == TRAIN_MOST_GROUPS)
            return failed(error, VOCODE_VALUE, "%s: train: more than %d groups", config->path, TRAIN_MOST_GROUPS);
        if (!json_is_number(factor) || !(json_number_value(factor) >= 0) || strlen(prefix) >= CONFIG_TEXT_SIZE)
            return failed(error, VOCODE_VALUE, "%s: train: group \"%.100s\" must be a number, 0 or more", config->path,
                          prefix);
        train_group *group = &config->groups[config->group_count++];
        snprintf(group->prefix, sizeof group->prefix, "%s", prefix);
        group->factor = json_number_value(factor);
    }
    return VOCODE_OK;
}

/* The model's train_sigma and training's sigma are one number. */
static void join_sigma(train_config *config) {
    const json_t *own = json_object_get(config->root, "train_sigma");
    if (config->settings.sigma == 0) config->settings.sigma = json_is_number(own) ? json_number_value(own) : 1;
    json_object_set_new(config->root, "train_sigma", json_real(config->settings.sigma));
}

static vocode_status read_train(train_config *config, json_t *train, const char *const *sets, size_t set_count,
                                vocode_error *error) {
    for (size_t i = 0; i < set_count; i++) TRY(apply(config->root, train, sets[i], error));
    TRY(check_keys(config, train, sets, set_count, error));
    char where[512];
    snprintf(where, sizeof where, "%.400s: train", config->path);
    key_table table = all_keys();
    TRY(config_read(train, table.keys, table.count, config, where, error));
    TRY(read_groups(config, json_object_get(train, "groups"), error));
    join_sigma(config);
    json_t *echo = config_echo(table.keys, table.count, config);
    json_object_update_missing(echo, train);
    return json_object_set_new(config->root, "train", echo) == 0
               ? VOCODE_OK
               : failed(error, VOCODE_MEMORY, "%s: cannot allocate the configuration", config->path);
}

vocode_status train_config_read(const char *path, const char *const *sets, size_t set_count, train_config *out,
                                vocode_error *error) {
    unsigned char *bytes;
    *out = (train_config){.path = strdup(path)};
    if (!out->path) return failed(error, VOCODE_MEMORY, "%s: cannot allocate the configuration", path);
    TRY(bytes_read(path, json_config_limits.bytes, &bytes, &out->size, error));
    out->text = (char *)bytes;
    TRY(json_parse(out->text, out->size, NULL, path, &out->root, error));
    if (!json_is_object(out->root))
        return failed(error, VOCODE_VALUE, "%s: expected an object in braces as the configuration", path);
    json_t *train = json_object_get(out->root, "train");
    if (train && !json_is_object(train))
        return failed(error, VOCODE_VALUE, "%s: line %zu: key \"train\" must be an object in braces", path,
                      json_line(out->text, out->size, (const char *const[]){"train"}, 1));
    train = train ? json_incref(train) : json_object();
    vocode_status status = read_train(out, train, sets, set_count, error);
    json_decref(train);
    return status;
}

/* The line of a key anywhere in the two upper levels of the file. */
static size_t line_of(const train_config *config, const char *key) {
    const char *kind = json_string_value(json_object_get(config->root, "kind")), *inner;
    json_t *value;
    size_t line = json_line(config->text, config->size, &key, 1);
    if (!line) line = json_line(config->text, config->size, (const char *const[]){"train", key}, 2);
    if (line || !kind) return line;
    line = json_line(config->text, config->size, (const char *const[]){kind, key}, 2);
    json_object_foreach(json_object_get(config->root, kind), inner, value) {
        if (!line) line = json_line(config->text, config->size, (const char *const[]){kind, inner, key}, 3);
    }
    return line;
}

vocode_status train_config_blame(const train_config *config, const char *const *sets, size_t set_count,
                                 vocode_error *error) {
    static const char lead[] = "key \"";
    if (!error) return VOCODE_VALUE;
    const char *key = strstr(error->message, lead);
    if (!key) return error->code;
    char name[CONFIG_TEXT_SIZE], added[64];
    key += strlen(lead);
    snprintf(name, sizeof name, "%.*s", (int)strcspn(key, "\""), key);
    size_t line = line_of(config, name), used = strlen(error->message);
    const char *set = assigned(name, sets, set_count);
    if (set)
        snprintf(added, sizeof added, " (--set %.40s)", set);
    else if (line)
        snprintf(added, sizeof added, " (line %zu)", line);
    else
        return error->code;
    snprintf(error->message + used, sizeof error->message - used, "%s", added);
    return error->code;
}

void train_config_free(train_config *config) {
    json_decref(config->root);
    free(config->text);
    free(config->path);
    *config = (train_config){0};
}
