/* Checkpoints in every layout of tests/data/make_checkpoints.py against the tensors that it says they hold; every file
 * that must be refused, with its sentence; and the published layouts of the shared goldens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <jansson.h>

#include "io/safetensors.h"
#include "vocoder/import.h"

#define CHECKPOINTS TEST_DATA "/checkpoints/"
#define PATH_SIZE 512

static const char *path_of(char path[PATH_SIZE], const char *name) {
    snprintf(path, PATH_SIZE, "%s%s", CHECKPOINTS, name);
    return path;
}

/* Nonzero where both hold the same names, shapes and values within tolerance; order does not matter. */
static int same_tensors(const tensor_set *found, const char *expected_name, float tolerance) {
    char path[PATH_SIZE];
    st_file *expected;
    vocode_error error = {0};
    if (st_open(path_of(path, expected_name), &expected, &error) != VOCODE_OK) {
        print_error("%s\n", error.message);
        return 0;
    }
    int same = st_count(expected) == found->count;
    for (size_t i = 0; same && i < found->count; i++) {
        const st_tensor *a = &found->tensors[i], *b = st_find(expected, a->name);
        same = b && a->type == DTYPE_F32 && a->rank == b->rank && a->count == b->count &&
               memcmp(a->shape, b->shape, (size_t)a->rank * sizeof *a->shape) == 0;
        for (size_t j = 0; same && j < a->count; j++) {
            float x = ((const float *)a->data)[j], y;
            memcpy(&y, (const char *)b->data + j * sizeof y, sizeof y);
            same = x - y <= tolerance && y - x <= tolerance;
        }
        if (!same) print_error("tensor %s differs\n", a->name);
    }
    st_close(expected);
    return same;
}

static const struct {
    const char *file, *expected;
    long long iteration;
} good[] = {
    {"zip_protocol0.pt", "waveglow", -1},
    {"zip_protocol1.pt", "waveglow", -1},
    {"zip_protocol2.pt", "waveglow", -1},
    {"zip_protocol3.pt", "waveglow", -1},
    {"zip_protocol4.pt", "waveglow", -1},
    {"zip_protocol5.pt", "waveglow", -1},
    {"legacy_protocol0.pt", "waveglow", -1},
    {"legacy_protocol1.pt", "waveglow", -1},
    {"legacy_protocol2.pt", "waveglow", -1},
    {"legacy_protocol3.pt", "waveglow", -1},
    {"legacy_protocol4.pt", "waveglow", -1},
    {"legacy_protocol5.pt", "waveglow", -1},
    {"module_legacy.pt", "waveglow", 1200},
    {"module_zip.pt", "waveglow", -1},
    {"data_parallel_module.pt", "waveglow", -1},
    {"data_parallel.pt", "waveglow", -1},
    {"lightning.pt", "waveglow", 77},
    {"average_first.pt", "waveglow", 3},
    {"generator.pt", "waveglow", -1},
    {"parametrized.pt", "waveglow", -1},
    {"float16.pt", "waveglow", -1},
    {"bfloat16.pt", "waveglow", -1},
    {"float64.pt", "waveglow", -1},
    {"float16_legacy.pt", "waveglow", -1},
    {"old_layers.pt", "waveglow", -1},
    {"old_layers_legacy.pt", "waveglow", -1},
    {"strange_values1.pt", "waveglow", -1},
    {"strange_values2.pt", "waveglow", -1},
    {"strange_values5.pt", "waveglow", -1},
    {"shared_storage.pt", "waveglow", -1},
    {"shared_storage_legacy.pt", "waveglow", -1},
    {"strided.pt", "waveglow", -1},
    {"cuda.pt", "waveglow", -1},
    {"cuda_legacy.pt", "waveglow", -1},
    {"deflated.pt", "waveglow", -1},
    {"zip64.pt", "waveglow", -1},
    {"renamed_folder.pt", "waveglow", -1},
    {"no_folder.pt", "waveglow", -1},
    {"big_endian.pt", "waveglow", -1},
    {"folded.pt", "waveglow_folded", -1},
    {"squeezewave_module.pt", "squeezewave", 5},
    {"squeezewave.pt", "squeezewave", -1},
    {"squeezewave_fused.pt", "squeezewave_fused", -1},
};

#define GOOD (sizeof good / sizeof *good)

