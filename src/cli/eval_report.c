/* The page of eval --html: one file, nothing from the network, no scripts. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vocode/vocode.h>

#include "cli/eval.h"
#include "cli/interrupt.h"
#include "dsp/spectrogram.h"
#include "io/atomic.h"
#include "io/audio.h"
#include "io/png.h"
#include "io/wav.h"

/* What keeps the page of a sensible size: some 1 MB a pair. */
#define PICTURED_MOST ((size_t)24)
#define SECONDS_MOST ((size_t)12)
#define PICTURE_WIDTH ((size_t)560)
#define PICTURE_HEIGHT ((size_t)192)
#define PIXEL_BYTES 3

static const char style[] =
    ":root{color-scheme:light dark;--back:#fdfdfc;--text:#1d1d1f;--soft:#5c5c66;--line:#d9d9de;--row:#f3f3f5}"
    "@media(prefers-color-scheme:dark){:root{--back:#17171a;--text:#ececf0;--soft:#a3a3ad;--line:#3a3a42;--row:#202025}"
    "}"
    "*{box-sizing:border-box}"
    "body{margin:0 auto;max-width:76rem;padding:1.5rem 1rem 4rem;background:var(--back);color:var(--text);"
    "font:16px/1.5 system-ui,sans-serif}"
    "h1{font-size:1.6rem;line-height:1.25;margin:0 0 .5rem}h2{font-size:1.2rem;margin:2.5rem 0 .75rem}"
    "h3{font-size:1rem;margin:0;overflow-wrap:anywhere}p{margin:.5rem 0;max-width:65ch}"
    ".soft{color:var(--soft)}.path{overflow-wrap:anywhere}"
    ".scroll{overflow-x:auto}"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
    "th,td{padding:.3rem .6rem;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}"
    "th:first-child,td:first-child{text-align:left}"
    "td.words{text-align:left;white-space:normal}th.words{text-align:left}.figure{white-space:nowrap}"
    "tbody tr:nth-child(even){background:var(--row)}"
    "tr.mean td,tr.mean th{font-weight:600;border-bottom:2px solid var(--text)}"
    "article{border-top:1px solid var(--line);padding:1rem 0}"
    ".pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:1rem;margin-top:.75rem}"
    "figure{margin:0;min-width:0}figcaption{font-size:.9rem;color:var(--soft);margin-bottom:.25rem}"
    "img{display:block;width:100%;height:auto;border-radius:4px}audio{display:block;width:100%;margin-top:.5rem}";

/* Writes text with what HTML gives a meaning to replaced. */
static void html_escape(const char *text, FILE *to) {
    for (; *text; text++) {
        switch (*text) {
        case '&': fputs("&amp;", to); break;
        case '<': fputs("&lt;", to); break;
        case '>': fputs("&gt;", to); break;
        case '"': fputs("&quot;", to); break;
        case '\'': fputs("&#39;", to); break;
        default: fputc(*text, to);
        }
    }
}

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
    fputs("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
          "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Speech quality: ",
          to);
    html_escape(generated, to);
    fprintf(to, "</title>\n<style>%s</style>\n</head>\n<body>\n<h1>Speech quality</h1>\n", style);
    fputs("<p class=\"path\"><b>", to);
    html_escape(generated, to);
    fputs("</b>, compared with the recordings of <b>", to);
    html_escape(reference, to);
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
        html_escape(figures[f].doc, to);
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
        html_escape(set->pairs[i].name, to);
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

static vocode_status write_base64(const void *bytes, size_t size, FILE *to, vocode_error *error) {
    char *text = base64_text(bytes, size);
    if (!text) return failed(error, VOCODE_MEMORY, "no memory for %zu bytes of the report", size);
    fputs(text, to);
    free(text);
    return VOCODE_OK;
}

static vocode_status write_picture(const float *samples, size_t n, FILE *to, vocode_error *error) {
    uint8_t *rgb = malloc(PICTURE_WIDTH * PICTURE_HEIGHT * PIXEL_BYTES);
    unsigned char *png = NULL;
    size_t size = 0;
    vocode_status status = rgb ? spectrogram_draw(samples, n, PICTURE_WIDTH, PICTURE_HEIGHT, rgb, error)
                               : failed(error, VOCODE_MEMORY, "no memory for a picture of the report");
    if (status == VOCODE_OK) status = rgb_to_png(rgb, PICTURE_WIDTH, PICTURE_HEIGHT, &png, &size, error);
    if (status == VOCODE_OK) status = write_base64(png, size, to, error);
    free(png);
    free(rgb);
    return status;
}

