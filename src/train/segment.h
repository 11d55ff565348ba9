/* Cutting a training segment out of a recording: audio block and mel, with dither and level. */
#ifndef TRAIN_SEGMENT_H
#define TRAIN_SEGMENT_H

#include "core/real.h"
#include "train/recording.h"

/* What all segments of a run have in common. */
typedef struct segment_form {
    const mel_frontend *frontend;
    const mel_convention *convention; /* the front end's */
    size_t hop, frames, samples;      /* samples = frames * hop */
    size_t lead;                      /* samples of the block before frame 0's place: hop / 2 for frame blocks, or 0 */
} segment_form;

typedef struct segment_place {
    const recording *from;
    size_t start; /* sample that frame 0 stands on: its centre, or the start of its hop where the convention does not
                     centre; a multiple of the hop where the recording has a mel of its own */
    double gain;  /* factor of the recording's level */
    bool dither;  /* uniform, half a step either way */
    uint64_t seed, number; /* of the dither */
} segment_place;

/* Samples of a recording as segments see it: too short ones are followed by silence. */
size_t segment_room(const segment_form *form, const recording *from);

/* Places where a segment may start: 0..count-1, in hops where the recording has a mel of its own. */
size_t segment_starts(const segment_form *form, const recording *from);

/* x [samples], mel [frames, n_mels]. Sample i of x is the recording's sample start - lead + i, zero before its first
 * and after its last one. Mel rows are those that the whole recording would have, were start a multiple of the hop. */
vocode_status segment_cut(const segment_form *form, const segment_place *place, real *mel, real *x,
                          vocode_error *error);

#endif
