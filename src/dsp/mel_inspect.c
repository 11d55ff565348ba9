/* All conventions are compared in one unit: the natural logarithm of the magnitude, less the mean response of the
 * filterbank to a flat spectrum of magnitude 1. Speech at any level then looks alike in all of them: in 24 clips of two
 * speakers at levels from -14 to +18 dB, in nine conventions, with and without silence, its mean was below 0.6 and its
 * largest value at least 4.6 above the mean (3.5 in pieces of 40 frames). Taken for natural logarithms, base-10
 * logarithms of speech have a gap below 3, and coqui's normalised decibels a mean above 0.9. On 121 other clips these
 * rules warned of no right convention and of every wrong one with other values, but for 4 mels of bigvgan24k taken for
 * vocos. */
#include "dsp/mel_inspect.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "dsp/filterbank.h"

#define MEAN_TYPICAL (-2.7)
#define MEAN_SPREAD 1.5
#define MEAN_MOST 0.62
#define GAP_TYPICAL 5.4 /* largest value less mean */
#define GAP_SPREAD 1.2
#define GAP_LEAST 3.3
#define LOUD 1.5 /* a quieter largest value may be noise alone, whose gap is small */
#define LARGEST_MOST 8.0
#define FRAMES_LEAST 48  /* with sound, to judge a distribution: less may be one loud vowel or one pause */
#define BELOW_FLOOR 1.0  /* what a mel that a network predicted may fall short of the floor */
#define ABOVE_FLOOR 0.02 /* cells nearer to it are digital silence and tell nothing */
#define RANGE_SLACK 0.02 /* of an affine range */
#define ODD 7.0          /* squared distance from typical speech that is suspicious if ... */
#define GOOD 2.0         /* ... another convention is as near as this */
#define LINEAR_LEAST 1e-12
/* Mean/variance normalised: each band about 0 and 1. */
#define NORMALISED_MEAN 0.45
#define NORMALISED_LEAST 0.6
#define NORMALISED_MOST 1.4
#define UNIT_MEAN 0.15 /* values in 0..1 with a larger mean are normalised; linear magnitudes have a few large ones */
#define DECIBEL_LEAST -25.0 /* below this no other unit goes */
/* Transposed squares: speech falls towards high bands, not along time. None of 843 genuine squares does this. */
#define TILT_TIME (-0.6)
#define TILT_BANDS (-0.3)

typedef struct picture {
    const float *mel; /* [frames, bands] */
    size_t frames, bands;
    double least, largest, mean, deviation; /* of the values as they are */
} picture;

static picture look(const float *mel, size_t frames, size_t bands) {
    picture p = {mel, frames, bands, (double)mel[0], (double)mel[0], 0, 0};
    size_t count = frames * bands;
    for (size_t i = 0; i < count; i++) {
        double v = (double)mel[i];
        p.least = fmin(p.least, v);
        p.largest = fmax(p.largest, v);
        p.mean += v / (double)count;
    }
    for (size_t i = 0; i < count; i++) {
        double d = (double)mel[i] - p.mean;
        p.deviation += d * d / (double)count;
    }
    p.deviation = sqrt(p.deviation);
    return p;
}

/* Mean logarithm of the bands' response to a flat spectrum. */
static vocode_status level_of(const mel_convention *c, double *level, vocode_error *error) {
    filterbank bank;
    size_t used = 0;
    TRY(filterbank_init(&bank, c, error));
    *level = 0;
    for (size_t m = 0; m < bank.bands; m++) {
        double sum = 0;
        for (size_t k = 0; k < bank.count[m]; k++) sum += bank.weights[bank.offset[m] + k];
        if (sum > 0) used++, *level += log(sum);
    }
    if (used) *level /= (double)used;
    filterbank_free(&bank);
    return VOCODE_OK;
}

/* A value as the natural logarithm of what it stands for. */
static double log_of(const mel_convention *c, double v) {
    if (c->affine) v = (v - c->affine_offset) / c->affine_scale;
    switch (c->log) {
    case MEL_LOG_LN: return v;
    case MEL_LOG_10: return v * M_LN10;
    case MEL_LOG_DB20: return v * M_LN10 / 20;
    default: return log(fmax(v, LINEAR_LEAST));
    }
}

