#include "dsp/mel_convert.h"

#include <math.h>
#include <stdio.h>

#include "core/fail.h"

/* X(member, name in JSON, unit): what must agree, most telling first */
#define MUST_AGREE(X)                       \
    X((double)c->n_mels, "n_mels", "bands") \
    X((double)c->sample_rate, "sr", "Hz")   \
    X((double)c->hop, "hop", "samples")     \
    X((double)c->n_fft, "n_fft", "samples") \
    X((double)c->win, "win", "samples")     \
    X(c->fmin, "fmin", "Hz")                \
    X(c->fmax, "fmax", "Hz")                \
    X((double)c->power, "power", "(exponent)")

typedef struct parameter {
    double value;
    const char *name, *unit;
} parameter;

#define PARAMETER_MOST 16

static size_t parameters_of(const mel_convention *c, parameter *list) {
    size_t count = 0;
#define ADD(value, name, unit) list[count++] = (parameter){value, name, unit};
    MUST_AGREE(ADD)
#undef ADD
    return count;
}

vocode_status mel_convertible(const mel_convention *from, const mel_convention *to, vocode_error *error) {
    parameter a[PARAMETER_MOST], b[PARAMETER_MOST];
    size_t count = parameters_of(from, a);
    parameters_of(to, b);
    for (size_t i = 0; i < count; i++)
        if (a[i].value != b[i].value)
            return failed(error, VOCODE_CONVENTION,
                          "a %s mel cannot be converted to %s: its %s is %.10g, expected %.10g %s", from->preset,
                          to->preset, a[i].name, a[i].value, b[i].value, b[i].unit);
    if (from->scale != to->scale)
        return failed(error, VOCODE_CONVENTION, "a %s mel cannot be converted to %s: its scale is %s, expected %s",
                      from->preset, to->preset, from->scale == MEL_SCALE_HTK ? "htk" : "slaney",
                      to->scale == MEL_SCALE_HTK ? "htk" : "slaney");
    if (from->norm != to->norm)
        return failed(error, VOCODE_CONVENTION, "a %s mel cannot be converted to %s: its norm is %s, expected %s",
                      from->preset, to->preset, from->norm == MEL_NORM_NONE ? "none" : "slaney",
                      to->norm == MEL_NORM_NONE ? "none" : "slaney");
    return VOCODE_OK;
}

/* Size of one natural logarithm in the convention's unit. */
static double log_unit(int kind) {
    return kind == MEL_LOG_LN ? 1 : kind == MEL_LOG_10 ? M_LOG10E : 20 * M_LOG10E;
}

/* By way of logarithms, so that no value overflows on the way. */
static double converted(const mel_convention *from, const mel_convention *to, double v) {
    if (from->affine) v = (v - from->affine_offset) / from->affine_scale;
    if (to->log == MEL_LOG_NONE) {
        if (from->log != MEL_LOG_NONE) v = exp(v / log_unit(from->log));
        v = fmax(v, to->floor);
    } else {
        double unit = log_unit(to->log), least = to->log == MEL_LOG_LN ? log(to->floor) : unit * log(to->floor);
        if (from->log == MEL_LOG_NONE)
            v = v > to->floor ? unit * log(v) : least;
        else if (from->log != to->log)
            v *= unit / log_unit(from->log);
        v = fmax(v, least);
    }
    if (!to->affine) return v;
    return fmin(fmax(v * to->affine_scale + to->affine_offset, to->affine_low), to->affine_high);
}

/* Nonzero where a value means the same in both: then only floors could differ, and a higher one clamps. */
static int same_values(const mel_convention *from, const mel_convention *to) {
    mel_convention aligned = *from;
    aligned.center = to->center;
    aligned.pad_mode = to->pad_mode;
    aligned.mag_eps = to->mag_eps;
    return mel_convention_equal(&aligned, to);
}

void mel_convert(const mel_convention *from, const mel_convention *to, float *values, size_t count) {
    if (same_values(from, to)) return;
    for (size_t i = 0; i < count; i++)
        if (isfinite(values[i])) values[i] = (float)converted(from, to, (double)values[i]);
}

ptrdiff_t mel_convert_delay(const mel_convention *from, const mel_convention *to) {
    return (ptrdiff_t)mel_pad(to) - (ptrdiff_t)mel_pad(from);
}
