#include "train/material.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <ftw.h>
#include <math.h>
#include <sndfile.h>

#include "core/rng.h"
#include "io/json.h"

static char root[64];

int material_open(void **state) {
    (void)state;
    strcpy(root, "/tmp/vocode-train-XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *about, int kind, struct FTW *place) {
    (void)about, (void)kind, (void)place;
    return remove(path);
}

int material_close(void **state) {
    (void)state;
    return nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *material_path(const char *name) {
    static char paths[8][256];
    static size_t next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

void material_folder(const char *name) {
    assert_int_equal(mkdir(material_path(name), 0777), 0);
}

void material_bytes(const char *name, const void *bytes, size_t size) {
    FILE *file = fopen(material_path(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

void material_text(const char *name, const char *text) {
    material_bytes(name, text, strlen(text));
}

void material_cut(const char *name, size_t size) {
    assert_int_equal(truncate(material_path(name), (off_t)size), 0);
}

float *material_noise(size_t count, uint64_t seed, double rms) {
    float *samples = malloc(count * sizeof *samples);
    assert_non_null(samples);
    for (size_t i = 0; i < count; i++)
        samples[i] = (float)(round(rms * sqrt(12) * (rng_uniform(seed, 7, i) - 0.5) * 32768) / 32768);
    return samples;
}

void material_write(const char *name, const float *samples, size_t frames, unsigned channels, unsigned rate,
                    int format) {
    SF_INFO info = {.samplerate = (int)rate, .channels = (int)channels, .format = format};
    SNDFILE *file = sf_open(material_path(name), SFM_WRITE, &info);
    assert_non_null(file);
    assert_int_equal(sf_writef_float(file, samples, (sf_count_t)frames), frames);
    assert_int_equal(sf_close(file), 0);
}

void material_clip(const char *name, double seconds, uint64_t seed) {
    size_t count = (size_t)(seconds * MATERIAL_RATE);
    float *samples = material_noise(count, seed, 0.1);
    material_write(name, samples, count, 1, MATERIAL_RATE, SF_FORMAT_WAV | SF_FORMAT_PCM_16);
    free(samples);
}

vocode_model *material_model(const char *kind, const char *mel_changes) {
    static const char *const sizes[] = {
        "\"frameflow\": {\"n_mels\": 16, \"hop\": 64, \"n_flows\": 1, \"dim\": 8, \"n_blocks\": 1, \"white_dim\": 8, "
        "\"white_blocks\": 1, \"expansion\": 1, \"kernel\": 3}",
        "\"waveglow\": {\"n_mel_channels\": 16, \"n_flows\": 2, \"n_group\": 8, \"n_early_every\": 2, "
        "\"n_early_size\": 2, \"upsample_kernel\": 256, \"upsample_stride\": 64, \"WN_config\": {\"n_layers\": 1, "
        "\"n_channels\": 8, \"kernel_size\": 3}}"};
    char text[1024];
    vocode_error error;
    json_t *config;
    vocode_model *model = NULL;
    snprintf(text, sizeof text,
             "{\"kind\": \"%s\", %s, \"sample_rate\": 22050, \"mel\": {\"preset\": \"tacotron2\", \"n_fft\": 256, "
             "\"hop\": 64, \"n_mels\": 16%s}}",
             kind, sizes[strcmp(kind, "waveglow") == 0], mel_changes);
    assert_int_equal(json_parse(text, strlen(text), NULL, "config", &config, &error), VOCODE_OK);
    vocode_status status = model_create(config, "config", 1, &model, &error);
    if (status != VOCODE_OK) print_error("%s\n", error.message);
    assert_int_equal(status, VOCODE_OK);
    json_decref(config);
    return model;
}

static void collect(void *context, const char *sentence) {
    material_warnings *to = context;
    size_t used = strlen(to->text);
    snprintf(to->text + used, sizeof to->text - used, "%s\n", sentence);
    to->count++;
}

warning_sink material_sink(material_warnings *to) {
    *to = (material_warnings){0};
    return (warning_sink){collect, to};
}

size_t material_count(const material_warnings *from, const char *text) {
    size_t count = 0;
    for (const char *line = from->text; *line; line = strchr(line, '\n') + 1) {
        const char *found = strstr(line, text);
        count += found && found < strchr(line, '\n');
    }
    return count;
}