static void every_layout_gives_the_same_tensors(void **state) {
    (void)state;
    for (size_t i = 0; i < GOOD; i++) {
        char path[PATH_SIZE], expected[PATH_SIZE];
        tensor_set set;
        import_summary summary;
        vocode_error error = {0};
        vocode_status status = checkpoint_load(path_of(path, good[i].file), NULL, &set, &summary, NULL, &error);
        if (status != VOCODE_OK) print_error("%s\n", error.message);
        assert_int_equal(status, VOCODE_OK);
        snprintf(expected, sizeof expected, "%s.safetensors", good[i].expected);
        if (!same_tensors(&set, expected, 0)) fail_msg("%s", good[i].file);
        assert_int_equal(summary.iteration, good[i].iteration);
        assert_int_equal(summary.tensors, set.count);
        tensor_set_free(&set);
    }
    assert_int_not_equal(access("vocode-was-here", F_OK), 0); /* what a pickled command would have left */
}

/* weight = 3 v and the gain of the original: folding gives the original back to float's precision. */
static void weight_norm_folds_where_models_have_none(void **state) {
    (void)state;
    char path[PATH_SIZE];
    tensor_set set;
    vocode_error error = {0};
    assert_int_equal(checkpoint_load(path_of(path, "normed_end.pt"), NULL, &set, NULL, NULL, &error), VOCODE_OK);
    assert_true(same_tensors(&set, "waveglow.safetensors", 1e-6f));
    tensor_set_free(&set);
}

static json_t *config_of(const char *file, const import_options *options) {
    char path[PATH_SIZE];
    tensor_set set;
    vocode_error error = {0};
    vocode_status status = checkpoint_load(path_of(path, file), options, &set, NULL, NULL, &error);
    if (status != VOCODE_OK) print_error("%s\n", error.message);
    assert_int_equal(status, VOCODE_OK);
    json_t *config = json_loads(set.config, 0, NULL);
    assert_non_null(config);
    tensor_set_free(&set);
    return config;
}

static long long number(const json_t *object, const char *outer, const char *inner, const char *key) {
    if (outer) object = json_object_get(object, outer);
    if (inner) object = json_object_get(object, inner);
    assert_true(json_is_integer(json_object_get(object, key)));
    return json_integer_value(json_object_get(object, key));
}

static void sizes_come_from_shapes(void **state) {
    (void)state;
    static const char *const files[] = {"zip_protocol2.pt", "module_legacy.pt", "data_parallel.pt", "old_layers.pt"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        json_t *config = config_of(files[i], NULL);
        assert_string_equal(json_string_value(json_object_get(config, "kind")), "waveglow");
        assert_int_equal(number(config, "waveglow", NULL, "n_mel_channels"), 2);
        assert_int_equal(number(config, "waveglow", NULL, "n_flows"), 2);
        assert_int_equal(number(config, "waveglow", NULL, "n_group"), 6);
        assert_int_equal(number(config, "waveglow", NULL, "n_early_every"), 1);
        assert_int_equal(number(config, "waveglow", NULL, "n_early_size"), 2);
        assert_int_equal(number(config, "waveglow", NULL, "upsample_kernel"), 16);
        assert_int_equal(number(config, "waveglow", NULL, "upsample_stride"), 4);
        assert_int_equal(number(config, "waveglow", "WN_config", "n_layers"), 2);
        assert_int_equal(number(config, "waveglow", "WN_config", "n_channels"), 4);
        assert_int_equal(number(config, "waveglow", "WN_config", "kernel_size"), 3);
        assert_int_equal(number(config, "mel", NULL, "n_mels"), 2);
        assert_int_equal(number(config, "mel", NULL, "hop"), 4);
        assert_int_equal(number(config, NULL, NULL, "sample_rate"), 22050);
        assert_true(json_is_null(json_object_get(json_object_get(config, "mel"), "preset")));
        json_decref(config);
    }
    json_t *config = config_of("squeezewave_fused.pt", &(import_options){.license = "CC0"});
    assert_int_equal(number(config, "squeezewave", NULL, "n_audio_channel"), 8);
    assert_true(json_is_false(json_object_get(json_object_get(config, "squeezewave"), "batch_norm")));
    assert_string_equal(json_string_value(json_object_get(config, "license")), "CC0");
    json_decref(config);
    config = config_of("squeezewave.pt", NULL);
    assert_true(json_is_true(json_object_get(json_object_get(config, "squeezewave"), "batch_norm")));
    json_decref(config);
    config = config_of("lightning.pt", NULL);
    assert_int_equal(number(config, NULL, NULL, "sample_rate"), 16000);
    assert_int_equal(number(config, "mel", NULL, "sr"), 16000);
    json_decref(config);
    config = config_of("module_legacy.pt", NULL);
    assert_string_equal(json_string_value(json_object_get(config, "training")),
                        "imported from module_legacy.pt, iteration 1200");
    json_decref(config);
}

