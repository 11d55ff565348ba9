/* The end of a stream: samples of the model's audio -> mel-consistency passes -> phase refinement -> passes again ->
 * bias removal -> delay, gain, and a queue that the caller pulls from. */
#ifndef VOCODER_OUTLET_H
#define VOCODER_OUTLET_H

#include "dsp/mel_refine.h"
#include "nn/rows.h"
#include "vocoder/model.h"

typedef struct outlet outlet;

typedef struct outlet_options {
    const vocode_model *model;
    size_t passes;  /* of mel consistency */
    size_t refine;  /* iterations after them */
    size_t closing; /* passes of mel consistency after a refinement */
    double denoise; /* strength */
    int threads;
    ptrdiff_t delay; /* samples; negative: advance */
    double gain;     /* factor */
} outlet_options;

vocode_status outlet_new(const outlet_options *options, outlet **out, vocode_error *error);
void outlet_free(outlet *self); /* NULL is fine */

/* The wanted mel, rows [frames, n_mels] in the model's convention; each before the audio of its frame. */
vocode_status outlet_mel(outlet *self, const real *rows, size_t frames, vocode_error *error);

/* Samples that come before sample 0 and fill a delay of at most so many; without them it is zeros. */
void outlet_head(outlet *self, const real *samples, size_t count);

/* n samples of the model's audio; last: they end, and what is missing to frames * hop samples is zero. */
vocode_status outlet_push(outlet *self, const real *samples, size_t n, bool last, vocode_error *error);

size_t outlet_available(const outlet *self);
size_t outlet_pull(outlet *self, float *samples, size_t most);

/* Samples after a sample that its output depends on. */
size_t outlet_look_ahead(const outlet *self);

#endif