/* How far from typical speech in that convention; HUGE_VAL where it cannot be. */
static vocode_status distance_to(const picture *p, const mel_convention *c, double *distance, vocode_error *error) {
    double level, sum = 0, largest = -HUGE_VAL;
    double floor = c->floor > 0 ? log(c->floor) : -HUGE_VAL, slack = RANGE_SLACK * (c->affine_high - c->affine_low);
    TRY(level_of(c, &level, error));
    *distance = HUGE_VAL;
    if (c->affine && (p->least < c->affine_low - slack || p->largest > c->affine_high + slack)) return VOCODE_OK;
    if (c->log == MEL_LOG_NONE ? p->least < 0 : log_of(c, p->least) < floor - BELOW_FLOOR) return VOCODE_OK;
    if (c->affine) floor = fmax(floor, log_of(c, c->affine_low));
    size_t telling = 0;
    for (size_t i = 0; i < p->frames * p->bands; i++) {
        double u = log_of(c, (double)p->mel[i]);
        if (u < floor + ABOVE_FLOOR) continue;
        u = (u - level) / (double)c->power;
        telling++;
        sum += u;
        largest = fmax(largest, u);
    }
    *distance = 0; /* silence is silence in all of them, and little tells nothing */
    if (p->bands == 0 || telling / p->bands < FRAMES_LEAST) return VOCODE_OK;
    double mean = sum / (double)telling, gap = largest - mean;
    *distance = HUGE_VAL;
    if (mean > MEAN_MOST || largest > LARGEST_MOST || (gap < GAP_LEAST && largest > LOUD)) return VOCODE_OK;
    double a = (mean - MEAN_TYPICAL) / MEAN_SPREAD, b = (gap - GAP_TYPICAL) / GAP_SPREAD;
    *distance = a * a + b * b;
    return VOCODE_OK;
}

static double band_means(const picture *p) {
    double square = 0;
    for (size_t m = 0; m < p->bands; m++) {
        double mean = 0;
        for (size_t t = 0; t < p->frames; t++) mean += (double)p->mel[t * p->bands + m] / (double)p->frames;
        square += mean * mean / (double)p->bands;
    }
    return sqrt(square);
}

/* Correlation of the index along one axis with the mean over the other. */
static double tilt(const picture *p, int along_time) {
    size_t n = along_time ? p->frames : p->bands, others = along_time ? p->bands : p->frames;
    double centre = ((double)n - 1) / 2, cross = 0, square_index = 0, square_mean = 0;
    for (size_t i = 0; i < n; i++) {
        double mean = 0, index = (double)i - centre;
        for (size_t j = 0; j < others; j++)
            mean += (double)p->mel[along_time ? i * p->bands + j : j * p->bands + i] / (double)others;
        mean -= p->mean;
        cross += index * mean;
        square_index += index * index;
        square_mean += mean * mean;
    }
    double size = sqrt(square_index * square_mean);
    return size > 0 ? cross / size : 0;
}

static void append(char *text, size_t size, const char *part, const char *separator) {
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s", used ? separator : "", part);
}

/* A convention that no preset names, by its unit. */
static const char *unit_of(const mel_convention *c) {
    static const char *const units[] = {"natural logarithms", "base-10 logarithms", "decibels",
                                        "linear values without a logarithm"};
    return units[c->log];
}

/* The nearest preset with as many bands, if any is possible, and then the others that fit well. *distance is that of
 * the nearest. */
static vocode_status fitting_presets(const picture *p, char *names, size_t size, double *distance,
                                     vocode_error *error) {
    size_t count, best = 0;
    const mel_preset *presets = mel_preset_list(&count);
    double own;
    *distance = HUGE_VAL;
    for (size_t i = 0; i < count; i++) {
        if (presets[i].convention.n_mels != p->bands) continue;
        TRY(distance_to(p, &presets[i].convention, &own, error));
        if (own < *distance) *distance = own, best = i;
    }
    if (*distance == HUGE_VAL) return VOCODE_OK;
    append(names, size, presets[best].convention.preset, ", ");
    for (size_t i = 0; i < count; i++) {
        if (i == best || presets[i].convention.n_mels != p->bands) continue;
        TRY(distance_to(p, &presets[i].convention, &own, error));
        if (own <= GOOD || own <= *distance) append(names, size, presets[i].convention.preset, ", ");
    }
    return VOCODE_OK;
}

