#include "vocoder/import.h"

#include <stdio.h>
#include <string.h>

#include "io/torch_file.h"
#include "vocoder/import_plan.h"

/* Where training counts itself; looked for at the top of the checkpoint. */
static long long iteration_of(const tree *t) {
    static const char *const keys[] = {"iteration", "global_step", "step", "steps", "epoch"};
    int64_t value;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (pickle_integer(t->graph, tree_get(t->graph, pickle_root(t->graph), keys[i]), &value) && value >= 0)
            return value;
    return -1;
}

/* Everything after the prefix is known: sizes, tensors, config. */
static vocode_status import_model(tree *t, plan *p, const char *prefix, const import_options *options, tensor_set *out,
                                  import_summary *summary, vocode_error *error) {
    model_sizes sizes;
    TRY(plan_model(p, &sizes));
    TRY(plan_end(p));
    TRY(import_sizes(t, prefix, &sizes, error));
    TRY(plan_read(p, out));
    snprintf(summary->kind, sizeof summary->kind, "%s", sizes.squeezewave ? "squeezewave" : "waveglow");
    summary->iteration = iteration_of(t);
    summary->tensors = out->count;
    summary->ignored = p->ignored;
    summary->parameters = 0;
    for (size_t i = 0; i < out->count; i++) summary->parameters += out->tensors[i].count;
    TRY(import_config(t, &sizes, options, summary, &out->own->config, error));
    out->config = out->own->config;
    return VOCODE_OK;
}

static vocode_status import_tree(tree *t, const import_options *options, tensor_set *out, import_summary *summary,
                                 const warning_sink *warnings, vocode_error *error) {
    char prefix[TREE_NAME_SIZE];
    size_t models;
    TRY(tree_find_model(t, prefix, &models, error));
    if (models > 1)
        warn_caller(warnings, "%s: holds %zu models, took the one whose tensors begin with \"%s\"", torch_name(t->file),
                    models, prefix);
    plan p;
    vocode_status status = plan_begin(&p, t, prefix, warnings, error);
    if (status == VOCODE_OK) status = import_model(t, &p, prefix, options, out, summary, error);
    plan_free(&p);
    return status;
}

/* Imports an open file and closes it. */
static vocode_status import_file(torch_file *file, const import_options *options, tensor_set *out,
                                 import_summary *summary, const warning_sink *warnings, vocode_error *error) {
    import_summary unasked;
    vocode_error reason = {0};
    tree t;
    vocode_status status = tree_walk(file, &t, &reason);
    if (status == VOCODE_OK) status = import_tree(&t, options, out, summary ? summary : &unasked, warnings, &reason);
    tree_free(&t);
    if (status != VOCODE_OK) {
        failed(error, status, "%.400s: %.600s", torch_name(file), reason.message);
        tensor_set_free(out);
    }
    torch_close(file);
    return status;
}

vocode_status checkpoint_load(const char *path, const import_options *options, tensor_set *out, import_summary *summary,
                              const warning_sink *warnings, vocode_error *error) {
    *out = (tensor_set){0};
    torch_file *file;
    TRY(torch_open(path, &file, error));
    return import_file(file, options, out, summary, warnings, error);
}

vocode_status checkpoint_parse(const void *bytes, size_t size, const char *name, const import_options *options,
                               tensor_set *out, import_summary *summary, const warning_sink *warnings,
                               vocode_error *error) {
    *out = (tensor_set){0};
    torch_file *file;
    TRY(torch_parse(bytes, size, name, &file, error));
    return import_file(file, options, out, summary, warnings, error);
}

vocode_status checkpoint_import(const char *in, const char *out, const import_options *options, import_summary *summary,
                                const warning_sink *warnings, vocode_error *error) {
    tensor_set set;
    TRY(checkpoint_load(in, options, &set, summary, warnings, error));
    const st_entry metadata[] = {{"format", "vocode"}, {"version", "1"}, {"config", set.config}};
    vocode_status status = st_write(out, set.tensors, set.count, metadata, sizeof metadata / sizeof *metadata, error);
    tensor_set_free(&set);
    return status;
}
