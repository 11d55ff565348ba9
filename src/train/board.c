#include "train/board.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "dsp/spectrogram.h"
#include "io/wav.h"
#include "train/events.h"

#define PICTURE_WIDTH ((size_t)560)
#define PICTURE_HEIGHT ((size_t)192)

struct train_board {
    char *folder;
    uint64_t step;
    const warning_sink *warnings;
    event_file *file; /* NULL until there is something to say */
    bool failing;     /* the last record could not be written, which has been said */
};

vocode_status board_new(const char *folder, uint64_t step, const warning_sink *warnings, train_board **out,
                        vocode_error *error) {
    train_board *board = calloc(1, sizeof *board);
    char *name = strdup(folder);
    *out = board;
    if (board && name) {
        *board = (train_board){.folder = name, .step = step, .warnings = warnings};
        return VOCODE_OK;
    }
    free(board);
    free(name);
    *out = NULL;
    return failed(error, VOCODE_MEMORY, "%s: out of memory", folder);
}

void board_free(train_board *board) {
    if (!board) return;
    events_close(board->file);
    free(board->folder);
    free(board);
}

static vocode_status begin(train_board *board, vocode_error *error) {
    return board->file ? VOCODE_OK : events_open(board->folder, board->step, &board->file, error);
}

static void conclude(train_board *board, vocode_status status, const vocode_error *error) {
    bool bad = status != VOCODE_OK;
    if (bad && !board->failing) warn_caller(board->warnings, "%s", error->message);
    board->failing = bad;
}

static void put_scalars(train_board *board, uint64_t step, const event_scalar *scalars, size_t count) {
    if (!board) return; /* another rank's */
    vocode_error error;
    vocode_status status = begin(board, &error);
    if (status == VOCODE_OK) status = events_scalars(board->file, step, scalars, count, &error);
    conclude(board, status, &error);
}

/* Scalars at the end that there are none of: bits are of a likelihood, and a loss of samples may stand beside one. */
static size_t missing(bool likelihood, double spectral) {
    return !likelihood ? 2 : isnan(spectral) ? 1 : 0;
}

void board_step(train_board *board, const train_progress *now) {
    const event_scalar scalars[] = {{"gradient_norm", now->norm},
                                    {"learning_rate", now->rate},
                                    {"audio_seconds_a_second", now->audio_rate},
                                    {"skipped", (double)now->skipped},
                                    {now->likelihood ? "nll" : "loss", now->loss},
                                    {"bits", now->loss / M_LN2},
                                    {"spectral", now->spectral}};
    put_scalars(board, now->step, scalars, sizeof scalars / sizeof *scalars - missing(now->likelihood, now->spectral));
}

void board_validation(train_board *board, const train_validation *now) {
    const event_scalar scalars[] = {{now->likelihood ? "validation_nll" : "validation_loss", now->loss},
                                    {"validation_bits", now->loss / M_LN2},
                                    {"validation_spectral", now->spectral}};
    put_scalars(board, now->step, scalars, sizeof scalars / sizeof *scalars - missing(now->likelihood, now->spectral));
}

static vocode_status put_sound(train_board *board, uint64_t step, const char *tag, const float *mono, size_t samples,
                               unsigned sample_rate, vocode_error *error) {
    size_t size;
    unsigned char *wav = wav_pcm16(mono, samples, sample_rate, &size);
    if (!wav) return failed(error, VOCODE_MEMORY, "%s: no memory for %zu samples", tag, samples);
    vocode_status status = events_sound(board->file, step, tag, wav, size, samples, sample_rate, error);
    free(wav);
    return status;
}

static vocode_status put_picture(train_board *board, uint64_t step, const char *tag, const float *mono, size_t samples,
                                 vocode_error *error) {
    unsigned char *png;
    size_t size;
    TRY(spectrogram_png(mono, samples, PICTURE_WIDTH, PICTURE_HEIGHT, &png, &size, error));
    vocode_status status = events_picture(board->file, step, tag, png, size, PICTURE_WIDTH, PICTURE_HEIGHT, error);
    free(png);
    return status;
}

void board_clip(train_board *board, uint64_t step, const char *tag, const float *mono, size_t samples,
                unsigned sample_rate) {
    vocode_error error;
    vocode_status status = begin(board, &error);
    if (status == VOCODE_OK) status = put_sound(board, step, tag, mono, samples, sample_rate, &error);
    if (status == VOCODE_OK) status = put_picture(board, step, tag, mono, samples, &error);
    conclude(board, status, &error);
}
