/* Published checkpoints as models: what torch.save wrote of a WaveGlow (Prenger, Valle, Catanzaro 2018) or a
 * SqueezeWave (Zhai et al. 2020), in any of the layouts they were published in, becomes named tensors and a config. */
#ifndef VOCODER_IMPORT_H
#define VOCODER_IMPORT_H

#include <stddef.h>

#include "core/fail.h"
#include "io/safetensors.h"

#define IMPORT_KIND_SIZE 16

/* A model's tensors in memory, with the names, shapes and config of a model file:
 *   WaveGlow     upsample.{weight [m, m, kernel], bias [m]}, convinv.K.conv.weight [c, c, 1], WN.K.start, WN.K.end,
 *                WN.K.cond_layer, WN.K.in_layers.I, WN.K.res_skip_layers.I
 *   SqueezeWave  the same without upsample; WN.K.in_layers.I.0 batch norm {weight, bias, running_mean, running_var},
 *                .1 depthwise, .2 pointwise; with batch norm folded by its publisher .0 depthwise, .1 pointwise
 * A convolution has bias and either weight or, where weight norm is live, weight_g [rows, 1, 1] and weight_v. All are
 * F32: narrower floats exactly, double precision rounded. */
typedef struct tensor_set {
    const st_tensor *tensors; /* [count], in the order of the flows */
    size_t count;
    const char *config;        /* JSON text: kind, sizes, sample_rate, mel, sigma, mel_match, training, license */
    struct tensor_memory *own; /* all of the above lives here */
} tensor_set;

typedef struct import_options {
    const char *mel_preset; /* NULL: tacotron2's values, with what the checkpoint says about its mels */
    const char *license;    /* NULL: "not stated" */
} import_options;

typedef struct import_summary {
    char kind[IMPORT_KIND_SIZE]; /* "waveglow" or "squeezewave" */
    size_t tensors, parameters;  /* parameters: numbers in all tensors */
    size_t ignored;              /* tensors of the checkpoint that no part of the model uses, optimizer state aside */
    long long iteration;         /* of training, -1 where the checkpoint does not say */
} import_summary;

/* Reads the checkpoint at path ("-" is standard input). options, summary, warnings and error may be NULL. VOCODE_IO for
 * an unreadable file, VOCODE_FORMAT for a damaged one, VOCODE_UNSUPPORTED for another kind of file or model or a class
 * that is not understood, VOCODE_SHAPE where sizes contradict each other, VOCODE_VALUE for NaN and infinity; each
 * sentence begins with the file's name. On failure *out is empty. Free with tensor_set_free. */
vocode_status checkpoint_load(const char *path, const import_options *options, tensor_set *out, import_summary *summary,
                              const warning_sink *warnings, vocode_error *error);

/* The same from bytes, which are not needed afterwards; name is what messages call them. */
vocode_status checkpoint_parse(const void *bytes, size_t size, const char *name, const import_options *options,
                               tensor_set *out, import_summary *summary, const warning_sink *warnings,
                               vocode_error *error);

const st_tensor *tensor_set_find(const tensor_set *set, const char *name); /* NULL when absent */

void tensor_set_free(tensor_set *set); /* empties it; an empty one is fine */

/* Reads the checkpoint at in and writes the model file out, whole or not at all. */
vocode_status checkpoint_import(const char *in, const char *out, const import_options *options, import_summary *summary,
                                const warning_sink *warnings, vocode_error *error);

#endif
