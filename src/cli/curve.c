#include "cli/curve.h"

#include <math.h>

#include "cli/page.h"

#define BOX 1000.0 /* the picture's own units, both ways; it is stretched to its place */
#define TICKS_ABOUT 5.0
#define POINTS_MOST ((size_t)400) /* a line; more are averaged */
#define START_SHARE 20            /* the first twentieth */
#define DIGITS_MOST 5             /* of a label; others are powers of ten */
#define MARGIN 0.06               /* of the axis, above and below the values */

const char curve_style[] =
    ".curves{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:2rem 2.5rem}"
    ".curve figcaption{color:var(--text);margin:0}.curve p{font-size:.9rem;margin:0}"
    ".plot{position:relative;height:14rem;margin:2rem 3.75rem 2.25rem 3.75rem}"
    ".plot svg{position:absolute;inset:0;width:100%;height:100%}"
    ".plot path{fill:none;stroke-width:1.75;vector-effect:non-scaling-stroke;stroke-linejoin:round}"
    ".plot .grid{stroke:var(--line);stroke-width:1}.l0{stroke:var(--one)}.l1{stroke:var(--two)}"
    ".plot span{position:absolute;font-size:.78rem;line-height:1;color:var(--soft);white-space:nowrap;"
    "font-variant-numeric:tabular-nums}"
    ".plot .y{right:100%;transform:translateY(-50%);padding-right:.4rem}"
    ".plot .r{left:100%;transform:translateY(-50%);padding-left:.4rem}"
    ".plot .x{top:100%;transform:translateX(-50%);padding-top:.45rem}"
    ".plot .yu{right:100%;bottom:100%;padding:0 .4rem .55rem 0}.plot .ru{left:100%;bottom:100%;padding:0 0 .55rem "
    ".4rem}"
    ".key{font-size:.85rem;color:var(--soft);white-space:nowrap;margin-right:1rem}"
    ".key::before{content:\"\";display:inline-block;width:1.2rem;height:.2rem;margin-right:.35rem;vertical-align:"
    "middle;"
    "border-radius:1px;background:var(--one)}.key.k1::before{background:var(--two)}"
    ":root{--one:#2f5fb3;--two:#b8560f}"
    "@media(prefers-color-scheme:dark){:root{--one:#84aef5;--two:#f0a35e}}";

typedef struct axis {
    double low, high; /* of what is drawn: logarithms where the curve is logarithmic */
    double tick;
    int digits; /* after the point */
} axis;

static double drawn(const curve *about, double value) {
    return about->logarithmic ? log10(value) : value;
}

static bool counts(const curve *about, double value) {
    return !about->logarithmic || value > 0;
}

/* The next of 1, 2, 5 times a power of ten. */
static double nice_step(double span) {
    double power = pow(10, floor(log10(span / TICKS_ABOUT))), rest = span / TICKS_ABOUT / power;
    return power * (rest <= 1 ? 1 : rest <= 2 ? 2 : rest <= 5 ? 5 : 10);
}

static int digits_of(double tick) {
    double digits = -floor(log10(tick) + 1e-9);
    return digits > 0 ? (int)digits : 0;
}

/* False where there is nothing to draw. */
static bool find_axis(const curve *about, uint64_t first, axis *out) {
    *out = (axis){.low = INFINITY, .high = -INFINITY};
    for (size_t l = 0; l < about->line_count; l++) {
        const history_series *series = about->lines[l].series;
        for (size_t i = 0; i < series->count; i++) {
            if (series->steps[i] < first || !counts(about, series->values[i])) continue;
            out->low = fmin(out->low, drawn(about, series->values[i]));
            out->high = fmax(out->high, drawn(about, series->values[i]));
        }
    }
    if (out->low > out->high) return false;
    if (about->from_zero) out->low = fmin(out->low, 0);
    double span = out->high - out->low;
    if (!(span > 1e-9 * fmax(fabs(out->high), 1e-9))) span = fmax(fabs(out->high), 1e-6) * 0.1;
    if (!about->from_zero || out->low < 0) out->low -= MARGIN * span;
    out->high += MARGIN * span;
    out->tick = nice_step(out->high - out->low);
    out->digits = digits_of(out->tick);
    return true;
}

static void number(double value, int digits, FILE *to) {
    if (fabs(value) < 0.5 * pow(10, -digits)) value = 0; /* no "-0" */
    fprintf(to, "%s%.*f", value < 0 ? "&minus;" : "", digits, fabs(value));
}

