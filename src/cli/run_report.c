#include "cli/run_report.h"

#include <math.h>
#include <stdlib.h>

#include <vocode/vocode.h>

#include "cli/curve.h"
#include "cli/page.h"

enum { SPECTRAL_CURVE = 1 }; /* of the curves; only runs with such a loss have it */
enum { TABLE_ROWS = 12, SECONDS_A_MINUTE = 60, SECONDS_AN_HOUR = 3600 };

static const char style[] =
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1.25rem;margin:1rem 0}"
    "dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}"
    "pre{overflow-x:auto;padding:.75rem;background:var(--row);font-size:.85rem;border-radius:4px}"
    "summary{cursor:pointer}";

static const json_t *config_value(const run_about *run, const char *object, const char *key) {
    return json_object_get(object ? json_object_get(run->config, object) : run->config, key);
}

/* Nats with a proper minus sign. */
static void write_number(double value, int digits, FILE *to) {
    fprintf(to, "%s%.*f", value < 0 ? "&minus;" : "", digits, fabs(value));
}

static void write_loss(const run_history *history, double loss, FILE *to) {
    write_number(loss, 4, to);
    if (!history->likelihood) return;
    fputs(" nats (", to);
    write_number(loss / M_LN2, 4, to);
    fputs(" bits) a sample", to);
}

static void write_time(double seconds, FILE *to) {
    if (seconds >= SECONDS_AN_HOUR)
        fprintf(to, "%.1f hours", seconds / SECONDS_AN_HOUR);
    else if (seconds >= SECONDS_A_MINUTE)
        fprintf(to, "%.1f minutes", seconds / SECONDS_A_MINUTE);
    else
        fprintf(to, "%.1f seconds", seconds);
}

static void write_steps(const run_about *run, FILE *to) {
    const json_t *steps = config_value(run, "train", "steps");
    fputs("<dt>steps</dt><dd>", to);
    page_whole(run->history.step, to);
    if (json_is_integer(steps) && json_integer_value(steps) > 0) {
        fputs(" of ", to);
        page_whole((uint64_t)json_integer_value(steps), to);
    }
    fputs("</dd>\n<dt>time</dt><dd>", to);
    write_time(run->history.seconds, to);
    fputs("</dd>\n", to);
}

static void write_data(const run_about *run, FILE *to) {
    const json_t *batch = config_value(run, "train", "batch"), *segment = config_value(run, "train", "segment"),
                 *rate = config_value(run, NULL, "sample_rate"), *many = config_value(run, "train", "accumulate");
    if (!json_is_integer(batch) || !json_is_integer(segment)) return;
    double segments =
        (double)json_integer_value(batch) * (json_is_integer(many) ? (double)json_integer_value(many) : 1);
    fprintf(to, "<dt>data</dt><dd>%.0f segments of %lld samples a step", segments, json_integer_value(segment));
    if (json_is_number(rate) && json_number_value(rate) > 0) {
        double seconds = segments * (double)json_integer_value(segment) / json_number_value(rate);
        fprintf(to, ": %.1f seconds of audio at %.0f Hz; ", seconds, json_number_value(rate));
        write_time(seconds * (double)run->history.step, to);
        fputs(" heard in all", to);
    }
    fputs("</dd>\n", to);
}

static void write_outcome(const run_history *history, FILE *to) {
    const history_series *loss = &history->series[HISTORY_LOSS], *held = &history->series[HISTORY_VALIDATION];
    uint64_t step;
    double lowest;
    if (loss->count) {
        fputs("<dt>loss, last</dt><dd>", to);
        write_loss(history, loss->values[loss->count - 1], to);
        fputs("</dd>\n", to);
    }
    if (!history_lowest(held, &step, &lowest)) return;
    fputs("<dt>validation, best</dt><dd>", to);
    write_loss(history, lowest, to);
    fputs(", after step ", to);
    page_whole(step, to);
    fputs("</dd>\n", to);
}

static void write_faults(const run_history *history, FILE *to) {
    if (history->skipped)
        fprintf(to, "<dt>skipped</dt><dd>%llu step%s whose numbers were not finite</dd>\n",
                (unsigned long long)history->skipped, history->skipped == 1 ? "" : "s");
    if (history->infinite)
        fprintf(to, "<dt>not finite</dt><dd>%zu number%s of the log, not drawn</dd>\n", history->infinite,
                history->infinite == 1 ? "" : "s");
    if (history->damaged)
        fprintf(to, "<dt>damaged</dt><dd>%zu line%s of the log, passed over</dd>\n", history->damaged,
                history->damaged == 1 ? "" : "s");
    if (history->torn) fputs("<dt>cut off</dt><dd>the last line of the log, left out</dd>\n", to);
}

