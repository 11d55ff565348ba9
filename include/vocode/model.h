/* Models: mel spectrogram to audio, audio to latent and back, exact likelihoods.
 *
 * Units: audio is mono float, full scale 1.0, at the model's sample rate. Mels are time-major [frames, n_mels] in the
 * model's convention unless an option names another. Latents are [latent_channels, columns], channels first, as the
 * .npy files of the program hold them. A model is immutable once open: any number of threads may use it at once. */
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
 * changed while the model is open. Free it with vocode_model_free. */
VOCODE_API vocode_status vocode_model_open(const char *path, vocode_model **model, vocode_error *error);
VOCODE_API void vocode_model_free(vocode_model *model); /* NULL is fine */

/* What a model is. Strings are borrowed and live as long as the model. */
typedef struct vocode_model_info {
    const char *kind;         /* "waveglow", "squeezewave", "frameflow" */
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

/* Called between the parts of a long run with how much of it is done, 0 to 1. Nonzero cancels: the run returns
 * VOCODE_CANCELLED. */
typedef int (*vocode_progress)(void *context, double done);

/* Warnings, one sentence each: suspicious input and the like. */
typedef void (*vocode_warning)(void *context, const char *sentence);

/* Synthesis options. Zero-initialise; a zero field means the default. */
typedef struct vocode_synthesis {
    double sigma;             /* 0: the model's own. The noise's standard deviation */
    int silent_latent;        /* nonzero: sigma is zero (z = 0) */
    uint64_t seed;            /* noise is a function of (seed, channel, column) */
    const float *noise;       /* NULL, or the latent to use as it is: [latent_channels, noise_columns] */
    size_t noise_columns;     /* must be what the mel's length asks for (vocode_latent_columns) */
    int mel_match;            /* passes; 0: the model's own, negative: none */
    int refine;               /* iterations; 0: the model's own, negative: none */
    double denoise;           /* strength of the bias removal; 0: none */
    double gain_db;           /* applied last */
    const char *mel_preset;   /* NULL, or the convention that the mel is in; converted where that is exact */
    int threads;              /* 0: all that OpenMP offers */
    vocode_progress progress; /* may be NULL */
    vocode_warning warning;   /* may be NULL */
    void *context;            /* for both */
} vocode_synthesis;

/* mel [frames, n_mels] -> audio [frames * hop], sample 0 at the centre of frame 0 (of its first hop for conventions
 * that do not centre). options NULL means all defaults. VOCODE_VALUE on NaN or infinity (the sentence says where),
 * VOCODE_CONVENTION where the mel's convention cannot be converted exactly. */
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

/* audio [samples], mel [frames, n_mels] -> latent [latent_channels, columns]; log_determinant (may be NULL) is that of
 * audio to latent, in nats. threads 0: all. */
VOCODE_API vocode_status vocode_encode(const vocode_model *model, const float *audio, size_t samples, const float *mel,
                                       size_t frames, int threads, float *latent, double *log_determinant,
                                       vocode_error *error);

/* The inverse of encode: latent [latent_channels, columns], the same mel -> audio [vocode_decode_size(columns)]. */
VOCODE_API vocode_status vocode_decode(const vocode_model *model, const float *latent, size_t columns, const float *mel,
                                       size_t frames, int threads, float *audio, vocode_error *error);

typedef struct vocode_likelihood {
    double nll_nats,
        nll_bits;           /* exact negative log-likelihood a number of the latent, the Gaussian's constant included */
    double sigma;           /* of the Gaussian that it is stated under */
    double log_determinant; /* of the whole clip, nats */
    size_t numbers;         /* that the averages are over */
} vocode_likelihood;

/* sigma 0: the model's train_sigma. */
VOCODE_API vocode_status vocode_score(const vocode_model *model, const float *audio, size_t samples, const float *mel,
                                      size_t frames, double sigma, int threads, vocode_likelihood *likelihood,
                                      vocode_error *error);

/* Removes the tones that the model makes of a zero latent (WaveGlow's bias at multiples of rate / n_group) from audio,
 * in place. strength 0.1 is mild, 1 is the whole of it. */
VOCODE_API vocode_status vocode_denoise(const vocode_model *model, float *audio, size_t samples, double strength,
                                        int threads, vocode_error *error);

#ifdef __cplusplus
}
#endif
#endif
