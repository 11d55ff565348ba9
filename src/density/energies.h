/* Unnormalised densities exp(-U(z)) to infer: those with names, and a caller's own. */
#ifndef DENSITY_ENERGIES_H
#define DENSITY_ENERGIES_H

#include "core/fail.h"
#include "core/real.h"

#include <stdbool.h>
#include <stddef.h>

/* value [rows] = U(z) of z [rows, channels], nats, up to a constant; slope [rows, channels] = dU/dz unless NULL. false:
 * give up. Called by one thread at a time. */
typedef struct energy {
    bool (*find)(void *context, const real *z, size_t rows, double *value, real *slope);
    void *context;
} energy;

/* Rezende, Mohamed 2015, table 1, of two channels each. */
typedef struct named_energy {
    const char *name, *summary;
    double (*find)(const double z[2], double slope[2]);
} named_energy;

size_t named_energy_count(void);
const named_energy *named_energy_at(size_t index);

/* The one of that name, capitals or not, as an energy; *target is then valid as long as the program. VOCODE_VALUE names
 * those that there are. */
vocode_status energy_find(const char *name, const named_energy **named, energy *target, vocode_error *error);

/* log of the integral of exp(-U), by the midpoint rule. */
double named_energy_log_z(const named_energy *named);

#endif
