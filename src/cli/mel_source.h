/* Mel frames in their order, from a .npy or bare floats, a block at a time. A file of any layout is read where it is
 * needed, and a pipe whose frames stand together (frames first in C order, mels first in Fortran order, bare floats) as
 * they arrive: memory does not depend on the length. A pipe that holds one band after the other is read to its end
 * first. */
#ifndef CLI_MEL_SOURCE_H
#define CLI_MEL_SOURCE_H

#include <stdbool.h>

#include "cli/arrays.h"
#include "dsp/mel.h"

enum { MEL_BLOCK = 512 }; /* the most frames that are given at once */

typedef struct mel_source mel_source;

/* Opens path ("-" is standard input) and reads a .npy's header; bare: there is none, the numbers are little-endian
 * float32 until the end of the file. Errors are those of mel_read. Free with mel_source_free. */
vocode_status mel_source_open(const char *path, const mel_reading *reading, bool bare, mel_source **out,
                              vocode_error *error);
void mel_source_free(mel_source *source); /* NULL is fine */

size_t mel_source_frames(const mel_source *source); /* in all; 0 while nobody knows */
bool mel_source_live(const mel_source *source);     /* frames come as they arrive */

/* Unless frames come as they arrive: checks that all numbers are finite and warns of what looks like another
 * convention (in the first MEL_INSPECTED frames). expected NULL: of nothing. Before the first mel_source_next. */
enum { MEL_INSPECTED = 8192 };
vocode_status mel_source_inspect(mel_source *source, const mel_convention *expected, const warning_sink *warnings,
                                 vocode_error *error);

/* The frames that follow, [*count, bands]: at most `most`, and at least `least` unless fewer are left (both at most
 * MEL_BLOCK); *count is 0 at the end. *frames lives until the next call. VOCODE_FORMAT where a pipe ends inside a frame
 * or before the frames that its header announced: all whole ones have been given by then. VOCODE_CANCELLED where a
 * signal waits. */
vocode_status mel_source_next(mel_source *source, size_t least, size_t most, const float **frames, size_t *count,
                              vocode_error *error);

/* VOCODE_FORMAT where something follows the last frame of a .npy. */
vocode_status mel_source_end(mel_source *source, vocode_error *error);

#endif
