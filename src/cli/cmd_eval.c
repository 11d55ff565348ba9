/* vocode eval: objective quality of generated files against their references. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/eval.h"
#include "cli/json_out.h"
#include "cli/progress.h"
#include "io/audio.h"

#define COLUMN_WIDTH 9

static const option_row options[] = {
    {"html", 0, "REPORT.html", OPTION_TEXT, offsetof(arguments, html),
     .doc = "write one self-contained page with the table, spectrograms and players"},
    OPTION_JSON("the figures"),
};

/* What each field of quality is called in tables, and which way it improves. */
#define LABEL_mrstft "mrstft", false
#define LABEL_mcd "mcd", false
#define LABEL_per "per", false
#define LABEL_vuv "vuv", true
#define LABEL_f0 "f0", false
#define LABEL_mel "mel_l1", false
#define FIGURE(field, units, text) FIGURE_ROW(LABEL_##field, units, text, offsetof(quality, field)),
#define FIGURE_ROW(...) FIGURE_FIELDS(__VA_ARGS__)
#define FIGURE_FIELDS(name, higher, units, text, place) \
    { .label = (name), .unit = (units), .doc = (text), .higher_is_better = (higher), .offset = (place) }
static const eval_figure figures[] = {QUALITY_LIST(FIGURE)};
enum { FIGURE_COUNT = sizeof figures / sizeof *figures };

const eval_figure *eval_figures(size_t *count) {
    *count = FIGURE_COUNT;
    return figures;
}

double eval_value(const eval_figure *figure, const quality *of) {
    double value;
    memcpy(&value, (const char *)of + figure->offset, sizeof value);
    return value;
}

double eval_mean(const eval_figure *figure, const eval_set *set) {
    double sum = 0;
    size_t count = 0;
    for (size_t i = 0; i < set->count; i++) {
        double value = set->pairs[i].measured ? eval_value(figure, &set->pairs[i].figures) : NAN;
        if (isnan(value)) continue;
        sum += value;
        count++;
    }
    return count ? sum / (double)count : NAN;
}

static vocode_status measure(eval_pair *pair, progress *bar, vocode_error *error) {
    audio reference, generated;
    TRY(audio_read_mono(pair->reference, QUALITY_RATE, &reference, NULL, error));
    vocode_status status = audio_read_mono(pair->generated, QUALITY_RATE, &generated, NULL, error);
    if (status == VOCODE_OK) {
        progress_item_length(bar, (double)generated.frames / QUALITY_RATE);
        status = quality_measure(reference.samples, reference.frames, generated.samples, generated.frames,
                                 &pair->figures, error);
        if (status != VOCODE_OK) failed_in(error, status, pair->generated);
        audio_free(&generated);
    }
    audio_free(&reference);
    pair->measured = status == VOCODE_OK;
    return status;
}

/* The number of pairs that could not be measured. */
static size_t measure_all(eval_set *set, console *out) {
    size_t bad = 0;
    progress bar;
    progress_begin(&bar, out, set->count);
    for (size_t i = 0; i < set->count; i++) {
        vocode_error error;
        vocode_status status = measure(&set->pairs[i], &bar, &error);
        if (status != VOCODE_OK) {
            console_error(out, "%s", error.message);
            bad++;
        }
        progress_item(&bar, status == VOCODE_OK);
    }
    progress_end(&bar);
    return bad;
}

static void print_cell(double value) {
    if (isnan(value))
        printf("  %*s", COLUMN_WIDTH, "-");
    else
        printf("  %*.3f", COLUMN_WIDTH, value);
}

static void print_table(const eval_set *set) {
    size_t measured = 0;
    int width = (int)strlen("mean of 00000");
    for (size_t i = 0; i < set->count; i++)
        if ((int)strlen(set->pairs[i].name) > width) width = (int)strlen(set->pairs[i].name);
    printf("%-*s", width, "file");
    for (size_t f = 0; f < FIGURE_COUNT; f++) printf("  %*s", COLUMN_WIDTH, figures[f].label);
    putchar('\n');
    for (size_t i = 0; i < set->count; i++) {
        if (!set->pairs[i].measured) continue;
        measured++;
        printf("%-*s", width, set->pairs[i].name);
        for (size_t f = 0; f < FIGURE_COUNT; f++) print_cell(eval_value(&figures[f], &set->pairs[i].figures));
        putchar('\n');
    }
    char mean[32];
    snprintf(mean, sizeof mean, "mean of %zu", measured);
    printf("%-*s", width, mean);
    for (size_t f = 0; f < FIGURE_COUNT; f++) print_cell(eval_mean(&figures[f], set));
    putchar('\n');
}

static json_t *json_figure(double value) {
    return isnan(value) ? json_null() : json_real(value);
}

static vocode_status print_json(const eval_set *set, vocode_error *error) {
    json_t *root = json_object(), *files = json_array(), *mean = json_object(), *unmatched = json_array();
    for (size_t i = 0; i < set->count; i++) {
        const eval_pair *pair = &set->pairs[i];
        if (!pair->measured) continue;
        json_t *file = json_object();
        json_object_set_new(file, "name", json_name(pair->name));
        json_object_set_new(file, "reference", json_name(pair->reference));
        json_object_set_new(file, "generated", json_name(pair->generated));
        for (size_t f = 0; f < FIGURE_COUNT; f++)
            json_object_set_new(file, figures[f].label, json_figure(eval_value(&figures[f], &pair->figures)));
        json_array_append_new(files, file);
    }
    for (size_t f = 0; f < FIGURE_COUNT; f++)
        json_object_set_new(mean, figures[f].label, json_figure(eval_mean(&figures[f], set)));
    for (size_t i = 0; i < set->unmatched_count; i++) json_array_append_new(unmatched, json_name(set->unmatched[i]));
    json_object_set_new(root, "files", files);
    json_object_set_new(root, "mean", mean);
    json_object_set_new(root, "unmatched", unmatched);
    return json_show(root, error);
}

static int run_command(const arguments *given, console *out) {
    eval_set set;
    vocode_error error;
    vocode_status status = eval_collect(given->items[0], given->items[1], &set, &error);
    for (size_t i = 0; status == VOCODE_OK && i < set.unmatched_count; i++)
        console_warning(out, "%s has no file of the same name in the other folder and is left out", set.unmatched[i]);
    size_t bad = 0;
    if (status == VOCODE_OK) {
        bad = measure_all(&set, out);
        if (given->json.given)
            status = print_json(&set, &error);
        else if (bad < set.count)
            print_table(&set);
    }
    if (status == VOCODE_OK && bad < set.count && given->html.given)
        status = eval_report(given->html.text, given->items[0], given->items[1], &set, &error);
    eval_free(&set);
    int result = console_finish(out, status, &error);
    return bad ? EXIT_FAILURE : result;
}

static void explain(FILE *to) {
    fputs("\nfigures:\n", to);
    for (size_t f = 0; f < FIGURE_COUNT; f++)
        fprintf(to, "  %-7s %s%s%s, %s is better\n", figures[f].label, figures[f].doc, *figures[f].unit ? "; " : "",
                figures[f].unit, figures[f].higher_is_better ? "higher" : "lower");
}

const command command_eval = {
    .name = "eval",
    .synopsis = "REF_DIR GEN_DIR [options]\nREF.wav GEN.wav [options]",
    .summary = "objective quality of generated audio: a table and an HTML report",
    .details = "Pairs the .wav and .flac files of both folders by their names without the ending. All are compared at\n"
               "22050 Hz, the longer of two cut to the shorter.\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least = 2,
    .most = 2,
    .run = run_command,
    .more_help = explain,
};
