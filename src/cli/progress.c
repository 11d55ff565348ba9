#include "cli/progress.h"

#include <stdio.h>

#include "core/clock.h"

#define BAR_WIDTH 30        /* characters */
#define REDRAW_INTERVAL 0.1 /* seconds */
#define LEAST_MEASURED 1e-3 /* seconds: below, a speed means nothing */

void progress_begin(progress *bar, console *out, size_t items) {
    *bar = (progress){.out = out, .items = items, .start = clock_seconds()};
}

void progress_item_length(progress *bar, double seconds) {
    bar->item_seconds = seconds;
}

static void draw_bar(const progress *bar) {
    double done = bar->items ? ((double)bar->finished + bar->fraction) / (double)bar->items : 1;
    int filled = (int)(done * BAR_WIDTH);
    char line[BAR_WIDTH + 1];
    for (int i = 0; i < BAR_WIDTH; i++) line[i] = i < filled ? '#' : '.';
    line[BAR_WIDTH] = 0;
    fprintf(stderr, "\r\033[K[%s] %3.0f %%", line, 100 * done);
    if (bar->items > 1) fprintf(stderr, "  %zu of %zu files", bar->finished, bar->items);
}

static void draw(progress *bar, double time) {
    double elapsed = time - bar->start;
    double audio = bar->seconds_done + bar->fraction * bar->item_seconds;
    if (bar->endless)
        fprintf(stderr, "\r\033[K%.1f s of audio", audio);
    else
        draw_bar(bar);
    if (audio > 0 && elapsed > LEAST_MEASURED) fprintf(stderr, "  %.1f times real time", audio / elapsed);
    fflush(stderr);
    bar->out->bar_shown = true;
    bar->drawn = time;
}

static void draw_at_times(progress *bar) {
    if (!bar->out->terminal || bar->out->quiet) return;
    double time = clock_seconds();
    if (time - bar->drawn >= REDRAW_INTERVAL) draw(bar, time);
}

int progress_fraction(void *context, double fraction) {
    progress *bar = context;
    bar->fraction = fraction;
    draw_at_times(bar);
    return 0;
}

void progress_endless(progress *bar, double seconds) {
    bar->endless = true;
    bar->item_seconds = seconds;
    bar->fraction = 1;
    draw_at_times(bar);
}

void progress_warning(void *context, const char *sentence) {
    console *out = ((progress *)context)->out;
    console_warning(out, "%s%s%s", out->subject ? out->subject : "", out->subject ? ": " : "", sentence);
}

void progress_item(progress *bar, bool succeeded) {
    bar->finished++;
    if (succeeded) bar->seconds_done += bar->item_seconds;
    bar->item_seconds = 0;
    bar->endless = false;
    progress_fraction(bar, 0);
}

void progress_end(progress *bar) {
    console *out = bar->out;
    double elapsed = clock_seconds() - bar->start;
    console_clear(out);
    if ((out->terminal || out->verbose) && bar->seconds_done > 0 && elapsed > 0)
        console_note(out, "%.2f s of audio in %.2f s, %.1f times real time", bar->seconds_done, elapsed,
                     bar->seconds_done / elapsed);
}
