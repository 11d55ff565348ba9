/* Models: mel spectrogram to audio, audio to latent and back, exact likelihoods.
 *
 * Units: audio is mono float, full scale 1.0, at the model's sample rate. Mels are time-major [frames, n_mels] in the
 * model's convention unless an option names another. Latents are [latent_channels, columns], channels first, as the
 * .npy files of the program hold them. A model is immutable once open: any number of threads may use it at once.
 *
 * Ownership: arrays are the caller's before and after a call and are not kept; results go to arrays that the caller
 * allocates, of the shapes that are stated. Contents of a result are undefined after a failure.
 *
 * Structures that the library fills (vocode_model_info, vocode_likelihood, vocode_error) keep their layout within a
 * SOVERSION; the one that it reads, vocode_synthesis, grows at its end. */
#ifndef VOCODE_MODEL_H
#define VOCODE_MODEL_H

#include <stddef.h>
#include <stdint.h>

#include <vocode/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vocode_model vocode_model;

/* Opens a model file (safetensors with its configuration inside; docs/MODELS.md). The file is mapped and must not be
 * changed while the model is open. Free it with vocode_model_free. VOCODE_IO where it cannot be read, VOCODE_FORMAT
 * where it is malformed or truncated, VOCODE_UNSUPPORTED for a kind of model that this library does not have,
 * VOCODE_SHAPE and VOCODE_VALUE for tensors and configurations that do not fit, VOCODE_MEMORY; *model is NULL then. */
VOCODE_API vocode_status vocode_model_open(const char *path, vocode_model **model, vocode_error *error);

/* NULL is fine. The model's streams are freed before it, and no call on it may be under way. */
VOCODE_API void vocode_model_free(vocode_model *model);

/* What a model is. Strings are borrowed and live as long as the model. */
typedef struct vocode_model_info {
    const char *kind;         /* "waveglow", "squeezewave", "frameflow", "frameflow-cnf" */
    const char *config;       /* the whole configuration, JSON text */
    size_t parameters;        /* trained numbers */
    unsigned sample_rate;     /* Hz */
    size_t hop;               /* samples a mel frame */
    size_t n_mels;            /* bands */
    size_t latent_channels;   /* rows of a latent */
    double columns_per_frame; /* latent columns a mel frame */
    double sigma;             /* standard deviation of the noise that synthesis uses by default */
    double train_sigma;       /* of the Gaussian that training assumed, and score by default */
    unsigned mel_match;       /* default number of mel-consistency passes */
    unsigned refine;          /* default number of phase-refinement iterations */
    size_t look_ahead;        /* mel frames after a frame that its audio depends on, passes and refinement left out */
} vocode_model_info;
VOCODE_API void vocode_model_describe(const vocode_model *model, vocode_model_info *info);

/* Called between the parts of a long run, in the thread that asked for it, with how much of this call is done, 0 to 1.
 * Nonzero cancels: the run returns VOCODE_CANCELLED. */
typedef int (*vocode_progress)(void *context, double done);

/* Warnings, one sentence each, without a final newline: suspicious input and the like. sentence lives as long as the
 * call; it comes in the thread that asked for the run. Of vocode_synthesize alone: a stream does not see enough. */
typedef void (*vocode_warning)(void *context, const char *sentence);

/* Synthesis options. Zero-initialise; a zero field means the default. Later versions of the library add fields at the
 * end alone. size tells them which fields the caller was compiled with: 0 means those of the first version, up to
 * context; sizeof(vocode_synthesis) is needed to set fields that were added since. An older library refuses a
 * field that it does not have where that is not zero (VOCODE_UNSUPPORTED), and ignores it otherwise. */
typedef struct vocode_synthesis {
    size_t size;              /* 0, or sizeof(vocode_synthesis) as compiled */
    double sigma;             /* 0: the model's own. The noise's standard deviation */
    int silent_latent;        /* nonzero: sigma is zero (z = 0) */
    uint64_t seed;            /* noise is a function of (seed, channel, column) */
    const float *noise;       /* NULL, or the latent to use as it is: [latent_channels, noise_columns] */
    size_t noise_columns;     /* must be what the mel's length asks for (vocode_latent_columns) */
    int mel_match;            /* passes in all; 0: the model's own, negative: none */
    int refine;               /* iterations; 0: the model's own if the passes are, or none; negative: none */
    double denoise;           /* strength of the bias removal; 0: none */
    double gain_db;           /* applied last */
    const char *mel_preset;   /* NULL, or the convention that the mel is in; converted where that is exact */
    int threads;              /* 0: all that OpenMP offers */
    vocode_progress progress; /* may be NULL */
    vocode_warning warning;   /* may be NULL */
    void *context;            /* for both */
    int steps;                /* of a continuous flow's solver; 0: the model's own. Needs size */
} vocode_synthesis;

