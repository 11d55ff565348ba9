#include "vocoder/bias.h"

#include "core/arena.h"
#include "dsp/denoise.h"
#include "vocoder/blocks.h"

enum { BIAS_FRAMES = 88 }; /* of silence, long enough for every receptive field of the published models */

void bias_sizes(const vocode_model *model, size_t *n_fft, size_t *hop) {
    *n_fft = model->has_mel ? model->mel.n_fft : DENOISE_N_FFT;
    *hop = model->has_mel ? model->mel.hop : DENOISE_HOP;
}

/* The arrays of one synthesis of silence. */
typedef struct silence {
    block_shape shape;
    real *mel, *z, *block;
    void *memory;
} silence;

static vocode_status silence_new(const vocode_model *model, silence *out, vocode_error *error) {
    size_t columns = BIAS_FRAMES * model->hop / model->group, samples = columns * model->group;
    arena layout = arena_over(NULL, 0);
    for (int pass = 0; pass < 2; pass++) {
        *out = (silence){.shape = {1, BIAS_FRAMES, columns}, .memory = layout.base};
        out->mel = arena_reals(&layout, BIAS_FRAMES * model->n_mels);
        out->z = arena_reals(&layout, samples);
        out->block = arena_reals(&layout, samples);
        if (pass) break;
        void *memory = aligned_new(layout.peak, 1);
        if (!memory) return failed(error, VOCODE_MEMORY, "cannot allocate the model's bias");
        layout = arena_over(memory, layout.peak);
    }
    for (size_t i = 0; model->frame_blocks && model->has_mel && i < BIAS_FRAMES * model->n_mels; i++)
        out->mel[i] = (real)mel_value_of(&model->mel, model->mel.floor);
    return VOCODE_OK;
}

vocode_status bias_spectrum(const vocode_model *model, int threads, double *bias, vocode_error *error) {
    silence quiet;
    size_t n_fft, hop;
    TRY(silence_new(model, &quiet, error));
    bias_sizes(model, &n_fft, &hop);
    vocode_status status = blocks_inverse(model, quiet.shape, threads, quiet.mel, quiet.z, quiet.block, error);
    if (status == VOCODE_OK) {
        size_t start = model->frame_blocks ? model->hop / 2 : 0;
        status = denoise_bias(quiet.block + start, quiet.shape.columns * model->group - start, n_fft, hop, bias, error);
    }
    aligned_free(quiet.memory);
    return status;
}
