#include "dsp/filterbank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/arena.h"
#include "core/fail.h"

/* Slaney's Auditory Toolbox: linear to 1 kHz at 200/3 Hz a mel, logarithmic above, 27 steps to a factor of 6.4. */
#define SLANEY_BREAK_HZ 1000.0
#define SLANEY_BREAK_MEL 15.0
#define SLANEY_HZ_A_MEL (200.0 / 3.0)
#define SLANEY_STEPS 27.0
#define SLANEY_FACTOR 6.4
/* HTK: 2595 log10(1 + f / 700) */
#define HTK_MEL 2595.0
#define HTK_HZ 700.0

static double mel_of(double hz, int scale) {
    if (scale == MEL_SCALE_HTK) return HTK_MEL * log10(1 + hz / HTK_HZ);
    if (hz < SLANEY_BREAK_HZ) return hz / SLANEY_HZ_A_MEL;
    return SLANEY_BREAK_MEL + SLANEY_STEPS * log(hz / SLANEY_BREAK_HZ) / log(SLANEY_FACTOR);
}

static double hz_of(double mel, int scale) {
    if (scale == MEL_SCALE_HTK) return HTK_HZ * (pow(10, mel / HTK_MEL) - 1);
    if (mel < SLANEY_BREAK_MEL) return mel * SLANEY_HZ_A_MEL;
    return SLANEY_BREAK_HZ * exp((mel - SLANEY_BREAK_MEL) * log(SLANEY_FACTOR) / SLANEY_STEPS);
}

/* Corner i of 0..bands+1: band m rises from corner m to m + 1 and falls to m + 2. */
static double corner(const mel_convention *c, size_t i) {
    double low = mel_of(c->fmin, c->scale), high = mel_of(c->fmax, c->scale);
    return hz_of(low + (high - low) * (double)i / (double)(c->n_mels + 1), c->scale);
}

static double weight(const mel_convention *c, const double corners[3], size_t bin) {
    double hz = (double)bin * (double)c->sample_rate / (double)c->n_fft;
    double rise = (hz - corners[0]) / (corners[1] - corners[0]), fall = (corners[2] - hz) / (corners[2] - corners[1]);
    double height = c->norm == MEL_NORM_SLANEY ? 2 / (corners[2] - corners[0]) : 1;
    return fmax(0, fmin(rise, fall)) * height;
}

/* Finds each row's bins; with weights also fills them. Gives the number of weights. */
static size_t fill_rows(filterbank *bank, const mel_convention *c) {
    size_t total = 0;
    for (size_t m = 0; m < bank->bands; m++) {
        double corners[3] = {corner(c, m), corner(c, m + 1), corner(c, m + 2)};
        size_t bin = 0;
        while (bin < bank->bins && weight(c, corners, bin) == 0) bin++;
        bank->first[m] = bin;
        bank->offset[m] = total;
        for (; bin < bank->bins; bin++) {
            double w = weight(c, corners, bin);
            if (w == 0) break;
            if (bank->weights) bank->weights[total] = w;
            total++;
        }
        bank->count[m] = total - bank->offset[m];
    }
    return total;
}

vocode_status filterbank_init(filterbank *bank, const mel_convention *convention, vocode_error *error) {
    *bank = (filterbank){.bands = convention->n_mels, .bins = convention->n_fft / 2 + 1};
    bank->first = calloc(bank->bands, sizeof *bank->first);
    bank->count = calloc(bank->bands, sizeof *bank->count);
    bank->offset = calloc(bank->bands, sizeof *bank->offset);
    bank->cover = aligned_new(bank->bins, sizeof *bank->cover);
    if (bank->first && bank->count && bank->offset && bank->cover) {
        bank->weights = aligned_new(fill_rows(bank, convention), sizeof *bank->weights);
        double *ones = malloc(bank->bands * sizeof *ones);
        if (bank->weights && ones) {
            fill_rows(bank, convention);
            for (size_t m = 0; m < bank->bands; m++) {
                size_t past = bank->count[m] ? bank->first[m] + bank->count[m] : 0;
                if (past > bank->used) bank->used = past;
                ones[m] = 1;
            }
            filterbank_spread(bank, ones, bank->cover);
            free(ones);
            return VOCODE_OK;
        }
        free(ones);
    }
    filterbank_free(bank);
    return failed(error, VOCODE_MEMORY, "out of memory for %zu mel bands", convention->n_mels);
}

void filterbank_free(filterbank *bank) {
    free(bank->first);
    free(bank->count);
    free(bank->offset);
    aligned_free(bank->weights);
    aligned_free(bank->cover);
    *bank = (filterbank){0};
}

void filterbank_apply(const filterbank *bank, const double *spectrum, double *out) {
    for (size_t m = 0; m < bank->bands; m++) {
        const double *w = bank->weights + bank->offset[m], *x = spectrum + bank->first[m];
        size_t n = bank->count[m], k = 0;
        double sum[4] = {0}; /* four chains: a single one waits for each addition */
        for (; k + 4 <= n; k += 4)
            for (size_t j = 0; j < 4; j++) sum[j] += w[k + j] * x[k + j];
        for (; k < n; k++) sum[0] += w[k] * x[k];
        out[m] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    }
}

void filterbank_spread(const filterbank *bank, const double *values, double *out) {
    memset(out, 0, bank->bins * sizeof *out);
    for (size_t m = 0; m < bank->bands; m++) {
        const double *w = bank->weights + bank->offset[m];
        double *y = out + bank->first[m];
        for (size_t k = 0; k < bank->count[m]; k++) y[k] += w[k] * values[m];
    }
}