/* mel [frames, n_mels] -> audio [frames * hop], sample 0 at the centre of frame 0 (of its first hop for conventions
 * that do not centre). options NULL means all defaults. VOCODE_SHAPE for zero frames, another number of bands than the
 * model's or a noise of another length, VOCODE_VALUE on NaN or infinity (the sentence says where) and for a preset that
 * there is none of, VOCODE_CONVENTION where the mel's convention cannot be converted exactly, VOCODE_ARGUMENT for
 * options out of range, VOCODE_UNSUPPORTED for passes of a model that does not state its convention and for steps of
 * one without a continuous flow, VOCODE_CANCELLED, VOCODE_MEMORY. */
VOCODE_API vocode_status vocode_synthesize(const vocode_model *model, const float *mel, size_t frames, size_t n_mels,
                                           const vocode_synthesis *options, float *audio, vocode_error *error);

/* Columns of the latent that synthesis of that many frames uses. */
VOCODE_API size_t vocode_latent_columns(const vocode_model *model, size_t frames);

/* Samples and latent columns that vocode_encode makes of that much audio and mel:
 * samples = min(samples / hop, frames) * hop. */
VOCODE_API void vocode_encode_size(const vocode_model *model, size_t samples, size_t frames, size_t *used_samples,
                                   size_t *columns);

/* Samples that vocode_decode makes of a latent of that many columns. */
VOCODE_API size_t vocode_decode_size(const vocode_model *model, size_t columns);

/* audio [samples], mel [frames, n_mels] of the model's bands and convention -> latent [latent_channels, columns], the
 * columns of vocode_encode_size; log_determinant (may be NULL) is that of audio to latent, in nats. threads 0: all.
 * VOCODE_SHAPE for less than one hop or frame, VOCODE_VALUE on NaN or infinity, VOCODE_MEMORY. */
VOCODE_API vocode_status vocode_encode(const vocode_model *model, const float *audio, size_t samples, const float *mel,
                                       size_t frames, int threads, float *latent, double *log_determinant,
                                       vocode_error *error);

/* The inverse of encode: latent [latent_channels, columns], the same mel -> audio [vocode_decode_size(columns)]. Errors
 * as for encode; VOCODE_SHAPE also where the mel is too short for the latent. */
VOCODE_API vocode_status vocode_decode(const vocode_model *model, const float *latent, size_t columns, const float *mel,
                                       size_t frames, int threads, float *audio, vocode_error *error);

typedef struct vocode_likelihood {
    double nll_nats;        /* negative log-likelihood a number of the latent, the Gaussian's constant included: exact,
                               but estimated for kinds with a continuous flow (docs/FLOWS.md, field) */
    double nll_bits;        /* the same, in bits */
    double sigma;           /* of the Gaussian that it is stated under */
    double log_determinant; /* of the whole clip, nats */
    size_t numbers;         /* that the averages are over */
} vocode_likelihood;

/* The likelihood of audio [samples] given mel [frames, n_mels], of the part that vocode_encode uses. sigma 0: the
 * model's train_sigma. Errors as for encode; VOCODE_ARGUMENT for a sigma that is negative or not finite. */
VOCODE_API vocode_status vocode_score(const vocode_model *model, const float *audio, size_t samples, const float *mel,
                                      size_t frames, double sigma, int threads, vocode_likelihood *likelihood,
                                      vocode_error *error);

/* Removes the tones that the model makes of a zero latent (WaveGlow's bias at multiples of rate / n_group) from audio,
 * in place. strength 0.1 is mild, 1 is the whole of it. threads 0: all. VOCODE_ARGUMENT for a strength that is negative
 * or not finite; audio is unchanged after an error. */
VOCODE_API vocode_status vocode_denoise(const vocode_model *model, float *audio, size_t samples, double strength,
                                        int threads, vocode_error *error);

#ifdef __cplusplus
}
#endif
#endif