static const struct {
    const char *file;
    vocode_status status;
    const char *says; /* part of the sentence */
} refused[] = {
    {"refused_hifigan.pt", VOCODE_UNSUPPORTED, "HiFi-GAN, a GAN vocoder"},
    {"refused_bigvgan.pt", VOCODE_UNSUPPORTED, "BigVGAN, a GAN vocoder"},
    {"refused_melgan.pt", VOCODE_UNSUPPORTED, "MelGAN, a GAN vocoder"},
    {"refused_vocos.pt", VOCODE_UNSUPPORTED, "Vocos, a GAN vocoder"},
    {"refused_parallel_wavegan.pt", VOCODE_UNSUPPORTED, "Parallel WaveGAN, a GAN vocoder"},
    {"refused_tacotron2.pt", VOCODE_UNSUPPORTED, "Tacotron 2, which makes mels"},
    {"refused_fastspeech2.pt", VOCODE_UNSUPPORTED, "FastSpeech 2"},
    {"refused_glow_tts.pt", VOCODE_UNSUPPORTED, "Glow-TTS"},
    {"refused_discriminator.pt", VOCODE_UNSUPPORTED, "the discriminator of a GAN vocoder"},
    {"refused_other_model.pt", VOCODE_UNSUPPORTED, "of its 2 tensors the first is model.layer1.weight"},
    {"refused_quantized.pt", VOCODE_UNSUPPORTED,
     "WN.0.end.weight is of the unsupported class torch._utils._rebuild_qtensor"},
    {"refused_sparse.pt", VOCODE_UNSUPPORTED, "unsupported class torch._utils._rebuild_sparse_tensor"},
    {"refused_numpy.pt", VOCODE_UNSUPPORTED, "unsupported class numpy.core.multiarray._reconstruct"},
    {"refused_wrapper.pt", VOCODE_UNSUPPORTED, "model is of the unsupported class glow.Wrapper"},
    {"refused_complex.pt", VOCODE_UNSUPPORTED, "WN.0.end.weight is of the unsupported type torch.ComplexFloatStorage"},
    {"refused_integers.pt", VOCODE_UNSUPPORTED, "WN.0.end.weight is of type I64"},
    {"refused_nan.pt", VOCODE_VALUE, "WN.0.end.weight holds NaN at element 0"},
    {"refused_missing.pt", VOCODE_FORMAT, "tensor WN.0.end.weight is missing"},
    {"refused_shape.pt", VOCODE_SHAPE, "WN.0.end.weight: expected the shape [6, 4, 1], found [5, 4, 1]"},
    {"refused_extra.pt", VOCODE_UNSUPPORTED, "WN.0.in_layers.0.extra has no place"},
    {"refused_gain.pt", VOCODE_SHAPE, "WN.0.start.weight_g: expected the shape [4, 1, 1], found [1, 3, 1]"},
    {"refused_config.pt", VOCODE_SHAPE, "its config says n_flows = 12, the tensors have 1"},
    {"refused_no_tensor.pt", VOCODE_UNSUPPORTED, "without any tensor"},
    {"refused_script.pt", VOCODE_UNSUPPORTED, "TorchScript"},
    {"refused_arrays.npz", VOCODE_UNSUPPORTED, ".npz"},
    {"refused_array.npy", VOCODE_UNSUPPORTED, "found a .npy file"},
    {"refused_archive.zip", VOCODE_UNSUPPORTED, "a zip archive without data.pkl"},
    {"refused_tar.pt", VOCODE_UNSUPPORTED, "a tar archive"},
    {"refused_pickle.pt", VOCODE_UNSUPPORTED, "without PyTorch's magic number"},
    {"waveglow.safetensors", VOCODE_UNSUPPORTED, "safetensors"},
    {"no_such_file.pt", VOCODE_IO, "no_such_file.pt"},
};

static void refusals_say_what_was_found(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char path[PATH_SIZE];
        tensor_set set;
        vocode_error error = {0};
        vocode_status status = checkpoint_load(path_of(path, refused[i].file), NULL, &set, NULL, NULL, &error);
        if (status != refused[i].status || !strstr(error.message, refused[i].says))
            fail_msg("%d %s", status, error.message);
        assert_non_null(strstr(error.message, refused[i].file));
        assert_int_equal(set.count, 0);
        assert_null(set.own);
    }
}

