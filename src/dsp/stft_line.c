#include "dsp/stft_line.h"

#include <stdlib.h>

#include "core/fail.h"

struct stft_line {
    stft_sink_fn *sink;
    void *context;
    size_t look_ahead, count;
    stft_pass *pass[];
};

vocode_status stft_line_new(size_t most_passes, stft_sink_fn *sink, void *context, stft_line **out,
                            vocode_error *error) {
    *out = calloc(1, sizeof **out + most_passes * sizeof *(*out)->pass);
    if (!*out) return failed(error, VOCODE_MEMORY, "out of memory for %zu STFT passes", most_passes);
    (*out)->sink = sink;
    (*out)->context = context;
    return VOCODE_OK;
}

void stft_line_free(stft_line *line) {
    if (!line) return;
    for (size_t i = 0; i < line->count; i++) stft_pass_free(line->pass[i]);
    free(line);
}

vocode_status stft_line_add(stft_line *line, const stft *transform, int threads, stft_frame_fn *frame, void *context,
                            vocode_error *error) {
    TRY(stft_pass_new(transform, STFT_PIECE, threads, frame, context, &line->pass[line->count], error));
    line->count++;
    line->look_ahead += transform->n_fft;
    return VOCODE_OK;
}

static vocode_status push_from(stft_line *line, size_t i, const double *samples, size_t n, bool last,
                               vocode_error *error) {
    if (i == line->count) return line->sink(line->context, samples, n, last, error);
    size_t done = 0;
    do {
        size_t count = n - done < STFT_PIECE ? n - done : STFT_PIECE, given;
        bool ends = last && done + count == n;
        const double *next = stft_pass_push(line->pass[i], samples + done, count, ends, &given);
        done += count;
        TRY(push_from(line, i + 1, next, given, ends, error));
    } while (done < n);
    return VOCODE_OK;
}

vocode_status stft_line_push(stft_line *line, const double *samples, size_t n, bool last, vocode_error *error) {
    return push_from(line, 0, samples, n, last, error);
}

size_t stft_line_look_ahead(const stft_line *line) {
    return line->look_ahead;
}