/* A 16-bit WAV of samples [n] as base64. */
static vocode_status write_sound(const float *samples, size_t n, FILE *to, vocode_error *error) {
    const double full = 32767;
    size_t bytes = n * audio_sample_size(AUDIO_PCM16);
    unsigned char *wav = malloc(WAV_HEADER_ROOM + bytes);
    if (!wav) return failed(error, VOCODE_MEMORY, "no memory for %zu samples of the report", n);
    size_t used = wav_header(wav, QUALITY_RATE, AUDIO_PCM16, bytes);
    for (size_t i = 0; i < n; i++) {
        int value = (int)lrint(fmin(fmax((double)samples[i], -1), 1) * full);
        wav[used++] = (unsigned char)(value & 0xff);
        wav[used++] = (unsigned char)((value >> 8) & 0xff);
    }
    vocode_status status = write_base64(wav, used, to, error);
    free(wav);
    return status;
}

static vocode_status write_side(const char *title, const char *name, const float *samples, size_t n, FILE *to,
                                vocode_error *error) {
    fprintf(to, "<figure><figcaption>%s</figcaption><img alt=\"Spectrogram of the %s file ", title, title);
    html_escape(name, to);
    fprintf(to, "\" width=\"%zu\" height=\"%zu\" src=\"data:image/png;base64,", PICTURE_WIDTH, PICTURE_HEIGHT);
    TRY(write_picture(samples, n, to, error));
    fputs("\"><audio controls preload=\"metadata\" src=\"data:audio/wav;base64,", to);
    TRY(write_sound(samples, n, to, error));
    fputs("\"></audio></figure>\n", to);
    return VOCODE_OK;
}

static vocode_status write_signals(const eval_pair *pair, const audio *reference, const audio *generated, FILE *to,
                                   vocode_error *error) {
    size_t common = reference->frames < generated->frames ? reference->frames : generated->frames;
    size_t shown = common < SECONDS_MOST * QUALITY_RATE ? common : SECONDS_MOST * QUALITY_RATE, count;
    const eval_figure *figures = eval_figures(&count);
    fputs("<article>\n<h3>", to);
    html_escape(pair->name, to);
    fputs("</h3>\n<p class=\"soft\">", to);
    for (size_t f = 0; f < count; f++) {
        fprintf(to, "%s<span class=\"figure\">%s ", f ? " &middot; " : "", figures[f].label);
        write_value(eval_value(&figures[f], &pair->figures), to);
        fputs("</span>", to);
    }
    fprintf(to, "<br>%s%.2f s", shown < common ? "the first " : "", (double)shown / QUALITY_RATE);
    if (shown < common) fprintf(to, " of %.2f s", (double)common / QUALITY_RATE);
    fputs("</p>\n<div class=\"pair\">\n", to);
    TRY(write_side("reference", pair->name, reference->samples, shown, to, error));
    TRY(write_side("generated", pair->name, generated->samples, shown, to, error));
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

static vocode_status write_page(const char *reference, const char *generated, const eval_set *set, FILE *to,
                                vocode_error *error) {
    size_t measured = measured_count(set), shown = 0;
    write_head(reference, generated, set, to);
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
    fputs("</body>\n</html>\n", to);
    return VOCODE_OK;
}

static vocode_status put_in_place(const char *path, const char *text, size_t size, vocode_error *error) {
    atomic_file *file;
    TRY(atomic_open(path, &file, error));
    vocode_status status = atomic_write(file, text, size, error);
    if (status == VOCODE_OK) return atomic_commit(file, error);
    atomic_abort(file);
    return status;
}

vocode_status eval_report(const char *path, const char *reference, const char *generated, const eval_set *set,
                          vocode_error *error) {
    char *text = NULL;
    size_t size = 0;
    FILE *page = open_memstream(&text, &size);
    if (!page) return failed(error, VOCODE_MEMORY, "no memory for the report %s", path);
    vocode_status status = write_page(reference, generated, set, page, error);
    bool bad = ferror(page) != 0;
    if ((fclose(page) != 0 || bad) && status == VOCODE_OK)
        status = failed(error, VOCODE_MEMORY, "no memory for the report %s", path);
    if (status == VOCODE_OK) {
        interrupt_hold(path);
        status = put_in_place(path, text, size, error);
        interrupt_release();
    }
    free(text);
    return status;
}
