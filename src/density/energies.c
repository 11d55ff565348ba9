/* The test energies of Rezende, Mohamed, "Variational inference with normalizing flows", ICML 2015, table 1, with
 * w1 = sin(2 pi z1 / 4), w2 = 3 exp(-((z1 - 1) / 0.6)^2 / 2), w3 = 3 sigma((z1 - 1) / 0.3):
 *
 *     U1 = ((|z| - 2) / 0.4)^2 / 2 - ln(exp(-((z1 - 2) / 0.6)^2 / 2) + exp(-((z1 + 2) / 0.6)^2 / 2))
 *     U2 = ((z2 - w1) / 0.4)^2 / 2
 *     U3 = -ln(exp(-((z2 - w1) / 0.35)^2 / 2) + exp(-((z2 - w1 + w2) / 0.35)^2 / 2))
 *     U4 = -ln(exp(-((z2 - w1) / 0.4)^2 / 2) + exp(-((z2 - w1 + w3) / 0.35)^2 / 2))
 *
 * U2 to U4 do not decay along z1, so that exp(-U) has no integral: here they have (z1 / 3)^2 / 2 besides. Given z1, z2
 * is then a Gaussian or two, so their log Z are known: log(2 pi 3 s) with s = 0.4, 0.35 + 0.35 and 0.4 + 0.35. */
#include "density/energies.h"

#include <stdio.h>
#include <strings.h>

static const double half_pi = 1.5707963267948966;

/* A curve that z2 - c(z1) is measured from, and its slope. */
typedef struct curve {
    double at, slope;
} curve;

static curve wave(double z) {
    return (curve){sin(half_pi * z), half_pi * cos(half_pi * z)};
}

static curve bump(double z) {
    double at = 3 * exp(-(z - 1) * (z - 1) / (2 * 0.6 * 0.6));
    return (curve){at, -at * (z - 1) / (0.6 * 0.6)};
}

static curve stair(double z) {
    double share = 1 / (1 + exp(-(z - 1) / 0.3));
    return (curve){3 * share, 3 * share * (1 - share) / 0.3};
}

static curve minus(curve a, curve b) {
    return (curve){a.at - b.at, a.slope - b.slope};
}

/* -ln(exp(-a) + exp(-b)); *share is a's part of the sum. */
static double either(double a, double b, double *share) {
    double low = fmin(a, b);
    *share = 1 / (1 + exp(a - b));
    return low - log(exp(low - a) + exp(low - b));
}

/* ((z2 - c) / width)^2 / 2 and its slope */
static double away(const double z[2], curve c, double width, double slope[2]) {
    double distance = (z[1] - c.at) / width;
    slope[0] = -distance / width * c.slope;
    slope[1] = distance / width;
    return distance * distance / 2;
}

/* Adds what makes it decay along z1. */
static double decaying(const double z[2], double value, double slope[2]) {
    slope[0] += z[0] / 9;
    return value + z[0] * z[0] / 18;
}

static double along_either(const double z[2], curve first, double first_width, curve second, double second_width,
                           double slope[2]) {
    double a[2], b[2], share;
    double to_first = away(z, first, first_width, a), to_second = away(z, second, second_width, b);
    double value = either(to_first, to_second, &share);
    for (int i = 0; i < 2; i++) slope[i] = share * a[i] + (1 - share) * b[i];
    return decaying(z, value, slope);
}

static double ring(const double z[2], double slope[2]) {
    double radius = sqrt(z[0] * z[0] + z[1] * z[1]), distance = (radius - 2) / 0.4, share;
    double left = (z[0] - 2) / 0.6, right = (z[0] + 2) / 0.6;
    double value = distance * distance / 2 + either(left * left / 2, right * right / 2, &share);
    for (int i = 0; i < 2; i++) slope[i] = radius > 0 ? distance / 0.4 * z[i] / radius : 0;
    slope[0] += share * left / 0.6 + (1 - share) * right / 0.6;
    return value;
}

static double sine(const double z[2], double slope[2]) {
    double value = away(z, wave(z[0]), 0.4, slope);
    return decaying(z, value, slope);
}

static double fork_out(const double z[2], double slope[2]) {
    curve w = wave(z[0]);
    return along_either(z, w, 0.35, minus(w, bump(z[0])), 0.35, slope);
}

static double split(const double z[2], double slope[2]) {
    curve w = wave(z[0]);
    return along_either(z, w, 0.4, minus(w, stair(z[0])), 0.35, slope);
}

static const named_energy energies[] = {
    {"U1", "a ring, two sides of it", ring},
    {"U2", "along a sine", sine},
    {"U3", "along a sine that is two for a while", fork_out},
    {"U4", "along a sine that becomes two", split},
};

size_t named_energy_count(void) {
    return sizeof energies / sizeof *energies;
}

const named_energy *named_energy_at(size_t index) {
    return &energies[index];
}

static bool find_rows(void *context, const real *z, size_t rows, double *value, real *slope) {
    const named_energy *self = context;
    for (size_t t = 0; t < rows; t++) {
        double found[2];
        value[t] = self->find((const double[2]){(double)z[2 * t], (double)z[2 * t + 1]}, found);
        for (int i = 0; slope && i < 2; i++) slope[2 * t + i] = (real)found[i];
    }
    return true;
}

vocode_status energy_find(const char *name, const named_energy **named, energy *target, vocode_error *error) {
    char names[64] = "";
    for (size_t i = 0, used = 0; i < named_energy_count(); i++) {
        used += (size_t)snprintf(names + used, sizeof names - used, i ? ", %s" : "%s", energies[i].name);
        if (strcasecmp(name, energies[i].name) != 0) continue;
        *named = &energies[i];
        *target = (energy){find_rows, (void *)&energies[i]};
        return VOCODE_OK;
    }
    return failed(error, VOCODE_VALUE, "expected the name of an energy (%s), found \"%.40s\"", names, name);
}

double named_energy_log_z(const named_energy *named) {
    enum { ACROSS = 600, UP = 300 }; /* on either side of zero */
    static const double step = 0.04;
    double sum = 0, slope[2];
    for (int i = -ACROSS; i < ACROSS; i++)
        for (int k = -UP; k < UP; k++)
            sum += exp(-named->find((const double[]){(i + 0.5) * step, (k + 0.5) * step}, slope));
    return log(sum * step * step);
}