/* Presets that fit well; without one the expected filterbank in the unit that fits best, and then the nearest preset.
 */
static vocode_status likely_names(const picture *p, const mel_convention *expected, char *names, size_t size,
                                  double *distance, vocode_error *error) {
    static const struct unit {
        int log;
        size_t power;
    } units[] = {{MEL_LOG_LN, 1}, {MEL_LOG_10, 1}, {MEL_LOG_DB20, 1}, {MEL_LOG_NONE, 1}, {MEL_LOG_NONE, 2}};
    TRY(fitting_presets(p, names, size, distance, error));
    if (*distance <= GOOD) return VOCODE_OK;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        mel_convention c = *expected;
        double own;
        c.affine = 0;
        c.log = units[i].log;
        c.power = units[i].power;
        if (c.log == MEL_LOG_NONE) c.floor = 0;
        TRY(distance_to(p, &c, &own, error));
        if (own < *distance) {
            *distance = own;
            snprintf(names, size, "%s", unit_of(&c));
        }
    }
    return VOCODE_OK;
}

/* What needs no comparison; NULL where nothing of it holds. */
static const char *plain_sign(const picture *p, const mel_convention *expected) {
    if (p->frames > 1 && band_means(p) < NORMALISED_MEAN && p->deviation > NORMALISED_LEAST &&
        p->deviation < NORMALISED_MOST && p->least < 0)
        return "mean/variance normalised values (parallelwavegan, espnet), which only the statistics of that corpus "
               "undo";
    if (p->least >= 0 && p->largest <= 1 && p->mean > UNIT_MEAN) return "values normalised to 0..1";
    if (p->least < DECIBEL_LEAST && expected->log != MEL_LOG_DB20) return "decibels";
    if (p->frames == p->bands && tilt(p, 1) < TILT_TIME && tilt(p, 0) > TILT_BANDS) return "a transposed mel";
    return NULL;
}

static vocode_status warn_of_values(const picture *p, const mel_convention *expected, const warning_sink *warnings,
                                    vocode_error *error) {
    char likely[256] = "";
    double distance;
    TRY(distance_to(p, expected, &distance, error));
    const char *sign = plain_sign(p, expected);
    if (p->least == p->largest) {
        if (fabs(p->least - mel_value_of(expected, 0)) < 1e-3 || distance == 0) return VOCODE_OK;
        sign = "one constant value and no speech";
    }
    if (sign) {
        snprintf(likely, sizeof likely, "%s", sign);
    } else if (distance > ODD) {
        double best;
        TRY(likely_names(p, expected, likely, sizeof likely, &best, error));
        if (distance < HUGE_VAL && best > GOOD) return VOCODE_OK;
    } else {
        return VOCODE_OK;
    }
    warn_caller(warnings,
                "the mel does not look like %s: its values run from %.3g to %.3g, mean %.3g; it looks like %s",
                expected->preset, p->least, p->largest, p->mean, *likely ? likely : "no convention known here");
    return VOCODE_OK;
}

static vocode_status wrong_bands(size_t bands, const mel_convention *expected, vocode_error *error) {
    char names[256] = "";
    size_t count;
    const mel_preset *presets = mel_preset_list(&count);
    for (size_t i = 0; i < count; i++)
        if (presets[i].convention.n_mels == bands) append(names, sizeof names, presets[i].convention.preset, ", ");
    return failed(error, VOCODE_SHAPE, "the mel has %zu bands, expected %zu (%s)%s%s", bands, expected->n_mels,
                  expected->preset, *names ? "; so many have " : "", names);
}

vocode_status mel_inspect(const float *mel, size_t frames, size_t bands, const mel_convention *expected,
                          const warning_sink *warnings, vocode_error *error) {
    if (bands != expected->n_mels) return wrong_bands(bands, expected, error);
    if (frames == 0) return failed(error, VOCODE_SHAPE, "the mel has zero frames, expected at least one");
    for (size_t i = 0; i < frames * bands; i++)
        if (!isfinite(mel[i]))
            return failed(error, VOCODE_VALUE, "the mel has %s at band %zu of frame %zu (counted from 0)",
                          isnan(mel[i]) ? "NaN" : "an infinity", i % bands, i / bands);
    if (!warnings || !warnings->warn) return VOCODE_OK;
    picture p = look(mel, frames, bands);
    return warn_of_values(&p, expected, warnings, error);
}
