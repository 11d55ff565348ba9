/* STFT passes in a line: what one gives, the next takes, in pieces, so that the memory of each depends neither on the
 * signal nor on how many there are. */
#ifndef DSP_STFT_LINE_H
#define DSP_STFT_LINE_H

#include "dsp/stft_pass.h"

/* Takes n samples, which stay valid until it returns; last: the signal ends after them. */
typedef vocode_status stft_sink_fn(void *context, const double *samples, size_t n, bool last, vocode_error *error);

typedef struct stft_line stft_line;

vocode_status stft_line_new(size_t most_passes, stft_sink_fn *sink, void *context, stft_line **out,
                            vocode_error *error);
void stft_line_free(stft_line *line); /* NULL is fine */

/* Appends a pass; before the first push. */
vocode_status stft_line_add(stft_line *line, const stft *transform, int threads, stft_frame_fn *frame, void *context,
                            vocode_error *error);

/* Any number of samples, none included. Without passes they go to the sink as they are. */
vocode_status stft_line_push(stft_line *line, const double *samples, size_t n, bool last, vocode_error *error);

/* Samples after a sample that what comes out depends on. */
size_t stft_line_look_ahead(const stft_line *line);

#endif
