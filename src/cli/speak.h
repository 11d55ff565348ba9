/* One mel to one sound, as a stream: frames are pushed as they are read and samples written as they are made, so that
 * memory does not depend on the length and a listener at a pipe hears the beginning while the rest is made. */
#ifndef CLI_SPEAK_H
#define CLI_SPEAK_H

#include "cli/mel_source.h"
#include "cli/progress.h"
#include "cli/use_model.h"

/* What a stream is made of. */
typedef struct speech {
    const arguments *given;
    const open_model *model;
    const mel_convention *convention; /* that the mel should be in; NULL where nobody says */
    vocode_synthesis settings;        /* progress, warning and context are set here */
    size_t chunk;                     /* frames pushed at a time; 0: what serves */
    console *say;
} speech;

/* Speaks source, which messages call name, to path ("-" is standard output). Where a pipe breaks off, a sound that goes
 * to a pipe ends with the last whole frame, and a file does not appear; the error says what was found. */
vocode_status speak(const speech *about, mel_source *source, const char *name, const char *path, progress *bar,
                    vocode_error *error);

#endif
