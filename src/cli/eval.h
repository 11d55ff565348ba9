/* What eval measures: pairs of a reference and a generated file, their figures, and the page about them. */
#ifndef CLI_EVAL_H
#define CLI_EVAL_H

#include <stddef.h>

#include "cli/console.h"
#include "dsp/quality.h"

typedef struct eval_pair {
    char *name; /* the common stem */
    char *reference, *generated;
    bool measured; /* figures holds something */
    quality figures;
} eval_pair;

typedef struct eval_set {
    eval_pair *pairs; /* in the order of their names */
    size_t count;
    char **unmatched; /* files of one folder that have no partner in the other */
    size_t unmatched_count;
} eval_set;

/* Pairs the .wav and .flac files of two folders by stem, or two files with each other. VOCODE_IO where one of them
 * cannot be read or there is no pair. Free with eval_free, also after a failure. */
vocode_status eval_collect(const char *reference, const char *generated, eval_set *out, vocode_error *error);
void eval_free(eval_set *set);

/* How a figure is shown. */
typedef struct eval_figure {
    const char *label, *unit, *doc;
    bool higher_is_better;
    size_t offset; /* of the double in quality */
} eval_figure;

/* All of them, in the order of tables; count of them in *count. Static data. */
const eval_figure *eval_figures(size_t *count);

double eval_value(const eval_figure *figure, const quality *of); /* NAN where not defined */

/* The mean over the measured pairs where the figure is defined, NAN where there are none. */
double eval_mean(const eval_figure *figure, const eval_set *set);

/* Writes one self-contained HTML page to path. reference and generated are what the user called them. */
vocode_status eval_report(const char *path, const char *reference, const char *generated, const eval_set *set,
                          vocode_error *error);

#endif
