/* Triangular mel filters as sparse rows. */
#ifndef DSP_FILTERBANK_H
#define DSP_FILTERBANK_H

#include <stddef.h>

#include "dsp/mel.h"

typedef struct filterbank {
    size_t bands, bins;
    size_t used;     /* bins from 0 on that rows read: those past it have no weight */
    size_t *first;   /* [bands]: first bin of the row */
    size_t *count;   /* [bands]: bins of the row; a band narrower than a bin may have none */
    size_t *offset;  /* [bands]: where the row's weights start */
    double *weights; /* all rows, one after the other */
    double *cover;   /* [bins]: sum of the weights over bands; 0 where no band reaches */
} filterbank;

/* The convention must have passed mel_convention_check. VOCODE_MEMORY. */
vocode_status filterbank_init(filterbank *bank, const mel_convention *convention, vocode_error *error);
void filterbank_free(filterbank *bank); /* what it holds, not itself */

/* out [bands] = W spectrum [bins] */
void filterbank_apply(const filterbank *bank, const double *spectrum, double *out);

/* out [bins] = W^T values [bands] */
void filterbank_spread(const filterbank *bank, const double *values, double *out);

#endif
