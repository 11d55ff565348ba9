#include "train/tiny_run.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/rng.h"

const char *const tiny_run_models[] = {
    "\"kind\": \"frameflow\", \"frameflow\": {\"n_mels\": 3, \"hop\": 8, \"n_flows\": 2, \"dim\": 6, \"n_blocks\": 1, "
    "\"white_dim\": 4, \"white_blocks\": 1, \"expansion\": 2, \"kernel\": 3, \"white_offset\": 0.5}",
    "\"kind\": \"waveglow\", \"waveglow\": {\"n_mel_channels\": 3, \"n_flows\": 4, \"n_group\": 8, \"n_early_every\": "
    "2, "
    "\"n_early_size\": 2, \"upsample_kernel\": 32, \"upsample_stride\": 8, \"WN_config\": {\"n_layers\": 2, "
    "\"n_channels\": 4, \"kernel_size\": 3}}",
    "\"kind\": \"squeezewave\", \"squeezewave\": {\"n_mel_channels\": 3, \"n_flows\": 3, \"n_audio_channel\": 8, "
    "\"n_early_every\": 2, \"n_early_size\": 2, \"WN_config\": {\"n_layers\": 2, \"n_channels\": 4, \"kernel_size\": "
    "3}}, "
    "\"mel\": {\"n_mels\": 3, \"hop\": 16, \"n_fft\": 64}",
    NULL,
};

static void give_up(const char *sentence) {
    fprintf(stderr, "tiny run: %s\n", sentence);
    abort();
}

char tiny_run_folder[512];

int tiny_run_open(void **state) {
    const char *base = getenv("TMPDIR");
    (void)state;
    snprintf(tiny_run_folder, sizeof tiny_run_folder, "%s/vocode-train-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(tiny_run_folder)) give_up("no temporary folder");
    return 0;
}

static void remove_folder(const char *path) {
    char name[1024];
    DIR *open = opendir(path);
    for (const struct dirent *entry; open && (entry = readdir(open));) {
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && unlink(name) != 0)
            remove_folder(name);
    }
    if (open) closedir(open);
    rmdir(path);
}

int tiny_run_close(void **state) {
    (void)state;
    remove_folder(tiny_run_folder);
    return 0;
}

void tiny_run_config(const char *folder, const char *model, const char *train, char path[512]) {
    snprintf(path, 512, "%.400s/config-in.json", folder);
    FILE *file = fopen(path, "w");
    if (!file) give_up("cannot write a configuration");
    fprintf(file, "{%s,\n \"train\": {\n  %s\n }\n}\n", model, train);
    if (fclose(file) != 0) give_up("cannot write a configuration");
}

trainer *tiny_run_trainer(const char *folder, const char *model, const char *train, train_config *config) {
    char path[512];
    vocode_model *made;
    trainer *training;
    vocode_error error = {0};
    tiny_run_config(folder, model, train, path);
    if (train_config_read(path, NULL, 0, config, &error) != VOCODE_OK) give_up(error.message);
    if (model_create(config->root, path, 3, &made, &error) != VOCODE_OK) give_up(error.message);
    for (size_t i = 0; i < made->params.count; i++) {
        param *p = made->params.items[i];
        for (size_t k = 0; p->kind == PARAM_TRAINED && k < p->count; k++)
            p->value[k] += (real)(0.2 * rng_normal(4, i, k));
    }
    if (model_prepare(made, &error) != VOCODE_OK) give_up(error.message);
    if (trainer_new(made, config, &training, &error) != VOCODE_OK) give_up(error.message);
    return training;
}

train_batch tiny_run_batch(const trainer *training, uint64_t index) {
    enum { MOST = 1 << 14 };
    static real mel[MOST], x[MOST];
    size_t mels = training->shape.batch * training->shape.frames * training->model->n_mels;
    size_t samples = training->shape.batch * training->shape.columns * training->model->group;
    if (mels > MOST || samples > MOST) give_up("the batch is no tiny one");
    rng_fill_normal(mel, mels, 1, index, 0, 1);
    rng_fill_normal(x, samples, 1, index + 1000, 0, 0.3);
    return (train_batch){mel, x};
}
