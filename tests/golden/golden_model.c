/* One model against every array of its folder. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dsp/mel_refine.h"
#include "golden.h"
#include "vocoder/blocks.h"

static const double tolerance = 1e-4, grad_tolerance = 1e-3, refine_tolerance = 1e-3;

real *to_rows(const npy_array *array, size_t batch, size_t channels, size_t time) {
    real *rows = calloc(array->count ? array->count : 1, sizeof *rows);
    for (size_t b = 0; b < batch; b++)
        for (size_t c = 0; c < channels; c++)
            for (size_t t = 0; t < time; t++)
                rows[(b * time + t) * channels + c] = (real)array->data[(b * channels + c) * time + t];
    return rows;
}

float *from_rows(const real *rows, size_t batch, size_t channels, size_t time) {
    float *out = calloc(batch * channels * time + 1, sizeof *out);
    for (size_t b = 0; b < batch; b++)
        for (size_t c = 0; c < channels; c++)
            for (size_t t = 0; t < time; t++)
                out[(b * channels + c) * time + t] = (float)rows[(b * time + t) * channels + c];
    return out;
}

static float *to_floats(const real *values, size_t count) {
    float *out = calloc(count + 1, sizeof *out);
    for (size_t i = 0; i < count; i++) out[i] = (float)values[i];
    return out;
}

static real *to_reals(const float *values, size_t count) {
    real *out = calloc(count + 1, sizeof *out);
    for (size_t i = 0; i < count; i++) out[i] = (real)values[i];
    return out;
}

typedef struct golden {
    const char *folder;
    const vocode_model *model;
    tally *score;
    size_t batch, frames;
    real *mel;         /* [batch, frames, n_mels] */
    size_t log_s_seen; /* couplings so far */
    float log_det[1024];
    size_t log_det_seen;
} golden;

static void see(void *context, const char *what, const char *where, const real *values, size_t count,
                flow_shape shape) {
    (void)where;
    golden *check = context;
    if (strcmp(what, "log_det") == 0 && check->log_det_seen < 1024) {
        check->log_det[check->log_det_seen++] = (float)(values[0] * (real)check->batch);
        return;
    }
    if (strcmp(what, "log_s") != 0) return;
    char name[64];
    snprintf(name, sizeof name, "log_s_%zu", check->log_s_seen++);
    npy_array wanted;
    if (!load_array(check->folder, name, &wanted, check->score)) return;
    if (wanted.count == count) {
        float *found = from_rows(values, shape.batch, shape.channels, shape.frames);
        compare(check->score, name, found, wanted.data, count, tolerance);
        free(found);
    } else {
        complain(check->score, name, "another shape");
    }
    npy_free(&wanted);
}

static void compare_array(golden *check, const char *name, const float *found, size_t count, double limit) {
    npy_array wanted;
    if (!load_array(check->folder, name, &wanted, check->score)) return;
    if (wanted.count == count)
        compare(check->score, name, found, wanted.data, count, limit);
    else
        complain(check->score, name, "another shape");
    npy_free(&wanted);
}

static block_shape shape_of(const golden *check, size_t block) {
    return (block_shape){check->batch, check->frames, block / check->model->group};
}

/* z, log_s_k and log_det from the audio (frame blocks: block_audio). */
static void check_forward(golden *check, const npy_array *audio) {
    const vocode_model *model = check->model;
    size_t block = audio->count / check->batch, count = block / model->group * model->group * check->batch;
    block_shape shape = shape_of(check, block);
    real *x = to_reals(audio->data, audio->count), *z = calloc(count + 1, sizeof *z);
    double *logdet = calloc(check->batch, sizeof *logdet);
    vocode_error error = {0};
    flow_observer observer = {see, check};
    if (blocks_forward(model, shape, 1, check->mel, x, z, logdet, &observer, &error) != VOCODE_OK) {
        complain(check->score, "forward", error.message);
    } else {
        float *found = from_rows(z, check->batch, model->latent_channels, shape.columns);
        compare_array(check, "z", found, count, tolerance);
        free(found);
        if (model->frame_blocks) {
            for (size_t b = 0; b < check->batch; b++) check->log_det[b] = (float)logdet[b];
            check->log_det_seen = check->batch;
        }
        compare_array(check, "log_det", check->log_det, check->log_det_seen, tolerance);
    }
    free(x);
    free(z);
    free(logdet);
}