static void write_facts(const run_about *run, FILE *to) {
    const json_t *kind = config_value(run, NULL, "kind");
    fputs("<h1>Training run</h1>\n<p class=\"path\"><b>", to);
    page_escape(run->folder, to);
    fprintf(to, "</b></p>\n<p class=\"soft\">Made by vocode %s.</p>\n<dl>\n", vocode_version());
    if (json_is_string(kind)) {
        fputs("<dt>model</dt><dd>", to);
        page_escape(json_string_value(kind), to);
        if (run->parameters) {
            fputs(", ", to);
            page_whole(run->parameters, to);
            fputs(" parameters", to);
        }
        fputs("</dd>\n", to);
    }
    write_steps(run, to);
    write_data(run, to);
    write_outcome(&run->history, to);
    write_faults(&run->history, to);
    fputs("</dl>\n", to);
}

static void write_curves(const run_history *history, FILE *to) {
    const history_series *series = history->series;
    const curve all[] = {
        {.title = history->likelihood ? "Negative log-likelihood" : "Loss",
         .unit = history->likelihood ? "nats" : "loss",
         .lines = {{&series[HISTORY_LOSS], "training"}, {&series[HISTORY_VALIDATION], "validation"}},
         .line_count = 2,
         .skip_start = true,
         .other_factor = history->likelihood ? 1 / M_LN2 : 0,
         .other_unit = "bits",
         .explanation =
             "A mean over samples; lower is better. Validation, on held-out recordings and with averaged "
             "weights, should fall along with training. When it turns upwards while training goes on falling, "
             "the model learns its recordings by heart. The first twentieth may leave the picture."},
        [SPECTRAL_CURVE] =
            {.title = "Loss of samples",
             .unit = "distance",
             .lines = {{&series[HISTORY_SPECTRAL], "training"}, {&series[HISTORY_HELD_SPECTRAL], "validation"}},
             .line_count = 2,
             .skip_start = true,
             .explanation =
                 "How far the spectrograms of what is drawn are from those of the recordings; lower is better, "
                 "and zero is out of reach. Validation judges the averaged weights. This is what is heard: "
                 "it may go on falling where the likelihood no longer does."},
        {.title = "Norm of the gradient",
         .unit = "norm",
         .lines = {{&series[HISTORY_NORM], "norm"}},
         .line_count = 1,
         .logarithmic = true,
         .explanation = "Before clipping. It should settle and stay within a factor of ten; growth without end, or "
                        "spikes that the loss shows too, ask for a lower learning rate."},
        {.title = "Learning rate",
         .unit = "rate",
         .lines = {{&series[HISTORY_RATE], "rate"}},
         .line_count = 1,
         .from_zero = true,
         .explanation = "As the schedule has it: the warm-up, then the fall."},
        {.title = "Speed",
         .unit = "s/s",
         .lines = {{&series[HISTORY_SPEED], "speed"}},
         .line_count = 1,
         .from_zero = true,
         .explanation = "Seconds of audio that are trained on in a second. Dips are mostly other work of the machine."},
    };
    fputs("<h2>Over the steps</h2>\n<div class=\"curves\">\n", to);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (i == SPECTRAL_CURVE && !series[HISTORY_SPECTRAL].count && !series[HISTORY_HELD_SPECTRAL].count) continue;
        curve_write(&all[i], history->step, to);
    }
    fputs("</div>\n", to);
}

static void write_meaning(const run_history *history, FILE *to) {
    fputs("<h2>What the numbers mean</h2>\n", to);
    if (history->likelihood)
        fputs(
            "<p><b>A negative loss is normal.</b> The loss is minus the logarithm of a density. Samples lie between "
            "&minus;1 and 1, and a model that knows where the next one falls to within a thousandth gives it a density "
            "of about a thousand, whose logarithm is positive: the loss is then about &minus;7 nats. Zero is nothing "
            "special.</p>\n<p>Nats are natural logarithms, bits are those to the base 2: bits = nats / 0.693. Bits "
            "plus 15 is roughly what it would take to store a 16-bit sample without loss.</p>\n<p><b>What good looks "
            "like</b> depends on the recordings, quiet ones lying lower, so compare with runs on the same ones. "
            "Early on the loss falls by tenths, later by hundredths, which are still heard.</p>\n",
            to);
    else
        fputs("<p>This model's objective is no likelihood: its loss has no unit and compares with runs of the same "
              "objective alone. Lower is better; it need not come near zero.</p>\n",
              to);
    if (history->about) {
        fputs("<p class=\"soft\">The log says: ", to);
        page_escape(history->about, to);
        fputs("</p>\n", to);
    }
}