/* Two digits, or as a whole number where that is short. */
static void power_of_ten(double exponent, FILE *to) {
    double value = pow(10, exponent);
    fprintf(to, exponent >= 1 && exponent < DIGITS_MOST ? "%.0f" : "%.2g", value);
}

static double height(const axis *y, double value) {
    return BOX * (y->high - value) / (y->high - y->low);
}

static long long first_tick(const axis *y) {
    return (long long)ceil(y->low / y->tick);
}

static void write_grid(const axis *y, FILE *to) {
    for (long long i = first_tick(y); (double)i * y->tick <= y->high; i++)
        fprintf(to, "<path class=\"grid\" d=\"M0 %.1fH%.0f\"/>", height(y, (double)i * y->tick), BOX);
}

static void write_line(const curve *about, size_t index, const axis *y, uint64_t last, FILE *to) {
    const history_series *series = about->lines[index].series;
    size_t share = (series->count + POINTS_MOST - 1) / POINTS_MOST;
    bool begun = false;
    fprintf(to, "<path class=\"l%zu\" d=\"", index);
    for (size_t i = 0; i < series->count; i += share) {
        double sum = 0, step = 0, used = 0;
        for (size_t k = i; k < i + share && k < series->count; k++) {
            if (!counts(about, series->values[k])) continue;
            sum += drawn(about, series->values[k]);
            step += (double)series->steps[k];
            used++;
        }
        if (used == 0) continue;
        fprintf(to, "%s%.1f %.1f", begun ? "L" : "M", BOX * step / used / (double)last, height(y, sum / used));
        if (!begun) fputs("h.1", to); /* a single point is seen too */
        begun = true;
    }
    fputs("\"/>", to);
}

static void write_y_labels(const curve *about, const axis *y, FILE *to) {
    for (long long i = first_tick(y); (double)i * y->tick <= y->high; i++) {
        double value = (double)i * y->tick, top = height(y, value) / BOX * 100;
        fprintf(to, "<span class=\"y\" style=\"top:%.2f%%\">", top);
        if (about->logarithmic)
            power_of_ten(value, to);
        else if (y->digits > DIGITS_MOST && value != 0)
            fprintf(to, "%.1e", value);
        else
            number(value, value == 0 ? 0 : y->digits, to);
        fputs("</span>", to);
        if (about->other_factor == 0) continue;
        fprintf(to, "<span class=\"r\" style=\"top:%.2f%%\">", top);
        number(value * about->other_factor, y->digits > 2 ? y->digits : 2, to);
        fputs("</span>", to);
    }
    fprintf(to, "<span class=\"yu\">%s</span>", about->unit);
    if (about->other_factor != 0) fprintf(to, "<span class=\"ru\">%s</span>", about->other_unit);
}

static void write_x_labels(uint64_t last, FILE *to) {
    uint64_t tick = (uint64_t)fmax(nice_step((double)last), 1);
    for (uint64_t step = 0; step <= last; step += tick) {
        fprintf(to, "<span class=\"x\" style=\"left:%.2f%%\">", 100 * (double)step / (double)last);
        page_whole(step, to);
        fputs("</span>", to);
    }
}

static void write_keys(const curve *about, FILE *to) {
    if (about->line_count < 2) return;
    fputs("<div>", to);
    for (size_t l = 0; l < about->line_count; l++)
        if (about->lines[l].series->count) fprintf(to, "<span class=\"key k%zu\">%s</span>", l, about->lines[l].name);
    fputs("</div>", to);
}

void curve_write(const curve *about, uint64_t last, FILE *to) {
    axis y;
    if (last == 0) return;
    if (!(about->skip_start && find_axis(about, last / START_SHARE, &y)) && !find_axis(about, 0, &y)) return;
    fprintf(to, "<figure class=\"curve\"><figcaption><b>%s</b></figcaption>", about->title);
    write_keys(about, to);
    fprintf(to, "<div class=\"plot\"><svg viewBox=\"0 0 %.0f %.0f\" preserveAspectRatio=\"none\" role=\"img\" ", BOX,
            BOX);
    fprintf(to, "aria-label=\"%s over the steps\">", about->title);
    write_grid(&y, to);
    for (size_t l = 0; l < about->line_count; l++)
        if (about->lines[l].series->count) write_line(about, l, &y, last, to);
    fputs("</svg>", to);
    write_y_labels(about, &y, to);
    write_x_labels(last, to);
    fprintf(to, "</div><p class=\"soft\">%s</p></figure>\n", about->explanation);
}
