/* The page of eval --html: one file, nothing from the network, no scripts. */
#include <math.h>
#include <stdio.h>

#include <vocode/vocode.h>

#include "cli/eval.h"
#include "cli/page.h"
#include "io/audio.h"

/* What keeps the page of a sensible size: some 1 MB a pair. */
#define PICTURED_MOST ((size_t)24)
#define SECONDS_MOST ((size_t)12)

static void write_value(double value, FILE *to) {
    if (isnan(value))
        fputs("&ndash;", to);
    else
        fprintf(to, "%.3f", value);
}

static size_t measured_count(const eval_set *set) {
    size_t count = 0;
    for (size_t i = 0; i < set->count; i++) count += set->pairs[i].measured;
    return count;
}

static void write_head(const char *reference, const char *generated, const eval_set *set, FILE *to) {
    size_t measured = measured_count(set);
    char title[512];
    snprintf(title, sizeof title, "Speech quality: %s", generated);
    page_begin(title, NULL, to);
    fputs("<h1>Speech quality</h1>\n", to);
    fputs("<p class=\"path\"><b>", to);
    page_escape(generated, to);
    fputs("</b>, compared with the recordings of <b>", to);
    page_escape(reference, to);
    fprintf(to, "</b>: %zu pair%s.", measured, measured == 1 ? "" : "s");
    if (measured < set->count) fprintf(to, " %zu more could not be read or measured.", set->count - measured);
    if (set->unmatched_count > 0)
        fprintf(to, " %zu file%s without a partner %s left out.", set->unmatched_count,
                set->unmatched_count == 1 ? "" : "s", set->unmatched_count == 1 ? "was" : "were");
    fprintf(to,
            "</p>\n<p class=\"soft\">Compared at %d Hz, the longer file of a pair cut to the shorter. "
            "Made by vocode %s.</p>\n",
            QUALITY_RATE, vocode_version());
}

static void write_figures(const eval_set *set, FILE *to) {
    size_t count;
    const eval_figure *figures = eval_figures(&count);
    fputs("<h2>What the figures mean</h2>\n<div class=\"scroll\"><table>\n"
          "<thead><tr><th>figure</th><th>mean</th><th class=\"words\">better</th></tr></thead>\n<tbody>\n",
          to);
    for (size_t f = 0; f < count; f++) {
        fprintf(to, "<tr><td class=\"words\"><b>%s</b>%s%s<div class=\"soft\">", figures[f].label,
                *figures[f].unit ? ", " : "", figures[f].unit);
        page_escape(figures[f].doc, to);
        fputs("</div></td><td>", to);
        write_value(eval_mean(&figures[f], set), to);
        fprintf(to, "</td><td class=\"words\">%s</td></tr>\n", figures[f].higher_is_better ? "higher" : "lower");
    }
    fputs("</tbody></table></div>\n", to);
}

static void write_table(const eval_set *set, FILE *to) {
    size_t count;
    const eval_figure *figures = eval_figures(&count);
    fputs("<h2>Every pair</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th>file</th>", to);
    for (size_t f = 0; f < count; f++)
        fprintf(to, "<th>%s %s</th>", figures[f].label, figures[f].higher_is_better ? "&uarr;" : "&darr;");
    fputs("</tr>\n<tr class=\"mean\"><th>mean</th>", to);
    for (size_t f = 0; f < count; f++) {
        fputs("<td>", to);
        write_value(eval_mean(&figures[f], set), to);
        fputs("</td>", to);
    }
    fputs("</tr></thead>\n<tbody>\n", to);
    for (size_t i = 0; i < set->count; i++) {
        if (!set->pairs[i].measured) continue;
        fputs("<tr><td>", to);
        page_escape(set->pairs[i].name, to);
        fputs("</td>", to);
        for (size_t f = 0; f < count; f++) {
            fputs("<td>", to);
            write_value(eval_value(&figures[f], &set->pairs[i].figures), to);
            fputs("</td>", to);
        }
        fputs("</tr>\n", to);
    }
    fputs("</tbody></table></div>\n", to);
}

static vocode_status write_signals(const eval_pair *pair, const audio *reference, const audio *generated, FILE *to,
                                   vocode_error *error) {
    size_t common = reference->frames < generated->frames ? reference->frames : generated->frames;
    size_t shown = common < SECONDS_MOST * QUALITY_RATE ? common : SECONDS_MOST * QUALITY_RATE, count;
    const eval_figure *figures = eval_figures(&count);
    fputs("<article>\n<h3>", to);
    page_escape(pair->name, to);
    fputs("</h3>\n<p class=\"soft\">", to);
    for (size_t f = 0; f < count; f++) {
        fprintf(to, "%s<span class=\"figure\">%s ", f ? " &middot; " : "", figures[f].label);
        write_value(eval_value(&figures[f], &pair->figures), to);
        fputs("</span>", to);
    }
    fprintf(to, "<br>%s%.2f s", shown < common ? "the first " : "", (double)shown / QUALITY_RATE);
    if (shown < common) fprintf(to, " of %.2f s", (double)common / QUALITY_RATE);
    fputs("</p>\n<div class=\"pair\">\n", to);
    TRY(page_sound("reference", pair->name, reference->samples, shown, QUALITY_RATE, to, error));
    TRY(page_sound("generated", pair->name, generated->samples, shown, QUALITY_RATE, to, error));
    fputs("</div>\n</article>\n", to);
    return VOCODE_OK;
}

static vocode_status write_pair(const eval_pair *pair, FILE *to, vocode_error *error) {
    audio reference, generated;
    TRY(audio_read_mono(pair->reference, QUALITY_RATE, &reference, NULL, error));
    vocode_status status = audio_read_mono(pair->generated, QUALITY_RATE, &generated, NULL, error);
    if (status == VOCODE_OK) {
        status = write_signals(pair, &reference, &generated, to, error);
        audio_free(&generated);
    }
    audio_free(&reference);
    return status;
}

typedef struct subject {
    const char *reference, *generated;
    const eval_set *set;
} subject;

static vocode_status write_page(void *context, FILE *to, vocode_error *error) {
    const subject *about = context;
    const eval_set *set = about->set;
    size_t measured = measured_count(set), shown = 0;
    write_head(about->reference, about->generated, set, to);
    write_figures(set, to);
    write_table(set, to);
    fprintf(to,
            "<h2>Pictures and sound</h2>\n<p class=\"soft\">Time runs to the right, frequency from 0 at the bottom to "
            "%g kHz at the top; 80 dB from dark to bright, on the same scale in all pictures.",
            QUALITY_RATE / 2e3);
    if (measured > PICTURED_MOST)
        fprintf(to, " To keep this page small, the first %zu of %zu pairs are shown.", PICTURED_MOST, measured);
    fputs("</p>\n", to);
    for (size_t i = 0; i < set->count && shown < PICTURED_MOST; i++) {
        if (!set->pairs[i].measured) continue;
        TRY(write_pair(&set->pairs[i], to, error));
        shown++;
    }
    page_end(to);
    return VOCODE_OK;
}

vocode_status eval_report(const char *path, const char *reference, const char *generated, const eval_set *set,
                          vocode_error *error) {
    subject about = {reference, generated, set};
    return page_make(path, write_page, &about, error);
}
