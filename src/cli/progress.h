/* A progress bar with the real-time factor, on a terminal alone and not with -q. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stddef.h>

#include "cli/console.h"

typedef struct progress {
    console *out;
    size_t items, finished; /* files */
    double seconds_done;    /* of audio, in finished files */
    double item_seconds;    /* of audio in the present file; 0 while not known */
    double fraction;        /* of the present file, 0 to 1 */
    bool endless;           /* nobody knows how long the present file gets */
    double start, drawn;    /* when it began, and when the bar was last drawn */
} progress;

void progress_begin(progress *bar, console *out, size_t items);

/* The present file has that much audio. */
void progress_item_length(progress *bar, double seconds);

/* fraction of the present file is done. Draws the bar, not too often. A vocode_progress: context is the bar; never
 * cancels. */
int progress_fraction(void *context, double fraction);

/* So many seconds of audio are made of an input whose end is not known. */
void progress_endless(progress *bar, double seconds);

/* A vocode_warning whose context is the bar: "vocode: warning: <the console's subject>: <sentence>". */
void progress_warning(void *context, const char *sentence);

/* The present file is finished; its audio counts where it succeeded. */
void progress_item(progress *bar, bool succeeded);

/* Wipes the bar and says, on a terminal or with -v, how long everything took. */
void progress_end(progress *bar);

#endif