static void presets_must_fit(void **state) {
    (void)state;
    char path[PATH_SIZE];
    tensor_set set;
    vocode_error error = {0};
    path_of(path, "zip_protocol2.pt");
    assert_int_equal(checkpoint_load(path, &(import_options){.mel_preset = "hifigan"}, &set, NULL, NULL, &error),
                     VOCODE_CONVENTION);
    assert_non_null(strstr(error.message, "takes 2 mel bands, the preset hifigan has 80"));
    assert_int_not_equal(checkpoint_load(path, &(import_options){.mel_preset = "nothing"}, &set, NULL, NULL, &error),
                         VOCODE_OK);
    assert_int_equal(checkpoint_load(path, &(import_options){.license = "\xff"}, &set, NULL, NULL, &error),
                     VOCODE_ARGUMENT);
}

typedef struct heard {
    int count;
    char last[1024];
} heard;

static void hear(void *context, const char *sentence) {
    heard *h = context;
    h->count++;
    snprintf(h->last, sizeof h->last, "%s", sentence);
}

static void a_second_model_is_mentioned(void **state) {
    (void)state;
    char path[PATH_SIZE];
    heard h = {0};
    tensor_set set;
    assert_int_equal(
        checkpoint_load(path_of(path, "average_first.pt"), NULL, &set, NULL, &(warning_sink){hear, &h}, NULL),
        VOCODE_OK);
    assert_int_equal(h.count, 1);
    assert_non_null(strstr(h.last, "2 models, took the one whose tensors begin with \"model_state_dict.\""));
    tensor_set_free(&set);
}

static void import_writes_a_whole_model_file_or_none(void **state) {
    (void)state;
    char folder[] = "/tmp/vocode-import-XXXXXX", path[PATH_SIZE], out[PATH_SIZE];
    assert_non_null(mkdtemp(folder));
    snprintf(out, sizeof out, "%s/model.safetensors", folder);
    import_summary summary;
    vocode_error error = {0};
    assert_int_not_equal(checkpoint_import(path_of(path, "refused_nan.pt"), out, NULL, &summary, NULL, &error),
                         VOCODE_OK);
    assert_int_not_equal(access(out, F_OK), 0);
    assert_int_equal(checkpoint_import(path_of(path, "float16.pt"), out, NULL, &summary, NULL, &error), VOCODE_OK);
    assert_string_equal(summary.kind, "waveglow");
    st_file *file;
    assert_int_equal(st_open(out, &file, &error), VOCODE_OK);
    assert_int_equal(st_count(file), summary.tensors);
    assert_string_equal(st_metadata(file, "format"), "vocode");
    assert_string_equal(st_metadata(file, "version"), "1");
    assert_non_null(strstr(st_metadata(file, "config"), "\"n_flows\""));
    tensor_set set = {0};
    st_tensor *copies = calloc(st_count(file), sizeof *copies);
    for (size_t i = 0; i < st_count(file); i++) copies[i] = *st_at(file, i);
    set.tensors = copies;
    set.count = st_count(file);
    assert_true(same_tensors(&set, "waveglow.safetensors", 0));
    free(copies);
    st_close(file);
    unlink(out);
    rmdir(folder);
}

/* The goldens hold the same weights as a module, as a state dict and, folded, without weight norm. */
static void published_layouts_agree(void **state) {
    (void)state;
    static const char *const folders[] = {"waveglow_tiny", "waveglow_group16", "squeezewave_128"};
    if (access(SHARED_DATA "/golden", F_OK) != 0) skip();
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char path[PATH_SIZE];
        tensor_set module, dict;
        vocode_error error = {0};
        snprintf(path, sizeof path, "%s/golden/%s/checkpoint_module_legacy.pt", SHARED_DATA, folders[i]);
        if (checkpoint_load(path, NULL, &module, NULL, NULL, &error) != VOCODE_OK) fail_msg("%s", error.message);
        snprintf(path, sizeof path, "%s/golden/%s/checkpoint_state_dict.pt", SHARED_DATA, folders[i]);
        if (checkpoint_load(path, NULL, &dict, NULL, NULL, &error) != VOCODE_OK) fail_msg("%s", error.message);
        assert_int_equal(module.count, dict.count);
        for (size_t j = 0; j < dict.count; j++) {
            const st_tensor *a = &dict.tensors[j], *b = tensor_set_find(&module, a->name);
            assert_non_null(b);
            assert_int_equal(a->count, b->count);
            assert_memory_equal(a->data, b->data, a->count * sizeof(float));
        }
        tensor_set_free(&module);
        tensor_set_free(&dict);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_layout_gives_the_same_tensors),
        cmocka_unit_test(weight_norm_folds_where_models_have_none),
        cmocka_unit_test(sizes_come_from_shapes),
        cmocka_unit_test(refusals_say_what_was_found),
        cmocka_unit_test(presets_must_fit),
        cmocka_unit_test(a_second_model_is_mentioned),
        cmocka_unit_test(import_writes_a_whole_model_file_or_none),

        cmocka_unit_test(published_layouts_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