/* grad/NAME.npy for every parameter. Gradients of weight norm do not apply to a checkpoint that has it folded. */
static void check_grads(golden *check, const real *grads, const char *mode) {
    char folder[4096];
    snprintf(folder, sizeof folder, "%s/grad", check->folder);
    char **names = list_names(folder);
    size_t skipped = 0;
    for (size_t i = 0; names[i]; i++) {
        if (!ends_with(names[i], ".npy")) continue;
        char name[256], label[300];
        npy_array wanted;
        snprintf(name, sizeof name, "%.*s", (int)strlen(names[i]) - 4, names[i]);
        snprintf(label, sizeof label, "grad%s %s", mode, name);
        const param *p = param_find(&check->model->params, name);
        bool normed = ends_with(name, ".weight_g") || ends_with(name, ".weight_v");
        if (!p && normed) {
            skipped++;
            continue;
        }
        if (!load_array(folder, name, &wanted, check->score)) continue;
        if (!p || wanted.count != p->count) {
            complain(check->score, label, p ? "another shape" : "no such parameter");
        } else {
            float *found = to_floats(grads + p->offset, p->count);
            compare(check->score, label, found, wanted.data, p->count, grad_tolerance);
            free(found);
        }
        npy_free(&wanted);
    }
    if (skipped) printf("  grad/: %zu gradients of weight norm do not apply: it is folded here\n", skipped);
    free_names(names);
}

static void check_gradient(golden *check, const npy_array *audio, const char *loss_name, double sigma) {
    const vocode_model *model = check->model;
    block_shape shape = shape_of(check, audio->count / check->batch);
    real *x = to_reals(audio->data, audio->count);
    static const char *const labels[] = {"", " rebuilt"};
    for (int memory = BLOCKS_TAPED; memory <= BLOCKS_REBUILT; memory++) {
        real *grads = calloc(model->params.total + 1, sizeof *grads);
        vocode_error error = {0};
        double loss;
        block_objective objective = {.sigma = sigma, .memory = (block_memory)memory};
        if (blocks_gradient(model, shape, 1, &objective, check->mel, x, &loss, grads, &error) != VOCODE_OK) {
            complain(check->score, loss_name, error.message);
        } else {
            float found = (float)loss;
            compare_array(check, loss_name, &found, 1, tolerance);
            check_grads(check, grads, labels[memory]);
        }
        free(grads);
    }
    free(x);
}

/* Every loss of the folder; gradients belong to the first. */
static void check_losses(golden *check, const npy_array *audio) {
    char **names = list_names(check->folder);
    for (size_t i = 0; names[i]; i++) {
        char name[256];
        double sigma = 1;
        if (!ends_with(names[i], ".npy")) continue;
        snprintf(name, sizeof name, "%.*s", (int)strlen(names[i]) - 4, names[i]);
        if (sscanf(name, "loss_sigma_%lf", &sigma) == 1 || strcmp(name, "loss") == 0 || strcmp(name, "nll") == 0)
            check_gradient(check, audio, name, sigma);
    }
    free_names(names);
}

