/* vocode denoise: removes the model's bias tones from audio. */
#include <stdlib.h>

#include "cli/commands.h"
#include "cli/sound.h"
#include "cli/use_model.h"
#include "io/audio.h"
#include "io/bytes.h"

#define DEFAULT_STRENGTH 0.1 /* WaveGlow's own */

static const option_row options[] = {
    OPTION_MODEL,
    {"strength", 0, "A", OPTION_NUMBER, offsetof(arguments, strength), .least = 0, .most = 100,
     .doc = "how much of the bias is taken away: 0 none, 1 the whole (default: 0.1)"},
    OPTION_FORMAT,
    OPTION_THREADS,
};

static vocode_status denoise_file(const arguments *given, const open_model *model, console *out, vocode_error *error) {
    const char *in = given->items[0];
    const warning_sink notes = console_notes(out);
    double strength = given->strength.given ? given->strength.number : DEFAULT_STRENGTH;
    audio sound;
    TRY(audio_read_mono(in, model->info.sample_rate, &sound, &notes, error));
    vocode_status status =
        vocode_denoise(model->model, sound.samples, sound.frames, strength, (int)given->threads.integer, error);
    if (status == VOCODE_OK)
        status = sound_write(given, given->items[1], sound.samples, sound.frames, sound.sample_rate, out, error);
    else
        failed_in(error, status, input_name(in));
    audio_free(&sound);
    return status;
}

static int run_command(const arguments *given, console *out) {
    int usage = sound_check(given, &command_denoise, given->items[1], out);
    if (usage != EXIT_SUCCESS) return usage;
    open_model model;
    vocode_error error;
    vocode_status status = use_model(given, &model, out, &error);
    if (status == VOCODE_OK) status = denoise_file(given, &model, out, &error);
    release_model(&model);
    return console_finish(out, status, &error);
}

const command command_denoise = {
    .name = "denoise",
    .synopsis = "IN.wav OUT.wav [options]",
    .summary = "remove the model's bias tones from audio",
    .details = "OUT has the model's sample rate and one channel; audio of another rate is resampled with a note.\n",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least = 2,
    .most = 2,
    .run = run_command,
};
