/* The audio around a segment is taken once: dithered, scaled, mirrored at the recording's ends as the convention pads a
 * whole file. The front end runs over it from a whole number of hops before frame 0, and the rows that saw its own
 * padding are left out. */
#include "train/segment.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/fail.h"
#include "core/rng.h"

size_t segment_room(const segment_form *form, const recording *from) {
    return from->samples > form->samples ? from->samples : form->samples;
}

size_t segment_starts(const segment_form *form, const recording *from) {
    if (!from->mel) return segment_room(form, from) - form->samples + 1;
    return from->mel_frames > form->frames ? from->mel_frames - form->frames + 1 : 1;
}

/* The stretch of a recording that a segment needs, as it will be heard. */
typedef struct stretch {
    size_t first, count, room; /* samples first..first+count-1 of a recording of room samples */
    float *samples;            /* [count] */
} stretch;

/* Four draws a counter: uniform on (-1/2, 1/2). */
static void add_dither(const segment_place *place, const stretch *part, double step) {
    const uint32_t key[2] = {(uint32_t)place->seed, (uint32_t)(place->seed >> 32)};
    uint32_t bits[4];
    size_t block = SIZE_MAX;
    for (size_t i = 0; i < part->count; i++) {
        size_t position = part->first + i;
        if (position / 4 != block) {
            block = position / 4;
            const uint32_t counter[4] = {(uint32_t)block, (uint32_t)((uint64_t)block >> 32), (uint32_t)place->number,
                                         (uint32_t)(place->number >> 32)};
            philox(counter, key, bits);
        }
        part->samples[i] += (float)(step * (((double)bits[position % 4] + 0.5) * 0x1p-32 - 0.5));
    }
}

static vocode_status stretch_read(const segment_form *form, const segment_place *place, stretch *part,
                                  vocode_error *error) {
    const recording *from = place->from;
    size_t margin = form->convention->n_fft + form->hop, end = place->start + form->samples + margin;
    part->room = segment_room(form, from);
    part->first = place->start > margin ? place->start - margin : 0;
    if (end > part->room) end = part->room;
    part->count = end - part->first;
    part->samples = calloc(part->count, sizeof *part->samples);
    if (!part->samples) return failed(error, VOCODE_MEMORY, "no memory for a segment of %zu samples", part->count);
    size_t heard = end < from->samples ? end : from->samples;
    if (heard > part->first)
        TRY(recording_read(from, (unsigned)form->convention->sample_rate, part->first, heard - part->first,
                           part->samples, error));
    if (place->dither) add_dither(place, part, from->step);
    for (size_t i = 0; i < part->count; i++) part->samples[i] *= (float)place->gain;
    return VOCODE_OK;
}

/* The sample at a position that may lie outside the recording, as the convention pads it. */
static float padded_sample(const segment_form *form, const stretch *part, ptrdiff_t position) {
    const ptrdiff_t room = (ptrdiff_t)part->room;
    if (position < 0 || position >= room) {
        if (form->convention->pad_mode == MEL_PAD_CONSTANT || room < 2) return 0;
        ptrdiff_t period = 2 * (room - 1), phase = position % period;
        if (phase < 0) phase += period;
        position = phase < room ? phase : period - phase;
    }
    return part->samples[position - (ptrdiff_t)part->first];
}

static vocode_status mel_of_audio(const segment_form *form, const segment_place *place, const stretch *part, real *mel,
                                  vocode_error *error) {
    const mel_convention *c = form->convention;
    size_t pad = mel_pad(c), before = (pad + c->hop - 1) / c->hop; /* rows that see the front end's own padding */
    size_t count = (before + form->frames - 1) * c->hop + c->n_fft - pad;
    size_t rows = mel_frames(c, count);
    float *samples = malloc(count * sizeof *samples), *values = malloc(rows * c->n_mels * sizeof *values);
    vocode_status status = VOCODE_OK;
    if (samples && values) {
        ptrdiff_t first = (ptrdiff_t)place->start - (ptrdiff_t)(before * c->hop);
        for (size_t i = 0; i < count; i++) samples[i] = padded_sample(form, part, first + (ptrdiff_t)i);
        status = mel_compute(form->frontend, samples, count, values, error);
        for (size_t i = 0; status == VOCODE_OK && i < form->frames * c->n_mels; i++)
            mel[i] = (real)values[before * c->n_mels + i];
    } else {
        status = failed(error, VOCODE_MEMORY, "no memory for the mel of a segment of %zu samples", count);
    }
    free(samples);
    free(values);
    return status;
}

/* The recording's own mel, at the segment's level; silence after its end. */
static void mel_of_pair(const segment_form *form, const segment_place *place, real *mel) {
    const mel_convention *c = form->convention;
    const recording *from = place->from;
    double factor = c->power == 1 ? place->gain : place->gain * place->gain, silence = mel_value_of(c, 0);
    size_t first = place->start / c->hop;
    for (size_t t = 0; t < form->frames; t++)
        for (size_t m = 0; m < c->n_mels; m++, mel++) {
            if (first + t >= from->mel_frames) {
                *mel = (real)silence;
                continue;
            }
            double value = (double)from->mel[(first + t) * c->n_mels + m];
            *mel = (real)(factor == 1 ? value : mel_value_of(c, factor * mel_linear_of(c, value)));
        }
}

/* Before the first sample and after the last one a whole file is encoded with zeros; these are dithered like others. */
static real outside(const segment_place *place, size_t i) {
    if (!place->dither) return 0;
    double draw = rng_uniform(place->seed, place->number, UINT64_MAX - i); /* no sample's counter */
    return (real)(place->gain * place->from->step * (draw - 0.5));
}

vocode_status segment_cut(const segment_form *form, const segment_place *place, real *mel, real *x,
                          vocode_error *error) {
    stretch part = {0};
    vocode_status status = stretch_read(form, place, &part, error);
    if (status == VOCODE_OK) {
        ptrdiff_t first = (ptrdiff_t)place->start - (ptrdiff_t)form->lead, room = (ptrdiff_t)part.room;
        for (size_t i = 0; i < form->samples; i++) {
            ptrdiff_t at = first + (ptrdiff_t)i;
            x[i] = at >= 0 && at < room ? (real)part.samples[at - (ptrdiff_t)part.first] : outside(place, i);
        }
        if (place->from->mel)
            mel_of_pair(form, place, mel);
        else
            status = mel_of_audio(form, place, &part, mel, error);
    }
    free(part.samples);
    return status;
}