/* Mel-consistency passes and refinement: infer_audio_mel_match_P and infer_audio_mel_match_P_refine_R. */
static void check_matched(golden *check, const float *audio, size_t samples) {
    mel_matcher *matcher = NULL;
    vocode_error error = {0};
    char **names = list_names(check->folder);
    for (size_t i = 0; names[i]; i++) {
        size_t passes = 0, iterations = 0;
        char name[256];
        snprintf(name, sizeof name, "%s", names[i]);
        int fields = sscanf(name, "infer_audio_mel_match_%zu_refine_%zu", &passes, &iterations);
        if (fields < 1 || !ends_with(name, ".npy")) continue;
        name[strlen(name) - 4] = 0;
        if (!check->model->has_mel || check->batch != 1) {
            complain(check->score, name, "the model has no mel convention, or the batch is not 1");
            continue;
        }
        real *matched = to_reals(audio, samples);
        vocode_status status = matcher ? VOCODE_OK : mel_matcher_new(&check->model->mel, &matcher, &error);
        if (status == VOCODE_OK) status = mel_match(matcher, matched, check->mel, check->frames, passes, &error);
        if (status == VOCODE_OK && fields == 2)
            status = mel_refine(matcher, matched, check->mel, check->frames, iterations, &error);
        float *found = to_floats(matched, samples);
        if (status == VOCODE_OK)
            compare_array(check, name, found, samples, fields == 2 ? refine_tolerance : tolerance);
        else
            complain(check->score, name, error.message);
        free(found);
        free(matched);
    }
    mel_matcher_free(matcher);
    free_names(names);
}

/* from -> audio: infer_z to infer_audio (and infer_block_audio), z to roundtrip_audio. */
static void check_inverse(golden *check, const char *from, const char *to) {
    const vocode_model *model = check->model;
    npy_array z;
    if (!load_array(check->folder, from, &z, check->score)) return;
    size_t columns = z.count / check->batch / model->latent_channels, block = columns * model->group;
    real *rows = to_rows(&z, check->batch, model->latent_channels, columns);
    real *x = calloc(check->batch * block + 1, sizeof *x);
    vocode_error error = {0};
    block_shape shape = {check->batch, check->frames, columns};
    if (blocks_inverse(model, shape, 1, check->mel, rows, x, &error) != VOCODE_OK) {
        complain(check->score, to, error.message);
    } else {
        float *audio = to_floats(x, check->batch * block);
        if (model->frame_blocks) {
            compare_array(check, "infer_block_audio", audio, check->batch * block, tolerance);
            for (size_t b = 0; b < check->batch; b++) { /* sample 0 is frame 0's centre */
                float *clip = audio + b * block;
                memmove(clip, clip + model->hop / 2, (block - model->hop / 2) * sizeof *clip);
                memset(clip + block - model->hop / 2, 0, model->hop / 2 * sizeof *clip);
            }
        }
        compare_array(check, to, audio, check->batch * block, tolerance);
        if (strcmp(to, "infer_audio") == 0) check_matched(check, audio, check->batch * block);
        free(audio);
    }
    free(rows);
    free(x);
    npy_free(&z);
}

void check_model(const char *folder, const vocode_model *model, tally *score) {
    golden check = {.folder = folder, .model = model, .score = score};
    npy_array mel, audio;
    if (!load_array(folder, "mel", &mel, score)) {
        complain(score, "mel", "there is no mel.npy");
        return;
    }
    check.batch = mel.rank == 3 ? mel.shape[0] : 1;
    check.frames = mel.rank ? mel.shape[mel.rank - 1] : 0;
    if (mel.rank < 2 || mel.shape[mel.rank - 2] != model->n_mels || check.frames == 0) {
        complain(score, "mel", "another number of bands than the model's");
        npy_free(&mel);
        return;
    }
    check.mel = to_rows(&mel, check.batch, model->n_mels, check.frames);
    if (load_array(folder, model->frame_blocks ? "block_audio" : "audio", &audio, score)) {
        check_forward(&check, &audio);
        check_losses(&check, &audio);
        npy_free(&audio);
    }
    check_inverse(&check, "infer_z", "infer_audio");
    if (!model->frame_blocks) check_inverse(&check, "z", "roundtrip_audio");
    free(check.mel);
    npy_free(&mel);
}
