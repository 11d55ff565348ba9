#include "cli/sound.h"

#include <stdlib.h>

#include "cli/interrupt.h"
#include "io/audio.h"

static audio_format raw_format(const arguments *given) {
    static const audio_format of_choice[] = {AUDIO_PCM16, AUDIO_FLOAT}; /* s16le, f32le */
    return of_choice[given->raw.integer];
}

static audio_format file_format(const arguments *given) {
    return given->format.given ? (audio_format)given->format.integer : AUDIO_PCM16; /* the choices are in its order */
}

int sound_check(const arguments *given, const command *about, const char *path, console *out) {
    vocode_error error = {0};
    audio_container container;
    if (given->raw.given && given->format.given)
        return console_usage(out, about->name, "--raw %s says the format already, --format %s cannot be given with it",
                             given->raw.text, given->format.text);
    if (given->raw.given) return EXIT_SUCCESS;
    if (audio_container_of(path, file_format(given), &container, &error) == VOCODE_OK) return EXIT_SUCCESS;
    return console_usage(out, about->name, "%s", error.message);
}

static void note_clipped(const char *path, size_t clipped, console *out) {
    if (clipped > 0) console_note(out, "%s: %zu sample%s clipped", path, clipped, clipped == 1 ? "" : "s");
}

vocode_status sound_write(const arguments *given, const char *path, const float *mono, size_t frames,
                          unsigned sample_rate, console *out, vocode_error *error) {
    size_t clipped = 0;
    interrupt_hold(path);
    vocode_status status = given->raw.given
                               ? audio_write_raw(path, mono, frames, raw_format(given), &clipped, error)
                               : audio_write(path, mono, frames, sample_rate, file_format(given), &clipped, error);
    interrupt_release();
    if (status == VOCODE_OK) note_clipped(path, clipped, out);
    return status;
}

vocode_status sound_open(const arguments *given, const char *path, unsigned sample_rate, audio_writer **out,
                         vocode_error *error) {
    audio_container container = AUDIO_RAW;
    audio_format format = given->raw.given ? raw_format(given) : file_format(given);
    *out = NULL;
    if (!given->raw.given) TRY(audio_container_of(path, format, &container, error));
    return audio_writer_open(path, sample_rate, format, container, out, error);
}

vocode_status sound_close(audio_writer *writer, const char *path, console *out, vocode_error *error) {
    size_t clipped;
    vocode_status status = audio_writer_close(writer, &clipped, error);
    if (status == VOCODE_OK) note_clipped(path, clipped, out);
    return status;
}