/* The value at a step or the last before it. */
static void write_cell(const history_series *series, uint64_t step, double factor, const char *format, FILE *to) {
    size_t i = series->count;
    while (i && series->steps[i - 1] > step) i--;
    fputs("<td>", to);
    if (i == 0) {
        fputs("&ndash;", to);
    } else {
        char text[48];
        snprintf(text, sizeof text, format, series->values[i - 1] * factor);
        if (*text == '-') fputs("&minus;", to);
        fputs(text + (*text == '-'), to);
    }
    fputs("</td>", to);
}

static void write_row(const run_history *history, uint64_t step, FILE *to) {
    const history_series *series = history->series;
    fputs("<tr><td>", to);
    page_whole(step, to);
    fputs("</td>", to);
    write_cell(&series[HISTORY_LOSS], step, 1, "%.4f", to);
    if (history->likelihood) write_cell(&series[HISTORY_LOSS], step, 1 / M_LN2, "%.4f", to);
    write_cell(&series[HISTORY_VALIDATION], step, 1, "%.4f", to);
    if (history->likelihood) write_cell(&series[HISTORY_VALIDATION], step, 1 / M_LN2, "%.4f", to);
    if (series[HISTORY_SPECTRAL].count) write_cell(&series[HISTORY_SPECTRAL], step, 1, "%.4f", to);
    if (series[HISTORY_HELD_SPECTRAL].count) write_cell(&series[HISTORY_HELD_SPECTRAL], step, 1, "%.4f", to);
    write_cell(&series[HISTORY_NORM], step, 1, "%.3g", to);
    write_cell(&series[HISTORY_RATE], step, 1, "%.3g", to);
    write_cell(&series[HISTORY_SPEED], step, 1, "%.1f", to);
    fputs("</tr>\n", to);
}

static void write_table(const run_history *history, FILE *to) {
    const history_series *loss = &history->series[HISTORY_LOSS];
    size_t rows = loss->count < TABLE_ROWS ? loss->count : TABLE_ROWS;
    if (rows == 0) return;
    fputs("<h2>Numbers</h2>\n<div class=\"scroll\"><table>\n<thead><tr><th>step</th>", to);
    fputs(history->likelihood ? "<th>nats</th><th>bits</th><th>validation, nats</th><th>bits</th>"
                              : "<th>loss</th><th>validation</th>",
          to);
    if (history->series[HISTORY_SPECTRAL].count) fputs("<th>samples</th>", to);
    if (history->series[HISTORY_HELD_SPECTRAL].count) fputs("<th>validation, samples</th>", to);
    fputs("<th>gradient</th><th>learning rate</th><th>audio s/s</th></tr></thead>\n<tbody>\n", to);
    for (size_t i = 0; i < rows; i++) {
        size_t place = rows < 2 ? 0 : i * (loss->count - 1) / (rows - 1);
        write_row(history, loss->steps[place], to);
    }
    fputs("</tbody></table></div>\n", to);
}

static vocode_status write_config(const run_about *run, FILE *to, vocode_error *error) {
    if (!run->config) return VOCODE_OK;
    char *text = json_print(run->config, 2);
    if (!text) return failed(error, VOCODE_MEMORY, "out of memory for the report");
    fputs("<h2>Configuration</h2>\n<details><summary>every key with its value</summary><pre>", to);
    page_escape(text, to);
    fputs("</pre></details>\n", to);
    free(text);
    return VOCODE_OK;
}

vocode_status run_report_write(void *context, FILE *to, vocode_error *error) {
    const run_about *run = context;
    char title[512], more[sizeof style + 4096];
    snprintf(title, sizeof title, "Training run: %s", run->folder);
    snprintf(more, sizeof more, "%s%s", style, curve_style);
    page_begin(title, more, to);
    write_facts(run, to);
    write_curves(&run->history, to);
    write_meaning(&run->history, to);
    TRY(run_report_samples(run, to, error));
    write_table(&run->history, to);
    TRY(write_config(run, to, error));
    page_end(to);
    return VOCODE_OK;
}
